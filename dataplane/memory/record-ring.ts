/**
 * A ring of fixed records between two threads, one producer and one consumer: commands down, events up. Cursors run free in int32 and
 * stand 128 bytes apart; a record is RING_RECORD_WORDS ints. One atomic store publishes, one atomic load looks; the other side's
 * cursor is range-checked, since the other side may have died half-way.
 */
import { RING_COUNT, RING_RECORD_WORDS } from '../limits.ts';
import { Ring } from './layout.ts';

const MASK = RING_COUNT - 1;

export class RingProducer {
  readonly #i32: Int32Array;
  readonly #at: number;
  #tail: number;
  /** `at`: byte offset of the ring in the arena. Goes on where the ring stands. */
  constructor(i32: Int32Array, at: number) {
    this.#i32 = i32;
    this.#at = at >> 2;
    this.#tail = Atomics.load(i32, this.#at + Ring.TAIL);
  }

  /** Word offset of the next free record, or −1 when the ring is full. */
  reserve(): number {
    const used = (this.#tail - Atomics.load(this.#i32, this.#at + Ring.HEAD)) | 0;
    if (used < 0 || used >= RING_COUNT) return -1;
    return this.#at + Ring.RECORDS + (this.#tail & MASK) * RING_RECORD_WORDS;
  }

  /** Hands the reserved record to the consumer. */
  publish(): void {
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#i32, this.#at + Ring.TAIL, this.#tail);
  }

  /** Copies one record in; false when the ring is full. Cold. */
  push(record: readonly number[]): boolean {
    const at = this.reserve();
    if (at < 0) return false;
    for (let k = 0; k < RING_RECORD_WORDS; k++) this.#i32[at + k] = record[k] ?? 0;
    this.publish();
    return true;
  }
}

export class RingConsumer {
  readonly #i32: Int32Array;
  readonly #at: number;
  #head: number;
  constructor(i32: Int32Array, at: number) {
    this.#i32 = i32;
    this.#at = at >> 2;
    this.#head = Atomics.load(i32, this.#at + Ring.HEAD);
  }

  /** Word offset of the oldest record, or −1 when there is none. */
  peek(): number {
    const waiting = (Atomics.load(this.#i32, this.#at + Ring.TAIL) - this.#head) | 0;
    if (waiting <= 0 || waiting > RING_COUNT) return -1;
    return this.#at + Ring.RECORDS + (this.#head & MASK) * RING_RECORD_WORDS;
  }

  /** Gives the record that peek named back to the producer. */
  release(): void {
    this.#head = (this.#head + 1) | 0;
    Atomics.store(this.#i32, this.#at + Ring.HEAD, this.#head);
  }

  /** The oldest record as an array, or null. Cold. */
  take(): number[] | null {
    const at = this.peek();
    if (at < 0) return null;
    const record = Array.from(this.#i32.subarray(at, at + RING_RECORD_WORDS));
    this.release();
    return record;
  }
}
