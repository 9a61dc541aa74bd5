/**
 * What the demo makes and takes away again: a folder, four namespaces, and a daemon of its own. Everything is noted in a file before it
 * is made, so that a demo that was killed can be cleared away later. Main thread. Never touches what it didn't make.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Document } from '../config/document.ts';
import { toYaml } from '../config/save.ts';
import { ip, type RunIp, runIp } from '../devices/ip.ts';
import { WeftError } from '../errors.ts';
import { HOST_LIST, type Host } from './hosts.ts';
import type { Runner } from './run-in.ts';

export const PREFIX = 'weft-demo-';
const STATE_FILE = 'state.json';
/** As they stand in a command line, between its zeros. */
const SERVERS = ['iperf3\0-s\0', 'tcp-host.js\0serve\0'];
const READY_MS = 20_000;
const STOP_MS = 10_000;
const POLL_MS = 20;

export interface State {
  /** The demo's own process. */
  readonly demo: number;
  /** The daemon's, 0 before it runs. */
  readonly daemon: number;
  readonly namespaces: readonly string[];
}

export interface Stand {
  readonly folder: string;
  readonly socket: string;
  readonly pid: number;
  readonly metricsUrl: string;
  readonly namespaces: readonly string[];
}

export function namespaceOf(host: Pick<Host, 'name'>, pid = process.pid): string {
  return `${PREFIX}${pid}-${host.name}`;
}

/** The compiled program beside this file, also when control runs from source. */
export function compiled(path: string): string {
  const here = import.meta.dirname;
  const control = here.includes('/dist/') ? join(here, '..') : join(here, '../../dist/control');
  return join(control, path);
}

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

function note(folder: string, state: State): void {
  writeFileSync(join(folder, STATE_FILE), `${JSON.stringify(state)}\n`);
}

/** Four empty namespaces. Answers whether IPv6 could be switched off in them, so that hosts send only what the demo asks them to. */
export async function makeNamespaces(runner: Runner, folder: string): Promise<boolean> {
  const namespaces = HOST_LIST.map((host) => namespaceOf(host));
  note(folder, { demo: process.pid, daemon: 0, namespaces });
  let quiet = true;
  for (const namespace of namespaces) {
    runner.throwIfStopped();
    await ip(runIp, ['netns', 'add', namespace], `namespace ${namespace}`);
    const silenced = await runner.in(namespace, 'sh', ['-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6']);
    // A kernel without IPv6 has nothing to switch off.
    if (silenced.exitCode !== 0 && !/nonexistent|No such file/.test(silenced.stderr)) quiet = false;
  }
  return quiet;
}

/** Runs the daemon as a user would, in a session of its own, and waits until frames flow. */
export async function startDaemon(
  runner: Runner,
  folder: string,
  document: Document,
  namespaces: readonly string[],
): Promise<Stand> {
  const file = join(folder, 'weft.yaml');
  const socket = join(folder, 'weft.sock');
  writeFileSync(file, toYaml(document));
  const out = openSync(join(folder, 'weft.out'), 'w');
  const log = openSync(join(folder, 'weft.log'), 'w');
  const child = spawn(process.execPath, [compiled('cli/main.js'), 'run', '-c', file, '--socket', socket], {
    detached: true,
    stdio: ['ignore', out, log],
  });
  closeSync(out);
  closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new WeftError('demo-daemon', 'the switch could not be started');
  note(folder, { demo: process.pid, daemon: child.pid, namespaces });
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  const line = await readyLine(runner, folder, () => ended);
  const metricsUrl = /\bmetrics=(\S+)/.exec(line)?.[1] ?? '';
  return { folder, socket, pid: child.pid, metricsUrl, namespaces };
}

async function readyLine(runner: Runner, folder: string, hasEnded: () => boolean): Promise<string> {
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    runner.throwIfStopped();
    const line = /^ready.*\n/m.exec(readFileSync(join(folder, 'weft.out'), 'utf8'))?.[0];
    if (line !== undefined) return line;
    if (hasEnded()) break;
    await sleep(POLL_MS);
  }
  const said = readFileSync(join(folder, 'weft.log'), 'utf8').trim().split('\n').slice(-5).join('\n');
  throw new WeftError('demo-daemon', `the switch did not start${said === '' ? '' : `:\n${said}`}`);
}

/** Whether process `pid` was started with this in its command: numbers of processes come round again. */
function isOurs(pid: number, words: string): boolean {
  try {
    return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words);
  } catch {
    return false;
  }
}

function isDead(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

async function stopDaemon(pid: number, folder: string): Promise<void> {
  if (!isOurs(pid, folder)) return;
  process.kill(pid, 'SIGTERM');
  for (let waited = 0; waited < STOP_MS; waited += POLL_MS) {
    if (isDead(pid)) return;
    await sleep(POLL_MS);
  }
  if (isOurs(pid, folder)) process.kill(pid, 'SIGKILL');
}

/** Servers that a killed demo left in a namespace. Whatever else runs there is somebody's who looks around. */
async function stopServers(namespace: string, run: RunIp): Promise<void> {
  const { stdout } = await run(['netns', 'pids', namespace]);
  for (const pid of stdout.split('\n').map(Number)) {
    if (SERVERS.some((server) => isOurs(pid, server))) process.kill(pid, 'SIGKILL');
  }
}

export function readState(folder: string): State | null {
  try {
    const state = JSON.parse(readFileSync(join(folder, STATE_FILE), 'utf8')) as State;
    const named = state.namespaces.every((name) => name.startsWith(PREFIX));
    return named ? state : null;
  } catch {
    return null;
  }
}

/** Ends the daemon, removes the namespaces and then the folder, whatever of them is there. Answers what it removed. */
export async function remove(folder: string, run: RunIp = runIp): Promise<string[]> {
  const removed: string[] = [];
  const state = readState(folder);
  if (state !== null) {
    if (isOurs(state.daemon, folder)) removed.push(`process ${state.daemon}`);
    await stopDaemon(state.daemon, folder);
    for (const namespace of state.namespaces) {
      await stopServers(namespace, run);
      const result = await run(['netns', 'del', namespace]);
      if (result.exitCode === 0) removed.push(`namespace ${namespace}`);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  removed.push(folder);
  return removed;
}

/** Folders of demos that are no longer running: kept ones, and what a killed one left. Other users' folders are none of ours. */
export function leftovers(): string[] {
  const root = tmpdir();
  return readdirSync(root)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(root, name))
    .filter((folder) => {
      const entry = statSync(folder, { throwIfNoEntry: false });
      if (entry === undefined || !entry.isDirectory() || entry.uid !== process.getuid?.()) return false;
      const state = readState(folder);
      return state === null || !isRunningDemo(state.demo);
    });
}

function isRunningDemo(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('demo');
  } catch {
    return false;
  }
}
