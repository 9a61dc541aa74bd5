// HOT: how many flows are active, estimated per worker by linear counting: a sampled frame's flow hash sets one of 8,192 bits, and the
// share of bits that stay zero tells how many distinct flows there were. One frame of each batch is looked at, so a flow counts as
// active when it is more than a trickle. Windows of WINDOW_S seconds.
import type { Lane } from '../memory/lane.ts';
import { BlockCell, FACT_WORDS_SHIFT, Fact } from '../memory/layout.ts';
import { flowHash } from '../wire/flow.ts';

export const FLOW_BITS_COUNT = 8192;
const WINDOW_S = 5;
const ETHERTYPE_BYTES = 2;

/** Notes the flow of one of `n` parsed slots listed at word `list`. */
export function sampleFlow(lane: Lane, list: number, n: number): void {
  const i32 = lane.i32;
  lane.flowSample = (lane.flowSample + 1) | 0;
  const facts = lane.factsAt + (i32[list + ((lane.flowSample >>> 0) % n)]! << FACT_WORDS_SHIFT);
  const at = i32[facts + Fact.HEAD_AT]!;
  const hash = flowHash(lane.u8, at, i32[facts + Fact.HEAD_BYTES]!, at + i32[facts + Fact.L3]! - ETHERTYPE_BYTES);
  const bit = hash & (FLOW_BITS_COUNT - 1);
  const word = lane.flowBits[bit >>> 5]!;
  const mask = 1 << (bit & 31);
  if ((word & mask) !== 0) return;
  lane.flowBits[bit >>> 5] = word | mask;
  lane.flowBitsSet = (lane.flowBitsSet + 1) | 0;
}

/** Publishes the estimate, once a second at the most, and begins a new window when the last is over. */
export function publishFlows(lane: Lane): void {
  const free = FLOW_BITS_COUNT - lane.flowBitsSet;
  const estimate = FLOW_BITS_COUNT * Math.log(FLOW_BITS_COUNT / (free > 0 ? free : 1));
  const cell = lane.blockCellsAt + BlockCell.FLOWS;
  const over = lane.nowS - lane.flowWindowS >= WINDOW_S;
  if (over || estimate > lane.f64[cell]!) lane.f64[cell] = estimate;
  if (!over) return;
  lane.flowBits.fill(0);
  lane.flowBitsSet = 0;
  lane.flowWindowS = lane.nowS;
}
