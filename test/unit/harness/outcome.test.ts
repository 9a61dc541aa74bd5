import { describe, expect, it } from 'vitest';
import {
  closingLine,
  forbiddenSkips,
  isExcused,
  reasonOf,
  retriedLines,
  type Skipped,
  skipLines,
} from '../../outcome.ts';

function skipped(note: string | undefined, ...titles: string[]): Skipped {
  return { titles, file: 'test/netns/ping.test.ts', note };
}

describe('the reason of a skip', () => {
  it('is the note of ctx.skip before any title', () => {
    expect(reasonOf(skipped('needs root', 'suite [needs g++]', 'test'))).toBe('needs root');
  });

  it('is what the innermost title has in brackets at its end', () => {
    expect(reasonOf(skipped(undefined, 'suite [needs root]', 'test'))).toBe('needs root');
    expect(reasonOf(skipped(undefined, 'suite [needs root]', 'test [needs g++]'))).toBe('needs g++');
    expect(reasonOf(skipped(undefined, 'finish (skipped: g++ is not installed)', 'test'))).toBe('g++ is not installed');
  });

  it('is missing when nobody gave one', () => {
    expect(reasonOf(skipped(undefined, 'vlans [10, 20] pass', 'test (slow)'))).toBeUndefined();
    expect(reasonOf(skipped('  ', 'test'))).toBeUndefined();
  });
});

describe('WEFT_REQUIRE=packages', () => {
  it('excuses what no package cures', () => {
    for (const reason of [
      'this kernel has no vxlan',
      'this host has no /dev/net/tun',
      'takes long: npm run test:all',
    ]) {
      expect(isExcused(reason), reason).toBe(true);
    }
  });

  it('forbids the rest, and above all a skip without a reason', () => {
    const all = [skipped('needs iperf3', 'a'), skipped(undefined, 'b'), skipped('this kernel has no io_uring', 'c')];
    expect(forbiddenSkips(all)).toEqual(all.slice(0, 2));
  });
});

it('lists a reason once, with count and files, most tests first', () => {
  expect(skipLines([skipped('needs jq', 'a'), skipped('needs root', 'b'), skipped('needs root', 'c')])).toEqual([
    '  2 × needs root (test/netns/ping.test.ts)',
    '  1 × needs jq (test/netns/ping.test.ts)',
  ]);
});

it('closes with one plain line', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 2 })).toBe('3 passed, 0 failed, 2 skipped');
});

it('names a test that needed a further try, with the first line of why', () => {
  const retried = { titles: ['a bond', 'carries'], file: 'test/netns/bond.test.ts', why: 'expected 9 to be 10\nat …' };
  expect(retriedLines([retried])).toEqual(['  test/netns/bond.test.ts > a bond > carries: expected 9 to be 10']);
});
