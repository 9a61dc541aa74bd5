// Scenario guests-profile: where the worker's time goes at 64 bytes, in shares of TypeScript, native code and waiting. Samples by perf, of
// the worker's thread only. Waiting is what `work` says: turns that moved no frame, which the samples of an idle switch help to subtract.
import { join } from 'node:path';
import { SWITCH_CPU } from '../peers/guest-switch.ts';
import type { Idle } from '../peers/peer.ts';
import { guestPort, joinByWeft } from '../peers/weft-guests.ts';
import { boundThread } from '../system/accounting.ts';
import { missingCommand, run } from '../system/process.ts';
import type { Workplace } from '../system/site.ts';
import { alone, betweenGuests, type GuestContext, type GuestScenario } from './context.ts';
import { pingPong } from './ping-pong.ts';

const FRAME_BYTES = 64;
const SAMPLES_PER_SECOND = 1997;

/** Shares of a thread's samples, 0–1, by whose code it was. */
export interface Shares {
  readonly typescript: number;
  readonly native: number;
  /** Node's and V8's own: calls between the two, and what isn't compiled. */
  readonly node: number;
  readonly kernel: number;
}

export const guestsProfile: GuestScenario = {
  name: 'guests-profile',
  about: "the worker's time at 64 bytes: shares of TypeScript, native code and waiting (perf)",
  weftOnly: true,
  run: async (context) => {
    const missing = missingCommand(['perf'], 'linux-perf');
    if (missing !== null) {
      context.skip(`guests-profile: ${missing}`);
      return [];
    }
    const rounds: ReturnType<typeof splitByWork>[] = [];
    let note = '';
    for (let index = 0; index < context.pairs; index++) {
      const empty = await profileOnce(context, 'busy', false);
      const loaded = await profileOnce(context, 'adaptive', true);
      rounds.push(splitByWork(loaded.shares, loaded.busyShare, empty.shares));
      const text = `${sharesText(loaded.shares)}; busy ${(100 * loaded.busyShare).toFixed(0)} %; idle: ${sharesText(empty.shares)}`;
      context.progress(`guests-profile, ${index + 1}/${context.pairs}: ${text}`);
      note = `samples of the last round: ${text}`;
    }
    return (['typescript', 'native', 'node', 'waiting'] as const).map((key) => {
      const values = rounds.map((round) => 100 * round[key]);
      return { ...alone('guests-profile', TITLES[key], '%', values), ...(key === 'waiting' ? { note } : {}) };
    });
  },
};

const TITLES = {
  typescript: 'TypeScript',
  native: 'native (the addon and its copies)',
  node: 'Node and V8',
  waiting: 'waiting (turns that moved no frame)',
};

/** Shares from `perf script -F ip,sym,dso`: one line a sample. Throws when there is none. */
export function parseSamples(text: string): Shares {
  const counts = { typescript: 0, native: 0, node: 0, kernel: 0 };
  let total = 0;
  for (const line of text.split('\n')) {
    const match = /^\s*[0-9a-f]+\s+(.*?)\s+\((.*)\)\s*$/.exec(line);
    if (match === null) continue;
    total++;
    counts[whose(match[1]!, match[2]!)]++;
  }
  if (total === 0) throw new Error('perf took no sample');
  return {
    typescript: counts.typescript / total,
    native: counts.native / total,
    node: counts.node / total,
    kernel: counts.kernel / total,
  };
}

function whose(symbol: string, file: string): keyof Shares {
  if (file.startsWith('[kernel') || file.endsWith('.ko')) return 'kernel';
  if (file.endsWith('.node') || /\/lib(c|m|stdc\+\+|gcc_s)[.-]/.test(file) || file === '[vdso]') return 'native';
  // V8's built-in functions are in Node's file, and are what TypeScript was compiled to.
  if (/\/node(js)?$/.test(file)) return symbol.startsWith('Builtins_') ? 'typescript' : 'node';
  // Code that V8 makes while running is in no file.
  return 'typescript';
}

/**
 * What the shares of a run are made of: `busyShare` of the time moved frames, the rest was waiting. Waiting holds all of the kernel's
 * share, since turns that move guests' frames hardly call it, and for the rest consists of what an idle switch consists of.
 */
export function splitByWork(loaded: Shares, busyShare: number, empty: Shares) {
  const waiting = Math.max(0, 1 - busyShare);
  const turns = Math.max(0, waiting - loaded.kernel) / Math.max(1e-9, 1 - empty.kernel);
  const less = (key: 'typescript' | 'native' | 'node') => Math.max(0, loaded[key] - turns * empty[key]);
  return { typescript: less('typescript'), native: less('native'), node: less('node'), waiting };
}

async function profileOnce(
  context: GuestContext,
  idle: Idle,
  traffic: boolean,
): Promise<{ shares: Shares; busyShare: number }> {
  let at: Workplace;
  return betweenGuests(
    context,
    { count: 2, frameBytes: FRAME_BYTES },
    (place, sockets) => {
      at = place;
      const ports = sockets.map((socket, index) => guestPort(index, socket, FRAME_BYTES));
      return joinByWeft(place, ports, idle);
    },
    async (guests, joined) => {
      const worker = boundThread(joined.pid, SWITCH_CPU);
      if (!traffic) return { shares: await takeSamples(at, worker, context.seconds), busyShare: 0 };
      let shares: Shares | undefined;
      const during = async () => {
        shares = await takeSamples(at, worker, context.seconds);
      };
      const { own } = await pingPong(guests, joined, context.seconds + 1, { during });
      return { shares: shares!, busyShare: own!.busyShare };
    },
  );
}

async function takeSamples(place: Workplace, thread: number, seconds: number): Promise<Shares> {
  const file = join(place.folder, 'perf.data');
  const event = ['-e', 'cpu-clock', '-F', String(SAMPLES_PER_SECOND)];
  const limit = ['--', 'sleep', String(seconds)];
  await run(['perf', 'record', '-q', ...event, '-t', String(thread), '-o', file, ...limit], { seconds: seconds + 20 });
  return parseSamples(await run(['perf', 'script', '-i', file, '-F', 'ip,sym,dso'], { seconds: 60 }));
}

function sharesText(shares: Shares): string {
  return Object.entries(shares)
    .map(([name, share]) => `${name} ${(100 * share).toFixed(0)} %`)
    .join(', ');
}
