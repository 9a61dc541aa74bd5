// HOT: answers ARP requests and neighbour solicitations for hosts behind tunnels, so that these need not carry them: an ARP reply (RFC 826), or an
// advertisement as the host itself would send it (RFC 4861, 7.2.4). Called by 5-replicate for what a bridge with such tunnels is about to
// flood. Never answers for a host that the forwarding database doesn't know behind a tunnel now, nor who asks whether an address is free.
import { count, drop } from '../counters.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell } from '../memory/layout.ts';
import { lookUp, portOf } from '../tables/fdb.ts';
import { bridgeBits, bucketOf, domainBits } from '../tables/fdb-layout.ts';
import { MAC_LOW_MASK, NEIGHBOUR_ROUTER, NeighbourWord, neighbourKey } from '../tables/neighbour-layout.ts';
import { findNeighbour, isWhole, lowAt, wordAt } from '../tables/neighbours.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import {
  ARP_BYTES,
  ARP_OPERATION_AT,
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_ADDRESS_AT,
  ARP_SENDER_MAC_AT,
  ARP_TARGET_ADDRESS_AT,
  ARP_TARGET_MAC_AT,
  arpOperation,
  checkArp,
} from '../wire/arp.ts';
import { readU16, writeI32, writeU16 } from '../wire/bytes.ts';
import { Check } from '../wire/check.ts';
import { finishChecksum, isChecksumRight } from '../wire/checksum.ts';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV6,
  MAC_BYTES,
  PADDED_BYTES_MIN,
  SOURCE_AT,
} from '../wire/ethernet.ts';
import { ICMP_CHECKSUM_AT } from '../wire/icmp.ts';
import {
  checkIpv6,
  IP_PROTOCOL_ICMPV6,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  IPV6_DESTINATION_AT,
  IPV6_SOURCE_AT,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadBytes,
  setIpv6ClassAndLabel,
  setIpv6PayloadBytes,
  sumPseudoIpv6,
} from '../wire/ipv6.ts';
import {
  checkNeighbour,
  NDP_BYTES_MIN,
  NDP_FLAGS_AT,
  NDP_HOP_LIMIT,
  NDP_OPTION_ADDRESS_AT,
  NDP_OPTION_BYTES,
  NDP_OPTIONS_AT,
  NDP_OVERRIDE,
  NDP_ROUTER,
  NDP_SOLICITED,
  NDP_SOURCE_LINK,
  NDP_TARGET_AT,
  NDP_TARGET_LINK,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  neighbourLinkAt,
} from '../wire/ndp.ts';
import { resolve } from './6-resolve.ts';
import { replicate } from './replica.ts';
import { formFor, shape, shapeOf } from './shape.ts';

const VID_MASK = 0xfff;
const ANSWERING = PortFlag.TUNNEL | PortFlag.SUPPRESS | PortFlag.UP;
const ADVERTISEMENT_BYTES = NDP_BYTES_MIN + NDP_OPTION_BYTES;

/**
 * The frame in `slot`, which came by `port`, no tunnel, is about to be flooded in a bridge with BridgeWord.SUPPRESS. True: it asked for an address
 * that is known, and the answer is listed at `port` (and counted there as replicated); then tunnels with PortFlag.SUPPRESS need not get it.
 * Changes nothing in the frame itself.
 */
export function answers(lane: Lane, slot: number, port: number): boolean {
  const i32 = lane.i32;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  if ((i32[facts + Fact.FLAGS]! & Flag.INNER) !== 0 || i32[facts + Fact.GSO] !== 0) return false;
  const l3 = i32[facts + Fact.L3]!;
  const start = i32[facts + Fact.HEAD_AT]!;
  const end = start + i32[facts + Fact.HEAD_BYTES]!;
  const at = start + l3;
  const type = readU16(lane.u8, at - ETHERTYPE_BYTES);
  const isArp = type === ETHERTYPE_ARP;
  if (isArp ? !asksByArp(lane.u8, start, at, end) : type !== ETHERTYPE_IPV6 || !asksByNdp(lane.u8, start, at, end))
    return false;
  const bridge = i32[lane.portsAt + port * PORT_WORDS + PortWord.BRIDGE]!;
  const vid = i32[facts + Fact.TAG]! & VID_MASK;
  const address = isArp ? at + ARP_TARGET_ADDRESS_AT : at + IPV6_BYTES + NDP_TARGET_AT;
  const wanted = neighbourKey(bridge, vid, !isArp);
  const entry = findNeighbour(lane, wanted, address);
  if (entry === 0) return false;
  // Read once: what is answered is what was checked.
  const key = i32[entry]!;
  const mac = i32[entry + NeighbourWord.MAC]!;
  const low = i32[entry + NeighbourWord.MAC_LOW]! & MAC_LOW_MASK;
  if (!isWhole(lane, entry, key, mac, low, wanted, address)) return false;
  if (isAt(lane.u8, start + SOURCE_AT, mac, low) || !livesBehind(lane, port, bridge, vid, mac, low)) return false;
  const copy = replicate(lane, slot);
  if (copy < 0) return false;
  if (isArp) writeReply(lane, copy, l3, mac, low);
  else writeAdvertisement(lane, copy, l3, mac, low, (key & NEIGHBOUR_ROUTER) !== 0);
  send(lane, copy, port);
  return true;
}

