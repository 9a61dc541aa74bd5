// HOT: counting. The one function through which every lost frame goes, and the sums of a port; one writer per cell.
import { REASONS_COUNT } from './drop.ts';
import type { Lane } from './memory/lane.ts';
import {
  BlockCell,
  PORT_CELLS_COUNT,
  RESIDENCE_BUCKETS_COUNT,
  RESIDENCE_CELLS_COUNT,
  RESIDENCE_SUM_CELL,
} from './memory/layout.ts';

/** Counts one lost list entry at `port` under `reason` (drop.ts). */
export function drop(lane: Lane, port: number, reason: number): void {
  const cell = lane.dropsAt + port * REASONS_COUNT + reason;
  lane.f64[cell] = lane.f64[cell]! + 1;
}

/** Adds to one of a port's cells (PortCell). */
export function count(lane: Lane, port: number, cell: number, amount: number): void {
  const at = lane.countersAt + port * PORT_CELLS_COUNT + cell;
  lane.f64[at] = lane.f64[at]! + amount;
}

/** Records that `frames` frames of `port` stayed HELD_NS between receive and transmit. */
export function countResidence(lane: Lane, port: number, frames: number): void {
  const ns = lane.f64[lane.blockCellsAt + BlockCell.HELD_NS]!;
  const at = lane.residenceAt + port * RESIDENCE_CELLS_COUNT;
  const us = (ns / 1000) | 0;
  let bucket = 32 - Math.clz32(us);
  if (bucket >= RESIDENCE_BUCKETS_COUNT) bucket = RESIDENCE_BUCKETS_COUNT - 1;
  lane.f64[at + bucket] = lane.f64[at + bucket]! + frames;
  lane.f64[at + RESIDENCE_SUM_CELL] = lane.f64[at + RESIDENCE_SUM_CELL]! + frames * ns;
}

/** Remembers how many frames came from which port, for settle.ts after they are sent. */
export function remember(lane: Lane, port: number, frames: number): void {
  const k = lane.pastCount;
  if (frames === 0 || 2 * k + 1 >= lane.past.length) return;
  lane.past[2 * k] = port;
  lane.past[2 * k + 1] = frames;
  lane.pastCount = k + 1;
}
