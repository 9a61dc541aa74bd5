import { describe, expect, it } from 'vitest';
import { chooseSeed, randomFrom, seedLine } from '../../seed.ts';

describe('chooseSeed', () => {
  it('takes the given one, and a new one each time otherwise', () => {
    expect(chooseSeed('7')).toBe(7);
    expect(new Set(Array.from({ length: 8 }, () => chooseSeed(undefined))).size).toBeGreaterThan(1);
  });

  it.each(['0', '-1', '1.5', 'seven', '2147483648'])('refuses %s', (wanted) => {
    expect(() => chooseSeed(wanted)).toThrow(`WEFT_SEED: ${wanted} is not a whole number (1–2147483647)`);
  });
});

it('tells how to run a seed again', () => {
  expect(seedLine('storm', 7, 'test/fuzz/storm.test.ts')).toBe(
    'storm: seed 7 (rerun: WEFT_SEED=7 node test/run.mjs test/fuzz/storm.test.ts)',
  );
});

describe('randomFrom', () => {
  it('repeats itself for one seed and differs for another', () => {
    const take = (seed: number) =>
      Array.from(
        { length: 16 },
        (
          (next) => () =>
            next(1 << 30)
        )(randomFrom(seed)),
      );
    expect(take(7)).toEqual(take(7));
    expect(take(7)).not.toEqual(take(8));
  });

  it('reaches every value below its bound and none beyond', () => {
    const next = randomFrom(1);
    const seen = new Set(Array.from({ length: 1000 }, () => next(10)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
