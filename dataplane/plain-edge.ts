/**
 * The addon's place where there is none: resets a turn's counts and writes a clock. For the demo over memory ports and for simulations; it
 * sends and receives nothing, since script ports are served around it.
 */
import type { Lane } from './memory/lane.ts';
import { Block, BlockCell } from './memory/layout.ts';
import type { Edge } from './turn.ts';

const RESET = [
  Block.SLOTS_USED,
  Block.LARGE_USED,
  Block.BATCHES_COUNT,
  Block.REFUSED_COUNT,
  Block.RECEIVED_COUNT,
] as const;

export class PlainEdge implements Edge {
  readonly #lane: Lane;
  readonly #clock: () => number;

  /** `clock` answers monotonic nanoseconds. */
  constructor(lane: Lane, clock: () => number) {
    this.#lane = lane;
    this.#clock = clock;
  }

  turn(): number {
    const { i32, f64, blockAt, blockCellsAt } = this.#lane;
    for (const word of RESET) i32[blockAt + word] = 0;
    const ns = this.#clock();
    i32[blockAt + Block.NOW_S] = Math.floor(ns / 1e9);
    i32[blockAt + Block.NOW_MS] = Math.floor(ns / 1e6) | 0;
    f64[blockCellsAt + BlockCell.NOW_NS] = ns;
    f64[blockCellsAt + BlockCell.SENT_NS] = ns;
    return 0;
  }
}
