// HOT: a tunnel that lowers what TCP connections through it agree on: the MSS option of a SYN (RFC 9293, 3.7.1) becomes what fits its path.
// Called by arrival.ts and encapsulate.ts for ports with PortFlag.CLAMP_MSS; nearly every frame leaves it at the latest after TCP's flags.
import type { Lane } from '../memory/lane.ts';
import { Fact, Flag } from '../memory/layout.ts';
import { readU16, writeU16 } from '../wire/bytes.ts';
import { Check } from '../wire/check.ts';
import { updateChecksum } from '../wire/checksum.ts';
import { ETHERTYPE_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../wire/ethernet.ts';
import {
  checkIpv4,
  IP_PROTOCOL_TCP,
  IPV4_BYTES_MIN,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4TotalBytes,
  isIpv4Fragment,
} from '../wire/ipv4.ts';
import { checkIpv6, IPV6_BYTES, ipv6NextHeader, ipv6PayloadBytes } from '../wire/ipv6.ts';
import {
  checkTcp,
  setTcpChecksum,
  TCP_BYTES_MIN,
  TCP_SYN,
  tcpChecksum,
  tcpFlags,
  tcpHeaderBytes,
} from '../wire/tcp.ts';
import { networkAt } from './network.ts';

const OPTION_END = 0;
const OPTION_NOTHING = 1;
const OPTION_MSS = 2;
const OPTION_MSS_BYTES = 4;
/** No path is so narrow: a limit that leaves less is none. */
const MSS_MIN = 88;
/** Of a vnet header: where it begins, seen from the frame, and the flag for a checksum that is unfinished. */
const VNET_BYTES = 12;
const VNET_NEEDS_CHECKSUM = 1;

/**
 * Lowers the MSS that the frame with these facts offers, if it is a SYN, to what makes frames of at most `limit` bytes (Ethernet header and
 * tags included). It has passed 1-parse, and its head is not listed yet. Never adds an option, and never raises one.
 */
export function clampMss(lane: Lane, facts: number, limit: number): void {
  const flags = lane.i32[facts + Fact.FLAGS]!;
  clamp(lane, facts, lane.i32[facts + Fact.L3]!, limit, (flags & Flag.NEEDS_CHECKSUM) !== 0);
}

/** The same for a frame as received, of which nothing but its length is known. */
export function clampArrived(lane: Lane, facts: number, limit: number): void {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]!;
  const l3 = networkAt(lane.u8, at, at + i32[facts + Fact.HEAD_BYTES]!) - at;
  const isVnet = (i32[facts + Fact.FLAGS]! & Flag.VNET) !== 0;
  clamp(lane, facts, l3, limit, isVnet && (lane.u8[at - VNET_BYTES]! & VNET_NEEDS_CHECKSUM) !== 0);
}

/** `unfinished`: the frame's checksum covers the pseudo-header alone so far, in which there is no MSS. Else it follows (RFC 1624). */
function clamp(lane: Lane, facts: number, l3: number, limit: number, unfinished: boolean): void {
  const bytes = lane.u8;
  const start = lane.i32[facts + Fact.HEAD_AT]!;
  const end = start + lane.i32[facts + Fact.HEAD_BYTES]!;
  const at = start + l3;
  const tcp = tcpAt(bytes, at, end, start + lane.i32[facts + Fact.LENGTH]!);
  if (tcp === 0 || (tcpFlags(bytes, tcp) & TCP_SYN) === 0) return;
  const isIpv4 = readU16(bytes, at - ETHERTYPE_BYTES) === ETHERTYPE_IPV4;
  const mss = limit - l3 - (isIpv4 ? IPV4_BYTES_MIN : IPV6_BYTES) - TCP_BYTES_MIN;
  const option = mss < MSS_MIN ? 0 : mssAt(bytes, tcp);
  if (option === 0) return;
  const before = readU16(bytes, option);
  if (before <= mss) return;
  writeU16(bytes, option, mss);
  if (unfinished) return;
  // Words of the sum begin at even bytes; at an odd one, the value's bytes stand in two of them, in the other's halves.
  const odd = ((option - tcp) & 1) !== 0;
  const checksum = tcpChecksum(bytes, tcp);
  setTcpChecksum(bytes, tcp, updateChecksum(checksum, odd ? swapped(before) : before, odd ? swapped(mss) : mss));
}

/** Where the TCP header of the packet at byte `at` stands, which lies with all of its options before `end`; 0: there is none. */
function tcpAt(bytes: Uint8Array, at: number, end: number, frameEnd: number): number {
  let tcp = 0;
  let packetEnd = 0;
  const type = at < end ? readU16(bytes, at - ETHERTYPE_BYTES) : 0;
  if (type === ETHERTYPE_IPV4) {
    if (checkIpv4(bytes, at, end, frameEnd) !== Check.OK) return 0;
    if (ipv4Protocol(bytes, at) !== IP_PROTOCOL_TCP || isIpv4Fragment(bytes, at)) return 0;
    tcp = at + ipv4HeaderBytes(bytes, at);
    packetEnd = at + ipv4TotalBytes(bytes, at);
  } else if (type === ETHERTYPE_IPV6) {
    if (checkIpv6(bytes, at, end, frameEnd) !== Check.OK || ipv6NextHeader(bytes, at) !== IP_PROTOCOL_TCP) return 0;
    tcp = at + IPV6_BYTES;
    packetEnd = tcp + ipv6PayloadBytes(bytes, at);
  } else return 0;
  return checkTcp(bytes, tcp, packetEnd < end ? packetEnd : end) === Check.OK ? tcp : 0;
}

/** Where the value of the MSS option of a checked TCP header stands; 0: it has none, or its options are broken before it. */
function mssAt(bytes: Uint8Array, tcp: number): number {
  const end = tcp + tcpHeaderBytes(bytes, tcp);
  let at = tcp + TCP_BYTES_MIN;
  while (at < end) {
    const kind = bytes[at]!;
    if (kind === OPTION_END) return 0;
    if (kind === OPTION_NOTHING) {
      at++;
      continue;
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0;
    if (length < 2 || at + length > end) return 0;
    if (kind === OPTION_MSS) return length === OPTION_MSS_BYTES ? at + 2 : 0;
    at += length;
  }
  return 0;
}

function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}
