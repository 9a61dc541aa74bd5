/**
 * A ring of records of different length between two threads, one producer and one consumer: captured frames up, injected ones down. A
 * record is a multiple of 8 bytes: its length in words, seven words that its users define, then bytes. A record never wraps: a filler
 * (negative length) ends the lap.
 */
import { BYTE_RING_HEADER_BYTES, Ring } from './layout.ts';

/** Words before a record's bytes: its length and seven for its users. */
export const BYTE_RING_HEAD_WORDS = 8;

export class ByteRing {
  readonly i32: Int32Array;
  readonly #head: number;
  readonly #tail: number;
  readonly #records: number;
  readonly #words: number;
  /** `at` and `bytes`: the region in the arena, cursors included; `bytes` without them is a power of two. */
  constructor(i32: Int32Array, at: number, bytes: number) {
    this.i32 = i32;
    this.#head = (at >> 2) + Ring.HEAD;
    this.#tail = (at >> 2) + Ring.TAIL;
    this.#records = (at + BYTE_RING_HEADER_BYTES) >> 2;
    this.#words = bytes >> 2;
  }

  /** Producer: word offset for a record with `bytes` bytes of data, or −1 without room. One of up to half a ring finds some in the end. */
  reserve(bytes: number): number {
    const i32 = this.i32;
    const words = (BYTE_RING_HEAD_WORDS + ((bytes + 7) >> 3) * 2) | 0;
    let tail = i32[this.#tail]!;
    const used = (tail - Atomics.load(i32, this.#head)) | 0;
    const at = tail & (this.#words - 1);
    const toEnd = this.#words - at;
    const needed = words <= toEnd ? words : toEnd + words;
    if (used < 0 || used + needed > this.#words) return -1;
    if (words > toEnd) {
      i32[this.#records + at] = -toEnd;
      tail = (tail + toEnd) | 0;
      Atomics.store(i32, this.#tail, tail);
    }
    const record = this.#records + (tail & (this.#words - 1));
    i32[record] = words;
    return record;
  }

  /** Producer: hands over the record at this word offset, just reserved. */
  publish(record: number): void {
    Atomics.store(this.i32, this.#tail, (this.i32[this.#tail]! + this.i32[record]!) | 0);
  }

  /** Consumer: word offset of the oldest record, or −1. */
  peek(): number {
    const i32 = this.i32;
    for (;;) {
      const head = i32[this.#head]!;
      const waiting = (Atomics.load(i32, this.#tail) - head) | 0;
      if (waiting <= 0 || waiting > this.#words) return -1;
      const at = head & (this.#words - 1);
      const record = this.#records + at;
      const words = i32[record]!;
      const toEnd = this.#words - at;
      if (words >= BYTE_RING_HEAD_WORDS && words <= waiting && words <= toEnd) return record;
      if (words >= 0 || -words > waiting || -words !== toEnd) return -1;
      Atomics.store(i32, this.#head, (head - words) | 0);
    }
  }

  /** Consumer: gives the record at this word offset back. */
  release(record: number): void {
    Atomics.store(this.i32, this.#head, (this.i32[this.#head]! + this.i32[record]!) | 0);
  }
}
