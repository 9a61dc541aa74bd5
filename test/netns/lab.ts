/**
 * What a test of real traffic makes: namespaces with the prefix wt<pid>-, hosts in them, daemons, a folder for files. Everything goes with
 * `close`, whatever became of the test; what the kernel holds goes also when the test process exits early.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { beforeEach } from 'vitest';
import { Daemon, type DaemonOptions } from './daemon.ts';
import { Host } from './host.ts';

export const TOOLS = ['ip', 'ping', 'python3', 'sysctl'] as const;
/** What every test of this folder needs. */
export const REAL = { root: true, tun: true, addon: true, tools: TOOLS } as const;

/** What the kernel puts into every namespace: the loopback, and a device of each tunnel module that happens to be loaded. */
const OF_KERNEL = new Set(
  'lo tunl0 sit0 gre0 gretap0 erspan0 ip_vti0 ip6tnl0 ip6gre0 ip6gretap0 ip6erspan0 ip6_vti0'.split(' '),
);

let labs = 0;

export class Lab {
  readonly prefix: string;
  readonly folder: string;
  readonly #hosts = new Map<string, Host>();
  readonly #namespaces = new Set<string>();
  readonly #daemons: Daemon[] = [];
  readonly #atExit = () => this.#removeNow();

  constructor() {
    this.prefix = `wt${process.pid}${String.fromCharCode(97 + (labs++ % 26))}`;
    this.folder = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
    process.once('exit', this.#atExit);
  }

  /** The full name of a namespace of this lab. */
  name(short: string): string {
    return `${this.prefix}-${short}`;
  }

  /** Makes a namespace. `ipv6` off keeps the kernel from talking on its own, for tests that count or compare frames. */
  async netns(short: string, options: { ipv6?: boolean } = {}): Promise<string> {
    const name = this.name(short);
    await execa('ip', ['netns', 'add', name]);
    this.#namespaces.add(name);
    const setting =
      options.ipv6 === false ? 'net.ipv6.conf.default.disable_ipv6=1' : 'net.ipv6.conf.default.dad_transmits=0';
    await execa('ip', ['netns', 'exec', name, 'sysctl', '-qw', setting]);
    await execa('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    return name;
  }

  async deleteNetns(short: string): Promise<void> {
    await this.#hosts.get(short)?.close();
    this.#hosts.delete(short);
    await execa('ip', ['netns', 'del', this.name(short)]);
    this.#namespaces.delete(this.name(short));
  }

  /** Makes namespaces, each with a host. */
  async hosts<const N extends string>(names: readonly N[], options: { ipv6?: boolean } = {}): Promise<Record<N, Host>> {
    const made = await Promise.all(names.map(async (name) => [name, await this.host(name, options)] as const));
    return Object.fromEntries(made) as Record<N, Host>;
  }

  async host(short: string, options: { ipv6?: boolean } = {}): Promise<Host> {
    const host = new Host(await this.netns(short, options));
    this.#hosts.set(short, host);
    return host;
  }

  /** Starts a daemon in a namespace of its own, `hub`, which it shares with the lab's other daemons. */
  async daemon(document: object | string, options: Partial<DaemonOptions> = {}): Promise<Daemon> {
    const netns = options.netns ?? this.name('hub');
    if (!this.#namespaces.has(netns)) await this.netns('hub');
    const name = options.name ?? 'weft';
    const daemon = await Daemon.start({ ...options, netns, folder: this.folder, name, document });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Ends the daemons that still run. */
  async stopDaemons(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop().catch(() => undefined)));
  }

  async close(): Promise<void> {
    process.off('exit', this.#atExit);
    await this.stopDaemons();
    await Promise.all([...this.#hosts.values()].map((host) => host.close()));
    this.#removeNow();
  }

  #removeNow(): void {
    for (const daemon of this.#daemons) daemon.signal('SIGKILL');
    for (const name of this.#namespaces) {
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
      } catch {
        // It is gone already.
      }
    }
    this.#namespaces.clear();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Devices of a namespace, but for those that it has by itself. */
export async function devicesIn(netns: string): Promise<string[]> {
  const { stdout } = await execa('ip', ['-n', netns, '-json', 'link', 'show']);
  return (JSON.parse(stdout) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => !OF_KERNEL.has(name));
}

/** A TAP port in a namespace of the lab; its device is eth0 there. */
export function tap(lab: Lab, name: string, more: object = {}): { name: string; [key: string]: unknown } {
  return { name, kind: 'tap', device: 'eth0', netns: lab.name(name), ...more };
}

/** One bridge, br0, and no metrics, whose port number the tests would fight over. */
export function bridge(ports: readonly object[], more: object = {}, top: object = {}): object {
  return { metrics: false, ...top, bridges: [{ name: 'br0', ...more, ports }] };
}

/** Puts right, before the second try of a test, what the first one may have left. To be called among a `describe`'s other hooks. */
export function beforeRetry(mend: () => Promise<unknown>): void {
  beforeEach(async ({ task }) => {
    if ((task.result?.retryCount ?? 0) > 0) await mend();
  });
}

/** Asks again until the answer is right or `ms` have passed; answers the last one. */
export async function until<T>(ask: () => Promise<T>, right: (answer: T) => boolean, ms = 5000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (right(answer) || performance.now() > end) return answer;
    await sleep(50);
  }
}
