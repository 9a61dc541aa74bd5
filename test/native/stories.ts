/**
 * Stories of the addon, each a process of its own in a network namespace of its own: what lists.test.ts tells with the addon as it is built
 * and sanitized.test.ts with the one that watches its memory.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

export const RINGS = ['io_uring', 'read-write'] as const;
const EGRESS_DOWN = 13;
const { EFAULT } = constants.errno;

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
export const isBuilt = existsSync(file('../../dist/native/binding.js'));

export const wanted = {
  root: true,
  tun: true,
  tools: ['unshare', 'ip', 'sysctl', 'prlimit'],
  because: isBuilt ? null : 'needs dist/: npm run build',
};

export interface Told {
  readonly end: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lifecycle/SCRIPT.mjs` with arguments below the commands in `under`; answers how it ended and what it said. */
export function tell(
  script: 'arrivals' | 'child' | 'echoes' | 'links' | 'lists' | 'netdev' | 'tunnels',
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  under: readonly string[] = [],
): Told {
  // The namespace's tools run without what `env` preloads into the story itself.
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const command = [
    '--net',
    '--',
    ...under,
    'env',
    ...settings,
    process.execPath,
    file(`lifecycle/${script}.mjs`),
    ...args,
  ];
  const { status, signal, stdout, stderr } = spawnSync('unshare', command, { encoding: 'utf8', timeout: 50_000 });
  return { end: signal ?? status, stdout, stderr };
}

/** Whether this host lets anybody use io_uring; a worker that is told to use it doesn't start otherwise. */
export function ringReason(io: string): string | null {
  if (io !== 'io_uring') return null;
  const { stderr } = tell('lists', ['twins', io], {});
  return stderr.includes('this host may forbid io_uring') ? 'this host forbids io_uring' : null;
}

/** What each story of lists.mjs has to answer. */
export const LISTS: Readonly<Record<string, (answer: Record<string, unknown>) => void>> = {
  segments: (answer) =>
    expect(answer).toEqual({
      sent: 1008,
      segments: 1160,
      plain: 1000,
      whole: [0, 20, 20, 20, 20, 20, 20, 20, 20],
      torn: 0,
    }),
  sizes: (answer) => expect(answer.got).toBe(answer.wanted),
  refused: (answer) =>
    expect(answer).toEqual({
      down: { answer: 0, refused: [[1, EGRESS_DOWN, 3]], sent: 0, bytes: 0 },
      absent: { refused: [[7, EGRESS_DOWN, 1000]], sent: 0 },
      reason: EGRESS_DOWN,
    }),
  windows: ({ small, smallMost, large, largeLast }) => {
    expect([small, smallMost, large]).toEqual([1000, 64, 300]);
    expect(largeLast).toBeLessThanOrEqual(5);
  },
  files: (answer) => expect(answer).toEqual({ code: 'EMFILE', left: 0, attached: 0, ringError: 0, received: 0 }),
  budgets: (answer) => expect(answer).toEqual({ all: 50, most: 1 }),
  crowd: (answer) => expect(answer).toEqual({ all: 50, few: true }),
  // Where frames come one by one who spoke is read again when the others were; all are read in one turn where reads are plain anyway.
  lone: ({ rounds, ring }) => {
    for (const { port, alone, then } of rounds as { port: number; alone: number[]; then: number[][] }[]) {
      expect(alone).toEqual([port]);
      expect(then.map((turn) => turn.length)).toEqual(ring === true ? [1, 1, 1, 0] : [3, 0, 0, 0]);
      expect(then.flat().sort()).toEqual([2, 3, 4]);
      if (ring === true) expect(then[2]).toEqual([port]);
    }
  },
  unsound: ({ waitNegative, ...answers }) => {
    expect(waitNegative).toEqual([0, 0]);
    expect(Object.keys(answers).length).toBe(16);
    for (const [mistake, answer] of Object.entries(answers)) expect(answer, mistake).toEqual([-EFAULT, -EFAULT]);
  },
  twins: (answer) => expect(answer).toEqual({ first: ['EBUSY', -22], second: [true, 0, 0] }),
};

/** Tells a story of lists.mjs and checks its answer. */
export function checkLists(story: string, io: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('lists', [story, io], env);
  expect(stderr).toBe('');
  expect(end).toBe(0);
  LISTS[story]!(JSON.parse(stdout));
}
