// HOT: a frame out of a bond: which member, by bucket, in turn, or all of them. Called by 6-resolve for a slot that has its shape, and by
// express for the plain ones. What steers it is read as it is now (tables/bond-layout.ts).
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { BUCKETS_COUNT, MEMBERS_MAX, UNIT_BYTES_SHIFT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { BOND_WORDS_SHIFT, FACT_WORDS_SHIFT, Fact, PORT_WORDS, PortCell } from '../memory/layout.ts';
import { BondSend, BondTrait, BondWord } from '../tables/bond-layout.ts';
import { PortWord } from '../tables/port-layout.ts';
import { emit } from './7-emit.ts';
import { bucketFor } from './bond-hash.ts';
import { balancedReply } from './receive-balance.ts';
import { noteGratuitous } from './reflection.ts';

const AT_MASK = 0x1fffffff;
const VID_MASK = 0xfff;
const UNIT_ROUND = (1 << UNIT_BYTES_SHIFT) - 1;

/** Where the record of a bond's port lies. */
export function recordOfBond(lane: Lane, port: number): number {
  return (lane.bondsAt + (lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.BOND]! << BOND_WORDS_SHIFT)) & AT_MASK;
}

/** The member that carries a frame of this bucket; counts what it sends. */
function memberOf(lane: Lane, bond: number, bucket: number, length: number): number {
  const units = lane.unitsAt + Math.imul((bond - lane.bondsAt) >> BOND_WORDS_SHIFT, BUCKETS_COUNT) + bucket;
  lane.i32[units] = (lane.i32[units]! + ((length + UNIT_ROUND) >> UNIT_BYTES_SHIFT)) | 0;
  return lane.i32[bond + BondWord.BUCKETS + bucket]!;
}

/**
 * The member for a frame of a bond that sends by buckets; 0 when there is none. `at`: the word where its head starts, `bytes` those of the
 * head; `l3` and `vid` as bond-hash.ts wants them.
 */
export function memberFor(
  lane: Lane,
  bond: number,
  at: number,
  bytes: number,
  l3: number,
  vid: number,
  length: number,
): number {
  const i32 = lane.i32;
  const single = i32[bond + BondWord.SINGLE]!;
  if (single !== 0) return single;
  const bucket = bucketFor(lane, at, bytes, l3, vid, i32[bond + BondWord.HASH]!, i32[bond + BondWord.SEED]!);
  return memberOf(lane, bond, bucket, length);
}

/** Hands a slot, already in the bond's shape, to the member or members that carry it. */
export function sendByBond(lane: Lane, slot: number, egress: number): void {
  const i32 = lane.i32;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const bond = recordOfBond(lane, egress);
  const send = i32[bond + BondWord.SEND]!;
  const traits = i32[bond + BondWord.TRAITS]!;
  if ((traits & BondTrait.REFLECTS) !== 0) noteGratuitous(lane, facts);
  if ((traits & BondTrait.BALANCES) !== 0) {
    const copy = balancedReply(lane, slot, bond, membersCount(lane, bond));
    if (copy >= 0) {
      emit(lane, copy, i32[bond + BondWord.MEMBERS + lane.balancedMember]!, 0);
      return;
    }
  }
  let member = 0;
  if (send === BondSend.BUCKETS) {
    const at = i32[facts + Fact.HEAD_AT]! >> 2;
    const vid = i32[facts + Fact.TAG]! & VID_MASK;
    member = memberFor(
      lane,
      bond,
      at,
      i32[facts + Fact.HEAD_BYTES]!,
      i32[facts + Fact.L3]!,
      vid,
      i32[facts + Fact.LENGTH]!,
    );
  } else if (send === BondSend.ROUND_ROBIN) member = nextMember(lane, bond);
  else if (send === BondSend.BROADCAST) {
    sendToAll(lane, slot, egress, bond);
    return;
  }
  if (member === 0) drop(lane, egress, Drop.EGRESS_DOWN);
  else emit(lane, slot, member, 0);
}

/** Each member gets so many frames in a row. */
function nextMember(lane: Lane, bond: number): number {
  const i32 = lane.i32;
  const members = membersCount(lane, bond);
  if (members === 0) return 0;
  const index = (bond - lane.bondsAt) >> BOND_WORDS_SHIFT;
  const turn = lane.bondTurns[index]!;
  lane.bondTurns[index] = (turn + 1) & 0x7fff_ffff;
  const each = i32[bond + BondWord.EACH]!;
  return i32[bond + BondWord.MEMBERS + (((turn / (each > 1 ? each : 1)) | 0) % members)]!;
}

/** The same slot in every member's list: nobody changes a listed head. */
function sendToAll(lane: Lane, slot: number, egress: number, bond: number): void {
  const members = membersCount(lane, bond);
  for (let k = 0; k < members; k++) emit(lane, slot, lane.i32[bond + BondWord.MEMBERS + k]!, 0);
  lane.floodedCount = (lane.floodedCount + members) | 0;
  if (members === 0) drop(lane, egress, Drop.EGRESS_DOWN);
  else if (members > 1) count(lane, egress, PortCell.REPLICATED, members - 1);
}

function membersCount(lane: Lane, bond: number): number {
  const members = lane.i32[bond + BondWord.COUNT]!;
  return members >= 0 && members <= MEMBERS_MAX ? members : 0;
}
