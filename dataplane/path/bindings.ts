// HOT: what a tunnel's hosts tell of their addresses, for `suppress`. Called by arrival.ts for every frame that came by such a tunnel; only ARP
// and neighbour discovery are looked at, and only what is news goes up to control, which looks closer.
import type { Lane } from '../memory/lane.ts';
import { Fact, MEMBERSHIP_WORDS, PORT_WORDS, Protocol } from '../memory/layout.ts';
import { NEIGHBOUR_ROUTER, neighbourKey } from '../tables/neighbour-layout.ts';
import { findNeighbour, isWhole, lowAt, see, wordAt } from '../tables/neighbours.ts';
import { PortWord, VlanMode } from '../tables/port-layout.ts';
import {
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_ADDRESS_AT,
  ARP_SENDER_MAC_AT,
  arpOperation,
  checkArp,
} from '../wire/arp.ts';
import { readU16 } from '../wire/bytes.ts';
import { Check } from '../wire/check.ts';
import {
  ETHERNET_BYTES,
  ETHERTYPE_ARP,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV6,
  MAC_BYTES,
  SOURCE_AT,
} from '../wire/ethernet.ts';
import {
  checkIpv6,
  IP_PROTOCOL_ICMPV6,
  IPV6_BYTES,
  IPV6_SOURCE_AT,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadBytes,
} from '../wire/ipv6.ts';
import {
  checkNeighbour,
  NDP_FLAGS_AT,
  NDP_HOP_LIMIT,
  NDP_OVERRIDE,
  NDP_ROUTER,
  NDP_SOURCE_LINK,
  NDP_TARGET_AT,
  NDP_TARGET_LINK,
  NEIGHBOUR_ADVERTISEMENT,
  neighbourLinkAt,
} from '../wire/ndp.ts';
import { VID_MASK, VLAN_TAG_BYTES } from '../wire/vlan.ts';
import { networkAt } from './network.ts';
import { punt } from './punt.ts';

const MULTICAST = 0xff;
/** What the table says of a binding. */
const Known = { NOT: 0, ALIKE: 1, OTHERWISE: 2 } as const;

/**
 * The frame with these facts was just received by the tunnel `port`, which has PortFlag.SUPPRESS; nothing but its length is known of it. Changes
 * nothing in it.
 */
export function noteBinding(lane: Lane, facts: number, port: number): void {
  const u8 = lane.u8;
  const start = lane.i32[facts + Fact.HEAD_AT]!;
  const end = start + lane.i32[facts + Fact.HEAD_BYTES]!;
  const at = networkAt(u8, start, end);
  const type = readU16(u8, at - ETHERTYPE_BYTES);
  if (type !== ETHERTYPE_ARP && type !== ETHERTYPE_IPV6) return;
  const isNews = type === ETHERTYPE_ARP ? checkArp(u8, at, end) === Check.OK : isDiscovery(u8, at, end);
  if (!isNews) return;
  const vid = vlanOf(lane, start, at - start, port);
  if (vid < 0) return;
  const bridge = lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.BRIDGE]!;
  const key = neighbourKey(bridge, vid, type === ETHERTYPE_IPV6);
  if (type === ETHERTYPE_ARP ? tellsByArp(lane, key, start, at) : tellsByNdp(lane, key, start, at))
    punt(lane, facts, port, Protocol.BINDINGS, vid, 0);
}

/** A neighbour solicitation or advertisement that no router passed on (RFC 4861, 7.1). Its checksum is control's to look at. */
function isDiscovery(bytes: Uint8Array, at: number, end: number): boolean {
  if (checkIpv6(bytes, at, end, end) !== Check.OK) return false;
  if (ipv6NextHeader(bytes, at) !== IP_PROTOCOL_ICMPV6 || ipv6HopLimit(bytes, at) !== NDP_HOP_LIMIT) return false;
  const message = at + IPV6_BYTES;
  return checkNeighbour(bytes, message, message + ipv6PayloadBytes(bytes, at)) === Check.OK;
}

