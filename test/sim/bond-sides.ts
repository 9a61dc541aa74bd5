/**
 * The two ends of four links, in simulations of bonds: a switch whose bond is run by the real machine over the real data plane, and a plain
 * bridge to which the links are four ports. Hosts are on ports 1 to 3, the links on 11 to 14, the bond is port 10.
 */

import { rarpRequest } from '../../control/bonding/announcements.ts';
import { Bond, type BondHost, type Steering } from '../../control/bonding/bond.ts';
import { BondTable } from '../../control/compile/bond-table.ts';
import type { TablePort } from '../../control/compile/table-port.ts';
import type { BondSettings } from '../../control/model/bond.ts';
import { macKeys } from '../../control/model/mac.ts';
import { readFdb } from '../../control/running/fdb-reader.ts';
import { Injector } from '../../control/running/injector.ts';
import type { BondCommand } from '../../control/switch.ts';
import { PUNT_RING_BYTES } from '../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { Header, PortCell, Punt, Queue, Way, workerRegion } from '../../dataplane/memory/layout.ts';
import { sourceBucket } from '../../dataplane/tables/bond-layout.ts';
import { GENERATIONS_AT } from '../../dataplane/tables/fdb-layout.ts';
import { PortKind } from '../../dataplane/tables/port-layout.ts';
import { Rig, tablePort } from '../rig.ts';

export const HOST_PORTS = [1, 2, 3];
export const LINK_PORTS = [11, 12, 13, 14];
/** Members' names, in the order of the links. */
export const MEMBERS = ['a', 'b', 'c', 'd'];
export const BOND = 10;
const INDEX = 5;
const GIGABIT = 1e9;

/** Per host port its VLAN, of which it is an access port; 0: none is configured. The links carry all. */
export type HostVlans = readonly number[];

function hostPorts(vlans: HostVlans): TablePort[] {
  return HOST_PORTS.map((number, at) => {
    const tag = vlans[at]!;
    return tag === 0 ? tablePort(number) : tablePort(number, { vlan: { mode: 'access', tag } });
  });
}

export interface Side {
  readonly rig: Rig;
  /** Null for a plain bridge. */
  readonly machine: Bond | null;
  /** What this end of a link sees of its carrier. */
  carrier(link: number, up: boolean, nowMs: number): void;
  /** What is due, then a turn. */
  advance(nowMs: number): void;
}

/** Sums of list entries: what came, and what became of it. They are equal after every turn. */
export function accountsOf(rig: Rig): { entered: number; left: number } {
  let entered = 0;
  let left = 0;
  for (let port = 0; port <= rig.lane.portsHigh; port++) {
    // What a bond received its members have.
    entered += port === BOND ? 0 : rig.cell(port, PortCell.RX_FRAMES);
    entered += rig.cell(port, PortCell.REPLICATED) + rig.cell(port, PortCell.INJECTED);
    left += rig.cell(port, PortCell.TX_FRAMES) + rig.cell(port, PortCell.PUNTED);
    left += rig.view.i32[rig.lane.queuesAt + port * Queue.WORDS + Queue.COUNT]!;
  }
  for (const dropped of Object.values(rig.drops())) left += dropped;
  return { entered, left };
}

/** Ports of a rig whose state changes; their addresses are flushed when they go down, as control does. */
class Ports {
  readonly rig: Rig;
  #ports: readonly TablePort[];

  constructor(rig: Rig, ports: readonly TablePort[]) {
    this.rig = rig;
    this.#ports = ports;
    rig.publish(ports);
  }

