/**
 * A network of switches on one virtual clock: what is configured (which hosts may ever hear each other) worked out apart from the
 * switches, and links between them that lose, delay and reorder. Deterministic from its seed.
 */
import type { TablePort } from '../../control/compile/table-port.ts';
import { CERTAIN, Faults } from '../../dataplane/ports/wrap/faults.ts';
import { Rig, tablePort } from '../rig.ts';

export type Random = (below: number) => number;

export const VLANS = [10, 20, 30];
/** The VLAN of bridge 2 that a patch joins with VLAN 10 of bridge 1. */
export const PATCHED_VLAN = 40;
const BRIDGES = [1, 2];
/** Customer tags stay apart from the network's own VLANs, since a native VLAN may set them free. */
export const CUSTOMER_VID = 1000;

export interface Host {
  readonly node: number;
  readonly port: number;
  readonly mac: string;
  readonly mode: 'access' | 'native-untagged' | 'dot1q-tunnel';
  readonly bridge: number;
  readonly vlan: number;
  /** native-untagged: the tagged VLAN beside it. */
  readonly trunk: number;
}

export interface Link {
  readonly ends: readonly [Attachment, Attachment];
  readonly lossShare: number;
  readonly delayMax: number;
  /** Frames under way, with the step at which they arrive and which end they arrive at. */
  under: { readonly at: number; readonly end: 0 | 1; readonly bytes: Uint8Array }[];
}

export interface Attachment {
  readonly node: number;
  readonly port: number;
}

export interface Node {
  readonly rig: Rig;
  ports: TablePort[];
  readonly bridges: readonly { readonly number: number; readonly fdbLimit: number; readonly ageing: number }[];
}

export class Network {
  readonly nodes: Node[] = [];
  readonly hosts: Host[] = [];
  readonly links: Link[] = [];
  readonly random: Random;
  /** Union of what links and patches join: (node, bridge, VLAN) to a root of the same kind. */
  readonly #parents = new Map<string, string>();

  constructor(random: Random, nodes: number, hostsPerNode: number) {
    this.random = random;
    for (let node = 0; node < nodes; node++) this.#addNode(node, hostsPerNode);
    for (let node = 1; node < nodes; node++) this.#addLink(random(node), node);
    for (const node of this.nodes) this.publish(node);
    for (let node = 0; node < nodes; node++) this.#addFaults(this.nodes[node]!.rig, node);
  }

  publish(node: Node): void {
    node.rig.publish(node.ports, node.bridges);
  }

  /** Which hosts a frame of this host may reach: an opaque name, equal for all that the configuration joins. */
  domainOf(host: Host, vlan = host.vlan): string {
    return this.#rootOf(`${host.node} ${host.bridge} ${vlan}`);
  }

  #addNode(node: number, hosts: number): void {
    const { random } = this;
    const ports: TablePort[] = [];
    for (let k = 0; k < hosts; k++) {
      const host = this.#makeHost(node, k + 1);
      this.hosts.push(host);
      const vlan =
        host.mode === 'native-untagged'
          ? { mode: host.mode, tag: host.vlan, trunks: [host.trunk] }
          : { mode: host.mode, tag: host.vlan };
      ports.push(tablePort(host.port, { bridge: host.bridge, vlan, mtu: 1500 }));
    }
    if (random(2) === 0) {
      ports.push(tablePort(100, { peer: 101, vlan: { tag: 10 } }));
      ports.push(tablePort(101, { bridge: 2, peer: 100, vlan: { tag: PATCHED_VLAN } }));
      this.#join(`${node} 1 10`, `${node} 2 ${PATCHED_VLAN}`);
    }
    const bridges = BRIDGES.map((number) => ({ number, fdbLimit: random(3) === 0 ? 4 : 100, ageing: 5 }));
    this.nodes.push({ rig: new Rig({ fdbEntries: 1024 }), ports, bridges });
  }

  #makeHost(node: number, port: number): Host {
    const { random } = this;
    const bridge = random(4) === 0 ? 2 : 1;
    const vlans = bridge === 1 ? VLANS : [10, PATCHED_VLAN];
    const kind = random(5);
    const mode = kind === 0 ? 'dot1q-tunnel' : kind === 1 ? 'native-untagged' : 'access';
    const at = random(vlans.length);
    const mac = `02000000${node.toString(16).padStart(2, '0')}${port.toString(16).padStart(2, '0')}`;
    return { node, port, mac, mode, bridge, vlan: vlans[at]!, trunk: vlans[(at + 1) % vlans.length]! };
  }

  #addLink(one: number, other: number): void {
    const { random } = this;
    const trunks = VLANS.filter(() => random(4) !== 0);
    const ends = [one, other].map((node) => {
      const port = 50 + this.nodes[node]!.ports.length;
      this.nodes[node]!.ports.push(tablePort(port, { vlan: { mode: 'trunk', trunks }, mtu: 1500 }));
      return { node, port };
    });
    for (const vlan of trunks) this.#join(`${one} 1 ${vlan}`, `${other} 1 ${vlan}`);
    this.links.push({ ends: [ends[0]!, ends[1]!], lossShare: random(20), delayMax: random(3), under: [] });
  }

  #addFaults(rig: Rig, node: number): void {
    const { ports } = this.nodes[node]!;
    const port = ports[this.random(ports.length)]!.number;
    const shares = { dropReceived: CERTAIN / 50, dropSending: CERTAIN / 50 };
    rig.turns.addTap(new Faults(port, shares, this.random(0x7fff_ffff)));
  }

  #rootOf(name: string): string {
    const parent = this.#parents.get(name);
    return parent === undefined ? name : this.#rootOf(parent);
  }

  #join(one: string, other: string): void {
    const [a, b] = [this.#rootOf(one), this.#rootOf(other)];
    if (a !== b) this.#parents.set(a, b);
  }
}
