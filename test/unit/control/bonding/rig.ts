/** A bond machine with its surroundings in hand: a host that writes down what it is asked, and watchers that do as a test says. */
import { Bond, type BondHost, type MemberLink, type Steering } from '../../../../control/bonding/bond.ts';
import type { BondParts, LacpMachine, LifeMonitor } from '../../../../control/bonding/parts.ts';
import type { BondSettings, LacpModel, MemberModel, MonitorModel } from '../../../../control/model/bond.ts';
import type { BondCommand, LacpMemberRow } from '../../../../control/switch.ts';

const NEVER = Number.POSITIVE_INFINITY;

export const LACP: LacpModel = {
  mode: 'active',
  rate: 'slow',
  systemPriority: 32768,
  systemMac: '02:00:00:00:00:01',
  key: null,
  select: 'stable',
  fallback: false,
  strict: true,
};

export const MONITOR: MonitorModel = {
  targets: ['10.0.0.9'],
  intervalMs: 1000,
  missedMax: 2,
  validate: 'none',
  require: 'any',
  vlan: 0,
};

export function member(name: string, rest: Partial<MemberModel> = {}): MemberModel {
  return { name, priority: 32768, speed: null, ...rest };
}

export function settings(rest: Partial<BondSettings> = {}, names = ['a', 'b']): BondSettings {
  return {
    mode: 'active-backup',
    members: names.map((name) => member(name)),
    hash: 'layer3+4',
    seed: 0,
    rebalanceMs: 10_000,
    updelayMs: 0,
    downdelayMs: 0,
    mac: '02:00:00:00:00:01',
    sources: [],
    primary: null,
    primaryReselect: 'always',
    minLinks: 1,
    packetsPerMember: 1,
    lacp: rest.mode === '802.3ad' ? LACP : null,
    monitor: null,
    ...rest,
  };
}

/** Writes down everything; `take` answers it and forgets. */
export class NotingHost implements BondHost {
  steered: Steering[] = [];
  announced: (ReadonlySet<number> | null)[] = [];
  reasons: string[] = [];
  order: string[] = [];
  readonly sent: [string, Uint8Array][] = [];
  readonly units = new Float64Array(256);

  steer(steering: Steering): void {
    this.steered.push(steering);
    this.order.push('steer');
  }
  sendMember(name: string, frame: Uint8Array): void {
    this.sent.push([name, frame]);
  }
  announce(buckets: ReadonlySet<number> | null): void {
    this.announced.push(buckets);
    this.order.push('announce');
  }
  received(): number {
    return 0;
  }
  loads(): Float64Array {
    return this.units;
  }
  changed(reason: string): void {
    this.reasons.push(reason);
    this.order.push('changed');
  }
  forget(): void {
    this.steered = [];
    this.announced = [];
    this.reasons = [];
    this.order = [];
  }
}

const INFO = { systemPriority: 1, system: '02:00:00:00:00:02', key: 1, portPriority: 1, port: 1 };

/** Members distribute and collect as the test says, while their links are up. */
export class FakeLacp implements LacpMachine {
  wakeAt = NEVER;
  negotiated = false;
  readonly heard: string[] = [];
  readonly #ports = new Map<
    string,
    { up: boolean; held: boolean; collects: boolean; distributes: boolean; aggregator: number | null }
  >();