/** A request by somebody who has an address, for another's (RFC 5227 has probes and announcements, which are neither). */
function asksByArp(bytes: Uint8Array, start: number, at: number, end: number): boolean {
  if (checkArp(bytes, at, end) !== Check.OK || arpOperation(bytes, at) !== ARP_REQUEST) return false;
  const sender = wordAt(bytes, at + ARP_SENDER_ADDRESS_AT);
  if (sender === 0 || sender === wordAt(bytes, at + ARP_TARGET_ADDRESS_AT)) return false;
  return isSame(bytes, start + SOURCE_AT, at + ARP_SENDER_MAC_AT, MAC_BYTES);
}

/** A valid solicitation (RFC 4861, 7.1.1) by somebody who has an address: not one that looks for duplicates (RFC 4862, 5.4.2). */
function asksByNdp(bytes: Uint8Array, start: number, at: number, end: number): boolean {
  if (checkIpv6(bytes, at, end, end) !== Check.OK) return false;
  if (ipv6NextHeader(bytes, at) !== IP_PROTOCOL_ICMPV6 || ipv6HopLimit(bytes, at) !== NDP_HOP_LIMIT) return false;
  const message = at + IPV6_BYTES;
  const payload = ipv6PayloadBytes(bytes, at);
  if (checkNeighbour(bytes, message, message + payload) !== Check.OK) return false;
  if (bytes[message] !== NEIGHBOUR_SOLICITATION) return false;
  const source = at + IPV6_SOURCE_AT;
  if (isZero(bytes, source) || isSame(bytes, source, message + NDP_TARGET_AT, IPV6_ADDRESS_BYTES)) return false;
  const link = neighbourLinkAt(bytes, message, message + payload, NDP_SOURCE_LINK);
  if (link !== 0 && !isSame(bytes, start + SOURCE_AT, link, MAC_BYTES)) return false;
  return isChecksumRight(bytes, message, message + payload, sumPseudoIpv6(bytes, at, IP_PROTOCOL_ICMPV6, payload));
}

function isSame(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let k = 0; k < length; k++) if (bytes[a + k] !== bytes[b + k]) return false;
  return true;
}

function isZero(bytes: Uint8Array, at: number): boolean {
  return (wordAt(bytes, at) | wordAt(bytes, at + 4) | wordAt(bytes, at + 8) | wordAt(bytes, at + 12)) === 0;
}

function isAt(bytes: Uint8Array, at: number, mac: number, low: number): boolean {
  return wordAt(bytes, at + 2) === mac && lowAt(bytes, at) === low;
}

/** Whether a frame from `port` to this address would leave by a tunnel that need not get the question. */
function livesBehind(lane: Lane, port: number, bridge: number, vid: number, mac: number, low: number): boolean {
  const i32 = lane.i32;
  const key1 = low | domainBits(bridge, vid);
  const found = lookUp(lane, bucketOf(mac, key1, lane.fdbBucketMask), mac, key1, bridgeBits(bridge));
  if (found === 0) return false;
  const record = lane.portsAt + portOf(lane, found) * PORT_WORDS;
  const flags = i32[record + PortWord.FLAGS]!;
  if ((flags & ANSWERING) !== ANSWERING || i32[record + PortWord.BRIDGE] !== bridge) return false;
  return (flags & i32[lane.portsAt + port * PORT_WORDS + PortWord.FLAGS]! & PortFlag.PROTECTED) === 0;
}

function writeMac(bytes: Uint8Array, at: number, mac: number, low: number): void {
  bytes[at] = low;
  bytes[at + 1] = low >>> 8;
  bytes[at + 2] = mac;
  bytes[at + 3] = mac >>> 8;
  bytes[at + 4] = mac >>> 16;
  bytes[at + 5] = mac >>> 24;
}

