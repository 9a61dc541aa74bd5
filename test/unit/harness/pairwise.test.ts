/** The cover of choices by few rows that guests' tests are drawn by. */
import { describe, expect, it } from 'vitest';
import { allPairs, pairwise, uncovered } from '../../guests/pairwise.ts';
import { randomFrom } from '../../seed.ts';

describe('pairwise', () => {
  it.each([1, 2, 3, 4, 5])('covers every pair of choices with few rows, seed %i', (seed) => {
    const choices = [6, 6, 2, 2, 2, 2];
    const rows = pairwise(choices, randomFrom(seed));
    expect(uncovered(choices, rows).size).toBe(0);
    expect(rows.every((row) => row.every((choice, question) => choice < choices[question]!))).toBe(true);
    expect(rows.length).toBeGreaterThanOrEqual(36);
    expect(rows.length).toBeLessThanOrEqual(44);
  });

  it('gives the same rows for the same seed, and others for another', () => {
    const rows = (seed: number) => JSON.stringify(pairwise([3, 3, 3], randomFrom(seed)));
    expect(rows(7)).toBe(rows(7));
    expect(rows(7)).not.toBe(rows(8));
  });

  it('would notice a pair that is missing', () => {
    const rows = [
      [0, 0],
      [0, 1],
      [1, 0],
    ];
    expect(allPairs([2, 2]).size).toBe(4);
    expect([...uncovered([2, 2], rows)]).toEqual(['0.1+1.1']);
  });
});
