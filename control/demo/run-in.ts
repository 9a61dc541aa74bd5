/**
 * Runs programs for the demo: in this namespace or in a host's, ended when the demo is interrupted. Main thread.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { ipEnvironment } from '../devices/ip.ts';
import { WeftError } from '../errors.ts';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a program lies: in the PATH or where system programs are; null when it isn't there. */
export function findTool(name: string): string | null {
  for (const folder of (ipEnvironment().PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (folder !== '') return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

export function hasTool(name: string): boolean {
  return findTool(name) !== null;
}

export class Runner {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Ends with the program. Throws only when the demo was interrupted or the program can't be run at all. */
  async run(program: string, args: readonly string[], input?: string): Promise<Ran> {
    this.throwIfStopped();
    const stdin = input === undefined ? { stdin: 'ignore' as const } : { input };
    const done = await execa(program, args, {
      ...stdin,
      reject: false,
      env: ipEnvironment(),
      cancelSignal: this.#signal,
    });
    this.throwIfStopped();
    if (done.exitCode === undefined) throw new WeftError('demo-tool', done.shortMessage ?? `${program} was ended`);
    return { exitCode: done.exitCode, stdout: done.stdout, stderr: done.stderr };
  }

  in(namespace: string, program: string, args: readonly string[]): Promise<Ran> {
    return this.run('ip', ['netns', 'exec', namespace, program, ...args]);
  }

  /** Starts a server in a namespace; the answer ends it, and so does an interruption. */
  serve(namespace: string, program: string, args: readonly string[]): () => Promise<void> {
    const server = execa('ip', ['netns', 'exec', namespace, program, ...args], {
      reject: false,
      stdio: 'ignore',
      env: ipEnvironment(),
      cancelSignal: this.#signal,
    });
    return async () => {
      server.kill('SIGKILL');
      await server;
    };
  }

  throwIfStopped(): void {
    if (this.#signal.aborted) throw new WeftError('interrupted', 'interrupted', { exitCode: 1 });
  }
}
