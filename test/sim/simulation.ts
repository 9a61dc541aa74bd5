/**
 * One run over a network: hosts send, links carry, ports flap and fill up, clocks jump; and after every step everything that always holds
 * is looked at. Throws at the first thing that doesn't.
 */
import { Buffer } from 'node:buffer';
import { PortCell, Queue } from '../../dataplane/memory/layout.ts';
import { GENERATIONS_AT } from '../../dataplane/tables/fdb-layout.ts';
import type { Rig } from '../rig.ts';
import { CUSTOMER_VID, type Host, type Network, type Node } from './network.ts';

const ALL = 'ffffffffffff';
const GROUP = '01005e000005';
const STEP_NS = 1e6;

/** Where a frame came into one switch, and as how many-th of that switch. */
interface Arrival {
  readonly port: number;
  readonly order: number;
}

export class Simulation {
  readonly network: Network;
  /** Per frame its origin, by the id in its payload. */
  readonly #origins: { readonly domain: string; readonly flow: string; readonly host: Host }[] = [];
  readonly #arrivals: Map<number, Arrival>[];
  readonly #orders: number[];
  /** Per switch, (ingress, egress, flow) to the order of the last frame that left. */
  readonly #left: Map<string, number>[];
  readonly #heard = new Set<string>();
  step = 0;
  delivered = 0;
  sent = 0;
  flaps = 0;

  constructor(network: Network) {
    this.network = network;
    this.#arrivals = network.nodes.map(() => new Map());
    this.#orders = network.nodes.map(() => 0);
    this.#left = network.nodes.map(() => new Map());
  }

  /** One step of the clock. `calm` makes no faults: nothing is lost but what the configuration loses. */
  advance(calm = false): void {
    const { random, nodes } = this.network;
    this.step++;
    if (!calm) {
      for (let k = random(12); k > 0; k--) this.#sendRandom();
      if (random(10) === 0) this.#flap();
      if (random(40) === 0) this.#flood();
      if (random(20) === 0) this.#squeeze();
    }
    this.#carryLinks(calm);
    const jump = !calm && random(60) === 0 ? 7e9 : 0;
    nodes.forEach(({ rig }, node) => {
      rig.edge.now += STEP_NS + jump;
      rig.turns.turn();
      this.#account(rig, node);
      this.#collect(node, calm);
    });
  }

  /** Lets everything that is under way arrive. */
  settle(): void {
    for (let k = 0; k < 40; k++) this.advance(true);
  }

  /** Ports up, room everywhere, nothing learned. */
  heal(): void {
    for (const node of this.network.nodes) {
      node.ports = node.ports.map((port) => ({ ...port, up: true }));
      this.network.publish(node);
      for (const port of node.rig.ports.values()) port.capacity = 4096;
    }
  }

  /** Sends one frame, and answers its id. */
  send(host: Host, dst: string, tags = '', domain = this.network.domainOf(host), src = host.mac): number {
    const id = this.#origins.length;
    this.#origins.push({ domain, flow: `${src} ${dst} ${tags}`, host });
    const bytes = new Uint8Array(64);
    bytes.set(Buffer.from(`${dst}${src}${tags}88b5${id.toString(16).padStart(8, '0')}`, 'hex'));
    this.#push(host.node, host.port, bytes, id);
    this.sent++;
    return id;
  }

  hasHeard(host: Host, id: number): boolean {
    return this.#heard.has(`${host.node}.${host.port} ${id}`);
  }

