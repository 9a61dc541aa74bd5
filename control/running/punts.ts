/**
 * Frames that workers handed up: takes them off every worker's ring and gives each to whoever hears its protocol. Made once by open.ts; the
 * worker pool calls `drain` when a worker says that some wait. Main thread. Never looks into a frame.
 */
import { PUNT_RING_BYTES } from '../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { Header, type Protocol, Punt, workerRegion } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';

/** A frame's head, and under which port it came up. What `vlan` and `about` mean is the protocol's (`Protocol` in memory/layout.ts). */
export interface PuntedFrame {
  readonly port: number;
  readonly vlan: number;
  readonly about: number;
  readonly bytes: Uint8Array;
}

export type PuntReceiver = (frame: PuntedFrame) => void;
type ProtocolNumber = (typeof Protocol)[Exclude<keyof typeof Protocol, 'COUNT'>];

export class Punts {
  readonly #view: View;
  readonly #rings: readonly ByteRing[];
  readonly #receivers = new Map<number, PuntReceiver>();

  constructor(view: View) {
    this.#view = view;
    this.#rings = Array.from({ length: view.layout.workers }, (_, worker) => {
      return new ByteRing(view.i32, workerRegion(view.layout, Header.PUNT_AT, worker), PUNT_RING_BYTES);
    });
  }

  /** From now on `receiver` gets what comes up under this protocol. What nobody hears is thrown away. */
  hear(protocol: ProtocolNumber, receiver: PuntReceiver): void {
    this.#receivers.set(protocol, receiver);
  }

  /** Hands out all that waits, of each worker in the order in which it came. */
  drain(): void {
    const { i32, u8 } = this.#view;
    for (const ring of this.#rings) {
      for (let record = ring.peek(); record >= 0; record = ring.peek()) {
        const at = (record + BYTE_RING_HEAD_WORDS) << 2;
        const frame = {
          port: i32[record + Punt.PORT]!,
          vlan: i32[record + Punt.VLAN]!,
          about: i32[record + Punt.ABOUT]!,
          bytes: u8.slice(at, at + i32[record + Punt.BYTES]!),
        };
        const receiver = this.#receivers.get(i32[record + Punt.PROTOCOL]!);
        // Given back first: a receiver may drain again.
        ring.release(record);
        receiver?.(frame);
      }
    }
  }
}
