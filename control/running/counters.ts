/**
 * Reads the workers' counters out of the arena and sums them over workers. Main thread; every cell has one writer, a worker, so a sum is
 * right to the last turn. Also clears a number's cells before a new port gets it.
 */
import { DROPS, REASONS_COUNT } from '../../dataplane/drop.ts';
import { PORTS_MAX } from '../../dataplane/limits.ts';
import {
  BLOCK_CELLS_AT,
  Header,
  PORT_CELLS_COUNT,
  RESIDENCE_BUCKETS_COUNT,
  RESIDENCE_CELLS_COUNT,
  RESIDENCE_SUM_CELL,
  workerRegion,
} from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { BRIDGE_COUNTS_AT, EVICTED_AT, GENERATIONS_AT, PORT_COUNTS_AT } from '../../dataplane/tables/fdb-layout.ts';

export class Counters {
  readonly #view: View;
  readonly #workers: number;
  readonly #fdbCountsAt: number;
  readonly #flushed: ((port: number) => void)[] = [];

  constructor(view: View) {
    this.#view = view;
    this.#workers = view.layout.workers;
    this.#fdbCountsAt = view.layout.words[Header.FDB_COUNTS_AT]! >> 2;
  }

  #cells(worker: number): number {
    return workerRegion(this.#view.layout, Header.COUNTERS_AT, worker) >> 3;
  }

  #drops(worker: number): number {
    return this.#cells(worker) + PORTS_MAX * PORT_CELLS_COUNT;
  }

  /** One of a port's cells (PortCell), over all workers. */
  cell(port: number, cell: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++)
      sum += this.#view.f64[this.#cells(worker) + port * PORT_CELLS_COUNT + cell]!;
    return sum;
  }

  /** Lost frames of a port by reason name, nonzero ones. */
  drops(port: number): Record<string, number> {
    const drops: Record<string, number> = {};
    for (let reason = 1; reason < DROPS.length; reason++) {
      let sum = 0;
      for (let worker = 0; worker < this.#workers; worker++)
        sum += this.#view.f64[this.#drops(worker) + port * REASONS_COUNT + reason]!;
      if (sum > 0) drops[DROPS[reason]!.name] = sum;
    }
    return drops;
  }

  /** How long a port's frames stayed: counts per bucket, and the sum in nanoseconds. */
  residence(port: number): { buckets: Float64Array; sumNs: number } {
    const buckets = new Float64Array(RESIDENCE_BUCKETS_COUNT);
    let sumNs = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      const at = this.#drops(worker) + PORTS_MAX * REASONS_COUNT + port * RESIDENCE_CELLS_COUNT;
      for (let k = 0; k < RESIDENCE_BUCKETS_COUNT; k++) buckets[k]! += this.#view.f64[at + k]!;
      sumNs += this.#view.f64[at + RESIDENCE_SUM_CELL]!;
    }
    return { buckets, sumNs };
  }

  /** A cell (BlockCell) or word (Block) of a worker's control block. */
  blockCell(worker: number, cell: number): number {
    return this.#view.f64[((workerRegion(this.#view.layout, Header.BLOCK_AT, worker) + BLOCK_CELLS_AT) >> 3) + cell]!;
  }

  blockWord(worker: number, word: number): number {
    return this.#view.i32[(workerRegion(this.#view.layout, Header.BLOCK_AT, worker) >> 2) + word]!;
  }

  /** Addresses that are held on a port, or in a bridge. */
  portEntries(port: number): number {
    return Atomics.load(this.#view.i32, this.#fdbCountsAt + PORT_COUNTS_AT + port);
  }

  bridgeEntries(bridge: number): number {
    return Atomics.load(this.#view.i32, this.#fdbCountsAt + BRIDGE_COUNTS_AT + bridge);
  }

  /** Addresses that were forgotten before their time to make room for others, in all bridges. */
  evictions(): number {
    return Atomics.load(this.#view.i32, this.#fdbCountsAt + EVICTED_AT) >>> 0;
  }

  /** Makes every address of a port, or behind it, count as absent from now on; the sweep frees them within a second. */
  flushPort(port: number): void {
    Atomics.add(this.#view.i32, this.#fdbCountsAt + GENERATIONS_AT + port, 1);
    for (const flushed of this.#flushed) flushed(port);
  }

  /** `flushed` is called with every port that is flushed: what lies behind it goes, too. */
  onFlush(flushed: (port: number) => void): void {
    this.#flushed.push(flushed);
  }

  /** All counters of a number, before a new port gets it. */
  clear(port: number): void {
    for (let worker = 0; worker < this.#workers; worker++) {
      const cells = this.#cells(worker) + port * PORT_CELLS_COUNT;
      this.#view.f64.fill(0, cells, cells + PORT_CELLS_COUNT);
      const drops = this.#drops(worker) + port * REASONS_COUNT;
      this.#view.f64.fill(0, drops, drops + REASONS_COUNT);
      const residence = this.#drops(worker) + PORTS_MAX * REASONS_COUNT + port * RESIDENCE_CELLS_COUNT;
      this.#view.f64.fill(0, residence, residence + RESIDENCE_CELLS_COUNT);
    }
  }
}
