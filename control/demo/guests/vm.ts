/**
 * A QEMU guest of image.ts: started, asked to run commands, reset, ended. Used by the demo and by the tests' rig; main thread. Emulated in
 * software, so that it needs neither KVM nor root. It ends with this process, where the command setpriv can arrange that.
 *
 * Its kernel's messages go to a file; commands go over a virtio port, which is QEMU's stdin and stdout (init.ts has the form).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { WeftError } from '../../errors.ts';
import { hasTool } from '../run-in.ts';
import type { Image } from './image.ts';
import { READY } from './init.ts';

export interface VmOptions {
  readonly image: Image;
  /** For its console's text, `NAME.console`, and QEMU's messages, `NAME.qemu`. */
  readonly folder: string;
  readonly name: string;
  /** Arguments of its network cards (nic.ts). */
  readonly args?: readonly string[];
  /** MiB; default 128. */
  readonly memory?: number;
  readonly cpus?: number;
  /** Shared memory, as vhost-user needs it. */
  readonly shared?: boolean;
  /** What stands before the command: `ip netns exec NAME`. */
  readonly before?: readonly string[];
  /** Kills it. */
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly output: string;
}

interface Waiting {
  readonly lines: string[];
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const BOOT_MS = 60_000;
const MEMORY_MIB = 128;
const SECONDS = 30;
/** What the guest's `timeout` needs beyond its own time until the answer is here. */
const GRACE_MS = 15_000;
/** The descriptor over which QEMU itself is spoken to. */
const MONITOR = 3;
/** Quick to boot: no cures for a real CPU's leaks, no wait for chance. */
const KERNEL = 'console=ttyS0 quiet panic=1 mitigations=off no_timer_check random.trust_cpu=on';

export function qemuArguments(options: VmOptions, consoleFile: string): string[] {
  const { image, cpus = 1, memory = MEMORY_MIB, shared = false, args = [] } = options;
  const backend = `memory-backend-memfd,id=ram,size=${memory}M,share=on`;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-accel', 'tcg', '-cpu', 'max'],
    ...['-m', `${memory}M`, '-smp', `${cpus}`],
    ...(shared ? ['-object', backend, '-machine', 'pc,memory-backend=ram'] : ['-machine', 'pc']),
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', KERNEL],
    ...['-chardev', `socket,id=monitor,fd=${MONITOR}`, '-mon', 'chardev=monitor,mode=readline'],
    ...['-chardev', `file,id=console,path=${consoleFile}`, '-serial', 'chardev:console'],
    ...[
      '-chardev',
      'stdio,id=agent,signal=off',
      '-device',
      'virtio-serial-pci',
      '-device',
      'virtserialport,chardev=agent',
    ],
    ...args,
  ];
}

export class Vm {
  readonly #child: ChildProcess;
  readonly #files: { console: string; qemu: string };
  readonly #name: string;
  readonly #waiting = new Map<string, Waiting>();
  #ended = 'was killed';
  #asked = 0;
  #boots = 0;
  #onBoot: (() => void)[] = [];