/** Turns a copy of the request round. */
function writeReply(lane: Lane, copy: number, l3: number, mac: number, low: number): void {
  const u8 = lane.u8;
  const start = lane.i32[lane.factsAt + (copy << FACT_WORDS_SHIFT) + Fact.HEAD_AT]!;
  const at = start + l3;
  u8.copyWithin(start, start + SOURCE_AT, start + SOURCE_AT + MAC_BYTES);
  writeMac(u8, start + SOURCE_AT, mac, low);
  writeU16(u8, at + ARP_OPERATION_AT, ARP_REPLY);
  const target = wordAt(u8, at + ARP_TARGET_ADDRESS_AT);
  // The sender's two addresses become the target's.
  u8.copyWithin(at + ARP_TARGET_MAC_AT, at + ARP_SENDER_MAC_AT, at + ARP_TARGET_MAC_AT);
  writeMac(u8, at + ARP_SENDER_MAC_AT, mac, low);
  for (let k = 0; k < 4; k++) u8[at + ARP_SENDER_ADDRESS_AT + k] = target >>> (8 * k);
  finish(lane, copy, l3 + ARP_BYTES);
}

/** Makes an advertisement of a copy of the solicitation; the target stands where it stood. */
function writeAdvertisement(lane: Lane, copy: number, l3: number, mac: number, low: number, isRouter: boolean): void {
  const u8 = lane.u8;
  const start = lane.i32[lane.factsAt + (copy << FACT_WORDS_SHIFT) + Fact.HEAD_AT]!;
  const at = start + l3;
  const message = at + IPV6_BYTES;
  u8.copyWithin(start, start + SOURCE_AT, start + SOURCE_AT + MAC_BYTES);
  writeMac(u8, start + SOURCE_AT, mac, low);
  setIpv6ClassAndLabel(u8, at, 0, 0);
  setIpv6PayloadBytes(u8, at, ADVERTISEMENT_BYTES);
  u8.copyWithin(at + IPV6_DESTINATION_AT, at + IPV6_SOURCE_AT, at + IPV6_DESTINATION_AT);
  u8.copyWithin(at + IPV6_SOURCE_AT, message + NDP_TARGET_AT, message + NDP_OPTIONS_AT);
  writeU16(u8, message, NEIGHBOUR_ADVERTISEMENT << 8);
  writeI32(u8, message + NDP_FLAGS_AT, (NDP_SOLICITED | NDP_OVERRIDE | (isRouter ? NDP_ROUTER : 0)) << 24);
  writeU16(u8, message + NDP_OPTIONS_AT, (NDP_TARGET_LINK << 8) | 1);
  writeMac(u8, message + NDP_OPTIONS_AT + NDP_OPTION_ADDRESS_AT, mac, low);
  writeU16(u8, message + ICMP_CHECKSUM_AT, sumPseudoIpv6(u8, at, IP_PROTOCOL_ICMPV6, ADVERTISEMENT_BYTES));
  finishChecksum(u8, message, message + ICMP_CHECKSUM_AT, message + ADVERTISEMENT_BYTES);
  finish(lane, copy, l3 + IPV6_BYTES + ADVERTISEMENT_BYTES);
}

/** The answer has `bytes` bytes, and zeros behind them where the request was padded. Its facts are those of a plain frame. */
function finish(lane: Lane, copy: number, bytes: number): void {
  const i32 = lane.i32;
  const facts = lane.factsAt + (copy << FACT_WORDS_SHIFT);
  const asked = i32[facts + Fact.LENGTH]!;
  const padded = asked < PADDED_BYTES_MIN ? asked : PADDED_BYTES_MIN;
  const length = bytes > padded ? bytes : padded;
  const start = i32[facts + Fact.HEAD_AT]!;
  for (let k = bytes; k < length; k++) lane.u8[start + k] = 0;
  i32[facts + Fact.HEAD_BYTES] = length;
  i32[facts + Fact.LENGTH] = length;
  i32[facts + Fact.WIRE_BYTES] = length;
  i32[facts + Fact.FLAGS] = i32[facts + Fact.FLAGS]! & Flag.TAGGED;
  i32[facts + Fact.CHECKSUM] = 0;
  i32[facts + Fact.SEGMENTS] = 1;
}

/** Back to where the question came from, as that port wants frames of this VLAN. */
function send(lane: Lane, copy: number, port: number): void {
  const tag = lane.i32[lane.factsAt + (copy << FACT_WORDS_SHIFT) + Fact.TAG]!;
  count(lane, port, PortCell.REPLICATED, 1);
  lane.floodedCount = (lane.floodedCount + 1) | 0;
  const reason = shape(lane, copy, shapeOf(formFor(lane, port, tag & VID_MASK), tag));
  if (reason !== 0) drop(lane, port, reason);
  else resolve(lane, copy, port, port);
}
