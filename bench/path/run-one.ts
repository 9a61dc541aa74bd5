// One path scenario in a process of its own: `node --expose-gc dist/bench/path/run-one.js NAME --json [--seconds S] [--repetitions N] [--cpu C]
// [--huge]`. An arena is one per process, and so is what the engine has learned about the code. Prints one JSON object (Outcome).
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { getHeapSpaceStatistics } from 'node:v8';
import { widenInlining } from '../../dataplane/inlining.ts';
import { PortCell } from '../../dataplane/memory/layout.ts';
import { addon } from '../../native/binding.ts';
import { median } from '../statistics.ts';
import { BURST_COUNT } from './edge.ts';
import { PATH_SCENARIOS, type Scenario, TRAFFIC } from './scenarios.ts';
import { busyNs, dropsOf, forget, makeStand, type Stand, spin, spinEdge, sumOf, teach } from './stand.ts';

export interface Outcome {
  readonly name: string;
  readonly huge: boolean;
  /** One value per repetition. Frames are those received: a flood to eight is one. */
  readonly framesPerSecond: readonly number[];
  readonly bytesPerMillionFrames: readonly number[];
  /** CPU time over wall time: below 1 somebody else had the core for a while, and the rate is that much too low. */
  readonly cpuShares: readonly number[];
  /** The same turns with the path left out: what generator and sink cost, ns a frame. */
  readonly generatorNs: readonly number[];
  /** Milliseconds from the first frame until 50 turns went at 80 % of the median rate; null when none of the first did. */
  readonly warmMs: number | null;
  readonly kept: number;
  readonly addressesPerSecond: readonly number[];
  /** Nanoseconds of CPU a frame, by turns: of the plain twin and of the other. */
  readonly costs?: readonly { readonly plainNs: number; readonly otherNs: number }[];
}

/** How much two probes of an idle heap differ, in bytes per million frames of the shortest repetition. */
const PROBE_NOISE_BYTES = 4096;
const CHUNK_TURNS = 50;
const COST_PIECES = 15;
const YOUNG = ['new_space', 'new_large_object_space'];

function elapsedNs(since: bigint): number {
  return Number(process.hrtime.bigint() - since);
}

/** Rate of each chunk of the first turns, with the time at which it ended. */
function coldStart(stand: Stand): { ms: number; rate: number }[] {
  const chunks: { ms: number; rate: number }[] = [];
  stand.edge.sending = stand.feeds;
  const start = process.hrtime.bigint();
  let before = 0;
  while (before < 1e9 && chunks.length < 4000) {
    const frames = spin(stand.turn, CHUNK_TURNS);
    const now = elapsedNs(start);
    chunks.push({ ms: now / 1e6, rate: (frames * 1e9) / (now - before) });
    before = now;
  }
  stand.edge.sending = stand.sending;
  return chunks;
}

/**
 * Bytes in the young generation, where everything that code makes is born. The whole heap would not do: the collector goes on sweeping old
 * space beside us, and compiled code counts too, so that a turn that makes nothing moved it by ±150 KB (2026-11-21).
 */
function usedHeap(): number {
  let used = 0;
  for (const space of getHeapSpaceStatistics()) if (YOUNG.includes(space.space_name)) used += space.space_used_size;
  return used;
}

/** Frames, wall and CPU time, and heap of `turns` turns. */
function measured(stand: Stand, turns: number): { frames: number; ns: number; cpuNs: number; bytes: number } {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const heap = usedHeap();
  const start = process.hrtime.bigint();
  const frames = spin(stand.turn, turns);
  const ns = elapsedNs(start);
  const bytes = usedHeap() - heap;
  const { user, system } = process.cpuUsage(cpu);
  return { frames, ns, cpuNs: (user + system) * 1000, bytes };
}

/** What measuring no turn at all leaves on the heap: subtracted, since it is not the switch's. */
function probeBytes(stand: Stand): number {
  return Math.min(...Array.from({ length: 5 }, () => measured(stand, 0).bytes));
}

interface Repetition {
  readonly rate: number;
  readonly bytes: number;
  readonly share: number;
}

/** One repetition of `turns` turns: rate and allocation. */
function repetition(stand: Stand, turns: number, probe: number): Repetition {
  const { frames, ns, bytes, cpuNs } = measured(stand, turns);
  stand.edge.turnNs = Math.max(1, Math.round(ns / turns));
  return { rate: (frames * 1e9) / ns, bytes: ((bytes - probe) * 1e6) / frames, share: cpuNs / ns };
}

/** Throws unless every frame went where it should: a bench of a switch that loses frames measures nothing. */
function checkAccounts(stand: Stand, scenario: Scenario): void {
  const sent = stand.edge.sending;
  stand.edge.sending = 0;
  spin(stand.turn, 2);
  stand.edge.sending = sent;
  const received = sumOf(stand, PortCell.RX_FRAMES);
  const copies = sumOf(stand, PortCell.REPLICATED);
  const transmitted = sumOf(stand, PortCell.TX_FRAMES);
  const dropped = dropsOf(stand);
  if (dropped !== 0 || received + copies !== transmitted) {
    throw new Error(
      `${scenario.name}: ${received} received + ${copies} copies, ${transmitted} sent, ${dropped} dropped`,
    );
  }
  if (busyNs(stand) <= 0) throw new Error(`${scenario.name}: the turns counted no busy time`);
}

