/** How far CPUs are apart: what counts as one distance. The measurement itself needs two CPUs and is run by bench/guests. */
import { expect, it } from 'vitest';
import { isOneDistance } from '../../../bench/guests/distance.ts';

it('distances are one while they differ by noise, and two where a CPU has moved', () => {
  expect(isOneDistance([52, 60, 55, 71])).toBe(true);
  expect(isOneDistance([340, 470, 333, 356])).toBe(true);
  expect(isOneDistance([52, 52, 340, 340])).toBe(false);
});
