import { describe, expect, test } from 'vitest';
import { findBar } from '../../../bench/bars.ts';
import { parseDatagrams } from '../../../bench/system/vxlan-flood.ts';

describe('datagrams of a namespace', () => {
  const udp = (taken: number, errors: number) =>
    `Ip: Forwarding InReceives\nIp: 1 77\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: ${taken} 5 ${errors} 9 ${errors}\n`;

  test('those that were taken and those that had no room, each once', () => {
    expect(parseDatagrams(udp(3, 40))).toBe(43);
  });

  test('no counts are no zero', () => {
    expect(() => parseDatagrams('Ip: Forwarding\nIp: 1\n')).toThrow(/no counts of UDP/);
    expect(() => parseDatagrams('Udp: InDatagrams\nUdp: 3\n')).toThrow(/no counts of UDP/);
  });
});

test.each([
  ['vxlan-tcp', 'unpinned', 'kernel-vxlan', 0.5],
  ['vxlan-tcp', 'unpinned', 'ovs-vxlan', 1.2],
  ['vxlan-60', 'unpinned', 'kernel-vxlan', 1.2],
  ['vxlan-60', 'unpinned', 'ovs-vxlan-tso', 2],
  ['vxlan-kernel-peer', 'from the kernel', 'kernel-vxlan', 0.3],
  ['vxlan-flood', '100 remotes', 'sendmmsg', 0.5],
])('%s %s against %s has its bar', (scenario, variant, against, must) => {
  expect(findBar(scenario, variant, against)).toMatchObject({ direction: 'at least', must });
});
