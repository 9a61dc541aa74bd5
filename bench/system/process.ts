// Child processes of a bench: one-shot commands, and daemons that are ended by their own pid. Never a shell, never by name.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Cleanup } from './cleanup.ts';
import { Transcript } from './transcript.ts';

/** Where a command runs. Both wrappers exec, so the pid that we hold is the command's own. */
export interface Placement {
  readonly namespace?: string | undefined;
  /** A list as taskset takes it, e.g. '1' or '0,1'. */
  readonly cpus?: string | undefined;
}

/** The argument vector of `command` in a namespace, on CPUs. */
export function placed(command: readonly string[], where: Placement = {}): string[] {
  const onCpus = where.cpus === undefined ? [...command] : ['taskset', '-c', where.cpus, ...command];
  return where.namespace === undefined ? onCpus : ['ip', 'netns', 'exec', where.namespace, ...onCpus];
}

/** Runs to the end and returns stdout. Throws an Error with the command and its stderr; at most `seconds` (default 30). */
export async function run(command: readonly string[], where: Placement & { seconds?: number; input?: string } = {}) {
  const [file, ...args] = placed(command, where);
  const input = where.input === undefined ? {} : { input: where.input };
  const result = await execa(file!, args, { reject: false, timeout: (where.seconds ?? 30) * 1000, ...input });
  if (result.failed) {
    const said = String(result.stderr || result.stdout || result.message || '').trim();
    throw new Error(`${command.slice(0, 6).join(' ')} failed: ${said.slice(0, 400) || `exit ${result.exitCode}`}`);
  }
  return String(result.stdout);
}

/** True when `name` is an executable in PATH or, with a slash, at that path. */
export function hasCommand(name: string): boolean {
  const folders = name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(folder === '' ? name : join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A reason when one of the commands is missing, else null. `hint` names the package. */
export function missingCommand(commands: readonly string[], hint: string): string | null {
  const missing = commands.filter((name) => !hasCommand(name));
  return missing.length === 0 ? null : `${missing.join(', ')} not installed (${hint})`;
}

/**
 * A running process with everything that it printed so far. It leads a process group of its own and signals go to that group: trafgen
 * forks a sender that outlives it, and Ctrl-C in a terminal is to reach only us, who then clean up in order.
 */
export class Daemon {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<void>;
  readonly #said = new Transcript();
  #running = true;
  #wake: () => void = () => {};

  /** Starts at once and registers its end with `cleanup`. Its stdin stays open, for `write`. */
  constructor(command: readonly string[], cleanup: Cleanup, where: Placement & { env?: NodeJS.ProcessEnv } = {}) {
    const [file, ...args] = placed(command, where);
    this.#name = command[0]!;
    this.#child = spawn(file!, args, {
      stdio: 'pipe',
      detached: true,
      env: { ...process.env, ...where.env },
    });
    this.pid = this.#child.pid ?? -1;
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#running = false;
        this.#wake();
        resolve();
      };
      this.#child.once('close', end);
      this.#child.once('error', (error) => {
        this.#said.note(error.message);
        end();
      });
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream) this.#said.follow(stream, () => this.#wake());
    this.#child.stdin?.on('error', () => {});
    cleanup.defer(`ending ${this.#name} (${this.pid})`, () => this.stop());
  }

  get output(): string {
    return this.#said.text;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Types `text` into its stdin. Nothing happens when it has ended. */
  write(text: string): void {
    if (this.#running) this.#child.stdin?.write(text);
  }

  /**
   * Resolves once the output matches, what comes before character `from` left out (of a line that was begun before, its end; what stood behind
   * that line may be seen again); throws with the output's end when the process ends
   * before, or after `seconds`.
   */
  async until(pattern: RegExp, seconds: number, from = 0): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    while (!pattern.test(this.output.slice(from))) {
      const left = deadline - Date.now();
      if (!this.#running || left <= 0) {
        const why = this.#running ? `said nothing like ${pattern} in ${seconds} s` : 'ended early';
        throw new Error(`${this.#name} ${why}: ${this.output.slice(-600).trim()}`);
      }
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, sleep(Math.min(left, 500))]);
    }
  }

  /** Resolves when the process has ended by itself; throws after `seconds`. */
  async finished(seconds: number): Promise<string> {
    await Promise.race([this.#ended, sleep(seconds * 1000)]);
    if (this.#running) throw new Error(`${this.#name} did not end within ${seconds} s`);
    return this.output;
  }

  /** SIGTERM, and after `seconds` SIGKILL. Returns when the process is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', seconds = 5): Promise<void> {
    if (!this.#running) return;
    this.#signal(signal);
    await Promise.race([this.#ended, sleep(seconds * 1000)]);
    if (this.#running) this.#signal('SIGKILL');
    await this.#ended;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid <= 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone already; its end was or will be reported as an event.
    }
  }
}