/** The VLAN in which 2-admit will put the frame whose network header is `l3` bytes from its start; −1: none, or another tag is inside. */
function vlanOf(lane: Lane, start: number, l3: number, port: number): number {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  let vid = 0;
  if (l3 > ETHERNET_BYTES) {
    const mode = i32[record + PortWord.MODE]!;
    if (l3 > ETHERNET_BYTES + VLAN_TAG_BYTES || mode === VlanMode.TUNNEL) return -1;
    vid = readU16(lane.u8, start + ETHERNET_BYTES) & VID_MASK;
    if (vid !== 0 && mode === VlanMode.ACCESS) return -1;
  }
  if (vid === 0) vid = i32[record + PortWord.VLAN]!;
  const members = i32[lane.membershipAt + port * MEMBERSHIP_WORDS + (vid >>> 5)]!;
  return (members & (1 << (vid & 31))) === 0 ? -1 : vid;
}

/** The sender of a request or reply tells its address; in a probe (RFC 5227) it has none yet. Whether that is news. */
function tellsByArp(lane: Lane, key: number, start: number, at: number): boolean {
  const u8 = lane.u8;
  const operation = arpOperation(u8, at);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return false;
  const address = at + ARP_SENDER_ADDRESS_AT;
  if (wordAt(u8, address) === 0 || !isSender(u8, start, at + ARP_SENDER_MAC_AT)) return false;
  return known(lane, key, address, at + ARP_SENDER_MAC_AT, key) !== Known.ALIKE;
}

/**
 * An advertisement that overrides tells its target's address, and whether that is a router. A solicitation tells its source's, but not whether
 * it is one: it can confirm what is known, and make it doubtful.
 */
function tellsByNdp(lane: Lane, key: number, start: number, at: number): boolean {
  const u8 = lane.u8;
  const message = at + IPV6_BYTES;
  const end = message + ipv6PayloadBytes(u8, at);
  const advertises = u8[message] === NEIGHBOUR_ADVERTISEMENT;
  const link = neighbourLinkAt(u8, message, end, advertises ? NDP_TARGET_LINK : NDP_SOURCE_LINK);
  const address = advertises ? message + NDP_TARGET_AT : at + IPV6_SOURCE_AT;
  if (link === 0 || u8[address] === MULTICAST || !isSender(u8, start, link)) return false;
  if (!advertises) return known(lane, key, address, link, -1) === Known.OTHERWISE;
  const flags = u8[message + NDP_FLAGS_AT]!;
  if ((flags & NDP_OVERRIDE) === 0) return false;
  const whole = (flags & NDP_ROUTER) !== 0 ? key | NEIGHBOUR_ROUTER : key;
  return known(lane, key, address, link, whole) !== Known.ALIKE;
}

/** Whether the MAC at byte `mac` is the one from which the frame came. */
function isSender(bytes: Uint8Array, start: number, mac: number): boolean {
  for (let k = 0; k < MAC_BYTES; k++) if (bytes[start + SOURCE_AT + k] !== bytes[mac + k]) return false;
  return true;
}

/** Compares with the table; what is there alike was seen now. `whole`: the key with the router's bit as it is told, −1: it isn't. */
function known(lane: Lane, key: number, address: number, mac: number, whole: number): number {
  const i32 = lane.i32;
  const entry = findNeighbour(lane, key, address);
  if (entry === 0) return Known.NOT;
  const now = i32[entry]!;
  const high = wordAt(lane.u8, mac + 2);
  const low = lowAt(lane.u8, mac);
  // Its check fits only if it has this MAC.
  if (!isWhole(lane, entry, now, high, low, key, address)) return Known.OTHERWISE;
  if (whole >= 0 && now !== whole) return Known.OTHERWISE;
  see(lane, entry);
  return Known.ALIKE;
}
