/**
 * Switches joined by tunnels in a full mesh, each with hosts of two VLANs in networks of their own: hosts talk and move, remotes get lost and
 * return, queues fill up, datagrams are delayed, lost and overtake each other. What always holds: the accounts of every switch, one copy at
 * most for every host, nobody hears another VLAN; and in the end everybody is reached, unicast by one remote alone.
 */
import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { PORTS_MAX } from '../../dataplane/limits.ts';
import { PortCell, Queue } from '../../dataplane/memory/layout.ts';
import { GENERATIONS_AT } from '../../dataplane/tables/fdb-layout.ts';
import { tablePort } from '../rig.ts';
import { randomFrom, seedFor } from '../seed.ts';
import { type Departure, ENDPOINT_PORT, TUNNEL, TunnelRig } from '../unit/path/tunnel-rig.ts';

const NODES = 4;
const HOSTS_PER_NODE = 4;
const VLANS = [
  [10, 5010],
  [20, 5020],
] as const;
const ALL = 'ffffffffffff';
const STEPS = 400;
const DELAY_MAX = 4;

interface Host {
  readonly mac: string;
  readonly vlan: number;
  node: number;
  port: number;
}

interface Underway {
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly departure: Departure;
}

const addressOf = (node: number): string => `192.0.2.${node + 2}`;
/** The destination by which a switch names another: the same number everywhere, and its own is never used. */
const destinationOf = (node: number): number => PORTS_MAX + node;

type Random = ReturnType<typeof randomFrom>;

class Mesh {
  readonly random: Random;
  readonly rigs: TunnelRig[];
  readonly hosts: Host[];
  #underway: Underway[] = [];
  readonly #heard = new Map<number, Set<string>>();
  readonly #vlans: number[] = [];
  #step = 0;
  crossed = 0;

  constructor(random: Random) {
    this.random = random;
    this.rigs = Array.from({ length: NODES }, (_, node) => this.#rig(node));
    this.hosts = Array.from({ length: NODES * HOSTS_PER_NODE }, (_, k) => ({
      mac: `0200000000${(k + 1).toString(16).padStart(2, '0')}`,
      vlan: VLANS[k % 2]![0],
      node: Math.floor(k / HOSTS_PER_NODE),
      port: 1 + (k % HOSTS_PER_NODE),
    }));
  }

  #rig(node: number): TunnelRig {
    const others = Array.from({ length: NODES }, (_, k) => k).filter((k) => k !== node);
    const hosts = Array.from({ length: HOSTS_PER_NODE }, (_, k) =>
      tablePort(k + 1, { vlan: { mode: 'access', tag: VLANS[k % 2]![0] } }),
    );
    const port = { vlan: { trunks: VLANS.map(([vlan]) => vlan) } };
    const rig = new TunnelRig(
      { [TUNNEL]: { vni: null, vlans: VLANS, remotes: others.map(destinationOf), port } },
      hosts,
    );
    for (const other of others) rig.remote(destinationOf(other), TUNNEL, addressOf(other));
    return rig;
  }

  send(host: Host, dst: string): number {
    const id = this.#vlans.push(host.vlan) - 1;
    const bytes = new Uint8Array(60);
    bytes.set(Buffer.from(`${dst}${host.mac}88b5${id.toString(16).padStart(8, '0')}`, 'hex'));
    this.rigs[host.node]!.port(host.port).push(bytes);
    return id;
  }

