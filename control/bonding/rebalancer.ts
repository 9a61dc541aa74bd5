/**
 * When load is measured and evened out. Held by bond.ts, which tells it who carries; it moves buckets, and says which, so that bond.ts
 * steers and upstream hears. At rest while buckets lead to one member, or nowhere.
 */
import type { BondSettings } from '../model/bond.ts';
import { balance, carriersOf, LoadMeter } from './balance.ts';
import type { Buckets } from './buckets.ts';
import type { Steering } from './host.ts';
import type { BondMember } from './member.ts';

/** Between measurements at most: the counters behind them have 32 bits. Milliseconds. */
const MEASURE_MS_MAX = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

export class Rebalancer {
  readonly #buckets: Buckets;
  /** Units of 64 bytes that each bucket sent so far. */
  readonly #loads: () => Float64Array;
  #meter: LoadMeter | null = null;
  /** The interval in force, milliseconds; 0: measured, never rebalanced. */
  #interval = 0;
  #measureAt = NEVER;
  #rebalanceAt = NEVER;
  #moved = 0;

  constructor(buckets: Buckets, loads: () => Float64Array) {
    this.#buckets = buckets;
    this.#loads = loads;
  }

  get wakeAt(): number {
    return this.#measureAt;
  }

  /** Buckets that it moved so far. */
  get moved(): number {
    return this.#moved;
  }

  /** Bits per second of each bucket of late; null at rest. */
  get rates(): Float64Array | null {
    return this.#meter?.rates ?? null;
  }

  /** Others carry, or other settings are in force. */
  follow({ send, carrying }: Steering, { rebalanceMs }: BondSettings, now: number): void {
    if (send !== 'buckets' || carrying.length < 2) {
      this.#meter = null;
      this.#measureAt = NEVER;
    } else if (this.#meter === null || this.#interval !== rebalanceMs) {
      this.#meter ??= new LoadMeter(this.#loads(), now);
      this.#interval = rebalanceMs;
      this.#plan(now);
    }
  }

  /** Measures, and moves buckets of `carrying` when that is due; answers those that it moved. */
  tick(carrying: readonly BondMember[], { mode }: BondSettings, now: number): Set<number> {
    if (this.#meter === null || now < this.#measureAt) return new Set();
    this.#meter.measure(this.#loads(), now, this.#interval || MEASURE_MS_MAX);
    this.#measureAt = Math.min(now + MEASURE_MS_MAX, this.#rebalanceAt);
    if (now < this.#rebalanceAt) return new Set();
    this.#plan(now);
    const carriers = carriersOf(carrying, mode === 'balance-tlb' || mode === 'balance-alb');
    const moves = balance(this.#buckets.owners, this.#meter.rates, carriers);
    for (const [bucket, to] of moves) this.#buckets.move(bucket, to);
    this.#moved += moves.size;
    return new Set(moves.keys());
  }

  /** Rebalancing is due an interval after `now`, or never. */
  #plan(now: number): void {
    this.#rebalanceAt = this.#interval === 0 ? NEVER : now + this.#interval;
    this.#measureAt = Math.min(now + MEASURE_MS_MAX, this.#rebalanceAt);
  }
}
