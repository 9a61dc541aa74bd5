/**
 * `memory` ports: frames from and to JavaScript in the same thread. Simulation and tests push what a host would send and take what it
 * would see; the demo without root uses two of them as its hosts.
 */
import { BATCH_COUNT_MAX, FRAME_BYTES_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { Block } from '../memory/layout.ts';
import { closeBatch, hasRoom, receiveFrame } from './receive.ts';
import { readFrame, type ScriptPort, type SentFrame } from './script-port.ts';

export class MemoryPort implements ScriptPort {
  readonly port: number;
  /** Frames that the port takes before it is full. */
  capacity: number;
  readonly #waiting: { readonly bytes: Uint8Array; readonly vnet: Uint8Array | null }[] = [];
  #sent: SentFrame[] = [];

  constructor(port: number, capacity = 4096) {
    this.port = port;
    this.capacity = capacity;
  }

  /** Queues a frame to be received. Throws RangeError when it is longer than any frame. */
  push(bytes: Uint8Array, vnet: Uint8Array | null = null): void {
    if (bytes.length > FRAME_BYTES_MAX)
      throw new RangeError(`a frame of ${bytes.length} bytes: at most ${FRAME_BYTES_MAX}`);
    this.#waiting.push({ bytes, vnet });
  }

  /** What was sent to this port since the last call. */
  drain(): SentFrame[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  close(): void {}

  hasWork(): boolean {
    return this.#waiting.length > 0;
  }

  receive(lane: Lane): void {
    const first = lane.i32[lane.blockAt + Block.RECEIVED_COUNT]!;
    for (let k = 0; k < BATCH_COUNT_MAX && this.#waiting.length > 0 && hasRoom(lane); k++) {
      const frame = this.#waiting.shift()!;
      receiveFrame(lane, this.port, frame.bytes, frame.vnet);
    }
    closeBatch(lane, this.port, first);
  }

  take(lane: Lane, entry: number): boolean {
    if (this.#sent.length >= this.capacity) return false;
    this.#sent.push(readFrame(lane, entry));
    return true;
  }
}
