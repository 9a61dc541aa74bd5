// Tunnels on the path: VXLAN ports with their remotes, the endpoint that receives for them, and what they send and receive. The records of remotes
// are written here as the control plane writes them, since it isn't running.
import type { TablePort } from '../../control/compile/table-port.ts';
import { PORTS_MAX, REMOTE_SLOTS_COUNT } from '../../dataplane/limits.ts';
import type { Lane } from '../../dataplane/memory/lane.ts';
import { RemoteWord } from '../../dataplane/memory/tunnel-words.ts';
import { PortKind } from '../../dataplane/tables/port-layout.ts';
import {
  ENDPOINT,
  ENDPOINT_KIND_SHIFT,
  EndpointKind,
  remoteAt,
  remoteSlot,
} from '../../dataplane/tables/tunnel-layout.ts';
import { tablePort } from '../../test/rig.ts';
import { remoteAddress } from './pool.ts';
import { type Scenario, TRAFFIC } from './scenarios.ts';
import { ACCESS, type FeedSetup, type Setup, type TunnelSetup } from './setups.ts';

const VNI = 5000;
const VXLAN_UDP_PORT_BE = 0xb512;
const PORT_MTU = 9000;
const FRAME_BYTES_MAX = 8964;
/** Remotes of the tunnel of `vxlan`; and of each tunnel of `vnis`, where every address is in one of many networks too. */
const REMOTES_COUNT = 16;
const FEW_REMOTES_COUNT = 2;
/** 3 × 3,334 VNIs: one port has room for 4,094. */
const MAPS_COUNT = 3;
export const MAP_VNIS_COUNT = 3334;

interface TunnelWanted {
  readonly port: number;
  readonly endpoint: number;
  readonly bridge: number;
  readonly remotes: number;
  /** How many VLANs from 1 on are mapped to VNIs; 0: the port is an access port with one VNI. */
  readonly nets: number;
  readonly vni: number;
}

function tunnelPort(wanted: TunnelWanted, setup: TunnelSetup): TablePort {
  const { nets, vni } = wanted;
  const pairs = Array.from({ length: nets }, (_, k) => [k + 1, vni + k] as const);
  return tablePort(wanted.port, {
    bridge: wanted.bridge,
    kind: PortKind.VXLAN,
    vlan: nets === 0 ? ACCESS : trunkOf(nets),
    mtu: PORT_MTU,
    takes: 0,
    tunnel: {
      ...{ kind: 'vxlan', vni: nets === 0 ? vni : null, vlans: nets === 0 ? null : pairs, ttl: 0, tos: 0 },
      ...{ splitHorizon: true, suppress: false, clampMss: false, endpoint: wanted.endpoint },
      remotes: Array.from({ length: setup.remotes }, (_, k) => setup.first + k),
    },
  });
}

function trunkOf(nets: number): { mode: 'trunk'; trunks: number[] } {
  return { mode: 'trunk', trunks: Array.from({ length: nets }, (_, k) => k + 1) };
}

/** An access port and a tunnel of one VNI with 16 remotes, each to the other; the first feed is the one that counts. */
export function tunnelSetup(scenario: Scenario): Setup {
  const tunnel = { port: 2, endpoint: 3, first: PORTS_MAX, remotes: REMOTES_COUNT };
  const own = Math.max(REMOTES_COUNT, scenario.addresses >> 1);
  const common = { own, vlan: 0, nets: 1, isUdp: true };
  const out: FeedSetup = { ...common, port: 1, base: 0, peer: own, arrival: null };
  const arrival = { remotes: REMOTES_COUNT, vni: VNI };
  const back: FeedSetup = { ...common, port: tunnel.endpoint, base: own, peer: 0, arrival };
  const local = tablePort(1, { vlan: ACCESS, mtu: PORT_MTU });
  return {
    bridges: 1,
    ports: [local, tunnelPort({ ...tunnel, bridge: 1, nets: 0, vni: VNI }, tunnel)],
    feeds: scenario.traffic === TRAFFIC.vxlan ? [out, back] : [back, out],
    sending: 1,
    hasBond: false,
    tunnels: [tunnel],
  };
}

/** Bridge 1: a trunk and a tunnel with one VLAN and its VNI. Bridges 2–4: the same with 3,334 each. */
export function vniSetup(scenario: Scenario): Setup {
  const endpoint = 2 * MAPS_COUNT + 3;
  const own = FEW_REMOTES_COUNT * MAP_VNIS_COUNT;
  const ports: TablePort[] = [];
  const tunnels: TunnelSetup[] = [];
  const out: FeedSetup[] = [];
  const back: FeedSetup[] = [];
  let vni = VNI;
  for (let bridge = 1; bridge <= MAPS_COUNT + 1; bridge++) {
    const local = 2 * bridge - 1;
    const nets = bridge === 1 ? 1 : MAP_VNIS_COUNT;
    const first = PORTS_MAX + (bridge - 1) * FEW_REMOTES_COUNT;
    const tunnel = { port: local + 1, endpoint, first, remotes: FEW_REMOTES_COUNT };
    tunnels.push(tunnel);
    ports.push(tablePort(local, { bridge, vlan: trunkOf(nets), mtu: PORT_MTU }));
    ports.push(tunnelPort({ ...tunnel, bridge, nets, vni }, tunnel));
    const common = { own, nets, isUdp: true };
    // The one VNI has three feeds too, so that a turn is as long.
    for (let k = 0; k < (bridge === 1 ? MAPS_COUNT : 1); k++) {
      const base = 2 * own * out.length;
      const arrival = { remotes: FEW_REMOTES_COUNT, vni };
      out.push({ ...common, port: local, base, peer: base + own, vlan: 1, arrival: null });
      back.push({ ...common, port: endpoint, base: base + own, peer: base, vlan: 0, arrival });
    }
    vni += nets;
  }
  const feeds = scenario.traffic === TRAFFIC.vnis ? [...out, ...back] : [...back, ...out];
  return { bridges: MAPS_COUNT + 1, ports, feeds, sending: MAPS_COUNT, hasBond: false, tunnels };
}

/** Writes the records of a tunnel's remotes and their words in the index, and says which endpoint receives. */
export function writeTunnel(lane: Lane, tunnel: TunnelSetup): void {
  const i32 = lane.i32;
  i32[lane.membersAt + tunnel.endpoint] = ENDPOINT | (EndpointKind.VXLAN << ENDPOINT_KIND_SHIFT);
  for (let k = 0; k < tunnel.remotes; k++) {
    const address = new Int32Array(remoteAddress(k).buffer)[0]!;
    const destination = tunnel.first + k;
    const record = remoteAt(lane.remotesAt, destination);
    i32[record + RemoteWord.PORT] = tunnel.port;
    i32[record + RemoteWord.FAMILY] = 4;
    i32[record + RemoteWord.ADDRESS] = address;
    i32[record + RemoteWord.UDP_PORT] = VXLAN_UDP_PORT_BE;
    i32[record + RemoteWord.VNI] = -1;
    i32[record + RemoteWord.FRAME_BYTES_MAX] = FRAME_BYTES_MAX;
    let slot = remoteSlot(tunnel.port, address, 0, 0, 0);
    while (i32[lane.remoteIndexAt + slot] !== 0) slot = (slot + 1) & (REMOTE_SLOTS_COUNT - 1);
    i32[lane.remoteIndexAt + slot] = destination;
  }
}
