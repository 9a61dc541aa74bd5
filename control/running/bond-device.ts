/**
 * A running bond: the bond machine (control/bonding), and what it asks for carried out in the arena, the inject ring and the port book. To
 * its port it is a device as an interface is one, only that workers attach to its members instead. Made by bonds.ts, main thread; what it is
 * told about a member's link it obeys before it returns.
 */

import { PortCell, Way } from '../../dataplane/memory/layout.ts';
import { Takes } from '../../dataplane/tables/port-layout.ts';
import { loopbackFrame } from '../bonding/announcements.ts';
import { Bond, type BondHost, type BondStatus, type Steering } from '../bonding/bond.ts';
import type { BondRecord, BondTable } from '../compile/bond-table.ts';
import type { PortDevice, PortHost } from '../devices/port-device.ts';
import { RequestError } from '../errors.ts';
import { type BondSettings, memberPort } from '../model/bond.ts';
import type { BondModel, PortModel } from '../model/model.ts';
import type { BondCommand } from '../switch.ts';
import type { BondMemory } from './bond-memory.ts';
import type { BondNews } from './bond-news.ts';
import type { Counters } from './counters.ts';
import type { Injector } from './injector.ts';
import type { PortBook, PortState } from './port-book.ts';

/** What a running bond needs of the switch. */
export interface BondParts {
  readonly table: BondTable;
  readonly book: PortBook;
  readonly counters: Counters;
  readonly injector: Injector;
  readonly news: BondNews;
  /** null: nothing is remembered. */
  readonly memory: BondMemory | null;
  /** Hands every bond what workers have handed up. */
  hearAll(): void;
  /** Milliseconds of a steady clock. */
  now(): number;
}

/** A timer can't wait longer. */
const WAIT_MS_MAX = 0x7fff_ffff;
/** How long after its start a bond waits for the member that was active before. */
const REMEMBERED_MS = 10_000;
/** How often members' addresses are taught, as the kernel's lp_interval has it. */
const TEACH_MS = 1000;
/** Of an interface that is not there: no LACPDU goes out by it. */
const NO_MAC = '00:00:00:00:00:00';

export class BondDevice implements PortDevice, BondHost {
  readonly handle = null;
  readonly takes = Takes.ALL;
  /** Number of its record. */
  readonly bond: number;
  readonly bridge: string;
  readonly name: string;
  readonly #parts: BondParts;
  readonly #host: PortHost;
  readonly #machine: Bond;
  #settings: BondSettings;
  #timer: NodeJS.Timeout | undefined;
  readonly #teaching: NodeJS.Timeout;
  #closed = false;
  /** Who was active before the daemon started; null once that was heeded, or where a primary decides. */
  #remembered: string | null;
  readonly #rememberedUntil: number;
  /** For whoever keeps it. */
  onClosed: () => void = () => {};

