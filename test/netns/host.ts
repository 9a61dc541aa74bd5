/**
 * A host behind a port: a process of host.py in a network namespace, and commands run there. Made by lab.ts; ends with `close`, and in any
 * case with the test process, whose pipe it reads.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { QUEUE_FRAMES } from '../../control/devices/tap-commands.ts';

const AGENT = fileURLToPath(new URL('host.py', import.meta.url));

export interface Transfer {
  readonly sent: string;
  readonly received: string;
}

export interface FlowResult {
  readonly received: number;
  readonly duplicates: number;
  /** The longest run of frames that never came. */
  readonly missing: number;
  /** How long the latest frame was under way. */
  readonly late_ms: number;
}

export interface FlowOptions {
  readonly device: string;
  /** MAC addresses as 12 hex digits. */
  readonly destination: string;
  readonly source: string;
  /** Tells flows apart. */
  readonly number: number;
  /** Frames per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly size?: number;
}

/**
 * The longest time in milliseconds for which a flow of `rate` frames a second didn't get through, at most: an outage may lose its first frames
 * and hold the next ones back, so that the longest loss and the longest delay add up. Pauses of the sender and of the listener are no part of
 * it.
 */
export function outageOf({ missing, late_ms }: FlowResult, rate: number): number {
  return (missing / rate) * 1000 + late_ms;
}

/**
 * How late in milliseconds a flow of `rate` frames a second gets at least when it fills the queue of its TAP, less a tenth for the sender's
 * bursts. The kernel counts what a full queue had no room for together with what lay in a queue when it was detached: this tells them apart.
 */
export function lateWhenFullMs(rate: number): number {
  return 0.9 * (QUEUE_FRAMES / rate) * 1000;
}

export interface PingOptions {
  readonly count?: number;
  /** Bytes of payload. */
  readonly size?: number;
  /** Seconds between two requests. */
  readonly interval?: number;
  /** Seconds for the last answers to come in. */
  readonly wait?: number;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class Host {
  readonly netns: string;
  readonly #agent: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #said = '';

  constructor(netns: string) {
    this.netns = netns;
    this.#agent = spawn('ip', ['netns', 'exec', netns, 'python3', AGENT]);
    this.#agent.stderr.on('data', (data) => (this.#said += data));
    this.#agent.stdin.on('error', () => undefined);
    createInterface({ input: this.#agent.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line) as { id: number; result?: unknown; error?: string };
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(`host ${netns}: ${error}`));
    });
    this.#agent.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`host ${netns} ended: ${this.#said}`));
      this.#waiting.clear();
    });
  }

  #ask<T>(op: string, given: object = {}): Promise<T> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
      this.#agent.stdin.write(`${JSON.stringify({ ...given, op, id })}\n`);
    });
  }

  /** Runs a command in the namespace; rejects when it fails. */
  async run(command: string, ...args: string[]): Promise<string> {
    return (await execa('ip', ['netns', 'exec', this.netns, command, ...args])).stdout;
  }

  /**
   * How many of the first `count` echo requests were answered. A late answer counts, since the machine may be busy: only what has not come
   * after `wait` seconds is lost.
   */
  async ping(address: string, options: PingOptions = {}): Promise<number> {
    const { count = 3, size = 56, interval = 0.05, wait = 5 } = options;
    const deadline = Math.ceil(count * interval + wait);
    // With a deadline ping goes on until it has `count` answers, whichever they are.
    const args = ['-n', '-c', `${count}`, '-i', `${interval}`, '-s', `${size}`, '-w', `${deadline}`, address];
    const { stdout } = await execa('ip', ['netns', 'exec', this.netns, 'ping', ...args], { reject: false });
    const answered = new Set([...stdout.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence)));
    return [...answered].filter((sequence) => sequence <= count).length;
  }

  /** A number of /sys/class/net/DEVICE/, as `statistics/rx_packets` or `ifindex`. */
  async number(device: string, name: string): Promise<number> {
    return Number(await this.run('cat', `/sys/class/net/${device}/${name}`));
  }

  /** Keeps frames that hold `marker` (hex) from now on; `frames` answers them. */
  sniff(device: string, marker = ''): Promise<void> {
    return this.#ask('sniff', { device, marker });
  }

  /** What came since the last question: waits until `count` are there or `seconds` have passed. */
  frames(device: string, count = 1, seconds = 5): Promise<string[]> {
    return this.#ask('frames', { device, count, seconds });
  }

  /** Forgets what came so far, and whatever comes until there is nothing for `seconds`. */
  async drain(device: string, seconds = 0.05): Promise<void> {
    while ((await this.frames(device, 1, seconds)).length > 0);
  }

  /** Answers how many frames were handed to the device, those included that found its queue full. */
  send(device: string, frames: readonly string[], options: { times?: number; pause?: number } = {}): Promise<number> {
    return this.#ask('send', { device, frames, ...options });
  }

  serve(address: string, port: number): Promise<void> {
    return this.#ask('serve', { address, port });
  }

  /** `pause`: seconds after each MiB, for what is to happen in mid-flow. */
  transfer(address: string, port: number, size: number, pause = 0): Promise<Transfer> {
    return this.#ask('transfer', { address, port, size, pause });
  }

  /** Has a UDP port open without ever reading from it. */
  hold(address: string, port: number): Promise<void> {
    return this.#ask('hold', { address, port });
  }

  connect(address: string, port: number): Promise<{ result: string; from: string | null }> {
    return this.#ask('connect', { address, port });
  }

  /** Answers connections to `port` with the address that they come from; `askPeer` reads that. */
  peers(port: number): Promise<void> {
    return this.#ask('peers', { port });
  }

  askPeer(address: string, port: number): Promise<string> {
    return this.#ask('ask_peer', { address, port });
  }

  /** Sniffers of the device, and listeners to older flows, end. */
  listenFlow(device: string, number: number): Promise<void> {
    return this.#ask('flow_listen', { device, number });
  }

  /** `sent`: how many frames there were, so that the last ones can be missed. */
  flowResult(number: number, sent = 0): Promise<FlowResult> {
    return this.#ask('flow_result', { number, sent });
  }

  sendFlow(options: FlowOptions): Promise<number> {
    return this.#ask('flow_send', options);
  }

  async close(): Promise<void> {
    if (this.#agent.exitCode !== null || this.#agent.signalCode !== null) return;
    const ended = once(this.#agent, 'exit');
    this.#agent.kill('SIGKILL');
    await ended;
  }
}
