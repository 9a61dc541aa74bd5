/** The ring of frames between two threads, stepped by hand through empty, full and wrap, with cursors that run over and sides that lie. */
import { describe, expect, it } from 'vitest';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../../dataplane/memory/byte-ring.ts';
import { BYTE_RING_HEADER_BYTES, Ring } from '../../../dataplane/memory/layout.ts';
import { randomFrom, seedFor } from '../../seed.ts';

const BYTES = 1024;
const WORDS = BYTES / 4;
/** Bytes of data whose record takes so many words. */
const dataFor = (words: number): number => (words - BYTE_RING_HEAD_WORDS) * 4;

function ringAt(cursor = 0): { ring: ByteRing; i32: Int32Array } {
  // Before and after the ring lie words that nobody may touch.
  const i32 = new Int32Array((2 * BYTE_RING_HEADER_BYTES + BYTES) / 4).fill(-1);
  i32.fill(0, BYTE_RING_HEADER_BYTES / 8, BYTE_RING_HEADER_BYTES / 8 + (BYTE_RING_HEADER_BYTES + BYTES) / 4);
  const at = BYTE_RING_HEADER_BYTES / 2;
  i32[(at >> 2) + Ring.HEAD] = cursor;
  i32[(at >> 2) + Ring.TAIL] = cursor;
  return { ring: new ByteRing(i32, at, BYTES), i32 };
}

function put(ring: ByteRing, words: number, value: number): boolean {
  const record = ring.reserve(dataFor(words));
  if (record < 0) return false;
  for (let k = 1; k < words; k++) ring.i32[record + k] = value;
  ring.publish(record);
  return true;
}

/** The oldest record as its length and value, released. */
function take(ring: ByteRing): [number, number] | null {
  const record = ring.peek();
  if (record < 0) return null;
  const words = ring.i32[record]!;
  const value = ring.i32[record + 1]!;
  for (let k = 1; k < words; k++) if (ring.i32[record + k] !== value) throw new Error(`word ${k} of ${value} is torn`);
  ring.release(record);
  return [words, value];
}

function isIntact(i32: Int32Array): boolean {
  const guard = BYTE_RING_HEADER_BYTES / 8;
  return (
    i32.subarray(0, guard).every((word) => word === -1) && i32.subarray(i32.length - guard).every((word) => word === -1)
  );
}

describe.each([0, 16, WORDS - 16, 0x7fff_ffff - 15 - WORDS, 0x7fff_fff0, -16])('cursors at %i', (cursor) => {
  it('empty gives nothing; one in, one out', () => {
    const { ring } = ringAt(cursor & ~1);
    expect(ring.peek()).toBe(-1);
    expect(put(ring, 10, 7)).toBe(true);
    expect(take(ring)).toEqual([10, 7]);
    expect(take(ring)).toBeNull();
  });

  it('a record that is not published is not there', () => {
    const { ring } = ringAt(cursor & ~1);
    expect(ring.reserve(40)).toBeGreaterThan(0);
    expect(ring.peek()).toBe(-1);
  });

  it('full takes no more, and has room again as much as was given back', () => {
    const { ring, i32 } = ringAt(cursor & ~15);
    for (let k = 0; k < WORDS / 16; k++) expect(put(ring, 16, k)).toBe(true);
    expect(put(ring, 8, 99)).toBe(false);
    expect(take(ring)).toEqual([16, 0]);
    expect(put(ring, 18, 99)).toBe(false);
    expect(put(ring, 16, 100)).toBe(true);
    expect(put(ring, 8, 99)).toBe(false);
    for (let k = 1; k < WORDS / 16; k++) expect(take(ring)).toEqual([16, k]);
    expect(take(ring)).toEqual([16, 100]);
    expect(take(ring)).toBeNull();
    expect(isIntact(i32)).toBe(true);
  });

  it('a record never wraps: a filler ends the lap', () => {
    const { ring, i32 } = ringAt(cursor & ~(WORDS - 1));
    expect(put(ring, WORDS - 20, 1)).toBe(true);
    expect(take(ring)).toEqual([WORDS - 20, 1]);
    expect(put(ring, 30, 2)).toBe(true);
    expect(put(ring, 40, 3)).toBe(true);
    expect(take(ring)).toEqual([30, 2]);
    expect(take(ring)).toEqual([40, 3]);
    expect(take(ring)).toBeNull();
    expect(isIntact(i32)).toBe(true);
  });

  it('a record of half a ring finds room from every place', () => {
    for (let words = 8; words < WORDS; words += 2) {
      const { ring } = ringAt(cursor & ~(WORDS - 1));
      put(ring, words, 1);
      take(ring);
      expect(put(ring, WORDS / 2, 2), `${words}`).toBe(true);
      expect(take(ring)).toEqual([WORDS / 2, 2]);
    }
  });

  it('any sequence comes out as it went in', () => {
    const below = randomFrom(seedFor('any sequence comes out as it went in'));
    const { ring, i32 } = ringAt(cursor & ~1);
    const waiting: [number, number][] = [];
    for (let step = 0; step < 5000; step++) {
      const words = BYTE_RING_HEAD_WORDS + 2 * below(40);
      if (below(2) === 0) {
        if (put(ring, words, step)) waiting.push([words, step]);
        else expect(waiting.length).toBeGreaterThan(0);
      } else {
        expect(take(ring)).toEqual(waiting.shift() ?? null);
      }
    }
    expect(isIntact(i32)).toBe(true);
  });
});

describe('a side that died or lies', () => {
  const words = BYTE_RING_HEADER_BYTES / 8;
  it.each([
    ['a tail before the head', Ring.TAIL, -8],
    ['a tail more than a ring ahead', Ring.TAIL, WORDS + 2],
  ])('the consumer sees nothing behind %s', (_, word, value) => {
    const { ring, i32 } = ringAt();
    i32[words + word] = value;
    expect(ring.peek()).toBe(-1);
  });

  it('the producer stops at a head that is ahead of its tail', () => {
    const { ring, i32 } = ringAt();
    i32[words + Ring.HEAD] = 8;
    expect(ring.reserve(8)).toBe(-1);
  });

  it.each([
    ['0', 0],
    ['shorter than its head', 4],
    ['longer than what waits', 200],
    ['a filler that is longer than what waits', -200],
    ['a filler that does not end the lap', -8],
  ])('the consumer takes no record whose length is %s', (_, length) => {
    const { ring, i32 } = ringAt();
    put(ring, 100, 1);
    i32[words + Ring.RECORDS] = length;
    expect(ring.peek()).toBe(-1);
  });

  it('the consumer takes no record that would reach over the end', () => {
    const { ring, i32 } = ringAt();
    put(ring, WORDS - 8, 1);
    take(ring);
    put(ring, 8, 2);
    put(ring, 100, 3);
    i32[words + Ring.RECORDS + WORDS - 8] = 16;
    expect(ring.peek()).toBe(-1);
  });
});