  constructor(parts: BondParts, number: number, model: BondModel, host: PortHost) {
    this.#parts = parts;
    this.bond = number;
    this.bridge = host.bridge;
    this.name = host.port;
    this.#host = host;
    this.#settings = model.settings;
    this.#machine = new Bond(model.settings, this, parts.now());
    this.#rememberedUntil = parts.now() + REMEMBERED_MS;
    this.#remembered = model.settings.primary === null ? (parts.memory?.recall(this.#key) ?? null) : null;
    this.steer(this.#machine.steering);
    this.#arm();
    this.#teaching = setInterval(() => this.#teach(), TEACH_MS).unref();
  }

  get up(): boolean {
    return this.#machine.up;
  }

  get reason(): string | null {
    return this.#machine.reason;
  }

  get settings(): BondSettings {
    return this.#settings;
  }

  status(): BondStatus {
    return this.#machine.row();
  }

  details(): Readonly<Record<string, string>> {
    const { active, members } = this.status();
    return {
      mode: this.#settings.mode,
      members: members.map(({ name, state }) => `${name} (${state})`).join(', '),
      ...(active === null ? {} : { active }),
    };
  }

  configure(model: PortModel): void {
    if (model.kind !== 'bond') return;
    this.#settings = model.settings;
    this.#do((now) => this.#machine.configure(model.settings, now));
    this.steer(this.#machine.steering);
  }

  /** Looks at a member's port: its link, or that it is there no more. */
  look(member: string): void {
    const state = this.#member(member);
    if (state === null) return;
    const device = state.device?.by === 'opener' ? state.device : null;
    // Without a device that workers serve there is nothing to wait for: no downdelay.
    const leaving = state.leaving || (state.model.kind !== 'memory' && (device?.handle ?? null) === null);
    const there = !leaving && (state.model.kind === 'memory' || device?.up === true);
    // Sockets and guests have no address on this side: they speak as the bond.
    const without = state.model.kind === 'netdev' ? NO_MAC : this.#settings.mac;
    const mac = this.#macOf(member) ?? without;
    const link = { up: there, speed: device?.device.link?.speed ?? null, mac, leaving };
    this.#do((now) => this.#machine.link(member, link, now));
    if (there && member === this.#remembered) this.#restore(member);
    if (state.leaving) this.#parts.table.setMember(state.number, null);
    else this.steer(this.#machine.steering);
  }

  /** The bridge's other ports changed. */
  review(): void {
    this.steer(this.#machine.steering);
  }

  /** A frame that a member handed up. */
  receive(member: string, frame: Uint8Array): void {
    this.#do((now) => this.#machine.receive(member, frame, now));
  }

  /** Throws an Error that says why not. */
  command(member: string, command: BondCommand): void {
    this.#do((now) => this.#machine.command(member, command, now));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#teaching);
    this.#parts.table.forget(this.bond);
    this.onClosed();
  }

  // What the machine asks for.

  steer(steering: Steering): void {
    const own = this.#own();
    if (own === null) return;
    const { table } = this.#parts;
    const { settings } = this;
    const members = steering.carrying.map((name) => this.#member(name)?.number ?? 0);
    // Who is to receive first: a peer may answer by whichever member it likes.
    for (const [name, receive] of steering.receive) {
      const state = this.#member(name);
      if (state === null || state.leaving) continue;
      const puntsSlow = settings.lacp !== null;
      const puntsNeighbours = settings.monitor !== null;
      const { reflects } = steering;
      table.setMember(state.number, {
        bond: own.number,
        receive,
        puntsSlow,
        puntsNeighbours,
        reflects,
        bondDown: !own.up,
      });
    }
    table.steer(this.bond, {
      send: steering.send,
      hash: settings.hash,
      seed: settings.seed,
      members,
      buckets: steering.buckets,
      each: settings.packetsPerMember,
      reflects: steering.reflects,
      own: this.#balanced(steering),
      asks: settings.monitor === null ? undefined : { mac: settings.mac, targets: settings.monitor.targets },
    });
  }

  /** Of balance-alb what its receiving balances: this machine's address in the bridge, and the members' that stand for it. */
  #balanced({ carrying }: Steering): BondRecord['own'] {
    if (this.#settings.mode !== 'balance-alb') return null;
    const mac = hostMac(this.#parts.book.portsOf(this.bridge));
    if (mac === null) return null;
    const others = this.#settings.members.map(({ name }) => name).filter((name) => !carrying.includes(name));
    // Peers that fall to a member without an address of its own send to the machine's, as without balancing.
    return { mac, addresses: [...carrying, ...others].map((name) => this.#macOf(name) ?? mac) };
  }

  /** The address of a member's interface; null where it has none. */
  #macOf(name: string): string | null {
    const device = this.#member(name)?.device;
    return (device?.by === 'opener' ? device.device.link?.mac : null) ?? null;
  }

  /** Switches upstream keep knowing where each member's address is, to which peers send that never hear from it. */
  #teach(): void {
    const { steering } = this.#machine;
    if (!this.#balanced(steering)) return;
    for (const name of steering.carrying) {
      const mac = this.#macOf(name);
      if (mac !== null) this.sendMember(name, loopbackFrame(mac));
    }
  }

  sendMember(member: string, frame: Uint8Array): void {
    const state = this.#member(member);
    if (state !== null) this.#parts.injector.inject(state.number, Way.OUT, frame);
  }

  announce(buckets: ReadonlySet<number> | null): void {
    const own = this.#own();
    // The machine is still at work: what it changes now must be steered before a frame goes out by it.
    if (own !== null) setImmediate(() => !this.#closed && this.#parts.news.tell(own, this.#settings, buckets));
  }

  received(member: string): number {
    const state = this.#member(member);
    return state === null ? 0 : this.#parts.counters.cell(state.number, PortCell.RX_FRAMES);
  }

  loads(): Float64Array {
    return this.#parts.table.units(this.bond);
  }

  changed(reason: string): void {
    this.#host.changed();
    if (this.#parts.now() > this.#rememberedUntil) this.#remembered = null;
    if (this.#remembered === null) this.#parts.memory?.note(this.#key, this.#machine.steering.active);
    const own = this.#own();
    if (own !== null) this.#parts.news.changed(own, this.#machine, reason);
  }

  get #key(): string {
    return `${this.bridge}/${this.name}`;
  }

  /** The member that was active is there again: as if somebody had chosen it, where the mode has such a one and it can be. */
  #restore(member: string): void {
    this.#remembered = null;
    if (this.#machine.steering.active === null || this.#machine.steering.active === member) return;
    try {
      this.#do((now) => this.#machine.command(member, 'activate', now));
    } catch (error) {
      // It waits for updelay or for its targets: whoever is active by then stays so.
      if (!(error instanceof RequestError)) throw error;
    }
  }

  /** Something happens to the machine, which may want to be woken at another time for it. */
  #do(step: (now: number) => void): void {
    if (this.#closed) return;
    try {
      step(this.#parts.now());
    } finally {
      this.#arm();
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { wakeAt } = this.#machine;
    if (this.#closed || wakeAt === Number.POSITIVE_INFINITY) return;
    const wait = Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(wakeAt - this.#parts.now())));
    this.#timer = setTimeout(() => this.#wake(), wait).unref();
  }

  /** What came while the thread was busy is heard before it counts as missing: timers are served before messages. */
  #wake(): void {
    this.#parts.hearAll();
    this.#do((now) => this.#machine.tick(now));
  }

  #own(): PortState | null {
    return this.#parts.book.find(this.bridge, this.name);
  }

  #member(name: string): PortState | null {
    return this.#parts.book.find(this.bridge, memberPort(this.name, name));
  }
}

/** This machine's address in a bridge: that of the first TAP in the daemon's own namespace. */
function hostMac(ports: readonly PortState[]): string | null {
  const found = ports.find(({ model, leaving }) => model.kind === 'tap' && model.netns === null && !leaving);
  return found?.model.kind === 'tap' ? found.model.mac : null;
}