function measureRate(
  stand: Stand,
  scenario: Scenario,
  seconds: number,
  repetitions: number,
): Omit<Outcome, 'name' | 'huge'> {
  const chunks = coldStart(stand);
  teach(stand);
  const perTurn = stand.sending * BURST_COUNT;
  const trial = repetition(stand, Math.max(2000, stand.passTurns), 0);
  const turns = Math.max(1, Math.round((trial.rate * seconds) / perTurn));
  const probe = probeBytes(stand);
  const flooded = sumOf(stand, PortCell.FLOODED);
  const runs = Array.from({ length: repetitions }, () => repetition(stand, turns, probe));
  const floods = scenario.traffic === TRAFFIC.flood8 || scenario.traffic === TRAFFIC.flood8Forms;
  if (!floods && sumOf(stand, PortCell.FLOODED) !== flooded)
    throw new Error(`${scenario.name}: known addresses were flooded`);
  checkAccounts(stand, scenario);
  spinEdge(stand.edge, 5000);
  const generatorNs = runs.map(() => {
    const start = process.hrtime.bigint();
    const frames = spinEdge(stand.edge, turns >> 1);
    return elapsedNs(start) / frames;
  });
  // Less than before means that a collection ran in between, and nothing but garbage of ours could have caused one.
  if (runs.some((run) => run.bytes < -PROBE_NOISE_BYTES))
    throw new Error(`${scenario.name}: garbage was collected meanwhile`);
  const rates = runs.map((run) => run.rate).sort((a, b) => a - b);
  const fast = rates[rates.length >> 1]! * 0.8;
  return {
    framesPerSecond: runs.map((run) => run.rate),
    bytesPerMillionFrames: runs.map((run) => Math.round(run.bytes)),
    cpuShares: runs.map((run) => run.share),
    generatorNs,
    warmMs: chunks.find(({ rate }) => rate >= fast)?.ms ?? null,
    kept: 0,
    addressesPerSecond: [],
  };
}

/** Turns of the plain twin and of the other by turns, so that whatever else the machine does meets both: nanoseconds a frame, pair by pair. */
function measureCost(
  stand: Stand,
  scenario: Scenario,
  seconds: number,
  repetitions: number,
): Omit<Outcome, 'name' | 'huge'> {
  teach(stand);
  const perTurn = stand.sending * BURST_COUNT;
  const nsOf = (first: number, turns: number): number => {
    stand.edge.first = first;
    const { frames, cpuNs } = measured(stand, turns);
    return cpuNs / frames;
  };
  for (let k = 0; k < 20; k++) for (const first of [0, stand.sending]) nsOf(first, 2000);
  const turns = Math.max(1, Math.round((seconds * 1e9) / (nsOf(0, 20_000) * perTurn * COST_PIECES)));
  const flooded = sumOf(stand, PortCell.FLOODED);
  const costs = Array.from({ length: repetitions }, () => {
    const pieces = Array.from({ length: COST_PIECES }, () => [nsOf(0, turns), nsOf(stand.sending, turns)] as const);
    const plain = median(pieces.map(([one]) => one));
    return { plainNs: plain, otherNs: plain + median(pieces.map(([one, other]) => other - one)) };
  });
  if (sumOf(stand, PortCell.FLOODED) !== flooded) throw new Error(`${scenario.name}: known addresses were flooded`);
  checkAccounts(stand, scenario);
  const none = { framesPerSecond: [], bytesPerMillionFrames: [], cpuShares: [], generatorNs: [], warmMs: 0 };
  return { ...none, kept: 0, addressesPerSecond: [], costs };
}

/** RFC 2889, 5.7 and 5.8: every address is the source of one frame, then the destination of one; what is flooded then was not kept. */
function measureLearning(
  stand: Stand,
  scenario: Scenario,
  _: number,
  repetitions: number,
): Omit<Outcome, 'name' | 'huge'> {
  const addressesPerSecond: number[] = [];
  const passes = Math.max(repetitions, Math.ceil(200_000 / scenario.addresses));
  let kept = scenario.addresses;
  for (let k = 0; k < passes + 1; k++) {
    forget(stand);
    const start = process.hrtime.bigint();
    stand.edge.sending = stand.feeds;
    spin(stand.turn, stand.passTurns);
    const ns = elapsedNs(start);
    const flooded = sumOf(stand, PortCell.FLOODED);
    teach(stand);
    kept = Math.min(kept, scenario.addresses - (sumOf(stand, PortCell.FLOODED) - flooded));
    if (k >= passes + 1 - repetitions) addressesPerSecond.push((scenario.addresses * 1e9) / ns);
  }
  checkAccounts(stand, scenario);
  const none = { framesPerSecond: [], bytesPerMillionFrames: [], cpuShares: [], generatorNs: [], warmMs: 0 };
  return { ...none, kept, addressesPerSecond };
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      huge: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '0.5' },
      repetitions: { type: 'string', default: '5' },
      cpu: { type: 'string', default: String(availableParallelism() - 1) },
    },
  });
  const scenario = PATH_SCENARIOS.find(({ name }) => name === positionals[0]);
  if (scenario === undefined) {
    throw new Error(
      `no scenario ${positionals[0] ?? ''}: there are ${PATH_SCENARIOS.map(({ name }) => name).join(', ')}`,
    );
  }
  // As a worker does.
  widenInlining();
  const pinned = addon().pin(Number(values.cpu));
  if (pinned < 0) throw new Error(`CPU ${values.cpu} can't be used (errno ${-pinned}): name another with --cpu`);
  const stand = makeStand(scenario, values.huge);
  const repetitions = Number(values.repetitions);
  const seconds = Number(values.seconds);
  const measure = { rate: measureRate, cost: measureCost, learning: measureLearning }[scenario.kind];
  const outcome: Outcome = { name: scenario.name, huge: stand.huge, ...measure(stand, scenario, seconds, repetitions) };
  process.stdout.write(`${JSON.stringify(outcome, null, values.json ? 0 : 2)}\n`);
}

main();
