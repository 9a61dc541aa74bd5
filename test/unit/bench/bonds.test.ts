import { describe, expect, test } from 'vitest';
import { findBar } from '../../../bench/bars.ts';
import { bondPort } from '../../../bench/system/bond-site.ts';
import { outageAfter } from '../../../bench/system/numbered.ts';

describe('the longest time without service after a cut', () => {
  const report = {
    ...{ received: 1, disorder: 0, missed: 0, beginMs: 1000 },
    withoutMs: [9, 0.1, 0.2, 5, 0.3, 0.4, 7],
    missingMs: [0, 0, 0, 3, 0, 0, 7],
  };

  test('only what arrived from then on, and not for ever', () => {
    expect(outageAfter(report, 1010, 20)).toEqual({ anyMs: 5, lossMs: 3 });
    expect(outageAfter(report, 1040, 10)).toEqual({ anyMs: 0.4, lossMs: 0 });
    expect(outageAfter(report, 1040, 500)).toEqual({ anyMs: 7, lossMs: 7 });
  });

  test('nothing at all is an outage without end', () => {
    const never = { anyMs: Number.POSITIVE_INFINITY, lossMs: Number.POSITIVE_INFINITY };
    expect(outageAfter(report, 5000, 500)).toEqual(never);
    expect(outageAfter({ ...report, withoutMs: [1, 0, 0, 0, 0, 0, 2] }, 1020, 20)).toEqual(never);
  });
});

test('a bond names its members after their cables', () => {
  const port = bondPort({ near: ['xm0', 'xm1'], far: ['f0', 'f1'] }, { mode: 'active-backup' });
  expect(port).toMatchObject({ name: 'up', kind: 'bond', mode: 'active-backup' });
  expect(port.members).toEqual([
    { kind: 'netdev', device: 'xm0', name: 'm0' },
    { kind: 'netdev', device: 'xm1', name: 'm1' },
  ]);
});

test.each([
  ['bond-failover', 'carrier lost: outage', ''],
  ['bond-failover', 'planned: frames lost', ''],
  ['bond-tcp', 'active-backup', 'netdev port'],
  ['lacp-silent', 'fast: members out', ''],
])('%s %s has a bar', (scenario, variant, against) => {
  expect(findBar(scenario, variant, against)).not.toBe(null);
});
