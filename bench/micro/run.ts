// `npm run bench -- micro`: one function at a time, by benchmark.js. Called by main.ts; the functions and their inputs are in cases.ts.
import Benchmark from 'benchmark';
import type { LevelOptions } from '../main.ts';
import { makeRow, type Row } from '../row.ts';
import { PAIR_VALUE } from '../statistics.ts';
import { type Case, makeCases } from './cases.ts';

/** Runs what `options.only` names. Rejects when no name is known; a case that throws is left out with its reason. */
export async function run(options: LevelOptions): Promise<{ rows: readonly Row[]; skipped: readonly string[] }> {
  const cases = makeCases();
  const chosen = cases.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  if (chosen.length === 0) throw new Error(`no such case; there are: ${cases.map(({ name }) => name).join(', ')}`);
  const rows: Row[] = [];
  const skipped: string[] = [];
  for (const one of chosen) {
    options.progress(`micro ${one.name}`);
    const measured = measure(one, options.quick ? 0.2 : options.seconds / 4);
    if (typeof measured === 'string') skipped.push(`${one.name}: ${measured}`);
    else rows.push(measured);
  }
  return { rows, skipped };
}

/** A row of ns per operation, or why there is none. */
function measure(one: Case, seconds: number): Row | string {
  const benchmark = new Benchmark(one.name, one.run, { maxTime: seconds, minSamples: 5 });
  benchmark.run({ async: false });
  const failed = (benchmark as { error?: Error }).error;
  if (failed !== undefined && benchmark.stats.sample.length === 0) return failed.message;
  return makeRow({
    scenario: 'micro',
    variant: one.name,
    subject: '',
    against: '',
    unit: 'ns',
    how: PAIR_VALUE.absolute,
    pairs: benchmark.stats.sample.map((period) => ({ subject: (period * 1e9) / one.operations, against: null })),
    bar: null,
    note: `${one.about}; ± ${benchmark.stats.rme.toFixed(1)} %`,
  });
}
