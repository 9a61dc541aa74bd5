/**
 * Capture: looks at the lists of a port, or of a bond's members, after receive and before transmit and copies what its filter takes into the worker's capture ring.
 * Wraps lists, so that the path itself has no branch for it. Runs on the worker's thread; control drains the ring.
 */

import { BYTE_RING_HEAD_WORDS, type ByteRing } from '../../memory/byte-ring.ts';
import type { Lane } from '../../memory/lane.ts';
import { BlockCell, ENTRY_SLOT_MASK, FACT_WORDS_SHIFT, Fact, Flag } from '../../memory/layout.ts';

/** What a capture takes; −1 in a field takes all. MAC words as the frame's first 12 bytes hold them, little-endian. */
export interface CaptureFilter {
  readonly in: boolean;
  readonly out: boolean;
  readonly vlan: number;
  readonly etherType: number;
  /** Six bytes, or null for every address; source or destination. */
  readonly mac: readonly number[] | null;
  readonly snapBytes: number;
}

/** Words of a capture record's head, behind its length; LOST is what this capture has lost here so far. */
export const CaptureWord = { CAPTURE: 1, DIRECTION: 2, BYTES: 3, ORIGINAL: 4, NS_LOW: 5, NS_HIGH: 6, LOST: 7 } as const;
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

export class Capture {
  readonly capture: number;
  readonly #ports: readonly number[];
  readonly #filter: CaptureFilter;
  readonly #ring: ByteRing;
  /** Frames that found the ring full. */
  lost = 0;

  constructor(capture: number, ports: readonly number[], filter: CaptureFilter, ring: ByteRing) {
    this.capture = capture;
    this.#ports = ports;
    this.#filter = filter;
    this.#ring = ring;
  }

  received(lane: Lane, list: number, n: number, port: number): number {
    if (this.#filter.in && this.#ports.includes(port)) this.#copyAll(lane, list, n, DIRECTION_IN);
    return n;
  }

  sending(lane: Lane, list: number, n: number, port: number): number {
    if (this.#filter.out && this.#ports.includes(port)) this.#copyAll(lane, list, n, DIRECTION_OUT);
    return n;
  }

  #copyAll(lane: Lane, list: number, n: number, direction: number): void {
    for (let k = 0; k < n; k++) {
      const facts = lane.factsAt + ((lane.i32[list + k]! & ENTRY_SLOT_MASK) << FACT_WORDS_SHIFT);
      if (this.#takes(lane, facts)) this.#copy(lane, facts, direction);
    }
  }

  #takes(lane: Lane, facts: number): boolean {
    const { u8, i32 } = lane;
    const { vlan, etherType, mac } = this.#filter;
    const at = i32[facts + Fact.HEAD_AT]!;
    const head = i32[facts + Fact.HEAD_BYTES]!;
    if (head < 14) return vlan < 0 && etherType < 0 && mac === null;
    if (mac !== null && !this.#isMac(u8, at, mac) && !this.#isMac(u8, at + 6, mac)) return false;
    let type = (u8[at + 12]! << 8) | u8[at + 13]!;
    let vid = 0;
    for (
      let tags = 0, l = at + 14;
      tags < 2 && (type === 0x8100 || type === 0x88a8) && l + 4 <= at + head;
      tags++, l += 4
    ) {
      if (tags === 0) vid = ((u8[l]! & 15) << 8) | u8[l + 1]!;
      type = (u8[l + 2]! << 8) | u8[l + 3]!;
    }
    return (vlan < 0 || vlan === vid) && (etherType < 0 || etherType === type);
  }

  #isMac(u8: Uint8Array, at: number, mac: readonly number[]): boolean {
    for (let k = 0; k < 6; k++) if (u8[at + k] !== mac[k]) return false;
    return true;
  }

  #copy(lane: Lane, facts: number, direction: number): void {
    const { i32, u8, f64 } = lane;
    const length = i32[facts + Fact.LENGTH]!;
    // A frame that was under way when the capture began may have its tail where only native can read it.
    const isForeign = (i32[facts + Fact.FLAGS]! & Flag.FOREIGN) !== 0;
    const there = isForeign ? i32[facts + Fact.HEAD_BYTES]! : length;
    const bytes = Math.min(there, this.#filter.snapBytes);
    const record = this.#ring.reserve(bytes);
    if (record < 0) {
      this.lost++;
      return;
    }
    const ns = f64[lane.blockCellsAt + BlockCell.NOW_NS]!;
    i32[record + CaptureWord.CAPTURE] = this.capture;
    i32[record + CaptureWord.DIRECTION] = direction;
    i32[record + CaptureWord.BYTES] = bytes;
    i32[record + CaptureWord.ORIGINAL] = length;
    i32[record + CaptureWord.NS_LOW] = (ns % 4294967296) | 0;
    i32[record + CaptureWord.NS_HIGH] = (ns / 4294967296) | 0;
    i32[record + CaptureWord.LOST] = this.lost;
    const to = (record + BYTE_RING_HEAD_WORDS) << 2;
    const at = i32[facts + Fact.HEAD_AT]!;
    const head = Math.min(bytes, i32[facts + Fact.HEAD_BYTES]!);
    u8.copyWithin(to, at, at + head);
    if (bytes > head) u8.copyWithin(to + head, i32[facts + Fact.TAIL_AT]!, i32[facts + Fact.TAIL_AT]! + bytes - head);
    this.#ring.publish(record);
  }
}
