/** The hot path allocates nothing: turns of more than a million frames leave the JavaScript heap as it was, whatever the frames do. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { compiled } from './compiled.ts';

const script = compiled('test/threads/heap-child.ts');
const FRAMES = isLong() ? 10_000_000 : 1_000_000;
/**
 * No scavenge during a round: what was allocated would be gone before it is counted. And no thread that compiles beside it: while that one
 * has no CPU, every round makes the boxes of code that is not compiled yet.
 */
const FLAGS = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64', '--no-concurrent-recompilation'];
/** A page of slack for what the engine itself keeps when it compiles or samples; an allocation per frame would be 16 MB. */
const ENGINE_BYTES = 4096;

interface Round {
  readonly frames: number;
  readonly grown: number;
}

function run(...given: string[]): readonly Round[] {
  const done = spawnSync(process.execPath, [...FLAGS, script, ...given], { encoding: 'utf8' });
  expect(done.stderr).toBe('');
  return (JSON.parse(done.stdout) as { rounds: readonly Round[] }).rounds;
}

/** Of each round that says something: one that ends with less than it began with had a collection in it. At least one must be left. */
function grownIn(rounds: readonly Round[]): number[] {
  const all = rounds.map(({ grown }) => grown);
  const telling = all.filter((bytes) => bytes > -ENGINE_BYTES);
  expect(telling, `every round had a collection: ${all.join(', ')}`).not.toEqual([]);
  return telling;
}

/** The best round: whatever else the process did is noise, what a turn allocates is in every one. */
function bytesPerMillion(rounds: readonly Round[]): number {
  return Math.min(...grownIn(rounds));
}

it.each([
  'unicast',
  'push and pop',
  'flood to 8',
  'new addresses that evict',
  'addresses that move',
  'drops',
  'patch',
  'bond',
  'bond that is sifted',
])('a million frames leave nothing on the heap: %s', (scene) => {
  const rounds = run(scene, String(FRAMES), String(ENGINE_BYTES));
  for (const { frames } of rounds) expect(frames).toBeGreaterThanOrEqual(FRAMES);
  expect(bytesPerMillion(rounds)).toBeLessThanOrEqual(ENGINE_BYTES);
});

it('one object a turn would be noticed', () => {
  // A collection may take away as much as a round makes, but not in most of them.
  const grown = grownIn(run('unicast', String(FRAMES), 'keep')).sort((a, b) => a - b);
  expect(grown[grown.length >> 1]).toBeGreaterThan(10 * ENGINE_BYTES);
});
