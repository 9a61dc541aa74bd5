// Guests without a hypervisor: the virtio-user ports of one dpdk-testpmd on CPU 0, each with the rings and the driver of a guest. It
// listens at a socket per guest, sends on every frame that it receives, and is spoken to by its command line. Parsers are pure.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, missingCommand } from '../system/process.ts';
import type { Workplace } from '../system/site.ts';

export const GUEST_CPU = 0;
const MEMORY_MB = 512;
/** Pages of 2 MiB for one set of guests. */
export const GUEST_HUGE_PAGES = MEMORY_MB / 2;
/** One buffer of its default pool holds so much of a frame. */
const BUFFER_BYTES = 2048;
const RING = 1024;
/** Frames that each guest sends before it has received one. */
export const FIRST = 256;
const BURST = 32;
/** DPDK's RTE_ETH_TX_OFFLOAD_MULTI_SEGS. */
const MULTI_SEGMENT = '0x8000';

/** Why there can be no guests here, or null. */
export function guestsMissing(): string | null {
  return missingCommand(['dpdk-testpmd', 'stdbuf'], 'dpdk-dev, coreutils');
}

/** Sizes of the buffers that a frame is sent in: one if it fits, else equal parts. */
export function segments(frameBytes: number): number[] {
  const count = Math.ceil(frameBytes / BUFFER_BYTES);
  const part = Math.ceil(frameBytes / count);
  return Array.from({ length: count }, (_, index) => Math.min(part, frameBytes - index * part));
}

/** Frames per second that all ports together received since the last `show port stats all`, by testpmd's own clock. */
export function parseReceiveRate(text: string): number {
  const rates = [...text.matchAll(/Rx-pps:\s+(\d+)/g)].map((match) => Number(match[1]));
  if (rates.length === 0) throw new Error('testpmd printed no Rx-pps');
  return rates.reduce((sum, rate) => sum + rate, 0);
}

/** How many ports of `show port summary all` have a link. */
export function parseLinks(text: string): number {
  return [...text.matchAll(/^\d+\s+(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\s+\S+\s+\S+\s+up\b/gim)].length;
}

/** Who sends a frame on: the guest that received it, back to where it came from, or the other one, once more the same way. */
export type Topology = 'loop' | 'paired';

/** What guests there are to be. */
export interface GuestPlan {
  /** An even number. */
  readonly count: number;
  /** Frames that they send, without FCS. */
  readonly frameBytes: number;
  /** Default: paired. */
  readonly topology?: Topology;
  /** Who listens at the sockets; default: the guests. */
  readonly listening?: 'guests' | 'switch';
}

/** Where the guests of `plan` are met: a socket each. */
export function guestSockets(place: Workplace, plan: GuestPlan): string[] {
  return Array.from({ length: plan.count }, (_, index) => join(place.folder, `g${index}.sock`));
}

/** The arguments of dpdk-testpmd for guests at these sockets. */
export function testpmdCommand(prefix: string, sockets: readonly string[], plan: GuestPlan): string[] {
  const mac = (index: number) => `02:00:00:00:00:${(index + 1).toString(16).padStart(2, '0')}`;
  const server = plan.listening === 'switch' ? 0 : 1;
  const devices = sockets.flatMap((socket, index) => [
    '--vdev',
    `net_virtio_user${index},mac=${mac(index)},path=${socket},server=${server},queues=1,queue_size=${RING}`,
  ]);
  const topology = `--port-topology=${plan.topology ?? 'paired'}`;
  const peers = sockets.map((_, index) => `--eth-peer=${index},${mac(index ^ 1)}`);
  const jumbo = ['--max-pkt-len=9018', '--enable-scatter', `--tx-offloads=${MULTI_SEGMENT}`];
  return [
    // Its output is to come line by line, although it goes into a pipe.
    ...['stdbuf', '-oL', 'dpdk-testpmd', '--lcores', `0@${GUEST_CPU},1@${GUEST_CPU}`, '--no-pci', '--no-telemetry'],
    ...[`--file-prefix=${prefix}g`, '--in-memory', '--single-file-segments', '-m', String(MEMORY_MB), ...devices],
    ...['--', '-i', '--forward-mode=mac', topology, ...peers, '--nb-cores=1', `--txd=${RING}`, `--rxd=${RING}`],
    ...(plan.frameBytes > BUFFER_BYTES ? jumbo : []),
  ];
}

export class Guests {
  readonly #plan: GuestPlan;
  readonly #daemon: Daemon;

  private constructor(plan: GuestPlan, daemon: Daemon) {
    this.#plan = plan;
    this.#daemon = daemon;
  }

  /**
   * Starts the guests. Those that listen do so one by one, each when the one before has its switch: this resolves when the first does,
   * and a switch has to try again until it finds all of them. Those that connect do so at once.
   */
  static async start(place: Workplace, plan: GuestPlan): Promise<Guests> {
    const daemon = new Daemon(testpmdCommand(place.prefix, guestSockets(place, plan), plan), place.cleanup);
    if (plan.listening !== 'switch') await daemon.until(/waiting for client connection/, 30);
    return new Guests(plan, daemon);
  }

  /** Resolves when every guest's device is connected and its rings run; throws after `seconds`. */
  async linked(seconds = 30): Promise<void> {
    await this.#daemon.until(/testpmd> /, seconds);
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const links = parseLinks(await this.#ask('show port summary all', /^0 .*\n(?:\d+ .*\n)*/m));
      if (links === this.#plan.count) break;
      if (Date.now() > deadline) throw new Error(`${links} of ${this.#plan.count} guests have a link`);
      await sleep(200);
    }
    // What came up last on the switch's side is told to its forwarding thread.
    await sleep(1000);
  }

  /** Starts with `first` frames from each guest, which from then on go round and round. */
  async startTraffic(first = FIRST): Promise<void> {
    this.#daemon.write(`set txpkts ${segments(this.#plan.frameBytes).join(',')}\nset burst ${BURST}\n`);
    await this.#ask(`start tx_first ${first / BURST}`, /packet forwarding - ports=/);
  }

  /** Million frames per second that the guests received over `seconds`; `during` runs meanwhile. */
  async receiveRate(seconds: number, during: () => Promise<unknown> = async () => {}): Promise<number> {
    await this.#showStats();
    await Promise.all([sleep(seconds * 1000), during()]);
    const rate = parseReceiveRate(await this.#showStats()) / 1e6;
    if (rate === 0) throw new Error('no frame arrived at the guests');
    return rate;
  }

  async stop(): Promise<void> {
    this.#daemon.write('stop\nquit\n');
    await this.#daemon.finished(10).catch(() => this.#daemon.stop());
  }

  #showStats(): Promise<string> {
    const each = String.raw`NIC statistics for port \d+[\s\S]*?Tx-pps:.*\n`;
    return this.#ask('show port stats all', new RegExp(`(?:${each}[\\s\\S]*?){${this.#plan.count}}`));
  }

  async #ask(command: string, answer: RegExp): Promise<string> {
    const from = this.#daemon.output.length;
    this.#daemon.write(`${command}\n`);
    await this.#daemon.until(answer, 10, from);
    return this.#daemon.output.slice(from);
  }
}
