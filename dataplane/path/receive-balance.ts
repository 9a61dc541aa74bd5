// HOT: balance-alb's receiving. Peers of this machine's own address are told different members' addresses for it, each by an ARP reply that
// is rewritten on its way out, and so send to different members; what comes in for a member's address is for the own one. Everybody
// else's frames are left alone. Cold: asked for frames of bonds in that mode only.
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact } from '../memory/layout.ts';
import { BondWord, mix } from '../tables/bond-layout.ts';
import { replicate } from './replica.ts';

const TPID_8021Q_LE = 0x0081;
const ARP_LE = 0x0608;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const ARP_BYTES = 28;
/** Of an ARP packet: where its operation, the sender's two addresses and the target's protocol address stand (RFC 826). */
const OPERATION_AT = 7;
const SENDER_AT = 8;
const TARGET_ADDRESS_AT = 24;
const REPLY = 2;

/** Where the ARP packet of this frame stands, in bytes, when it is a reply by which the own address of `bond` tells itself; else 0. */
function ownReplyAt(lane: Lane, facts: number, bond: number): number {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  const low = i32[bond + BondWord.OWN_LOW]!;
  const high = i32[bond + BondWord.OWN_HIGH]!;
  if (i32[at + 2] !== high || i32[at + 1]! >>> 16 !== low) return 0;
  const tagged = (i32[at + 3]! & 0xffff) === TPID_8021Q_LE ? 1 : 0;
  if ((i32[at + 3 + tagged]! & 0xffff) !== ARP_LE) return 0;
  const l3 = ETHERNET_BYTES + tagged * TAG_BYTES;
  if (i32[facts + Fact.HEAD_BYTES]! < l3 + ARP_BYTES) return 0;
  const arp = (at << 2) + l3;
  const u8 = lane.u8;
  if (u8[arp + OPERATION_AT] !== REPLY) return 0;
  return u16At(lane, arp + SENDER_AT) === low && wordAt(lane, arp + SENDER_AT + 2) === high ? arp : 0;
}

/** Little-endian, at any byte. */
function u16At(lane: Lane, at: number): number {
  return lane.u8[at]! | (lane.u8[at + 1]! << 8);
}

function wordAt(lane: Lane, at: number): number {
  return u16At(lane, at) | (u16At(lane, at + 2) << 16);
}

function writeAddress(lane: Lane, at: number, low: number, high: number): void {
  const u8 = lane.u8;
  u8[at] = low;
  u8[at + 1] = low >>> 8;
  u8[at + 2] = high;
  u8[at + 3] = high >>> 8;
  u8[at + 4] = high >>> 16;
  u8[at + 5] = high >>> 24;
}

/**
 * Rewrites an own ARP reply to the member whose share its target belongs to. Answers a slot of its own with that member's address, whose
 * place among the carrying ones is then in the lane; −1 when this is no such frame, or nothing is left to copy it to.
 */
export function balancedReply(lane: Lane, slot: number, bond: number, carrying: number): number {
  const i32 = lane.i32;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  if (carrying < 2 || i32[bond + BondWord.OWN_LOW]! < 0) return -1;
  const arp = ownReplyAt(lane, facts, bond);
  if (arp === 0) return -1;
  const k = (mix(i32[bond + BondWord.SEED]!, wordAt(lane, arp + TARGET_ADDRESS_AT), 0, 0) >>> 8) % carrying;
  const low = i32[bond + BondWord.ADDRESSES + 2 * k]!;
  const high = i32[bond + BondWord.ADDRESSES + 2 * k + 1]!;
  // A member without an address of its own: the reply goes where the address belongs.
  if (low === i32[bond + BondWord.OWN_LOW] && high === i32[bond + BondWord.OWN_HIGH]) return -1;
  const copy = replicate(lane, slot);
  if (copy < 0) return -1;
  const head = i32[facts + Fact.HEAD_AT]!;
  const to = i32[lane.factsAt + (copy << FACT_WORDS_SHIFT) + Fact.HEAD_AT]!;
  writeAddress(lane, to + 6, low, high);
  writeAddress(lane, to + (arp - head) + SENDER_AT, low, high);
  lane.balancedMember = k;
  return copy;
}

/** A frame for a member's address becomes one for the own address. Its Ethernet header is in the head, which nobody else has yet. */
export function restoreOwn(lane: Lane, facts: number, bond: number): void {
  const i32 = lane.i32;
  const own = i32[bond + BondWord.OWN_LOW]!;
  if (own < 0) return;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  const low = i32[at]! & 0xffff;
  const high = (i32[at]! >>> 16) | (i32[at + 1]! << 16);
  const addresses = i32[bond + BondWord.ADDRESSES_COUNT]!;
  for (let k = 0; k < addresses; k++) {
    const address = bond + BondWord.ADDRESSES + 2 * k;
    if (i32[address] !== low || i32[address + 1] !== high) continue;
    writeAddress(lane, at << 2, own, i32[bond + BondWord.OWN_HIGH]!);
    return;
  }
}
