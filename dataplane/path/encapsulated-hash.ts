// HOT: the flow inside a tunnel's packet: what the bond policies encap2+3 and encap3+4 look at. IP in IP, GRE, and VXLAN or Geneve by their
// UDP ports, one layer deep, over IPv4 and IPv6 without extension headers; a frame inside may have one tag. By bytes, since what is inside
// lies at any offset.
import type { Lane } from '../memory/lane.ts';
import { Hash } from '../tables/bond-layout.ts';

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const TRANSPARENT_ETHERNET = 0x6558;
const TPID_8021Q = 0x8100;
const TCP = 6;
const UDP = 17;
const IPIP = 4;
const IPV6_IN_IP = 41;
const GRE = 47;
const VXLAN_PORT = 4789;
const GENEVE_PORT = 6081;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const UDP_BYTES = 8;
const VXLAN_BYTES = 8;
const GRE_KEY = 0x2000;
const GRE_CHECKSUM = 0x8000;
const GRE_SEQUENCE = 0x1000;

function u16At(lane: Lane, at: number): number {
  return (lane.u8[at]! << 8) | lane.u8[at + 1]!;
}

function wordAt(lane: Lane, at: number): number {
  const u8 = lane.u8;
  return (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
}

function turn(hash: number, word: number): number {
  const x = Math.imul(hash ^ word, 0x9e3779b1);
  return (x ^ (x >>> 15)) | 0;
}

/**
 * A hash of the packet inside the one whose head is u8[at … at + bytes) and whose network header lies at `l3`; 0 when nothing is inside
 * that is known, or too little of it is in the head.
 */
export function encapsulatedHash(
  lane: Lane,
  at: number,
  bytes: number,
  l3: number,
  seed: number,
  policy: number,
): number {
  const end = at + bytes;
  const inner = innerAt(lane, at + l3, end, u16At(lane, at + l3 - 2));
  if (inner === 0) return 0;
  // A tunnel of frames has addresses inside that encap2+3 names; one of packets has none.
  const isFrame = (inner & 1) !== 0;
  const frame = inner >>> 1;
  let network = isFrame ? frame + ETHERNET_BYTES : frame;
  if (isFrame && network <= end && u16At(lane, network - 2) === TPID_8021Q) network += TAG_BYTES;
  if (network + 20 > end) return 0;
  const type = isFrame ? u16At(lane, network - 2) : lane.u8[network]! >> 4 === 4 ? IPV4 : IPV6;
  // Without addresses all of a tunnel would be one flow; around it there are some.
  if (policy === Hash.ENCAP34 && type !== IPV4 && (type !== IPV6 || network + 40 > end)) return 0;
  let hash = turn(seed, 1);
  if (isFrame && policy === Hash.ENCAP23) for (let k = 0; k < 12; k += 4) hash = turn(hash, wordAt(lane, frame + k));
  return finish(addresses(lane, network, end, type, hash, policy));
}

/** Never 0, which means "nothing inside". */
function finish(hash: number): number {
  const x = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  const bits = x ^ (x >>> 16);
  return bits === 0 ? 0x100 : bits;
}

function addresses(lane: Lane, at: number, end: number, type: number, begin: number, policy: number): number {
  let hash = begin;
  const isFour = type === IPV4;
  if (!isFour && (type !== IPV6 || at + 40 > end)) return turn(hash, type);
  const first = isFour ? at + 12 : at + 8;
  const last = isFour ? at + 20 : at + 40;
  for (let k = first; k < last; k += 4) hash = turn(hash, wordAt(lane, k));
  if (policy !== Hash.ENCAP34) return hash;
  const protocol = lane.u8[isFour ? at + 9 : at + 6]!;
  const ports = isFour ? at + ((lane.u8[at]! & 15) << 2) : at + 40;
  const isWhole = !isFour || (u16At(lane, at + 6) & 0x3fff) === 0;
  if ((protocol !== TCP && protocol !== UDP) || !isWhole || ports + 4 > end) return hash;
  return turn(hash, wordAt(lane, ports));
}

/** Where the inside begins, doubled, plus one when it is an Ethernet frame; 0 when there is none. `at`: the outer network header. */
function innerAt(lane: Lane, at: number, end: number, type: number): number {
  let l4 = 0;
  let protocol = 0;
  if (type === IPV4) {
    if (at + 20 > end || (u16At(lane, at + 6) & 0x3fff) !== 0) return 0;
    l4 = at + ((lane.u8[at]! & 15) << 2);
    protocol = lane.u8[at + 9]!;
  } else if (type === IPV6) {
    if (at + 40 > end) return 0;
    l4 = at + 40;
    protocol = lane.u8[at + 6]!;
  } else return 0;
  if (protocol === IPIP || protocol === IPV6_IN_IP) return l4 << 1;
  if (l4 + UDP_BYTES + VXLAN_BYTES > end) return 0;
  if (protocol === GRE) return innerOfGre(lane, l4);
  if (protocol !== UDP) return 0;
  const port = u16At(lane, l4 + 2);
  if (port === VXLAN_PORT) return ((l4 + UDP_BYTES + VXLAN_BYTES) << 1) | 1;
  if (port !== GENEVE_PORT || u16At(lane, l4 + UDP_BYTES + 2) !== TRANSPARENT_ETHERNET) return 0;
  // The options' length is counted in words (RFC 8926, section 3.4).
  return ((l4 + UDP_BYTES + VXLAN_BYTES + ((lane.u8[l4 + UDP_BYTES]! & 0x3f) << 2)) << 1) | 1;
}

/** RFC 2784 and 2890: flags, protocol, then what the flags announce. */
function innerOfGre(lane: Lane, at: number): number {
  const flags = u16At(lane, at);
  const protocol = u16At(lane, at + 2);
  let inside = at + 4;
  if ((flags & GRE_CHECKSUM) !== 0) inside += 4;
  if ((flags & GRE_KEY) !== 0) inside += 4;
  if ((flags & GRE_SEQUENCE) !== 0) inside += 4;
  if (protocol === TRANSPARENT_ETHERNET) return (inside << 1) | 1;
  return protocol === IPV4 || protocol === IPV6 ? inside << 1 : 0;
}
