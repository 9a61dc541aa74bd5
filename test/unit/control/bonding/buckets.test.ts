/** Buckets: who owns them, and that no more of them move than must. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Buckets } from '../../../../control/bonding/buckets.ts';
import { seedFor } from '../../../seed.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

function counts(buckets: Buckets): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const owner of buckets.owners) if (owner !== null) counted[owner] = (counted[owner] ?? 0) + 1;
  return counted;
}

function of(...members: string[]): Buckets {
  const buckets = new Buckets();
  buckets.fit(members);
  return buckets;
}

describe('256 buckets', () => {
  it('belong to nobody at first, and stay so without members', () => {
    const buckets = new Buckets();
    expect(buckets.fit([]).size).toBe(0);
    expect(counts(buckets)).toEqual({});
    expect([...buckets.indexes([])]).toEqual(new Array(256).fill(0));
  });

  it('are spread evenly, one after the other', () => {
    const buckets = of('a', 'b', 'c');
    expect(counts(buckets)).toEqual({ a: 86, b: 85, c: 85 });
    expect(buckets.owners.slice(0, 4)).toEqual(['a', 'b', 'c', 'a']);
    expect([...buckets.indexes(['a', 'b', 'c']).slice(0, 4)]).toEqual([0, 1, 2, 0]);
    expect([...buckets.indexes(['c', 'a', 'b']).slice(0, 4)]).toEqual([1, 2, 0, 1]);
  });

  it('of a lost member alone move', () => {
    const buckets = of('a', 'b', 'c', 'd');
    const before = [...buckets.owners];
    const moved = buckets.fit(['a', 'b', 'd']);
    expect([...moved]).toEqual([...before.keys()].filter((bucket) => before[bucket] === 'c'));
    expect(counts(buckets)).toEqual({ a: 86, b: 85, d: 85 });
  });

  it('go to a new member until it is even, and no further', () => {
    const buckets = of('a', 'b', 'c');
    expect(buckets.fit(['a', 'b', 'c', 'd']).size).toBe(64);
    expect(counts(buckets)).toEqual({ a: 64, b: 64, c: 64, d: 64 });
    expect(buckets.fit(['d', 'c', 'b', 'a']).size).toBe(0);
  });

  it('of a lost member go to the one that takes its place', () => {
    const buckets = of('a', 'b', 'c', 'd');
    expect(buckets.fit(['a', 'b', 'c', 'e']).size).toBe(64);
    expect(counts(buckets)).toEqual({ a: 64, b: 64, c: 64, e: 64 });
  });

  it('stay where they were while nobody can carry', () => {
    const buckets = of('a', 'b');
    buckets.fit([]);
    expect(buckets.fit(['a', 'b']).size).toBe(0);
  });

  it('stay as uneven as rebalancing made them when a member is lost', () => {
    const buckets = of('a', 'b', 'c');
    for (const [bucket, owner] of [...buckets.owners].entries())
      if (owner === 'a' && bucket > 90) buckets.move(bucket, 'b');
    const before = [...buckets.owners];
    const moved = buckets.fit(['a', 'b']);
    for (const [bucket, owner] of before.entries()) expect(moved.has(bucket)).toBe(owner === 'c');
  });

  it('keep all that through any comings and goings', () => {
    const seed = seedFor('buckets through comings and goings');
    const sets = fc.array(fc.shuffledSubarray(NAMES), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sets, (steps) => {
        const buckets = new Buckets();
        let carrying: string[] = [];
        for (const members of steps) {
          const before = [...buckets.owners];
          const moved = buckets.fit(members);
          for (const [bucket, owner] of before.entries())
            expect(moved.has(bucket)).toBe(owner !== buckets.owners[bucket]);
          if (members.length === 0) continue;
          const tally = members.map((name) => counts(buckets)[name] ?? 0);
          expect(tally.reduce((sum, count) => sum + count)).toBe(256);
          expect(Math.max(...tally) - Math.min(...tally)).toBeLessThanOrEqual(1);
          const orphans = before.filter((owner) => owner === null || !members.includes(owner)).length;
          const arrived = members.filter((name) => !carrying.includes(name));
          // What must move: orphans, and what the new ones take beyond these.
          const taken = arrived.reduce((sum, name) => sum + (counts(buckets)[name] ?? 0), 0);
          expect(moved.size).toBeLessThanOrEqual(Math.max(orphans, taken));
          carrying = members;
        }
      }),
      { seed },
    );
  });
});
