/**
 * `weft demo`: two tenants on one switch, on real devices or, with `--memory`, without any. Called by the CLI on the main thread; runs
 * the daemon as a process of its own. Whatever it made is removed at its end, also after Ctrl-C, unless `--keep`.
 */
import { existsSync } from 'node:fs';
import { type Io, note, print, printError, printJson } from '../cli/io.ts';
import { WeftError } from '../errors.ts';
import { expectationLine, lacks, printResult } from './print.ts';
import type { DemoResult, Expectation, Findings } from './result.ts';
import { hasTool, Runner } from './run-in.ts';
import { leftovers, makeFolder, makeNamespaces, remove, type Stand, startDaemon } from './stand.ts';
import { Steps } from './steps.ts';

export interface DemoOptions {
  readonly keep?: boolean;
  readonly memory?: boolean;
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
    const tell = (expectation: Expectation) => note(io, expectationLine({ colour: false }, expectation));
    const seconds = options.seconds ?? SECONDS;
    const found = options.memory === true ? await inMemory(io, tell, seconds) : await onDevices(io, tell, options);
    const result: DemoResult = {
      ok: found.expectations.every(({ held }) => held),
      mode: options.memory === true ? 'memory' : 'devices',
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

async function inMemory(io: Io, tell: (expectation: Expectation) => void, seconds: number) {
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

async function onDevices(
  io: Io,
  tell: (expectation: Expectation) => void,
  options: DemoOptions,
): Promise<Findings & Pick<DemoResult, 'kept'>> {
  checkMachine();
  const abort = new AbortController();
  const stop = () => {
    if (!abort.signal.aborted) note(io, 'interrupted: removing what was made …');
    abort.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const runner = new Runner(abort.signal);
  const folder = makeFolder();
  let keep = false;
  try {
    note(io, 'Two tenants on real devices: four namespaces, a TAP in each');
    const quiet = await makeNamespaces(runner, folder);
    const stand = await startDaemon(runner, folder);
    note(io, `The switch runs (process ${stand.pid})`);
    const findings = await new Steps(runner, stand, tell).all(options.seconds ?? SECONDS, quiet);
    keep = options.keep === true;
    return { ...findings, kept: keep ? keptOf(stand) : null };
  } finally {
    if (!keep) await remove(folder);
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
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
