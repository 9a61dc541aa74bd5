/**
 * Stories of unix sockets and socket ports, each a process of its own that needs no root: what sockets.test.ts tells with the addon as it is
 * built and sanitized.test.ts with the one that watches its memory.
 */
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const { EADDRINUSE, EAGAIN, EBADF, ECONNREFUSED, EINVAL, EMSGSIZE, EPIPE } = constants.errno;
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** What each story of sockets.mjs has to answer. */
export const SOCKETS: Readonly<Record<string, unknown>> = {
  passing: {
    made: [true, true, true],
    empty: null,
    sent: 5,
    data: 'hello',
    same: 16,
    all: true,
    many: -EINVAL,
    alone: -EINVAL,
    closed: -EBADF,
    who: [true, true],
    end: 0,
    broken: -EPIPE,
    left: 0,
  },
  flood: { refused: { code: 'EMSGSIZE', errno: EMSGSIZE, syscall: 'recvmsg', subject: 'fd' }, left: 0 },
  refusals: {
    long: 'ENAMETOOLONG',
    longest: 'ENOENT',
    zero: 'EINVAL',
    empty: 'EINVAL',
    type: 'EINVAL',
    taken: { code: 'EADDRINUSE', errno: EADDRINUSE, syscall: 'bind', subject: 'taken' },
    left: { code: 'ECONNREFUSED', errno: ECONNREFUSED, syscall: 'connect', subject: 'left' },
    absent: 'ENOENT',
    wrong: 'EPROTOTYPE',
    nobody: -EAGAIN,
    sizes: [0, 1, 100],
    got: [0, 1],
    cut: 'EMSGSIZE',
    max: 'EINVAL',
    peer: null,
    standard: 'EBADF',
    twice: 'EBADF',
    after: 0,
  },
  watches: {
    called: [
      [true, false],
      [true, false],
    ],
    both: [false, true],
    odd: ['EBADF', 'EINVAL', 'EINVAL'],
    message: 'from a callback',
    left: 0,
    thread: 'EINVAL',
  },
};

/** Tells a story of sockets.mjs, which needs no root, and checks its answer. */
export function checkSockets(story: string, env: Readonly<Record<string, string>>): void {
  const args = [file('lifecycle/sockets.mjs'), story];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 50_000,
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual(SOCKETS[story]);
}

const BROKEN = [2, 2, 0, ['EGRESS_DOWN'], true];

/** What each story of streams.mjs and datagrams.mjs has to answer. */
export const STREAMS: Readonly<Record<string, unknown>> = {
  splits: { enough: true, differ: 0, budget: { most: 3, foreign: 0, whole: true } },
  slow: { whole: true, rising: true, sent: 0, counted: 0, others: 0, reasons: ['2 EGRESS_FULL'], full: true },
  left: { some: true, part: true, missing: 0, whole: true },
  broken: { 0: BROKEN, 1: BROKEN, 13: BROKEN, 65558: BROKEN, 2147483648: BROKEN, 4294967295: BROKEN },
  ends: { frames: 1, end: 1, refusals: [[1, 'EGRESS_DOWN', 3]], sent: 0, left: 0 },
  farewell: { early: -EPIPE, arrived: 200, end: -EPIPE },
  noise: { rounds: 150, odd: 0, other: 0, enough: true },
  writers: { whole: true, rest: 0, mine: 0, others: 0, both: true },
  stream: { entries: 0, lost: 0, some: true, payload: true, sizes: [454, 700, 1502] },
  segments: { entries: 0, lost: 0, some: true, payload: true, sizes: [454, 700, 1502] },
  dgrams: {
    lengths: [0, 13, 14, 60, 256, 257, 1514, 9000, 65557],
    same: 7,
    spoilt: ['TRUNCATED', 'TRUNCATED'],
    refused: ['EGRESS_FULL', [2, 'EGRESS_DOWN', 2]],
    arrived: 0,
    full: 5000,
    rising: true,
    whole: true,
    end: -ECONNREFUSED,
  },
  leaving: { missing: 0, waited: true, reasons: ['EGRESS_FULL', 'EGRESS_DOWN'] },
};

/** Those that datagrams.mjs tells. */
const OF_DATAGRAMS: readonly string[] = ['stream', 'segments', 'dgrams', 'leaving'];

/** Tells a story of streams.mjs or datagrams.mjs, which need no root, and checks its answer. */
export function checkStreams(story: string, seed: number, env: Readonly<Record<string, string>>): void {
  const script = OF_DATAGRAMS.includes(story) ? 'datagrams' : 'streams';
  const args = [file(`lifecycle/${script}.mjs`), story, String(seed)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 50_000,
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual(STREAMS[story]);
}

/** Ends a process with open watches. Its exit code. */
export function endWatching(env: Readonly<Record<string, string>>): number | null {
  const args = [file('lifecycle/sockets.mjs'), 'ends'];
  return spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status;
}
