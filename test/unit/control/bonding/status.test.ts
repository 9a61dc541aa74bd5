/** What an event says of a bond: everything that changed, once. */
import { describe, expect, it } from 'vitest';
import type { Steering } from '../../../../control/bonding/host.ts';
import { describeChange } from '../../../../control/bonding/status.ts';

const steering = (active: string | null, ...carrying: readonly string[]): Steering =>
  ({ active, carrying }) as unknown as Steering;

describe('what became of a bond', () => {
  it.each([
    [steering('a', 'a'), steering('b', 'b'), 'its link is down', 'a no longer carries: its link is down; b is active'],
    [steering('a', 'a'), steering('b', 'b'), 'b is active', 'a no longer carries: b is active'],
    [steering('a', 'a'), steering(null), 'its link is down', 'a no longer carries: its link is down; none is active'],
    [steering(null, 'a'), steering(null, 'a', 'b', 'c'), '', 'b, c carry'],
    [
      steering('a', 'a', 'b'),
      steering('b', 'b', 'c'),
      'it vanished',
      'a no longer carries: it vanished; b is active; c carries',
    ],
  ])('is said once: %#', (before, after, why, said) => {
    expect(describeChange(before, after, () => why)).toBe(said);
  });

  it('is nothing where nothing changed', () => {
    expect(describeChange(steering('a', 'a'), steering('a', 'a'), () => '')).toBe(null);
  });
});
