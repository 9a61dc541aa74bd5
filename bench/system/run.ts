// The system level of `npm run bench`: chooses switches and scenarios, runs one scenario after the other, returns rows.
import { availableParallelism } from 'node:os';
import { findPeer, PEERS } from '../peers/all.ts';
import type { Peer } from '../peers/peer.ts';
import { makeRow, type Row } from '../row.ts';
import { bondFailover } from './bond-failover.ts';
import { bondTcp } from './bond-tcp.ts';
import { churn, workerKill } from './churn.ts';
import { cleanUpAll, cleanUpOnSignals, isStopping, reasonOf } from './cleanup.ts';
import type { Context, Scenario } from './context.ts';
import { idleCpu, memory, startTime, thousandTaps } from './footprint.ts';
import { frames60 } from './frames.ts';
import { lacpSilent } from './lacp-silent.ts';
import { netdev } from './netdev.ts';
import { missingCommand } from './process.ts';
import { roundTrip } from './round-trip.ts';
import { removeStale } from './site.ts';
import { sockets } from './sockets.ts';
import { tcp } from './tcp.ts';
import { vxlan60, vxlanKernelPeer, vxlanTcp } from './vxlan.ts';
import { vxlanFlood } from './vxlan-flood.ts';

export const SCENARIOS: readonly Scenario[] = [
  tcp,
  frames60,
  netdev,
  sockets,
  roundTrip,
  thousandTaps,
  idleCpu,
  startTime,
  memory,
  churn,
  workerKill,
  bondFailover,
  bondTcp,
  lacpSilent,
  vxlanTcp,
  vxlan60,
  vxlanKernelPeer,
  vxlanFlood,
];

export interface SystemOptions {
  readonly pairs: number;
  readonly seconds: number;
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly subject: string;
  readonly against: readonly string[];
  progress(text: string): void;
  /** What was measured so far, after each scenario: whoever stops a long bench keeps it. */
  keep(result: SystemResult): Promise<void>;
}

export interface SystemResult {
  readonly rows: readonly Row[];
  readonly skipped: readonly string[];
}

/** Why the system level can't run here at all, or null. */
export function systemUnavailable(): string | null {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root, for namespaces and TAP devices (micro and path run without)';
  if (availableParallelism() < 2) return 'it needs two CPUs: one for the hosts, one for the switch';
  return missingCommand(['ip', 'ping', 'sleep'], 'iproute2, iputils-ping, coreutils');
}

/** Runs the scenarios. Throws an Error on wrong names or when nothing can run; a scenario that fails is left out with its reason. */
export async function runSystem(options: SystemOptions): Promise<SystemResult> {
  const reason = systemUnavailable();
  if (reason !== null) throw new Error(`bench system: ${reason}`);
  const scenarios = chooseScenarios(options.only);
  const subject = findPeer(options.subject);
  const wanted = options.against.length > 0 ? options.against.map(findPeer) : PEERS;
  const skipped: string[] = [];
  const skip = (text: string) => {
    skipped.push(text);
    options.progress(`left out: ${text}`);
  };
  const others = await usable(
    wanted.filter((peer) => peer !== subject),
    skip,
  );
  const missing = await subject.available();
  cleanUpOnSignals(options.progress);
  await removeStale(options.progress);
  const context: Context = { ...options, subject, others, skip };
  return runInTurn(scenarios, skipped, options, async (scenario) => {
    if (missing === null && (!scenario.weftOnly || subject.name === 'weft')) return runScenario(scenario, context);
    skip(`${scenario.name}: ${missing ?? 'only weft can run it'}`);
    return [];
  });
}

/** Runs one scenario after the other and keeps what is there after each; until a signal comes. Nothing that they made is left then. */
export async function runInTurn<S extends { readonly name: string }>(
  scenarios: readonly S[],
  skipped: readonly string[],
  options: Pick<SystemOptions, 'keep' | 'progress'>,
  run: (scenario: S) => Promise<readonly Row[]>,
): Promise<SystemResult> {
  const rows: Row[] = [];
  for (const [k, scenario] of scenarios.entries()) {
    rows.push(...(await run(scenario)));
    const left = scenarios.slice(k + 1).map(({ name }) => `${name}: not measured`);
    const result = { rows, skipped: [...skipped, ...left] };
    if (isStopping()) {
      for (const problem of await cleanUpAll()) options.progress(`left behind: ${problem}`);
      return result;
    }
    await options.keep(result);
  }
  return { rows, skipped };
}

async function runScenario(scenario: Scenario, context: Context): Promise<Row[]> {
  context.progress(`${scenario.name}: ${scenario.about}`);
  try {
    // A bare veth pair is the floor of latency, not a switch to beat in throughput.
    const others = context.others.filter((peer) => peer.name !== 'veth' || scenario === roundTrip);
    return (await scenario.run({ ...context, others })).map(makeRow);
  } catch (error) {
    context.skip(`${scenario.name}: ${reasonOf(error)}`);
    for (const problem of await cleanUpAll()) context.progress(`left behind: ${problem}`);
    return [];
  }
}

/** The scenarios of these names, in the order of the table; all without names. */
export function chooseScenarios(only: readonly string[]): Scenario[] {
  const unknown = only.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) {
    throw new Error(`no scenario is called ${unknown}; there are: ${SCENARIOS.map((s) => s.name).join(', ')}`);
  }
  return SCENARIOS.filter((scenario) => only.length === 0 || only.includes(scenario.name));
}

async function usable(peers: readonly Peer[], skip: (text: string) => void): Promise<Peer[]> {
  const found: Peer[] = [];
  for (const peer of peers) {
    const reason = await peer.available();
    if (reason === null) found.push(peer);
    else skip(`${peer.name}: ${reason}`);
  }
  return found;
}
