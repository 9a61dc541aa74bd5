// HOT: frames of our own that come back. A bond whose far side is a plain bridge (balance-slb, -tlb, -alb) meets its own broadcasts again at its
// other members: whoever sent them is known to live at another port. A sender that really moved says so with a gratuitous ARP, which is
// believed, unless that very ARP went out here just before. Cold: asked for frames that come in on such members.
import type { Lane } from '../memory/lane.ts';
import { Fact, PORT_WORDS, REFLECTED_COUNT } from '../memory/layout.ts';
import { REFLECTED_S } from '../tables/bond-layout.ts';
import { isStale, readValue } from '../tables/fdb.ts';
import { bridgeBits, bucketOf, DESTINATION_MASK, domainBits } from '../tables/fdb-layout.ts';
import { PortWord, VlanMode } from '../tables/port-layout.ts';

const VID_MASK = 0xfff;
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;
const ARP_LE = 0x0608;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const ARP_BYTES = 28;
/** A second in 16 bits, and above it what tells one address from another that shares its cell. */
const SECONDS_MASK = 0xffff;

/** Whether an ARP packet at byte `at` tells its own address: sender and target protocol address are the same (RFC 5227, section 3). */
function tellsItself(lane: Lane, at: number): boolean {
  const u8 = lane.u8;
  for (let k = 0; k < 4; k++) if (u8[at + 14 + k] !== u8[at + 24 + k]) return false;
  return true;
}

/** Where the network header of a frame is that is no further than one tag from the start; 0 when it is no gratuitous ARP. */
function gratuitousAt(lane: Lane, at: number, bytes: number): number {
  const i32 = lane.i32;
  const tagged = (i32[at + 3]! & 0xffff) === TPID_8021Q_LE ? 1 : 0;
  const l3 = ETHERNET_BYTES + tagged * TAG_BYTES;
  if ((i32[at + 3 + tagged]! & 0xffff) !== ARP_LE || bytes < l3 + ARP_BYTES) return 0;
  return tellsItself(lane, (at << 2) + l3) ? l3 : 0;
}

/** The cell of a sender's address, and what is written there: not the VLAN, which may be translated on the way. */
function cellOf(lane: Lane, at: number): number {
  const i32 = lane.i32;
  return lane.reflectedAt + (bucketOf(i32[at + 2]!, i32[at + 1]! >>> 16, REFLECTED_COUNT - 1) | 0);
}

function stamp(lane: Lane, at: number): number {
  return (lane.nowS & SECONDS_MASK) | ((lane.i32[at + 2]! ^ (lane.i32[at + 2]! << 11)) & ~SECONDS_MASK);
}

/** Remembers that this frame goes out by a bond, if it is a gratuitous ARP. */
export function noteGratuitous(lane: Lane, facts: number): void {
  const at = lane.i32[facts + Fact.HEAD_AT]! >> 2;
  if (gratuitousAt(lane, at, lane.i32[facts + Fact.HEAD_BYTES]!) === 0) return;
  lane.i32[cellOf(lane, at)] = stamp(lane, at);
}

/** The VLAN in which 2-admit would put this frame: the tag's, whichever of the two it is; on a dot1q-tunnel port a tag is the customer's. */
function vlanOf(lane: Lane, at: number, record: number): number {
  const i32 = lane.i32;
  const w3 = i32[at + 3]!;
  const type = w3 & 0xffff;
  const tagged = type === TPID_8021Q_LE || type === TPID_8021AD_LE;
  const vid = tagged ? (((w3 >>> 8) & 0xff00) | (w3 >>> 24)) & VID_MASK : 0;
  return vid === 0 || i32[record + PortWord.MODE] === VlanMode.TUNNEL ? i32[record + PortWord.VLAN]! : vid;
}

/** Whether this frame, which came in on `bond` and whose Ethernet header is in its head, is one of ours that came back. */
export function isReflected(lane: Lane, facts: number, bond: number): boolean {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  const record = lane.portsAt + bond * PORT_WORDS;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const vid = vlanOf(lane, at, record);
  const key0 = i32[at + 2]!;
  const key1 = (i32[at + 1]! >>> 16) | domainBits(bridge, vid);
  const bits = bridgeBits(bridge);
  const value = readValue(lane, bucketOf(key0, key1, lane.fdbBucketMask), key0, key1, bits);
  if (value === 0 || (value & DESTINATION_MASK) === bond || isStale(lane, value)) return false;
  if (gratuitousAt(lane, at, i32[facts + Fact.HEAD_BYTES]!) === 0) return true;
  const noted = i32[cellOf(lane, at)]!;
  const now = stamp(lane, at);
  return noted !== 0 && ((noted ^ now) & ~SECONDS_MASK) === 0 && ((now - noted) & SECONDS_MASK) < REFLECTED_S;
}