  setUp(number: number, up: boolean): void {
    if (this.#ports.find((port) => port.number === number)!.up === up) return;
    const { view, lane } = this.rig;
    if (!up) Atomics.add(view.i32, lane.fdbCountsAt + GENERATIONS_AT + number, 1);
    this.#ports = this.#ports.map((port) => (port.number === number ? { ...port, up } : port));
    this.rig.publish(this.#ports);
  }
}

export class PlainSide implements Side {
  readonly rig = new Rig();
  readonly machine = null;
  readonly #ports: Ports;

  constructor(vlans: HostVlans) {
    const links = LINK_PORTS.map((number) => tablePort(number));
    this.#ports = new Ports(this.rig, [...hostPorts(vlans), ...links]);
  }

  carrier(link: number, up: boolean): void {
    this.#ports.setUp(LINK_PORTS[link]!, up);
  }

  advance(nowMs: number): void {
    this.rig.edge.now = 1e9 + nowMs * 1e6;
    this.rig.turns.turn();
  }
}

export class BondSide implements Side, BondHost {
  readonly rig = new Rig({ injects: true });
  readonly machine: Bond;
  /** Sentences of `changed`. */
  readonly news: string[] = [];
  #settings: BondSettings;
  readonly #ports: Ports;
  readonly #table = new BondTable(this.rig.view);
  readonly #injector = new Injector(this.rig.view, () => undefined);
  readonly #punts = new ByteRing(
    this.rig.view.i32,
    workerRegion(this.rig.view.layout, Header.PUNT_AT, 0),
    PUNT_RING_BYTES,
  );
  #told: (ReadonlySet<number> | null)[] = [];

  constructor(settings: BondSettings, vlans: HostVlans, nowMs: number) {
    this.#settings = settings;
    this.#ports = new Ports(this.rig, [
      ...hostPorts(vlans),
      tablePort(BOND, { kind: PortKind.BOND, bond: INDEX, up: false }),
      ...LINK_PORTS.map((number) => tablePort(number, { bridge: 0, learning: false, up: false })),
    ]);
    this.machine = new Bond(settings, this, nowMs);
    this.steer(this.machine.steering);
  }

  carrier(link: number, up: boolean, nowMs: number): void {
    const mac = `${this.#settings.mac.slice(0, -2)}f${link}`;
    this.machine.link(MEMBERS[link]!, { up, speed: GIGABIT, mac }, nowMs);
    this.#ports.setUp(LINK_PORTS[link]!, up);
    this.#follow();
  }

  configure(settings: BondSettings, nowMs: number): void {
    for (const { name } of this.#settings.members)
      if (!settings.members.some((member) => member.name === name)) this.#table.setMember(portOf(name), null);
    this.#settings = settings;
    this.machine.configure(settings, nowMs);
    this.steer(this.machine.steering);
    this.#follow();
  }

  command(member: string, command: BondCommand, nowMs: number): void {
    this.machine.command(member, command, nowMs);
    this.#follow();
  }

  advance(nowMs: number): void {
    this.rig.edge.now = 1e9 + nowMs * 1e6;
    if (this.machine.wakeAt <= nowMs) this.machine.tick(nowMs);
    this.#follow();
    this.rig.turns.turn();
    for (const { port, frame } of this.#punted()) {
      this.machine.receive(MEMBERS[LINK_PORTS.indexOf(port)]!, frame, nowMs);
      this.#follow();
    }
  }

  steer({ send, carrying, buckets, receive, reflects }: Steering): void {
    const { hash, seed, packetsPerMember, lacp, monitor } = this.#settings;
    for (const [name, reception] of receive) {
      const punts = { puntsSlow: lacp !== null, puntsNeighbours: monitor !== null };
      this.#table.setMember(portOf(name), { bond: BOND, receive: reception, reflects, ...punts });
    }
    const members = carrying.map(portOf);
    const asks = monitor === null ? undefined : { mac: this.#settings.mac, targets: monitor.targets };
    this.#table.steer(INDEX, { send, hash, seed, members, buckets, each: packetsPerMember, reflects, asks });
  }

  sendMember(member: string, frame: Uint8Array): void {
    this.#injector.inject(portOf(member), Way.OUT, frame);
  }

  announce(buckets: ReadonlySet<number> | null): void {
    this.#told.push(buckets);
  }

  received(member: string): number {
    return this.rig.cell(portOf(member), PortCell.RX_FRAMES);
  }

  loads(): Float64Array {
    return this.#table.units(INDEX);
  }

  changed(reason: string): void {
    this.news.push(reason);
  }

  /** What the machine's last word asks of the bond's own port, and of upstream's memory. */
  #follow(): void {
    this.#ports.setUp(BOND, this.machine.up);
    const told = this.#told;
    this.#told = [];
    for (const buckets of told) {
      for (const { mac, port, vlan } of readFdb(this.rig.view, this.rig.edge.now / 1e9)) {
        const { key0, low } = macKeys(mac);
        const moved = buckets === null || buckets.has(sourceBucket(this.#settings.seed, key0, low, vlan));
        const tag = vlan === 0 ? null : { vid: vlan };
        if (port !== BOND && moved) this.#injector.inject(BOND, Way.OUT, rarpRequest(mac, tag), vlan);
      }
    }
  }

  #punted(): { port: number; frame: Uint8Array }[] {
    const { i32, u8 } = this.rig.view;
    const found = [];
    for (let record = this.#punts.peek(); record >= 0; record = this.#punts.peek()) {
      const at = (record + BYTE_RING_HEAD_WORDS) << 2;
      found.push({ port: i32[record + Punt.PORT]!, frame: u8.slice(at, at + i32[record + Punt.BYTES]!) });
      this.#punts.release(record);
    }
    return found;
  }
}

function portOf(member: string): number {
  return LINK_PORTS[MEMBERS.indexOf(member)]!;
}