  heard(id: number): string[] {
    return [...(this.#heard.get(id) ?? [])].sort();
  }

  /** Whatever may happen in one step. */
  disturb(): void {
    const { random } = this;
    for (let k = random(8); k > 0; k--) {
      const host = this.hosts[random(this.hosts.length)]!;
      this.send(host, [ALL, this.hosts[random(this.hosts.length)]!.mac, '01005e000001', '0200000000ff'][random(4)]!);
    }
    const rig = this.rigs[random(NODES)]!;
    if (random(8) === 0) this.#swap();
    const other = random(NODES);
    if (random(10) === 0) rig.remote(destinationOf(other), TUNNEL, addressOf(other), { fits: 0 });
    if (random(10) === 0) {
      const destination = [TUNNEL, ...Array.from({ length: NODES }, (_, k) => destinationOf(k))][random(NODES + 1)]!;
      Atomics.add(rig.view.i32, rig.lane.fdbCountsAt + GENERATIONS_AT + destination, 1);
    }
    if (random(15) === 0) rig.port(1 + random(HOSTS_PER_NODE)).capacity = random(2) === 0 ? random(2) : 4096;
  }

  /** Two hosts of one VLAN change places, as a guest that migrates does. */
  #swap(): void {
    const one = this.hosts[this.random(this.hosts.length)]!;
    const other = this.hosts.filter(({ vlan }) => vlan === one.vlan)[this.random(this.hosts.length / 2)]!;
    [one.node, one.port, other.node, other.port] = [other.node, other.port, one.node, one.port];
    for (const host of [one, other]) this.send(host, ALL);
  }

  /** Everything as it should be; nothing is on its way any more. */
  heal(): void {
    for (let k = 0; k < 20; k++) this.step(true);
    this.rigs.forEach((rig, node) => {
      for (let other = 0; other < NODES; other++) {
        if (other !== node) rig.remote(destinationOf(other), TUNNEL, addressOf(other));
      }
      for (const port of rig.ports.values()) port.capacity = 4096;
    });
  }

  step(calm = false): void {
    this.#step++;
    if (!calm) this.disturb();
    const due = this.#underway.filter(({ at }) => at <= this.#step);
    this.#underway = this.#underway.filter(({ at }) => at > this.#step);
    this.rigs.forEach((rig, node) => {
      const arriving = due.filter(({ to }) => to === node);
      if (!calm && this.random(3) === 0) arriving.reverse();
      const out = rig.arrive(
        ...arriving.map(({ from, departure }) => ({
          frame: departure.frame,
          from: addressOf(from),
          header: departure.header,
          outer: departure.tos,
        })),
      );
      this.#hear(node, out);
      for (const departure of rig.left()) this.#carry(node, departure, calm);
      this.#account(rig);
    });
  }

  #carry(from: number, departure: Departure, calm: boolean): void {
    for (const destination of departure.to) {
      this.crossed++;
      if (!calm && this.random(20) === 0) continue;
      const at = this.#step + 1 + (calm ? 0 : this.random(DELAY_MAX));
      this.#underway.push({ at, from, to: destination - destinationOf(0), departure });
    }
  }

  #hear(node: number, out: Map<number, Uint8Array[]>): void {
    for (const [port, frames] of out) {
      const vlan = VLANS[(port - 1) % 2]![0];
      for (const bytes of frames) {
        const id = Buffer.from(bytes).readUInt32BE(14);
        const heard = this.#heard.get(id) ?? new Set();
        this.#heard.set(id, heard);
        const where = `${node}.${port}`;
        if (heard.has(where)) throw new Error(`step ${this.#step}: ${where} heard frame ${id} twice`);
        if (this.#vlans[id] !== vlan) throw new Error(`step ${this.#step}: ${where} heard another VLAN`);
        heard.add(where);
      }
    }
  }

  #account(rig: TunnelRig): void {
    const { i32 } = rig.view;
    let entered = 0;
    let left = 0;
    for (let port = 0; port <= ENDPOINT_PORT; port++) {
      entered += rig.cell(port, PortCell.RX_FRAMES) + rig.cell(port, PortCell.REPLICATED);
      left += rig.cell(port, PortCell.TX_FRAMES) + i32[rig.lane.queuesAt + port * Queue.WORDS + Queue.COUNT]!;
    }
    for (const dropped of Object.values(rig.drops())) left += dropped;
    if (entered !== left)
      throw new Error(`step ${this.#step}: ${entered} in, ${left} out: ${JSON.stringify(rig.drops())}`);
  }
}

function run(seed: number): void {
  const mesh = new Mesh(randomFrom(seed));
  for (let k = 0; k < STEPS; k++) mesh.step();
  mesh.heal();
  // Everybody tells everybody where he is.
  const placesOf = (vlan: number, but: Host): string[] =>
    mesh.hosts
      .filter((host) => host.vlan === vlan && host !== but)
      .map(({ node, port }) => `${node}.${port}`)
      .sort();
  for (const host of mesh.hosts) {
    const id = mesh.send(host, ALL);
    for (let k = 0; k < 4; k++) mesh.step(true);
    expect(mesh.heard(id)).toEqual(placesOf(host.vlan, host));
  }
  // And now each frame to one host crosses the underlay once, or not at all.
  for (const from of mesh.hosts) {
    for (const to of mesh.hosts.filter((host) => host !== from && host.vlan === from.vlan)) {
      const before = mesh.crossed;
      const id = mesh.send(from, to.mac);
      for (let k = 0; k < 3; k++) mesh.step(true);
      expect(mesh.heard(id)).toEqual([`${to.node}.${to.port}`]);
      expect(mesh.crossed - before).toBe(from.node === to.node ? 0 : 1);
    }
  }
}

test('switches in a mesh of tunnels keep their accounts, and reach everybody once', () => {
  const seed = seedFor('switches in a mesh of tunnels');
  for (let k = 0; k < 6; k++) run(seed + k);
});
