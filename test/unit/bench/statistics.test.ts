import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { median, pairValues, percentile, spread } from '../../../bench/statistics.ts';

describe('percentile', () => {
  test('interpolates between the nearest ranks, whatever the order', () => {
    expect(percentile([40, 10, 30, 20], 0.5)).toBe(25);
    expect(percentile([40, 10, 30, 20], 0)).toBe(10);
    expect(percentile([40, 10, 30, 20], 1)).toBe(40);
    expect(percentile([1, 2, 3, 4, 5], 0.99)).toBeCloseTo(4.96);
  });

  test('sorts by number, not by text, and leaves its input alone', () => {
    const values = [100, 9, 20];
    expect(median(values)).toBe(20);
    expect(values).toEqual([100, 9, 20]);
  });

  test('refuses no values and fractions outside 0–1', () => {
    expect(() => percentile([], 0.5)).toThrow(/no values/);
    expect(() => percentile([1], 1.5)).toThrow(/1\.5/);
    expect(() => percentile([1], Number.NaN)).toThrow(/NaN/);
  });

  test('is never outside the values and never falls as p rises', () => {
    const values = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 50 });
    const fraction = fc.double({ min: 0, max: 1, noNaN: true });
    // A failure prints seed and path; `fc.assert(…, { seed, path })` runs that case again.
    fc.assert(
      fc.property(values, fraction, fraction, (list, a, b) => {
        const low = percentile(list, Math.min(a, b));
        const high = percentile(list, Math.max(a, b));
        expect(low).toBeGreaterThanOrEqual(Math.min(...list) - 1e-6);
        expect(high).toBeLessThanOrEqual(Math.max(...list) + 1e-6);
        expect(low).toBeLessThanOrEqual(high + 1e-6);
      }),
    );
  });
});

describe('pairs', () => {
  const pairs = [
    { subject: 3, against: 4 },
    { subject: 10, against: 5 },
  ];

  test('become ratios, differences or the subject alone', () => {
    expect(pairValues(pairs, 'ratio')).toEqual([0.75, 2]);
    expect(pairValues(pairs, 'difference')).toEqual([-1, 5]);
    expect(pairValues([{ subject: 7, against: null }], 'absolute')).toEqual([7]);
  });

  test('without a second half, or with 0 there, are refused by index', () => {
    expect(() => pairValues([pairs[0]!, { subject: 1, against: null }], 'ratio')).toThrow(/pair 1/);
    expect(() => pairValues([{ subject: 1, against: 0 }], 'ratio')).toThrow(/pair 0/);
  });

  test('the ratio of a row is the median of ratios, not the ratio of medians', () => {
    const uneven = [
      { subject: 1, against: 1 },
      { subject: 10, against: 20 },
      { subject: 100, against: 400 },
    ];
    expect(spread(pairValues(uneven, 'ratio'))).toEqual({ median: 0.5, low: 0.25, high: 1 });
  });
});
