/**
 * `weft demo`: two tenants on one switch, on real devices or, with `--memory`, without any; with `--guests` two QEMU guests. Called by the CLI on the main thread; runs
 * the daemon as a process of its own. Whatever it made is removed at its end, also after Ctrl-C, unless `--keep`.
 */
import { existsSync } from 'node:fs';
import { type Io, note, print, printError, printJson } from '../cli/io.ts';
import { WeftError } from '../errors.ts';
import { demoDocument, HOST_LIST } from './hosts.ts';
import { expectationLine, lacks, printResult } from './print.ts';
import type { DemoMode, DemoResult, Findings } from './result.ts';
import { hasTool, Runner } from './run-in.ts';
import { leftovers, makeFolder, makeNamespaces, namespaceOf, remove, type Stand, startDaemon } from './stand.ts';
import { Steps, type Tell } from './steps.ts';

export interface DemoOptions {
  readonly keep?: boolean;
  readonly memory?: boolean;
  /** With QEMU guests, which need no root either. */
  readonly guests?: boolean;
  readonly json?: boolean;
  /** Removes what kept or killed demos left, and nothing else. */
  readonly clean?: boolean;
  /** How long the stream runs; default 3. */
  readonly seconds?: number;
}

const SECONDS = 3;

/** Answers the exit code: 0 only when every expectation held. */
export async function runDemo(io: Io, options: DemoOptions): Promise<number> {
  const started = performance.now();
  try {
    if (options.clean === true) return await clean(io);
    const tell: Tell = (expectation) => note(io, expectationLine({ colour: false }, expectation));
    const { mode, found } = await show(io, tell, options);
    const result: DemoResult = {
      ok: found.expectations.every(({ held }) => held),
      mode,
      ...found,
      seconds: (performance.now() - started) / 1000,
    };
    if (options.json === true) printJson(io, result);
    else printResult(io, result);
    return result.ok ? 0 : 1;
  } catch (error) {
    const isRefused = error instanceof WeftError && error.code === 'no-permission';
    return printError(io, isRefused ? lacks(`root needs CAP_NET_ADMIN and CAP_SYS_ADMIN (${error.message})`) : error);
  }
}

type Shown = Findings & Pick<DemoResult, 'kept'>;

async function show(io: Io, tell: Tell, options: DemoOptions): Promise<{ mode: DemoMode; found: Shown }> {
  if (options.memory === true) return { mode: 'memory', found: await inMemory(io, tell, options.seconds ?? SECONDS) };
  if (options.guests === true) return { mode: 'guests', found: await withGuests(io, tell) };
  return { mode: 'devices', found: await onDevices(io, tell, options) };
}

async function inMemory(io: Io, tell: Tell, seconds: number): Promise<Shown> {
  const { runInMemory } = await import('./memory.ts');
  note(io, 'Two tenants over memory ports: the same path and tables, no devices');
  return { ...(await runInMemory(seconds, tell)), kept: null };
}

/** Throws a WeftError that names what this process may not or can't do. */
function checkMachine(): void {
  if (process.getuid?.() !== 0) throw lacks('it needs root (`sudo npm run demo`)');
  if (!hasTool('ip')) throw lacks('it needs the command ip (package iproute2)');
  if (!existsSync('/dev/net/tun')) throw lacks('it needs /dev/net/tun, which this host has not (`modprobe tun`)');
}

/** Runs `body` with a folder that goes afterwards, unless `isKept` says otherwise; it is told to stop by Ctrl-C. */
async function inFolder<T>(
  io: Io,
  body: (runner: Runner, folder: string, signal: AbortSignal) => Promise<T>,
  isKept: () => boolean,
): Promise<T> {
  const abort = new AbortController();
  const stop = () => {
    if (!abort.signal.aborted) note(io, 'interrupted: removing what was made …');
    abort.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const folder = makeFolder();
  try {
    return await body(new Runner(abort.signal), folder, abort.signal);
  } finally {
    if (!isKept()) await remove(folder);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

async function onDevices(io: Io, tell: Tell, options: DemoOptions): Promise<Shown> {
  checkMachine();
  let keep = false;
  const body = async (runner: Runner, folder: string) => {
    note(io, 'Two tenants on real devices: four namespaces, a TAP in each');
    const quiet = await makeNamespaces(runner, folder);
    const namespaces = HOST_LIST.map((host) => namespaceOf(host));
    const stand = await startDaemon(runner, folder, demoDocument(namespaceOf), namespaces);
    note(io, `The switch runs (process ${stand.pid})`);
    const findings = await new Steps(runner, stand, tell).all(options.seconds ?? SECONDS, quiet);
    keep = options.keep === true;
    return { ...findings, kept: keep ? keptOf(stand) : null };
  };
  return inFolder(io, body, () => keep);
}

async function withGuests(io: Io, tell: Tell): Promise<Shown> {
  const { checkGuests, guestDocument, showGuests } = await import('./guests/show.ts');
  checkGuests();
  const body = async (runner: Runner, folder: string, signal: AbortSignal) => {
    note(io, 'Two QEMU guests on one switch, over unix sockets: no root, no devices');
    const stand = await startDaemon(runner, folder, guestDocument(folder), []);
    note(io, `The switch runs (process ${stand.pid})`);
    return { ...(await showGuests(stand, signal, tell)), kept: null };
  };
  return inFolder(io, body, () => false);
}

function keptOf({ socket, folder, pid, namespaces }: Stand): DemoResult['kept'] {
  return { socket, folder, pid, namespaces };
}

async function clean(io: Io): Promise<number> {
  const folders = leftovers();
  for (const folder of folders) for (const what of await remove(folder)) print(io, `removed ${what}`);
  if (folders.length === 0) print(io, 'no demo is up, and none left anything behind');
  return 0;
}
