/**
 * Running captures: starts them in every worker, drains the workers' rings and hands each frame to its capture's reader. A reader that is
 * too slow loses frames, counted; nobody waits for it. Main thread; runs a timer only while there is a capture.
 */

import { CAPTURE_RING_BYTES } from '../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { Header, workerRegion } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import type { CaptureOrder } from '../../dataplane/orders.ts';
import type { Capture, CapturedFrame, CaptureOptions } from '../switch.ts';
import type { WorkerPool } from '../workers/pool.ts';

const DRAIN_MS = 20;
/** What waits for one reader: frames, and their bytes, which 8,192 super-frames would make half a gigabyte of. */
const WAITING_MAX = 8192;
const WAITING_BYTES_MAX = 16 << 20;
/** A record's words behind its length, as ports/wrap/capture.ts writes them. */
const Word = { CAPTURE: 1, DIRECTION: 2, BYTES: 3, ORIGINAL: 4, NS_LOW: 5, NS_HIGH: 6, LOST: 7 } as const;

export class RunningCapture implements Capture {
  readonly #stop: () => Promise<void>;
  readonly #waiting: CapturedFrame[] = [];
  #waitingBytes = 0;
  #wake: (() => void) | null = null;
  #closing: Promise<void> | null = null;
  /** Frames that this queue had no room for; and by worker, those that its ring had none for. */
  #refused = 0;
  readonly #lostIn: number[] = [];

  constructor(stop: () => Promise<void>) {
    this.#stop = stop;
  }

  get lost(): number {
    return this.#lostIn.reduce((sum, lost) => sum + lost, this.#refused);
  }

  /** What worker `worker` has lost so far; a worker that starts again counts from zero. */
  tellLost(worker: number, lost: number): void {
    this.#lostIn[worker] = Math.max(this.#lostIn[worker] ?? 0, lost);
  }

  give(frame: CapturedFrame): void {
    if (this.#closing !== null) return;
    if (this.#waiting.length >= WAITING_MAX || this.#waitingBytes + frame.bytes.length > WAITING_BYTES_MAX) {
      this.#refused++;
    } else {
      this.#waiting.push(frame);
      this.#waitingBytes += frame.bytes.length;
    }
    this.#wake?.();
  }

  close(): Promise<void> {
    if (this.#closing === null) {
      // Frames that are still in the rings belong to the capture: they are given before it counts as closed.
      const stopped = this.#stop();
      this.#closing = stopped;
      this.#wake?.();
    }
    return this.#closing;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<CapturedFrame> {
    try {
      for (;;) {
        const frame = this.#waiting.shift();
        if (frame !== undefined) {
          this.#waitingBytes -= frame.bytes.length;
          yield frame;
        } else if (this.#closing !== null) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = null;
        }
      }
    } finally {
      void this.close();
    }
  }
}

export class Captures {
  readonly #view: View;
  readonly #pool: () => WorkerPool;
  readonly #rings: ByteRing[];
  readonly #running = new Map<number, { readonly capture: RunningCapture; readonly order: CaptureOrder }>();
  #next = 1;
  #timer: NodeJS.Timeout | null = null;

  constructor(view: View, pool: () => WorkerPool) {
    this.#view = view;
    this.#pool = pool;
    this.#rings = Array.from({ length: view.layout.workers }, (_, worker) => {
      return new ByteRing(view.i32, workerRegion(view.layout, Header.CAPTURE_AT, worker), CAPTURE_RING_BYTES);
    });
  }

  /** What a worker that starts again must go on capturing. */
  orders(): CaptureOrder[] {
    return [...this.#running.values()].map(({ order }) => order);
  }

  /** Of one port, or of the members of a bond. */
  start(ports: readonly number[], options: CaptureOptions): Capture {
    const number = this.#next++;
    const order: CaptureOrder = {
      capture: number,
      ports,
      filter: {
        in: options.direction !== 'out',
        out: options.direction !== 'in',
        vlan: options.vlan ?? -1,
        etherType: options.etherType ?? -1,
        mac: options.mac === undefined ? null : options.mac.split(/[:-]/).map((octet) => Number.parseInt(octet, 16)),
        snapBytes: options.snapLength,
      },
    };
    const capture = new RunningCapture(() => this.#stop(number));
    this.#running.set(number, { capture, order });
    void this.#pool().orderAll({ type: 'capture-start', order });
    this.#timer ??= setInterval(() => this.#drain(), DRAIN_MS);
    return capture;
  }

  closeAll(): void {
    for (const { capture } of this.#running.values()) void capture.close();
  }

  /** Ends the captures of ports that are gone: their numbers will be other ports'. */
  closeWithout(ports: { byNumber(number: number): unknown }): void {
    for (const { capture, order } of this.#running.values())
      if (order.ports.some((port) => ports.byNumber(port) === undefined)) void capture.close();
  }

  async #stop(number: number): Promise<void> {
    const running = this.#running.get(number);
    if (running === undefined) return;
    this.#drain();
    this.#running.delete(number);
    const stopped = this.#pool().orderAll({ type: 'capture-stop', capture: number });
    if (this.#running.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    for (const [worker, lost] of (await stopped).entries()) running.capture.tellLost(worker, lost);
  }

  /** Wall-clock time of a frame: its monotonic reading, moved by what the two clocks differ now. */
  #drain(): void {
    const offset = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
    const { i32, u8 } = this.#view;
    for (const [worker, ring] of this.#rings.entries()) {
      for (let record = ring.peek(); record >= 0; record = ring.peek()) {
        const running = this.#running.get(i32[record + Word.CAPTURE]!);
        if (running !== undefined) {
          const at = (record + BYTE_RING_HEAD_WORDS) << 2;
          running.capture.tellLost(worker, i32[record + Word.LOST]!);
          const ns = (BigInt(i32[record + Word.NS_HIGH]!) << 32n) | BigInt(i32[record + Word.NS_LOW]! >>> 0);
          running.capture.give({
            direction: i32[record + Word.DIRECTION] === 1 ? 'in' : 'out',
            time: ns + offset,
            originalBytes: i32[record + Word.ORIGINAL]!,
            bytes: u8.slice(at, at + i32[record + Word.BYTES]!),
          });
        }
        ring.release(record);
      }
    }
  }
}
