/** One broadcast from each VLAN mode to every mode, at once and byte for byte; and what bridge_vlan_aware.sh of the kernel asks of tags. */
import { describe, expect, it } from 'vitest';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame, place, tagsOf } from './frames.ts';

const ACCESS = 1;
const TRUNK = 2;
const NATIVE_TAGGED = 3;
const NATIVE_UNTAGGED = 4;
const TUNNEL = 5;
const PRIORITIES = 6;
const ACCESS_20 = 7;
const TRUNK_20 = 8;
const MODES = [
  tablePort(ACCESS, { vlan: { mode: 'access', tag: 10 } }),
  tablePort(TRUNK, { vlan: { mode: 'trunk', trunks: [10, 20] } }),
  tablePort(NATIVE_TAGGED, { vlan: { mode: 'native-tagged', tag: 10, trunks: [20] } }),
  tablePort(NATIVE_UNTAGGED, { vlan: { mode: 'native-untagged', tag: 10, trunks: [20] } }),
  tablePort(TUNNEL, { vlan: { mode: 'dot1q-tunnel', tag: 10 } }),
  tablePort(PRIORITIES, { vlan: { mode: 'access', tag: 10, 'priority-tags': 'if-nonzero' } }),
  tablePort(ACCESS_20, { vlan: { mode: 'access', tag: 20 } }),
  tablePort(TRUNK_20, { vlan: { mode: 'trunk', trunks: [20] } }),
];

/** From which port with which tags, and the tags at every port that gets it. */
const FLOODS: readonly (readonly [string, number, string, Readonly<Record<number, string>>])[] = [
  ['access', ACCESS, '', { 2: '8100000a', 3: '8100000a', 4: '', 5: '', 6: '' }],
  ['access, priority tag', ACCESS, '8100a000', { 2: '8100a00a', 3: '8100a00a', 4: '', 5: '', 6: '8100a000' }],
  ['trunk', TRUNK, '8100600a', { 1: '', 3: '8100600a', 4: '', 5: '', 6: '81006000' }],
  ['trunk, service tag', TRUNK, '88a8600a', { 1: '', 3: '88a8600a', 4: '', 5: '', 6: '88a86000' }],
  ['trunk, two tags', TRUNK, '8100600a81000007', { 3: '8100600a81000007', 4: '81000007', 5: '81000007' }],
  ['native-tagged', NATIVE_TAGGED, '', { 1: '', 2: '8100000a', 4: '', 5: '', 6: '' }],
  ['native-tagged, its tag', NATIVE_TAGGED, '8100000a', { 1: '', 2: '8100000a', 4: '', 5: '', 6: '' }],
  ['native-untagged', NATIVE_UNTAGGED, '', { 1: '', 2: '8100000a', 3: '8100000a', 5: '', 6: '' }],
  [
    'native-untagged, a trunk VLAN',
    NATIVE_UNTAGGED,
    '81000014',
    { 2: '81000014', 3: '81000014', 7: '', 8: '81000014' },
  ],
  ['dot1q-tunnel, untagged', TUNNEL, '', { 1: '', 2: '88a8000a', 3: '88a8000a', 4: '', 6: '' }],
  ['dot1q-tunnel, tagged', TUNNEL, '81006007', { 2: '88a8600a81006007', 3: '88a8600a81006007', 4: '81006007' }],
  ['access of another VLAN', ACCESS_20, '', { 2: '81000014', 3: '81000014', 4: '81000014', 8: '81000014' }],
];

describe('one broadcast to every mode', () => {
  it.each(FLOODS)('from %s', (_, from, tags, wanted) => {
    const rig = new Rig();
    rig.publish(MODES);
    const out = rig.send(from, frame(ALL, A, tags));
    const seen: Record<number, string> = {};
    for (const [port, frames] of out) {
      expect(frames).toHaveLength(1);
      seen[port] = tagsOf(frames[0]!, ALL, A);
    }
    expect(seen).toEqual(wanted);
    expect(rig.drops()).toEqual({});
  });
});

