/**
 * A weft daemon as users start it: a process of its own, spoken to over its socket. Made by lab.ts in a namespace, so that a device on its
 * way to a host never shows among this machine's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { makeClient } from '../../control/cli/client.ts';
import type { ApplyResult, DropRow, FdbRow, PortRow, WorkerRow } from '../../control/switch.ts';
import type { TunnelRow } from '../../control/tunnel-rows.ts';

export const WEFT = fileURLToPath(new URL('../../dist/control/cli/main.js', import.meta.url));
const START_MS_MAX = 20_000;
const END_MS_MAX = 15_000;
/** How a process ends that is at fault itself. */
const CRASHES: readonly (NodeJS.Signals | null)[] = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'];

export interface DaemonOptions {
  /** Left out: here. */
  readonly netns?: string;
  /** A command that becomes the daemon, as another user. */
  readonly under?: readonly string[];
  readonly folder: string;
  readonly name: string;
  /** YAML text, or a document. */
  readonly document: object | string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

export class Daemon {
  readonly file: string;
  readonly socket: string;
  readonly client: ReturnType<typeof makeClient>;
  readonly #options: DaemonOptions;
  readonly #process: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stderr = '';

  private constructor(options: DaemonOptions) {
    this.#options = options;
    this.file = join(options.folder, `${options.name}.yaml`);
    this.socket = join(options.folder, `${options.name}.sock`);
    const { document } = options;
    writeFileSync(this.file, typeof document === 'string' ? document : JSON.stringify(document));
    this.client = makeClient(this.socket);
    const weft = [process.execPath, WEFT, 'run', '-c', this.file, '--socket', this.socket, ...(options.args ?? [])];
    const { netns, under = [] } = options;
    const [program, ...words] = [...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]), ...under, ...weft];
    this.#process = spawn(program!, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    this.#process.stderr!.on('data', (data) => (this.#stderr += data));
    this.#ended = once(this.#process, 'close').then(([code, signal]) => ({ code, signal, stderr: this.#stderr }));
    // Handled by nobody, on purpose: it fails the run, also where a test's second try passes.
    void this.#ended.then(({ signal, stderr }) => {
      if (CRASHES.includes(signal)) throw new Error(`weft crashed by ${signal}: ${stderr}`);
    });
  }

  /** Rejects, with what the daemon said, when it ends or takes too long before it is ready. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options);
    const output = daemon.#process.stdout!;
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: output }).on('line', (line) => line.includes('ready') && resolve());
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`weft is not ready after ${START_MS_MAX} ms: ${daemon.#stderr}`)),
        START_MS_MAX,
      );
    });
    const ended = daemon.#ended.then(({ code, signal, stderr }) => {
      throw new Error(`weft ended (exit ${code ?? signal}) before it was ready: ${stderr}`);
    });
    ended.catch(() => undefined);
    try {
      await Promise.race([ready, ended, late]);
    } catch (error) {
      await daemon.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return daemon;
  }

  /** The daemon itself: `ip netns exec` becomes it. */
  get pid(): number {
    return this.#process.pid!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async ports(): Promise<PortRow[]> {
    return this.client.get('/v1/ports');
  }

  async port(name: string): Promise<PortRow> {
    const found = (await this.ports()).find((port) => port.name === name);
    if (found === undefined) throw new Error(`no port ${name}`);
    return found;
  }

  async fdb(): Promise<FdbRow[]> {
    return this.client.get('/v1/fdb');
  }

  async drops(): Promise<DropRow[]> {
    return this.client.get('/v1/drops');
  }

  async tunnels(): Promise<TunnelRow[]> {
    return this.client.get('/v1/tunnels');
  }

  async workers(): Promise<WorkerRow[]> {
    return this.client.get('/v1/workers');
  }

  addPort(bridge: string, port: object): Promise<ApplyResult> {
    return this.client.send('POST', `/v1/bridges/${bridge}/ports`, port);
  }

  deletePort(bridge: string, name: string): Promise<ApplyResult> {
    return this.client.send('DELETE', `/v1/bridges/${bridge}/ports/${name}`);
  }

  apply(document: object): Promise<ApplyResult> {
    return this.client.send('POST', '/v1/apply', { document });
  }

  restartWorker(index: number): Promise<void> {
    return this.client.send('POST', `/v1/workers/${index}/restart`);
  }

  /** A command of the CLI against this daemon. */
  async cli(...args: string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
    return runCli([...args, '--socket', this.socket], this.#options.netns);
  }

  /** Seconds of CPU that the process has used. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Open descriptors. */
  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Resident memory in KiB, without the arena's pages, which fill up as addresses and frames come. */
  anonymousKib(): number {
    return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))![1]);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) process.kill(this.pid, signal);
  }

  /** Waits for the end; kills and rejects when it doesn't come. */
  async ended(): Promise<Ended> {
    const timer = setTimeout(() => this.signal('SIGKILL'), END_MS_MAX);
    try {
      const end = await this.#ended;
      if (end.signal === 'SIGKILL' && this.#stderr === '') return end;
      return end;
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGTERM, and how it ended. */
  stop(): Promise<Ended> {
    this.signal('SIGTERM');
    return this.ended();
  }

  kill(): Promise<Ended> {
    this.signal('SIGKILL');
    return this.ended();
  }
}

/** `weft …` in a namespace, or here. */
export async function runCli(
  args: readonly string[],
  netns?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
  const command = [process.execPath, WEFT, ...args];
  const [file, ...rest] = netns === undefined ? command : ['ip', 'netns', 'exec', netns, ...command];
  const { exitCode, stdout, stderr } = await execa(file!, rest, { reject: false, env, timeout: 20_000 });
  return { exitCode, stdout, stderr };
}
