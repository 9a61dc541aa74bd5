/** What each story of lifecycle/arrivals.mjs has to answer: told by arrivals.test.ts, and with a watched memory by sanitized.test.ts. */
import { expect } from 'vitest';
import { tell } from './stories.ts';

const [TOS, BAD] = [40, 512];
/** What came by a raw socket: header and key of two that are good, then flags that nobody knows, and no Ethernet. */
const BY_GRE = {
  same: [true, true],
  told: [
    [TOS, '0000655800000000'],
    [TOS, '2000655801020304'],
    [TOS | BAD, '4000655803030303'],
    [TOS | BAD, '0000080003030303'],
  ],
  idle: [0, 0],
};
const SIZES = {
  same: 7,
  plain: true,
  split: true,
  counts: { datagrams: 38, messages: 8, merged: 0, missed: 0 },
};
const groupsOf = (first: string) => ({
  steps: ['1', '12', '123', '13', '123', '1', '13'],
  again: ['EEXIST', 'IP_ADD_MEMBERSHIP', first],
  absent: ['ENOENT', 'IP_DROP_MEMBERSHIP', first],
  odd: ['EINVAL', 'EINVAL', 'EINVAL'],
  device: 'ENODEV',
  left: 0,
});

export const ARRIVALS: Readonly<Record<string, unknown>> = {
  frames: {
    '127.0.0.1': { ...SIZES, address: `7f000001${'0'.repeat(24)}` },
    '::1': { ...SIZES, address: `${'0'.repeat(31)}1` },
  },
  streams: { together: [true], alone: true, both: true, datagrams: 160, merged: true },
  waiting: { got: 4000, inOrder: true, most: 64, some: true, datagrams: 4000, read: 80 },
  headers: { flags: ['good', 'critical', 'critical', 'bad', 'bad'], whole: true },
  gre: { '127.0.0.1': BY_GRE, '::1': BY_GRE },
  groups: { '10.7.0.1': groupsOf('239.1.1.1'), 'fd00:7::1': groupsOf('ff05::1:1') },
  missed: { sum: true, some: [true, true] },
  spread: { sum: 100, both: true, third: -22 },
  refusals: {
    taken: ['EADDRINUSE', 'bind', '127.0.0.1:4789'],
    kernel: ['EADDRINUSE', 'bind', '127.0.0.1:4790'],
    others: 'none',
    absent: ['EADDRNOTAVAIL', 'bind', '192.0.2.77:4789'],
    absent6: ['EADDRNOTAVAIL', 'bind', '[2001:db8::77]:4789'],
    kind: 'EINVAL',
    address: 'EINVAL',
    group: 'EINVAL',
    port: ['EINVAL', 'EINVAL', 'EINVAL'],
    workers: ['EINVAL', 'EINVAL'],
    nothing: 'EINVAL',
    handle: ['EBADF', 'EBADF'],
    gre: 'EINVAL',
    queue: [-22, -22],
    left: 0,
  },
};

/** Tells a story of arrivals.mjs and checks its answer. */
export function checkArrivals(story: string, env: Readonly<Record<string, string>>): void {
  const { end, stdout, stderr } = tell('arrivals', [story], env);
  expect(stderr).toBe('');
  expect(end).toBe(0);
  expect(JSON.parse(stdout)).toEqual(ARRIVALS[story]);
}
