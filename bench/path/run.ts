// `npm run bench -- path`: every scenario in a child process of its own, pinned, and its outcome as rows. Called by main.ts.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Bar } from '../bars.ts';
import type { LevelOptions } from '../main.ts';
import { type Measurement, makeRow, type Row } from '../row.ts';
import { median, PAIR_VALUE, type Pair } from '../statistics.ts';
import type { Outcome } from './run-one.ts';
import { chooseScenarios, PATH_SCENARIOS, type Scenario, TRAFFIC } from './scenarios.ts';

const REPETITIONS_MIN = 5;
/** A share of the core below this means that something else ran on it. */
const SHARE_MIN = 0.97;
/** "0, within the probe's noise": what one stray object of a whole repetition would make. */
const ALLOCATION_BAR: Bar = { direction: 'at most', must: 64, aim: 0 };
const TEN_MINUTES_MS = 600_000;

/** Runs what `options.only` names. Rejects when a name is unknown; a scenario that fails is left out with its reason. */
export async function run(options: LevelOptions): Promise<{ rows: readonly Row[]; skipped: readonly string[] }> {
  const chosen = chooseScenarios(options.only);
  if (chosen.length === 0)
    throw new Error(`no such scenario; there are: ${PATH_SCENARIOS.map(({ name }) => name).join(', ')}`);
  const rows: Row[] = [];
  const skipped: string[] = [];
  for (const scenario of chosen) {
    options.progress(`path ${scenario.name}`);
    try {
      rows.push(...rowsOf(scenario, await runChild(scenario, options)));
    } catch (error) {
      skipped.push(`${scenario.name}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  return { rows, skipped };
}

async function runChild(scenario: Scenario, options: LevelOptions): Promise<Outcome> {
  const program = fileURLToPath(new URL(`./run-one.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url));
  const repetitions = String(Math.max(options.pairs, options.quick ? 1 : REPETITIONS_MIN));
  const seconds = String(options.seconds / 4);
  const cpu = String(availableParallelism() - 1);
  const args = [scenario.name, '--json', '--huge', '--repetitions', repetitions, '--seconds', seconds, '--cpu', cpu];
  const child = await execa(process.execPath, ['--expose-gc', program, ...args], { timeout: TEN_MINUTES_MS });
  return JSON.parse(child.stdout) as Outcome;
}

const alone = (values: readonly number[]): Pair[] => values.map((subject) => ({ subject, against: null }));

function rowsOf(scenario: Scenario, outcome: Outcome): Row[] {
  const addresses = `${scenario.addresses.toLocaleString('en-US')} addresses`;
  const variant = `${scenario.frameBytes} B, ${addresses}`;
  const common = { subject: 'weft', against: '', how: PAIR_VALUE.absolute, variant };
  if (scenario.kind === 'cost') return [costRow(scenario, outcome, common)];
  if (scenario.kind === 'learning') return learningRows(scenario, outcome, { ...common, variant: addresses });
  const share = median(outcome.cpuShares);
  const notes = [
    outcome.huge ? 'huge pages' : '4 KiB pages',
    `generator alone ${median(outcome.generatorNs).toFixed(1)} ns a frame, included`,
    `${median(outcome.framesPerSecond.map((rate, k) => (outcome.cpuShares[k]! * 1e9) / rate)).toFixed(1)} ns of CPU a frame`,
    `80 % of this rate ${outcome.warmMs === null ? 'not in the first seconds' : `after ${outcome.warmMs.toFixed(0)} ms`}`,
  ];
  if (share < SHARE_MIN)
    notes.push(`the core was ours ${Math.round(share * 100)} % of the time, so the rate is too low`);
  const note = notes.join('; ');
  return [
    {
      ...common,
      scenario: `path ${scenario.traffic}`,
      unit: 'M frames/s',
      pairs: alone(outcome.framesPerSecond.map((r) => r / 1e6)),
      bar: scenario.bar,
      note,
    },
    {
      ...common,
      scenario: `path ${scenario.traffic}: allocated`,
      unit: 'B per M frames',
      pairs: alone(outcome.bytesPerMillionFrames),
      bar: ALLOCATION_BAR,
    },
  ].map((measurement: Measurement) => makeRow(measurement));
}

/** What a bond adds to a frame, or how many times as much it costs with many VNIs; the pairs are nanoseconds with and without. */
function costRow(scenario: Scenario, outcome: Outcome, common: Pick<Measurement, 'subject' | 'variant'>): Row {
  const pairs = (outcome.costs ?? []).map(({ plainNs, otherNs }) => ({ subject: otherNs, against: plainNs }));
  const isBond = scenario.traffic === TRAFFIC.bond || scenario.traffic === TRAFFIC.bondActive;
  return makeRow({
    ...common,
    scenario: `path ${scenario.traffic}`,
    against: isBond ? 'no bond' : 'one VNI',
    how: isBond ? PAIR_VALUE.difference : PAIR_VALUE.ratio,
    unit: 'ns a frame',
    pairs,
    bar: scenario.bar,
    note: outcome.huge ? 'huge pages' : '4 KiB pages',
  });
}

function learningRows(
  scenario: Scenario,
  outcome: Outcome,
  common: Pick<Measurement, 'subject' | 'against' | 'how' | 'variant'>,
): Row[] {
  const note = outcome.huge ? 'huge pages' : '4 KiB pages';
  const kept = alone([(outcome.kept * 100) / scenario.addresses]);
  return [
    {
      ...common,
      scenario: 'path learning',
      unit: 'M addresses/s',
      pairs: alone(outcome.addressesPerSecond.map((r) => r / 1e6)),
      bar: null,
      note,
    },
    { ...common, scenario: 'path caching', unit: '% kept', pairs: kept, bar: null, note },
  ].map((measurement: Measurement) => makeRow(measurement));
}
