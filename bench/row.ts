// One line of a bench report: what was measured, on whom, against whom, and every sample. Made by micro, path and system alike.
import { type Bar, findBar, judge, type Verdict } from './bars.ts';
import { PAIR_VALUE, type Pair, type PairValue, pairValues, type Spread, spread } from './statistics.ts';

/** What a scenario fills in. `unit` is the samples' unit; a ratio has none of its own. */
export interface Measurement {
  readonly scenario: string;
  readonly variant: string;
  readonly subject: string;
  /** Name of the switch that the subject is compared with; '' for an absolute value. */
  readonly against: string;
  readonly unit: string;
  readonly how: PairValue;
  readonly pairs: readonly Pair[];
  /** Absent: the bar that `bars.ts` has for this row. */
  readonly bar?: Bar | null;
  /** Judge the worst sample instead of the median: for things that must never happen. */
  readonly worst?: boolean;
  readonly note?: string;
}

/** A measurement with what follows from it; this is what the JSON holds. */
export interface Row extends Measurement {
  readonly bar: Bar | null;
  readonly result: Spread;
  readonly subjectSpread: Spread;
  readonly againstSpread: Spread | null;
  readonly verdict: Verdict;
}

/** Computes medians, spread and verdict. Throws RangeError when there is no pair at all. */
export function makeRow(measurement: Measurement): Row {
  const { pairs, how, scenario, variant, against, subject } = measurement;
  const result = spread(pairValues(pairs, how));
  const others = pairs.flatMap((pair) => (pair.against === null ? [] : [pair.against]));
  // The bars are Weft's own: another subject (used to try the harness) is measured and not judged.
  const own = subject === 'weft' || subject === '';
  const bar = own ? (measurement.bar === undefined ? findBar(scenario, variant, against) : measurement.bar) : null;
  const judged = measurement.worst ? worstOf(result, bar) : result.median;
  return {
    ...measurement,
    bar,
    result,
    subjectSpread: spread(pairs.map((pair) => pair.subject)),
    againstSpread: others.length === pairs.length && how !== PAIR_VALUE.absolute ? spread(others) : null,
    verdict: judge(judged, bar),
  };
}

function worstOf(result: Spread, bar: Bar | null): number {
  return bar?.direction === 'at least' ? result.low : result.high;
}
