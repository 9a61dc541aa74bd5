// What a bench makes of its samples: order statistics, pair ratios and spreads. Pure; used by every level of `npm run bench`.

/** Middle, smallest and largest of a set of numbers, in the unit of the numbers. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The value at fraction `p` (0–1) by linear interpolation between the two nearest ranks (Hyndman and Fan, type 7). */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) throw new RangeError('percentile of no values');
  if (!(p >= 0 && p <= 1)) throw new RangeError(`percentile ${p} is not within 0–1`);
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (sorted.length - 1) * p;
  const below = Math.floor(rank);
  const above = Math.ceil(rank);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (rank - below);
}

/** The middle value; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Median with minimum and maximum: with five pairs a standard deviation would pretend to know more than it does. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** One measurement of the subject and, for a comparison, the one of the other switch taken right after it. */
export interface Pair {
  readonly subject: number;
  readonly against: number | null;
}

/** How a pair becomes one number. */
export const PAIR_VALUE = { ratio: 'ratio', difference: 'difference', absolute: 'absolute' } as const;
export type PairValue = (typeof PAIR_VALUE)[keyof typeof PAIR_VALUE];

/** One number per pair: subject ÷ against, subject − against, or the subject alone. Throws when the other half is missing or 0. */
export function pairValues(pairs: readonly Pair[], how: PairValue): number[] {
  return pairs.map((pair, index) => {
    if (how === PAIR_VALUE.absolute) return pair.subject;
    if (pair.against === null) throw new RangeError(`pair ${index} has no second measurement`);
    if (how === PAIR_VALUE.difference) return pair.subject - pair.against;
    if (pair.against === 0) throw new RangeError(`pair ${index} was measured as 0 on the other side: no ratio`);
    return pair.subject / pair.against;
  });
}
