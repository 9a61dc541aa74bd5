// HOT: what a bond's member received enters the bridge as the bond. Where every member may receive everything, nothing is looked at; else each
// frame is: whether this member receives its like now, whether it is one of ours that came back, and whether control wants to see it. A
// frame that native gave up on goes on to 1-parse, which counts it.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { FRAME_BYTES_MIN } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, PORT_CELLS_COUNT, PortCell, Protocol } from '../memory/layout.ts';
import {
  BondTrait,
  BondWord,
  MEMBER_PORT_MASK,
  MEMBER_PUNTS_NEIGHBOURS,
  MEMBER_PUNTS_SLOW,
  MEMBER_RECEIVE_MASK,
  MEMBER_RECEIVE_SHIFT,
  MEMBER_SIFTS,
  Receive,
  targetBit,
} from '../tables/bond-layout.ts';
import { recordOfBond } from './bond.ts';
import { forward } from './forward.ts';
import { punt } from './punt.ts';
import { restoreOwn } from './receive-balance.ts';
import { isReflected } from './reflection.ts';
import { isSlow, puntSlow } from './slow.ts';

const TPID_8021Q_LE = 0x0081;
const ARP_LE = 0x0608;
const IPV6_LE = 0xdd86;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const IPV6_BYTES = 40;
/** Where the last four bytes of an address stand: ARP's sender, IPv6's source, the target of a neighbour message. */
const ARP_SENDER_LAST_AT = 14;
const IPV6_SOURCE_LAST_AT = 20;
const NDP_TARGET_LAST_AT = 20;

/** Forwards `n` slots listed at word `list`, just received on the member `port` of `bond`. Its counts are what the bond's grew by. */
export function forwardMember(lane: Lane, list: number, n: number, port: number, bond: number): void {
  const word = lane.i32[lane.membersAt + port]!;
  const kept = (word & MEMBER_SIFTS) !== 0 ? sift(lane, list, n, port, word) : n;
  if (kept === 0) return;
  const f64 = lane.f64;
  const cells = lane.countersAt + bond * PORT_CELLS_COUNT;
  const frames = f64[cells + PortCell.RX_FRAMES]!;
  const bytes = f64[cells + PortCell.RX_BYTES]!;
  const segments = f64[cells + PortCell.RX_SEGMENTS]!;
  forward(lane, list, kept, bond, bond);
  count(lane, port, PortCell.RX_FRAMES, f64[cells + PortCell.RX_FRAMES]! - frames);
  count(lane, port, PortCell.RX_BYTES, f64[cells + PortCell.RX_BYTES]! - bytes);
  count(lane, port, PortCell.RX_SEGMENTS, f64[cells + PortCell.RX_SEGMENTS]! - segments);
}

/** Takes off the list what does not enter the bond by this member; answers how many are left. */
function sift(lane: Lane, list: number, n: number, port: number, word: number): number {
  const i32 = lane.i32;
  const bond = word & MEMBER_PORT_MASK;
  const record = recordOfBond(lane, bond);
  const traits = i32[record + BondWord.TRAITS]!;
  const receive = (word >>> MEMBER_RECEIVE_SHIFT) & MEMBER_RECEIVE_MASK;
  let kept = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    if (i32[facts + Fact.LENGTH]! < FRAME_BYTES_MIN) {
      i32[list + kept] = slot;
      kept++;
      continue;
    }
    const isGroup = (i32[i32[facts + Fact.HEAD_AT]! >> 2]! & 1) !== 0;
    if ((word & MEMBER_PUNTS_NEIGHBOURS) !== 0 && isNeighbours(lane, facts, record))
      punt(lane, facts, port, isGroup ? Protocol.NEIGHBOURS : Protocol.ANSWERS, 0, 0);
    if ((word & MEMBER_PUNTS_SLOW) !== 0 && isSlow(lane, facts)) {
      countReceived(lane, facts, port);
      puntSlow(lane, facts, port);
      continue;
    }
    let reason = 0;
    if (receive === Receive.NONE || (isGroup && receive === Receive.UNICAST)) reason = Drop.MEMBER_INACTIVE;
    else if ((traits & BondTrait.REFLECTS) !== 0 && isReflected(lane, facts, bond)) reason = Drop.REFLECTED;
    if (reason !== 0) {
      countReceived(lane, facts, port);
      drop(lane, port, reason);
    } else {
      if ((traits & BondTrait.BALANCES) !== 0) restoreOwn(lane, facts, record);
      i32[list + kept] = slot;
      kept++;
    }
  }
  return kept;
}

/** Counts a frame that goes no further, at its member alone: the bond never had it. */
function countReceived(lane: Lane, facts: number, port: number): void {
  count(lane, port, PortCell.RX_FRAMES, 1);
  count(lane, port, PortCell.RX_BYTES, lane.i32[facts + Fact.LENGTH]!);
  count(lane, port, PortCell.RX_SEGMENTS, 1);
}

/**
 * ARP, or a neighbour solicitation or advertisement, behind at most one tag, that a target of the bond's monitor sent or the bond itself:
 * nothing else is life, and in a full network would leave no room for it.
 */
function isNeighbours(lane: Lane, facts: number, record: number): boolean {
  const i32 = lane.i32;
  const u8 = lane.u8;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  const tagged = (i32[at + 3]! & 0xffff) === TPID_8021Q_LE ? 1 : 0;
  const type = i32[at + 3 + tagged]! & 0xffff;
  const l3 = (at << 2) + ETHERNET_BYTES + tagged * TAG_BYTES;
  if (type === ARP_LE) return isAsker(lane, at, record) || isTarget(lane, l3 + ARP_SENDER_LAST_AT, record);
  if (type !== IPV6_LE || u8[l3 + 6] !== ICMPV6) return false;
  const message = u8[l3 + IPV6_BYTES];
  if (message !== SOLICITATION && message !== ADVERTISEMENT) return false;
  if (isAsker(lane, at, record) || isTarget(lane, l3 + IPV6_SOURCE_LAST_AT, record)) return true;
  return message === ADVERTISEMENT && isTarget(lane, l3 + IPV6_BYTES + NDP_TARGET_LAST_AT, record);
}

/** Whether the frame at word `at` comes from the address as which the bond asks. */
function isAsker(lane: Lane, at: number, record: number): boolean {
  const i32 = lane.i32;
  return i32[at + 2] === i32[record + BondWord.ASKER] && i32[at + 1]! >>> 16 === i32[record + BondWord.ASKER_LOW];
}

/** Whether an address whose last four bytes stand at byte `at` may be a target's. */
function isTarget(lane: Lane, at: number, record: number): boolean {
  const u8 = lane.u8;
  const bit = targetBit(u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24));
  return ((lane.i32[record + BondWord.TARGETS + (bit >>> 5)]! >>> (bit & 31)) & 1) !== 0;
}