  private constructor(options: VmOptions) {
    const { folder, name, before = [], signal } = options;
    signal?.throwIfAborted();
    this.#name = name;
    this.#files = { console: join(folder, `${name}.console`), qemu: join(folder, `${name}.qemu`) };
    const qemu = ['qemu-system-x86_64', ...qemuArguments(options, this.#files.console)];
    const tied = hasTool('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
    const [file, ...args] = [...tied, ...before, ...qemu] as [string, ...string[]];
    const said = openSync(this.#files.qemu, 'w');
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', said, 'pipe'] });
    closeSync(said);
    this.#child.once('error', (error) => this.#end(error.message));
    const kill = () => this.killNow();
    signal?.addEventListener('abort', kill);
    this.#child.once('exit', (code, by) => {
      signal?.removeEventListener('abort', kill);
      this.#end(`ended (${by ?? `exit ${code}`})`);
    });
    this.#child.stdin!.on('error', () => undefined);
    this.#monitor.on('error', () => undefined).resume();
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#line(line));
  }

  /** Resolves when it takes commands. Rejects, and leaves nothing behind, with what QEMU said when it doesn't. */
  static async start(options: VmOptions): Promise<Vm> {
    const vm = new Vm(options);
    try {
      await vm.booted(0);
    } catch (error) {
      await vm.kill();
      throw error;
    }
    return vm;
  }

  /** A QEMU that waits for a guest from another one: `-incoming` is among its arguments. It takes commands when that guest is here. */
  static incoming(options: VmOptions): Vm {
    return new Vm(options);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** How often it came up; for `booted`. */
  get boots(): number {
    return this.#boots;
  }

  /** Resolves once it came up more than `times` times. */
  async booted(times: number): Promise<void> {
    const end = performance.now() + BOOT_MS;
    while (this.#boots <= times) {
      const left = end - performance.now();
      if (!this.running || left <= 0) throw this.#failure(this.running ? 'is not up after a minute' : this.#ended);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onBoot.push(resolve);
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  /** Runs a line of shell; it is ended after `seconds` with status 143. Rejects when the guest ends, restarts or falls silent. */
  ask(command: string, seconds = SECONDS): Promise<Answer> {
    const number = `${++this.#asked}`;
    return new Promise((resolve, reject) => {
      if (!this.running) return reject(this.#failure('is not running'));
      const timer = setTimeout(
        () => {
          this.#waiting.delete(number);
          reject(this.#failure(`gave no answer to: ${command}`));
        },
        this.#waiting.size * SECONDS * 1000 + seconds * 1000 + GRACE_MS,
      );
      this.#waiting.set(number, {
        lines: [],
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.stdin!.write(`${number} ${seconds} ${Buffer.from(command).toString('base64')}\n`);
    });
  }

  /** What a command printed; rejects when its status isn't 0. */
  async run(command: string, seconds = SECONDS): Promise<string> {
    const { status, output } = await this.ask(command, seconds);
    if (status !== 0) throw new WeftError('guest-command', `${this.#name}: ${command}: status ${status}: ${output}`);
    return output;
  }

  /** The guest starts anew by its own will, in the same QEMU. */
  async reboot(): Promise<void> {
    const before = this.#boots;
    void this.ask('reboot -f').catch(() => undefined);
    await this.booted(before);
  }

  /** The guest starts anew without having been asked; so does what it was asked to do. */
  async reset(): Promise<void> {
    const before = this.#boots;
    this.#monitor.write('system_reset\n');
    await this.booted(before);
  }

  /** Resolves when QEMU has gone. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const ended = once(this.#child, 'exit');
    this.killNow();
    await ended;
  }

  killNow(): void {
    if (this.running) this.#child.kill('SIGKILL');
  }

  get #monitor(): Duplex {
    return this.#child.stdio[MONITOR] as unknown as Duplex;
  }

  #line(line: string): void {
    // A reset in the middle of a line leaves its beginning before what the next boot says.
    if (line.endsWith(READY)) {
      this.#forget('started anew');
      this.#boots++;
      for (const tell of this.#onBoot.splice(0)) tell();
      return;
    }
    const end = /^(\d+)(?: end (\d+))?$/.exec(line);
    const waiting = end === null ? [...this.#waiting.values()][0] : this.#waiting.get(end[1]!);
    if (waiting === undefined) return;
    if (end === null) waiting.lines.push(line);
    else if (end[2] === undefined) waiting.lines.length = 0;
    else {
      this.#waiting.delete(end[1]!);
      const output = Buffer.from(waiting.lines.join(''), 'base64').toString();
      waiting.resolve({ status: Number(end[2]), output });
    }
  }

  #forget(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(this.#failure(why));
    this.#waiting.clear();
  }

  #end(why: string): void {
    this.#ended = why;
    this.#forget(why);
    for (const tell of this.#onBoot.splice(0)) tell();
  }

  #failure(why: string): WeftError {
    const tail = (file: string) => {
      try {
        return readFileSync(file, 'utf8').trim().split('\n').slice(-4).join('\n');
      } catch {
        return '';
      }
    };
    const said = `${tail(this.#files.qemu)}\n${tail(this.#files.console)}`.trim();
    return new WeftError('guest', `guest ${this.#name} ${why}${said === '' ? '' : `:\n${said}`}`);
  }
}
