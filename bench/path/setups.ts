// What traffic stands on: its ports, and the feeds that send into them. Pure; read by stand.ts. Those with tunnels are in tunnels.ts.
import type { TablePort } from '../../control/compile/table-port.ts';
import type { VlanDocument } from '../../control/config/document.ts';
import { tablePort } from '../../test/rig.ts';
import { type Scenario, TRAFFIC } from './scenarios.ts';

export const BROADCAST = -1;
/** Of the scenarios with a bond: its port, its record, its members, and which of them sends. */
export const BOND = 4;
export const BOND_INDEX = 1;
export const MEMBERS: readonly number[] = [5, 6];
const BOND_SENDER = 6;

export const VLAN = 10;
export const ACCESS: VlanDocument = { mode: 'access', tag: VLAN };
export const TRUNK: VlanDocument = { mode: 'trunk', trunks: [VLAN] };
const PORT_MTU = 9000;

/** One that sends: its own addresses, and those to which it sends. */
export interface FeedSetup {
  readonly port: number;
  /** Number of the first address that lives here, and of the first that it sends to; or BROADCAST. */
  readonly base: number;
  readonly peer: number;
  /** How many addresses live here, and as many there. */
  readonly own: number;
  /** Tag of its frames, 0 for none: of address k it is k % nets more. */
  readonly vlan: number;
  readonly nets: number;
  readonly isUdp: boolean;
  /** Of an endpoint: how many remotes stand behind it, over which the addresses are spread, and the VNI of its first net. */
  readonly arrival: { readonly remotes: number; readonly vni: number } | null;
}

/** A tunnel with its remotes, numbered 0, 1 … in each tunnel; `first` is the destination of the first. */
export interface TunnelSetup {
  readonly port: number;
  readonly endpoint: number;
  readonly first: number;
  readonly remotes: number;
}

export interface Setup {
  readonly bridges: number;
  readonly ports: readonly TablePort[];
  /** Those that a rate counts come first; of a cost, the plain twin's and then the other's, as many. */
  readonly feeds: readonly FeedSetup[];
  readonly sending: number;
  readonly hasBond: boolean;
  readonly tunnels: readonly TunnelSetup[];
}

/** VLANs of port 1, 2, … and which of them send to each other. */
interface Plain {
  readonly vlans: readonly VlanDocument[];
  readonly senders: readonly number[];
  readonly sending: number;
}

function plainFor(scenario: Scenario): Plain {
  const access = (count: number) => Array<VlanDocument>(count).fill(ACCESS);
  switch (scenario.traffic) {
    case TRAFFIC.vlan:
      return { vlans: [ACCESS, TRUNK], senders: [1, 2], sending: 2 };
    case TRAFFIC.push:
      return { vlans: [ACCESS, TRUNK], senders: [1, 2], sending: 1 };
    case TRAFFIC.pop:
      return { vlans: [ACCESS, TRUNK], senders: [2, 1], sending: 1 };
    case TRAFFIC.bond:
    case TRAFFIC.bondActive:
      // Ports 1 and 2 are the plain twin; 3 sends to the bond, whose second member sends to 3.
      return { vlans: access(6), senders: [1, 2, 3, BOND_SENDER], sending: 2 };
    case TRAFFIC.flood8:
      return { vlans: access(9), senders: [1], sending: 1 };
    case TRAFFIC.flood8Forms:
      return { vlans: [...access(5), ...Array<VlanDocument>(4).fill(TRUNK)], senders: [1], sending: 1 };
    default:
      return { vlans: access(2), senders: [1, 2], sending: 2 };
  }
}

/** Ports and feeds of a scenario without tunnels. */
export function plainSetup(scenario: Scenario): Setup {
  const hasBond = scenario.traffic === TRAFFIC.bond || scenario.traffic === TRAFFIC.bondActive;
  const { vlans, senders, sending } = plainFor(scenario);
  const own = Math.max(1, Math.floor(scenario.addresses / senders.length));
  const ports = vlans.map((vlan, k) => {
    const number = k + 1;
    const bond = hasBond && number === BOND ? BOND_INDEX : 0;
    return tablePort(number, { vlan, mtu: PORT_MTU, bond, bridge: hasBond && MEMBERS.includes(number) ? 0 : 1 });
  });
  const feeds = senders.map((port, k) => ({
    port,
    base: k * own,
    peer: senders.length > 1 ? (k ^ 1) * own : BROADCAST,
    own,
    vlan: vlans[port - 1] === TRUNK ? VLAN : 0,
    nets: 1,
    isUdp: hasBond,
    arrival: null,
  }));
  return { bridges: 1, ports, feeds, sending, hasBond, tunnels: [] };
}