  #sendRandom(): void {
    const { random, hosts, network } = { ...this.network, network: this.network, random: this.network.random };
    const host = hosts[random(hosts.length)]!;
    const other = hosts[random(hosts.length)]!;
    const dst = [other.mac, other.mac, other.mac, ALL, GROUP, '0200000000ff'][random(6)]!;
    if (host.mode === 'native-untagged' && random(2) === 0) {
      this.send(host, dst, `8100${hex16(host.trunk | (random(8) << 13))}`, network.domainOf(host, host.trunk));
    } else if (host.mode === 'dot1q-tunnel' && random(2) === 0) {
      this.send(host, dst, `8100${hex16(CUSTOMER_VID + random(5))}`);
    } else {
      this.send(host, dst);
    }
  }

  /** One host fills the address tables. */
  #flood(): void {
    const { random, hosts } = this.network;
    const host = hosts[random(hosts.length)]!;
    for (let k = 0; k < 100; k++) {
      const src = `06${random(0x7fff_ffff).toString(16).padStart(10, '0')}`;
      this.send(host, ALL, '', this.network.domainOf(host), src);
    }
  }

  /** A port goes down or up; its addresses are flushed, as control does. */
  #flap(): void {
    const { random, nodes } = this.network;
    const node = nodes[random(nodes.length)]!;
    const at = random(node.ports.length);
    const port = node.ports[at]!;
    node.ports[at] = { ...port, up: !port.up };
    const { view, lane } = node.rig;
    Atomics.add(view.i32, lane.fdbCountsAt + GENERATIONS_AT + port.number, 1);
    this.#publish(node);
    this.flaps++;
  }

  /** Publishing takes a turn of its own: what that turn sends is looked at like any other. */
  #publish(node: Node): void {
    this.network.publish(node);
    this.#account(node.rig, this.network.nodes.indexOf(node));
  }

  /** A port becomes slow, or has room again. */
  #squeeze(): void {
    const { random, nodes } = this.network;
    const ports = [...nodes[random(nodes.length)]!.rig.ports.values()];
    ports[random(ports.length)]!.capacity = random(2) === 0 ? random(3) : 4096;
  }

  #push(node: number, port: number, bytes: Uint8Array, id: number): void {
    const arrivals = this.#arrivals[node]!;
    if (arrivals.has(id)) throw new Error(`step ${this.step}: frame ${id} came to switch ${node} twice`);
    arrivals.set(id, { port, order: this.#orders[node]!++ });
    this.network.nodes[node]!.rig.port(port).push(bytes);
  }

  #carryLinks(calm: boolean): void {
    const { random } = this.network;
    for (const link of this.network.links) {
      const due = link.under.filter(({ at }) => at <= this.step);
      link.under = link.under.filter(({ at }) => at > this.step);
      // A link may reorder: a switch must not.
      if (!calm && random(3) === 0) due.reverse();
      for (const { end, bytes } of due) {
        const { node, port } = link.ends[end];
        if (calm || random(100) >= link.lossShare) this.#push(node, port, bytes, idOf(bytes));
      }
    }
  }

  /** Takes what each port sent: to a host, which may hear it, or onto a link. */
  #collect(node: number, calm: boolean): void {
    const { links, hosts, random } = this.network;
    for (const [number, port] of this.network.nodes[node]!.rig.ports) {
      const frames = port.drain();
      if (frames.length === 0) continue;
      const link = links.find(({ ends }) => ends.some((end) => end.node === node && end.port === number));
      const host = hosts.find((one) => one.node === node && one.port === number);
      for (const { bytes } of frames) {
        this.#checkOrder(node, number, bytes);
        if (host !== undefined) this.#hear(host, bytes);
        else if (link !== undefined) {
          const end = link.ends[0].node === node && link.ends[0].port === number ? 1 : 0;
          link.under.push({ at: this.step + 1 + (calm ? 0 : random(link.delayMax + 1)), end, bytes });
        }
      }
    }
  }

  /** Frames of one flow leave a switch by a port in the order in which they came in by another. */
  #checkOrder(node: number, egress: number, bytes: Uint8Array): void {
    const id = idOf(bytes);
    const arrival = this.#arrivals[node]!.get(id);
    if (arrival === undefined)
      throw new Error(`step ${this.step}: frame ${id} left switch ${node}, where it never was`);
    if (arrival.port === egress) throw new Error(`step ${this.step}: frame ${id} left where it came in`);
    const flow = `${arrival.port} ${egress} ${this.#origins[id]!.flow}`;
    const last = this.#left[node]!.get(flow) ?? -1;
    if (arrival.order === last) throw new Error(`step ${this.step}: frame ${id} left port ${egress} twice`);
    if (arrival.order < last) throw new Error(`step ${this.step}: frame ${id} was overtaken in switch ${node}`);
    this.#left[node]!.set(flow, arrival.order);
  }

  #hear(host: Host, bytes: Uint8Array): void {
    const id = idOf(bytes);
    const origin = this.#origins[id]!;
    const [outer = 0] = vidsOf(bytes);
    const vlan = host.mode === 'native-untagged' && outer === host.trunk ? host.trunk : host.vlan;
    if (this.network.domainOf(host, vlan) !== origin.domain) {
      const where = `${host.node}.${host.port}, ${host.mode} ${host.vlan} of bridge ${host.bridge}`;
      throw new Error(`step ${this.step}: frame ${id} of ${origin.domain} crossed to ${where}`);
    }
    if (host.mode === 'access' && outer !== 0)
      throw new Error(`step ${this.step}: frame ${id} came tagged to an access port`);
    const name = `${host.node}.${host.port} ${id}`;
    if (this.#heard.has(name)) throw new Error(`step ${this.step}: frame ${id} was heard twice at ${name}`);
    this.#heard.add(name);
    this.delivered++;
  }

  /** received + replicated = transmitted + dropped + in flight, in list entries. */
  #account(rig: Rig, node: number): void {
    const { i32 } = rig.view;
    let entered = 0;
    let left = 0;
    for (let port = 0; port <= rig.lane.portsHigh; port++) {
      entered += rig.cell(port, PortCell.RX_FRAMES) + rig.cell(port, PortCell.REPLICATED);
      left += rig.cell(port, PortCell.TX_FRAMES) + i32[rig.lane.queuesAt + port * Queue.WORDS + Queue.COUNT]!;
    }
    for (const dropped of Object.values(rig.drops())) left += dropped;
    if (entered !== left)
      throw new Error(
        `step ${this.step}: switch ${node} took in ${entered} and accounts for ${left}: ${JSON.stringify(rig.drops())}`,
      );
  }
}

function hex16(value: number): string {
  return value.toString(16).padStart(4, '0');
}

function vidsOf(bytes: Uint8Array): number[] {
  const vids: number[] = [];
  for (
    let at = 12;
    (bytes[at] === 0x81 && bytes[at + 1] === 0) || (bytes[at] === 0x88 && bytes[at + 1] === 0xa8);
    at += 4
  )
    vids.push(((bytes[at + 2]! << 8) | bytes[at + 3]!) & 0xfff);
  return vids;
}

function idOf(bytes: Uint8Array): number {
  const at = 14 + 4 * vidsOf(bytes).length;
  return Buffer.from(bytes).readUInt32BE(at);
}
