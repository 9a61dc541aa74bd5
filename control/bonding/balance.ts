/**
 * Rebalancing: how much each bucket sends, and which buckets to move so that members carry alike. The rules are those that Open vSwitch
 * documents (topics/bonding, "Bond Packet Output"): from the most to the least loaded member, only where the difference matters, and
 * only a bucket whose move makes it clearly smaller. Called by bond.ts at every rebalance-interval; pure but for the meter's memory.
 */
import { BUCKETS_COUNT } from '../../dataplane/limits.ts';

const UNIT_BITS = 64 * 8;
/** A member must carry this much more than another: bits per second, and in proportion. */
const EXCESS_BITS_MIN = 1_000_000;
const EXCESS_SHARE_MIN = 0.03;
/** What a move must take off the difference, in proportion; less would only swap who is ahead. */
const GAIN_MIN = 0.1;

/** Bits per second of each bucket of late: what was sent counts half after a half-life. */
export class LoadMeter {
  readonly rates = new Float64Array(BUCKETS_COUNT);
  readonly #sums = new Float64Array(BUCKETS_COUNT);
  #seconds = 0;
  #last: Float64Array;
  #lastAt: number;

  /** `units` of 64 bytes that each bucket sent so far; `now` in milliseconds. */
  constructor(units: Float64Array, now: number) {
    this.#last = units.slice();
    this.#lastAt = now;
  }

  measure(units: Float64Array, now: number, halfLifeMs: number): void {
    const elapsed = now - this.#lastAt;
    if (elapsed <= 0) return;
    const rest = 0.5 ** (elapsed / halfLifeMs);
    this.#seconds = this.#seconds * rest + elapsed / 1000;
    for (let bucket = 0; bucket < BUCKETS_COUNT; bucket++) {
      const sent = Math.max(0, units[bucket]! - this.#last[bucket]!);
      this.#sums[bucket] = this.#sums[bucket]! * rest + sent * UNIT_BITS;
      this.rates[bucket] = this.#sums[bucket]! / this.#seconds;
    }
    this.#last = units.slice();
    this.#lastAt = now;
  }
}

export interface Carrier {
  readonly name: string;
  /** How much of the load it should have, relative to the others; above 0. */
  readonly weight: number;
}

/**
 * Members that carry, with equal weights or by their speed in bits per second: one whose speed isn't known then counts like the slowest
 * that is.
 */
export function carriersOf(
  members: readonly { readonly name: string; readonly speed: number | null }[],
  isBySpeed: boolean,
): Carrier[] {
  const known = members.map(({ speed }) => speed ?? 0).filter((speed) => speed > 0);
  const least = known.length > 0 ? Math.min(...known) : 1;
  return members.map(({ name, speed }) => ({ name, weight: isBySpeed ? speed || least : 1 }));
}

/** What one member carries. */
interface Pile {
  readonly carrier: Carrier;
  readonly buckets: Set<number>;
  load: number;
}

/**
 * Which buckets to move to whom, so that `rates` (bits per second of each bucket) are even over `carriers`; empty when that isn't worth
 * it. In proportion to weights no member ends up with more than the most loaded one had, or with less than the least loaded one had.
 */
export function balance(
  owners: readonly (string | null)[],
  rates: Float64Array,
  carriers: readonly Carrier[],
): ReadonlyMap<number, string> {
  const piles = carriers.map((carrier) => pileOf(carrier, owners, rates));
  const moves = new Map<number, string>();
  let rich = [...piles];
  while (rich.length > 0) {
    const from = rich.reduce((best, pile) => (shareOf(pile) > shareOf(best) ? pile : best));
    const to = piles.reduce((best, pile) => (shareOf(pile) < shareOf(best) ? pile : best));
    const bucket = isWorthIt(from, to) ? bestBucket(from, to, rates) : null;
    if (bucket === null) {
      rich.splice(rich.indexOf(from), 1);
      continue;
    }
    shift(bucket, from, to, rates);
    if (owners[bucket] === to.carrier.name) moves.delete(bucket);
    else moves.set(bucket, to.carrier.name);
    // Another may be the least loaded now, and even who had nothing for the last one may have something for it.
    rich = [...piles];
  }
  return moves;
}

function pileOf(carrier: Carrier, owners: readonly (string | null)[], rates: Float64Array): Pile {
  const pile: Pile = { carrier, buckets: new Set(), load: 0 };
  for (const [bucket, owner] of owners.entries()) {
    if (owner !== carrier.name) continue;
    pile.buckets.add(bucket);
    pile.load += rates[bucket]!;
  }
  return pile;
}

function shareOf({ load, carrier }: Pile): number {
  return load / carrier.weight;
}

/** Does `from` carry clearly more than `to` would at its weight? */
function isWorthIt(from: Pile, to: Pile): boolean {
  const even = shareOf(to) * from.carrier.weight;
  return from.load - even > Math.max(EXCESS_BITS_MIN, even * EXCESS_SHARE_MIN);
}

/**
 * The bucket of `from` after whose move the two differ least; null when none makes the difference clearly smaller. Both stay between what
 * they were: with unequal weights a smaller difference alone would let the least loaded one have less than anyone had.
 */
function bestBucket(from: Pile, to: Pile, rates: Float64Array): number | null {
  const before = shareOf(from) - shareOf(to);
  let best: number | null = null;
  let least = before * (1 - GAIN_MIN);
  for (const bucket of from.buckets) {
    const given = rates[bucket]! / from.carrier.weight;
    const taken = rates[bucket]! / to.carrier.weight;
    const after = Math.abs(before - given - taken);
    if (after < least && Math.max(given, taken) <= before) {
      least = after;
      best = bucket;
    }
  }
  return best;
}

function shift(bucket: number, from: Pile, to: Pile, rates: Float64Array): void {
  from.buckets.delete(bucket);
  to.buckets.add(bucket);
  from.load -= rates[bucket]!;
  to.load += rates[bucket]!;
}
