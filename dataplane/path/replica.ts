// HOT: another slot for the same frame, where its head must differ: the tail is shared.
import { HEAD_BYTES, HEAD_STRIDE_BYTES, HEADROOM_BYTES, RECEIVE_SLOTS_COUNT, REPLICA_SLOTS_COUNT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS, FACT_WORDS_SHIFT, Fact } from '../memory/layout.ts';

/** A copy of a slot's head and facts in a slot of this turn's replicas; −1 when there is none left. */
export function replicate(lane: Lane, slot: number): number {
  if (lane.replicasUsed >= REPLICA_SLOTS_COUNT) return -1;
  const i32 = lane.i32;
  const copy = RECEIVE_SLOTS_COUNT + lane.replicasUsed;
  lane.replicasUsed++;
  const from = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const to = lane.factsAt + (copy << FACT_WORDS_SHIFT);
  for (let k = 0; k < FACT_WORDS; k++) i32[to + k] = i32[from + k]!;
  const headBytes = i32[from + Fact.HEAD_BYTES]!;
  const source = i32[from + Fact.HEAD_AT]! >> 2;
  // A head that grew by pushed tags keeps its end: the growth lies in the headroom, never in the next slot.
  const grown = headBytes > HEAD_BYTES ? (headBytes - HEAD_BYTES + 3) & ~3 : 0;
  const headAt = lane.headsAtBytes + copy * HEAD_STRIDE_BYTES + HEADROOM_BYTES - grown;
  const words = (headBytes + 3) >> 2;
  const target = headAt >> 2;
  for (let k = 0; k < words; k++) i32[target + k] = i32[source + k]!;
  i32[to + Fact.HEAD_AT] = headAt;
  return copy;
}
