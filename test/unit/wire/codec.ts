/*
 * What every codec must pass: emit over a dirty buffer writes every bit and nothing beyond its own bytes, parse after
 * emit is the identity, every truncation has a reason and never throws. One seed a run; WEFT_SEED runs one again.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Check } from '../../../dataplane/wire/check.ts';

export const SEED = process.env.WEFT_SEED === undefined ? Date.now() & 0x7fffffff : Number(process.env.WEFT_SEED);

/** For test names: how to run this one again. */
export function seeded(name: string): string {
  return `${name} (WEFT_SEED=${SEED} runs it again)`;
}

export interface Codec<T> {
  readonly value: fc.Arbitrary<T>;
  readonly parse: (bytes: Uint8Array, at: number, end: number) => T;
  readonly emit: (value: T, bytes: Uint8Array, at: number) => number;
  readonly check: (bytes: Uint8Array, at: number, end: number) => Check;
  /** Bytes that must follow the header for its check to hold, such as a payload that it announces. */
  readonly trailing: (value: T) => number;
}

const GUARD_BYTES = 5;
const HEADER_BYTES_MAX = 110;

export function describeCodec<T>(name: string, codec: Codec<T>): void {
  const run = (test: (value: T) => void): void =>
    fc.assert(fc.property(codec.value, test), { seed: SEED, numRuns: 100 });
  const emitOver = (value: T, filler: number): { bytes: Uint8Array; next: number; end: number } => {
    const bytes = new Uint8Array(2 * GUARD_BYTES + HEADER_BYTES_MAX + codec.trailing(value)).fill(filler);
    const next = codec.emit(value, bytes, GUARD_BYTES);
    return { bytes, next, end: next + codec.trailing(value) };
  };

  describe(`${name} codec`, () => {
    it(seeded('parse after emit is the identity'), () => {
      run((value) => {
        const { bytes, end } = emitOver(value, 0);
        expect(codec.parse(bytes, GUARD_BYTES, end)).toEqual(value);
      });
    });

    it(seeded('writes every bit of its header and nothing else'), () => {
      run((value) => {
        const clean = emitOver(value, 0);
        const dirty = emitOver(value, 0xa5);
        expect(dirty.next).toBe(clean.next);
        expect(dirty.bytes.subarray(GUARD_BYTES, dirty.next)).toEqual(clean.bytes.subarray(GUARD_BYTES, clean.next));
        expect(dirty.bytes.subarray(0, GUARD_BYTES).every((byte) => byte === 0xa5)).toBe(true);
        expect(dirty.bytes.subarray(dirty.next).every((byte) => byte === 0xa5)).toBe(true);
      });
    });

    it(seeded('every truncation has a reason and never throws'), () => {
      run((value) => {
        const { bytes, end } = emitOver(value, 0xa5);
        expect(codec.check(bytes, GUARD_BYTES, end)).toBe(Check.OK);
        const step = Math.max(1, (end - GUARD_BYTES) >>> 6);
        for (let cut = end - 1; cut >= GUARD_BYTES; cut -= step) {
          expect(codec.check(bytes, GUARD_BYTES, cut)).not.toBe(Check.OK);
          expect(() => codec.parse(bytes, GUARD_BYTES, cut)).toThrow(RangeError);
        }
      });
    });

    it(seeded('refuses a buffer that is too small'), () => {
      fc.assert(
        fc.property(codec.value, (value) => {
          const room = emitOver(value, 0).next - GUARD_BYTES;
          expect(() => codec.emit(value, new Uint8Array(room - 1), 0)).toThrow(RangeError);
          expect(codec.emit(value, new Uint8Array(room), 0)).toBe(room);
        }),
        { seed: SEED, numRuns: 30 },
      );
    });

    it(seeded('arbitrary bytes never make the check throw'), () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 90 }), fc.nat(95), (bytes, at) => {
          const answer = codec.check(bytes, at, bytes.length);
          expect(Object.values(Check)).toContain(answer);
          if (answer === Check.OK) codec.parse(bytes, at, bytes.length);
          else expect(() => codec.parse(bytes, at, bytes.length)).toThrow(RangeError);
        }),
        { seed: SEED, numRuns: 500 },
      );
    });
  });
}