  configure(): void {
    this.heard.push('configure');
  }
  addPort(id: string, { number, priority }: { number: number; priority: number }): void {
    this.heard.push(`add ${id} ${number} ${priority}`);
    if (!this.#ports.has(id))
      this.#ports.set(id, { up: false, held: false, collects: false, distributes: false, aggregator: 1 });
  }
  removePort(id: string): void {
    this.heard.push(`remove ${id}`);
    this.#ports.delete(id);
  }
  link(id: string, up: boolean, speed: number | null, mac: string): void {
    this.heard.push(`link ${id} ${up} ${speed} ${mac}`);
    this.#ports.get(id)!.up = up;
  }
  hold(id: string, held: boolean): void {
    const port = this.#ports.get(id)!;
    if (port.held !== held) this.heard.push(`${held ? 'hold' : 'free'} ${id}`);
    port.held = held;
  }
  receive(id: string): void {
    this.heard.push(`receive ${id}`);
  }
  tick(): void {
    this.heard.push('tick');
  }
  collecting(id: string): boolean {
    const port = this.#ports.get(id);
    return port?.up === true && !port.held && port.collects;
  }
  distributing(id: string): boolean {
    const port = this.#ports.get(id);
    return port?.up === true && !port.held && port.distributes;
  }
  row(id: string): LacpMemberRow {
    const { collects, aggregator } = this.#ports.get(id)!;
    const info = { ...INFO, state: collects ? ['synchronization'] : [] };
    return {
      actor: info,
      partner: this.negotiated ? info : null,
      aggregator,
      receive: 'CURRENT',
      mux: 'WAITING',
      actorChurn: 'none',
      partnerChurn: 'none',
      received: 0,
      sent: 0,
      bad: 0,
      markers: 0,
    };
  }

  /** The partner's part in it. */
  set(id: string, collects: boolean, distributes: boolean, aggregator: number | null = 1): void {
    this.negotiated = true;
    Object.assign(this.#ports.get(id)!, { collects, distributes, aggregator });
  }
}

export class FakeMonitor implements LifeMonitor {
  wakeAt = NEVER;
  readonly heard: string[] = [];
  readonly dead = new Set<string>();
  readonly members = new Set<string>();
  /** Who carries, of those that it knew when it was told. */
  carriers: string[] = [];

  addMember(name: string, _now: number, mac: string, alive: boolean): void {
    this.members.add(name);
    this.heard.push(`add ${name} ${mac}${alive ? '' : ' dead'}`);
  }
  removeMember(name: string): void {
    this.members.delete(name);
    this.carriers = this.carriers.filter((one) => one !== name);
    this.heard.push(`remove ${name}`);
  }
  carrying(names: readonly string[]): void {
    this.carriers = names.filter((name) => this.members.has(name));
    this.heard.push(`carrying ${names.join(' ')}`.trim());
  }
  receive(name: string): void {
    this.heard.push(`receive ${name}`);
  }
  tick(): void {
    this.heard.push('tick');
  }
  alive(name: string): boolean {
    return this.members.has(name) && !this.dead.has(name);
  }
}

/** A bond at work: time goes on only by `at` and `run`. */
export class Stand {
  readonly host = new NotingHost();
  readonly lacps: FakeLacp[] = [];
  readonly monitors: (FakeMonitor & { everyone?: boolean })[] = [];
  readonly bond: Bond;
  now: number;

  constructor(given: BondSettings, now = 1000) {
    this.now = now;
    const parts: BondParts = {
      lacp: () => {
        this.lacps.push(new FakeLacp());
        return this.lacp;
      },
      monitor: (_settings, _mac, _sources, _now, _send, { everyone }) => {
        this.monitors.push(Object.assign(new FakeMonitor(), { everyone }));
        return this.monitor;
      },
    };
    this.bond = new Bond(given, this.host, now, parts);
  }

  get lacp(): FakeLacp {
    return this.lacps.at(-1)!;
  }
  get monitor(): FakeMonitor & { everyone?: boolean } {
    return this.monitors.at(-1)!;
  }
  get active(): string | null {
    return this.bond.steering.active;
  }
  get carrying(): string {
    return this.bond.steering.carrying.join(' ');
  }
  /** `a:all b:none` */
  get receive(): string {
    return [...this.bond.steering.receive].map(([name, reception]) => `${name}:${reception}`).join(' ');
  }

  link(name: string, up: boolean, rest: Partial<MemberLink> = {}): this {
    this.bond.link(name, { up, speed: 10e9, mac: `02:00:00:00:01:0${name.charCodeAt(0) - 97}`, ...rest }, this.now);
    return this;
  }
  /** All members up, and nothing noted so far. */
  start(): this {
    for (const { name } of this.bond.row().members) this.link(name, true);
    this.host.forget();
    return this;
  }
  configure(next: BondSettings): this {
    this.bond.configure(next, this.now);
    return this;
  }
  command(name: string, command: BondCommand): this {
    this.bond.command(name, command, this.now);
    return this;
  }
  /** Lets time pass, with the ticks that the bond asks for. */
  run(ms: number): this {
    const end = this.now + ms;
    while (this.bond.wakeAt <= end) {
      this.now = Math.max(this.now, this.bond.wakeAt);
      this.bond.tick(this.now);
      if (this.bond.wakeAt <= this.now) throw new Error('the bond wants a tick at once, again');
    }
    this.now = end;
    return this;
  }
  state(name: string): string {
    const { state, reason } = this.bond.row().members.find((one) => one.name === name)!;
    return reason === null ? state : `${state}: ${reason}`;
  }
  /** How many buckets each member has, by name. */
  shares(): Record<string, number> {
    return Object.fromEntries(this.bond.row().members.map(({ name, buckets }) => [name, buckets]));
  }
}
