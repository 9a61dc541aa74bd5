/**
 * Seeds of randomised tests: from WEFT_SEED or new each run, and printed with the command that repeats the run when the test fails.
 */
import { randomInt } from 'node:crypto';
import { relative } from 'node:path';
import { afterAll, expect, onTestFailed } from 'vitest';
import { getCurrentTest } from 'vitest/suite';

export { randomFrom } from './random.ts';

const SEED_MAX = 0x7fff_ffff;

/** The seed that the environment asks for, or a new one: 1 … 2³¹ − 1. Throws when WEFT_SEED isn't such a number. */
export function chooseSeed(wanted: string | undefined): number {
  if (wanted === undefined || wanted === '') return randomInt(1, SEED_MAX);
  const seed = Number(wanted);
  if (!Number.isInteger(seed) || seed < 1 || seed > SEED_MAX)
    throw new Error(`WEFT_SEED: ${wanted} is not a whole number (1–${SEED_MAX})`);
  return seed;
}

export function seedLine(name: string, seed: number, file: string): string {
  return `${name}: seed ${seed} (rerun: WEFT_SEED=${seed} node test/run.mjs ${file})`;
}

/**
 * The seed for the test (or, called in a describe body, for the suite) named `name`. Inside a test it is printed only when the test
 * fails; for a suite always, at its end.
 */
export function seedFor(name: string): number {
  const seed = chooseSeed(process.env.WEFT_SEED);
  const { testPath } = expect.getState();
  const tell = () => console.error(seedLine(name, seed, relative(process.cwd(), testPath ?? '')));
  if (getCurrentTest() === undefined) afterAll(tell);
  else onTestFailed(tell);
  return seed;
}