describe('K bridge_vlan_aware.sh', () => {
  it('8021p: a priority tag is the native VLAN, its priority stays', () => {
    const rig = new Rig();
    rig.publish([tablePort(1, { vlan: { mode: 'native-untagged', tag: 10 } }), tablePort(2)]);
    const [tagged] = rig.send(1, frame(ALL, A, '8100e000')).get(2)!;
    expect(tagsOf(tagged!, ALL, A)).toBe('8100e00a');
  });

  it('8021p: sender and answer meet in one VLAN, tagged or not', () => {
    const rig = new Rig();
    rig.publish([
      tablePort(1, { vlan: { mode: 'access', tag: 10 } }),
      tablePort(2, { vlan: { mode: 'access', tag: 10 } }),
    ]);
    rig.send(1, frame(B, A, '8100e000'));
    rig.send(2, frame(A, B));
    expect([...rig.send(1, frame(B, A)).keys()]).toEqual([2]);
    expect(rig.cell(1, PortCell.LEARNED)).toBe(1);
  });

  it('other_tpid: an 802.1ad tag names a VLAN as an 802.1Q tag does, and keeps its TPID', () => {
    const rig = new Rig();
    rig.publish([
      tablePort(1, { vlan: { mode: 'trunk', trunks: [10] } }),
      tablePort(2),
      tablePort(3, { vlan: { tag: 10 } }),
    ]);
    const out = rig.send(1, frame(ALL, A, '88a8000a'));
    expect([...out].map(([port, [bytes]]) => [port, tagsOf(bytes!, ALL, A)])).toEqual([
      [2, '88a8000a'],
      [3, ''],
    ]);
    rig.send(1, frame(ALL, A, '88a80014'));
    expect(rig.drops()).toEqual({ '1 vlan-not-admitted': 1 });
  });

  it('drop_untagged: a trunk without VLAN 0 admits tagged frames only', () => {
    const rig = new Rig();
    rig.publish([tablePort(1, { vlan: { mode: 'trunk', trunks: [10] } }), tablePort(2)]);
    expect(rig.send(1, frame(ALL, A)).size).toBe(0);
    expect(rig.send(1, frame(ALL, A, '81002000')).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 vlan-not-admitted': 2 });
    expect(rig.send(1, frame(ALL, A, '8100200a')).size).toBe(1);
  });

  it('pvid_change: another native VLAN holds from the next turn on', () => {
    const rig = new Rig();
    const monitor = tablePort(2);
    for (const tag of [10, 20]) {
      rig.publish([tablePort(1, { vlan: { mode: 'access', tag } }), monitor]);
      const [bytes] = rig.send(1, frame(ALL, A)).get(2)!;
      expect(tagsOf(bytes!, ALL, A)).toBe(`8100${tag.toString(16).padStart(4, '0')}`);
    }
  });
});

describe('independent learning', () => {
  it('keeps one address apart in two VLANs', () => {
    const rig = new Rig();
    rig.publish([tablePort(1, { vlan: { tag: 10 } }), tablePort(2, { vlan: { tag: 20 } }), tablePort(3), tablePort(4)]);
    rig.send(1, frame(ALL, A));
    rig.send(2, frame(ALL, A));
    expect([...rig.send(3, frame(A, B, '8100000a')).keys()]).toEqual([1]);
    expect([...rig.send(3, frame(A, B, '81000014')).keys()]).toEqual([2]);
    expect([...rig.send(3, frame(A, B, '8100001e')).keys()]).toEqual([4]);
  });

  it('keeps one address apart in two bridges, also 16 and 32 bridges apart', () => {
    for (const other of [2, 17, 33]) {
      const rig = new Rig();
      rig.publish(
        [tablePort(1), tablePort(2), tablePort(3), tablePort(4, { bridge: other }), tablePort(5, { bridge: other })],
        [1, other].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
      );
      rig.send(1, frame(ALL, A));
      rig.send(4, frame(ALL, A));
      expect([...rig.send(2, frame(A, B)).keys()]).toEqual([1]);
      expect([...rig.send(5, frame(A, B)).keys()]).toEqual([4]);
    }
  });

  it('never sends to a port that is in another bridge by now', () => {
    const rig = new Rig();
    const bridges = [1, 2].map((number) => ({ number, fdbLimit: 100, ageing: 300 }));
    rig.publish([tablePort(1), tablePort(2), tablePort(3)], bridges);
    place(rig, B, 0, 2);
    rig.publish([tablePort(1), tablePort(2, { bridge: 2 }), tablePort(3)], bridges);
    expect(rig.send(1, frame(B, A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '2 egress-vlan': 1 });
  });
});
