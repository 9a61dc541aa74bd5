// HOT: a frame out of a tunnel: to which remote, and the tunnel's header before its head. Called by 6-resolve for a slot of the tunnel's own that
// has its shape, and by express for the plain ones. The outer IP and UDP headers are the kernel's; native sends by what is noted here. What is
// too long for the way is told to its sender (too-big.ts), never lost in silence.
//
// ECN goes out as RFC 6040, section 4.1, "normal mode" has it: as it is inside.
import { drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { PORTS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, PORT_WORDS } from '../memory/layout.ts';
import { Outer, RemoteWord } from '../memory/tunnel-words.ts';
import { Hash } from '../tables/bond-layout.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import { PortOuter, remoteAt, TunnelHeader, toSet } from '../tables/tunnel-layout.ts';
import { bucketFor } from './bond-hash.ts';
import { clampMss } from './clamp.ts';
import { tooBig } from './too-big.ts';

const AT_MASK = 0x1fffffff;
const VID_MASK = 0xfff;
const ECN_MASK = 3;
const DSCP_MASK = 0xfc;
const IPV4_LE = 0x0008;
const IPV6_LE = 0xdd86;
/** What must be there of a network header for its TOS and TTL to be read. */
const NETWORK_BYTES_MIN = 10;
/** First words of headers, as little-endian reads give them: VXLAN's flag I; Geneve's and GRE's protocol type 0x6558; GRE's flag K. */
const VXLAN_LE = 0x08;
const BRIDGED_LE = 0x5865_0000;
const GRE_KEY_LE = 0x20;

/**
 * Makes a slot ready to be listed at the tunnel `port`, for the remote that `destination` names, or for all that get floods when that is the
 * port itself. False: it is lost, and counted.
 */
export function encapsulate(lane: Lane, slot: number, port: number, destination: number): boolean {
  const i32 = lane.i32;
  const record = (lane.portsAt + port * PORT_WORDS) & AT_MASK;
  const facts = (lane.factsAt + (slot << FACT_WORDS_SHIFT)) & AT_MASK;
  let vni = i32[record + PortWord.VNI]!;
  const map = i32[record + PortWord.VNI_MAP]!;
  if (map !== 0) {
    vni = i32[(lane.floodPoolAt + map + (i32[facts + Fact.TAG]! & VID_MASK)) & AT_MASK]!;
    if (vni < 0) return lose(lane, port, Drop.EGRESS_VLAN);
  }
  let to = destination;
  let others = 0;
  if (destination < PORTS_MAX) {
    const set = i32[record + PortWord.REMOTES]!;
    const at = (lane.floodPoolAt + set) & AT_MASK;
    const remotes = set === 0 ? 0 : i32[at]!;
    if (remotes === 0) return lose(lane, port, Drop.NO_REMOTE);
    to = remotes === 1 ? i32[at + 1]! : toSet(at);
    others = remotes - 1;
  }
  const mtu = (i32[record + PortWord.MTU]! + i32[facts + Fact.L3]!) | 0;
  let limit = mtu;
  if (to >= 0) {
    const remote = remoteAt(lane.remotesAt, to) & AT_MASK;
    const fits = i32[remote + RemoteWord.FRAME_BYTES_MAX]!;
    if (fits === 0) return lose(lane, port, Drop.REMOTE_UNREACHABLE);
    if (fits < limit) limit = fits;
    const own = i32[remote + RemoteWord.VNI]!;
    if (own >= 0) vni = own;
  }
  if (i32[facts + Fact.WIRE_BYTES]! > limit) {
    tooBig(lane, facts, port, limit);
    return lose(lane, port, limit < mtu ? Drop.PATH_MTU : Drop.MTU_EXCEEDED);
  }
  if ((i32[record + PortWord.FLAGS]! & PortFlag.CLAMP_MSS) !== 0) clampMss(lane, facts, limit);
  i32[facts + Fact.REMOTE] = to;
  i32[facts + Fact.OUTER] = outerOf(lane, facts, i32[record + PortWord.OUTER]!) | writeHeader(lane, facts, record, vni);
  // Counted as replicated when they are sent (settle.ts).
  lane.floodedCount = (lane.floodedCount + others) | 0;
  return true;
}

function lose(lane: Lane, port: number, reason: number): boolean {
  drop(lane, port, reason);
  return false;
}

/** Which socket sends it, TOS and TTL. `outer`: bits of PortOuter. */
function outerOf(lane: Lane, facts: number, outer: number): number {
  const i32 = lane.i32;
  const head = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
  const bytes = i32[facts + Fact.HEAD_BYTES]!;
  const l3 = i32[facts + Fact.L3]!;
  const flow = bucketFor(lane, head, bytes, l3, 0, Hash.LAYER34, 0);
  const p = (head + ((l3 - 2) >> 2)) & AT_MASK;
  const type = i32[p]! & 0xffff;
  let tos = (outer >>> PortOuter.TOS_SHIFT) & 0xff;
  let ttl = outer & PortOuter.TTL_MASK;
  if ((type === IPV4_LE || type === IPV6_LE) && bytes - l3 >= NETWORK_BYTES_MIN) {
    const isIpv4 = type === IPV4_LE;
    const first = i32[p]! >>> 16;
    // IPv4: the second byte. IPv6: four bits of the first, four of the second.
    const inner = isIpv4 ? first >>> 8 : ((first & 0xf) << 4) | (first >>> 12);
    tos = ((outer & PortOuter.TOS_INHERIT) !== 0 ? inner & DSCP_MASK : tos) | (inner & ECN_MASK);
    if ((outer & PortOuter.TTL_INHERIT) !== 0) ttl = (i32[p + 2]! >>> (isIpv4 ? 16 : 8)) & 0xff;
  }
  return flow | (tos << Outer.TOS_SHIFT) | (ttl << Outer.TTL_SHIFT);
}

/** Writes the tunnel's header before the head; answers its length as bits of Outer. */
function writeHeader(lane: Lane, facts: number, record: number, vni: number): number {
  const i32 = lane.i32;
  const head = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
  const header = i32[record + PortWord.HEADER]!;
  if (header === TunnelHeader.GRE) {
    i32[head - 1] = BRIDGED_LE;
    return 1 << Outer.HEADER_WORDS_SHIFT;
  }
  if (header === TunnelHeader.GRE_KEY) {
    i32[head - 2] = BRIDGED_LE | GRE_KEY_LE;
    i32[head - 1] = (vni >>> 24) | ((vni >>> 8) & 0xff00) | ((vni & 0xff00) << 8) | (vni << 24);
    return 2 << Outer.HEADER_WORDS_SHIFT;
  }
  i32[head - 2] = header === TunnelHeader.VXLAN ? VXLAN_LE : BRIDGED_LE;
  i32[head - 1] = (vni >>> 16) | (vni & 0xff00) | ((vni & 0xff) << 16);
  return 2 << Outer.HEADER_WORDS_SHIFT;
}
