// `npm run bench -- micro|path|system|guests`: measures, prints a markdown table on stdout and writes table, JSON and picture to bench/out/.
// Progress goes to stderr. Exit codes: 0 measured, 1 failed or a "must" missed with --strict, 2 wrong usage, 130 or 143 stopped by a signal.
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { GUEST_SCENARIOS, GUEST_SWITCHES, runGuests } from './guests/run.ts';
import { describeMachine } from './machine.ts';
import { PEERS } from './peers/all.ts';
import { markdownReport, type Report, writeReport } from './report.ts';
import type { Row } from './row.ts';
import { runSystem, SCENARIOS, type SystemResult } from './system/run.ts';

/** What micro/run.ts and path/run.ts export as `run`. */
export type LevelRun = (options: LevelOptions) => Promise<{ rows: readonly Row[]; skipped: readonly string[] }>;

export interface LevelOptions {
  readonly quick: boolean;
  readonly pairs: number;
  readonly seconds: number;
  /** Names to run; empty for all. */
  readonly only: readonly string[];
  progress(text: string): void;
}

interface Flags {
  readonly quick?: boolean;
  readonly pairs?: number;
  readonly seconds?: number;
  readonly only: readonly string[];
  readonly subject?: string;
  readonly against?: readonly string[];
  readonly out?: string;
  readonly strict?: boolean;
}

const EXAMPLES = `
Examples:
  npm run bench -- micro                                one function at a time
  npm run bench -- path --only unicast-64               the whole path over memory ports
  npm run bench -- system                               real devices, against every switch that is installed (root)
  npm run bench -- system --quick --only tcp            one second and one pair: to see that it works
  npm run bench -- system --only frames-60 --against linux-bridge --pairs 9
  npm run bench -- system --subject vde --against linux-bridge --only tcp
  npm run bench -- guests --only guests-64,guests-512   guests' shared memory, against Open vSwitch with DPDK (root)`;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on is wanted.');
  return value;
}

const collect = (text: string, before: readonly string[] = []) => [...before, ...text.split(',').filter(Boolean)];

function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

function levelOptions(flags: Flags): LevelOptions {
  const quick = flags.quick ?? false;
  const pairs = flags.pairs ?? (quick ? 1 : 5);
  return { quick, pairs, seconds: flags.seconds ?? (quick ? 1 : 4), only: flags.only, progress };
}

async function runLevel(level: 'micro' | 'path', flags: Flags): Promise<void> {
  const module = new URL(`./${level}/run.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);
  if (!existsSync(module)) throw new Error(`bench ${level} is not part of this build: bench/${level}/run is missing`);
  const { run } = (await import(module.href)) as { run: LevelRun };
  await finish(level, flags, await run(levelOptions(flags)));
}

async function finish(level: string, flags: Flags, result: Awaited<ReturnType<LevelRun>>): Promise<void> {
  const report: Report = { level, machine: await describeMachine(), ...result };
  process.stdout.write(markdownReport(report));
  for (const path of await writeReport(report, flags.out)) progress(`wrote ${path}`);
  const missed = result.rows.filter((row) => row.verdict === 'MISSED').length;
  if (missed > 0) progress(`${missed} of ${result.rows.length} rows miss their "must"`);
  if (result.rows.length === 0 || (flags.strict && missed > 0)) process.exitCode ??= 1;
}

function addLevel(program: Command, name: string, about: string, action: (flags: Flags) => Promise<void>): Command {
  return program
    .command(name)
    .description(about)
    .option('--quick', 'one pair of one second: to see that it works, not to quote')
    .option('--pairs <n>', 'interleaved pairs or repetitions (default 5)', wholeNumber)
    .option('--seconds <n>', 'seconds per measurement (default 4)', wholeNumber)
    .option('--strict', 'exit with 1 when a row misses its "must"')
    .option('--out <folder>', 'where table, JSON and picture go (default bench/out)')
    .addOption(new Option('--only <names>', 'these only, separated by commas').argParser(collect).default([], 'all'))
    .action(action);
}

function makeProgram(): Command {
  const program = new Command('bench').description('Measures Weft, and the switches that people use today.');
  // Before the levels are added: they inherit it.
  program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  program.showHelpAfterError('(--help shows what there is)').addHelpText('after', EXAMPLES);
  addLevel(program, 'micro', 'one function at a time, by benchmark.js', (flags) => runLevel('micro', flags));
  addLevel(program, 'path', 'the whole path over memory ports, one core', (flags) => runLevel('path', flags));
  const levels = [
    ['system', 'real devices and processes, against other switches (root)', runSystem, SCENARIOS, PEERS],
    ['guests', 'vhost-user guests, against other switches (root, DPDK)', runGuests, GUEST_SCENARIOS, GUEST_SWITCHES],
  ] as const;
  for (const [name, about, run, scenarios, switches] of levels) {
    const level = addLevel(program, name, about, async (flags) => {
      const keep = async (result: SystemResult) => {
        const [table] = await writeReport({ level: name, machine: await describeMachine(), ...result }, flags.out);
        progress(`${result.rows.length} rows so far in ${table}`);
      };
      const options = { ...levelOptions(flags), keep, subject: flags.subject ?? 'weft', against: flags.against ?? [] };
      await finish(name, flags, await run(options));
    });
    addSwitches(level, scenarios, switches);
  }
  return program;
}

type Named = readonly { readonly name: string; readonly about: string }[];

function addSwitches(level: Command, scenarios: Named, switches: Named): void {
  const names = switches.map(({ name }) => name);
  const against = 'the switches to compare with';
  level
    .addOption(new Option('--subject <name>', 'the switch that is measured').choices(names).default('weft'))
    .addOption(new Option('--against <names>', against).argParser(collect).default([], 'all installed'))
    .addHelpText('after', `\nScenarios:\n${listed(scenarios)}\n\nSwitches:\n${listed(switches)}`);
}

function listed(things: Named): string {
  return things.map(({ name, about }) => `  ${name.padEnd(18)}${about}`).join('\n');
}

try {
  await makeProgram().parseAsync();
  // undici and child processes may keep handles for a moment; a bench that has reported is done.
  process.exit(process.exitCode ?? 0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(process.exitCode ?? 1);
}
