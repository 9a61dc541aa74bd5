/** Stage 1: lengths and tags. The MTU counts what stands behind the Ethernet header and at most two tags, in and out. */
import { describe, expect, it } from 'vitest';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame, hex, place } from './frames.ts';

function pair(mtu = 1500, egressMtu = mtu): Rig {
  const rig = new Rig();
  rig.publish([tablePort(1, { mtu }), tablePort(2, { mtu: egressMtu })]);
  return rig;
}

describe('short frames', () => {
  it('runt: below 14 bytes; 14 bytes are a frame', () => {
    const rig = pair();
    for (let bytes = 0; bytes < 14; bytes++) expect(rig.send(1, frame(ALL, A, '', bytes)).size, `${bytes}`).toBe(0);
    expect(rig.drops()).toEqual({ '1 runt': 14 });
    const [out] = rig.send(1, frame(ALL, A, '', 14)).get(2)!;
    expect(hex(out!)).toBe(`${ALL}${A}88b5`);
    expect(rig.cell(1, PortCell.RX_FRAMES)).toBe(15);
  });

  it('bad-tag: cut within the first or the second tag', () => {
    const rig = pair();
    const cases = [14, 15, 16, 17].map((bytes) => frame(ALL, A, '8100000a', bytes));
    cases.push(...[18, 19, 20, 21].map((bytes) => frame(ALL, A, '8100000a8100000b', bytes)));
    cases.push(...[18, 21].map((bytes) => frame(ALL, A, '88a8000a88a8000b', bytes)));
    for (const bytes of cases) expect(rig.send(1, bytes).size, `${bytes.length}`).toBe(0);
    expect(rig.drops()).toEqual({ '1 bad-tag': cases.length });
    expect(rig.send(1, frame(ALL, A, '8100000a', 18)).size).toBe(1);
    expect(rig.send(1, frame(ALL, A, '8100000a8100000b', 22)).size).toBe(1);
  });

  it('bad-tag: VID 4095', () => {
    const rig = pair();
    for (const tags of ['81000fff', '8100ffff', '88a80fff']) expect(rig.send(1, frame(ALL, A, tags)).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 bad-tag': 3 });
    expect(rig.send(1, frame(ALL, A, '81000ffe')).size).toBe(1);
  });

  it('what lay in the slot before is never part of a short frame', () => {
    const rig = pair();
    rig.send(1, frame(ALL, A, '8100000a', 200));
    const short = frame(ALL, A, '', 15);
    expect(hex(rig.send(1, short).get(2)![0]!)).toBe(hex(short));
  });
});

describe('MTU', () => {
  const CASES: readonly (readonly [string, number])[] = [
    ['', 14],
    ['8100000a', 18],
    ['88a8000a', 18],
    ['8100000a8100000b', 22],
    ['88a8000a8100000b', 22],
    // A third tag is payload to us.
    ['8100000a8100000b8100000c', 22],
  ];
  for (const mtu of [576, 1500, 9000, 65_521]) {
    it.each(CASES)(`giant: at ${mtu}, tags "%s" do not count`, (tags, header) => {
      const rig = pair(mtu);
      const fits = frame(ALL, A, tags, header + mtu);
      expect(hex(rig.send(1, fits).get(2)![0]!)).toBe(hex(fits));
      if (header + mtu + 1 > 65_535 + 22) return;
      expect(rig.send(1, frame(ALL, A, tags, header + mtu + 1)).size).toBe(0);
      expect(rig.drops()).toEqual({ '1 giant': 1 });
    });

    it.each(CASES)(`mtu-exceeded: at an egress of ${mtu}, tags "%s" do not count`, (tags, header) => {
      const rig = pair(65_535, mtu);
      expect(rig.send(1, frame(ALL, A, tags, header + mtu)).size).toBe(1);
      if (header + mtu + 1 > 65_535 + 22) return;
      expect(rig.send(1, frame(ALL, A, tags, header + mtu + 1)).size).toBe(0);
      expect(rig.drops()).toEqual({ '2 mtu-exceeded': 1 });
    });
  }

  it('a pushed or popped tag does not change what fits', () => {
    const rig = new Rig();
    rig.publish([
      tablePort(1, { vlan: { tag: 10 } }),
      tablePort(2, { vlan: { mode: 'trunk', trunks: [10] } }),
      tablePort(3, { vlan: { mode: 'dot1q-tunnel', tag: 10 } }),
    ]);
    expect([...rig.send(1, frame(ALL, A, '', 1514)).get(2)!].map((bytes) => bytes.length)).toEqual([1518]);
    expect([...rig.send(2, frame(ALL, B, '8100000a', 1518)).get(1)!].map((bytes) => bytes.length)).toEqual([1514]);
    // The customer's tag is inside the service tag, and neither counts.
    expect([...rig.send(3, frame(ALL, B, '81000007', 1518)).get(2)!].map((bytes) => bytes.length)).toEqual([1522]);
    expect(rig.drops()).toEqual({});
  });

  it('one port that is too small does not end a flood', () => {
    const rig = new Rig();
    rig.publish([tablePort(1, { mtu: 9000 }), tablePort(2, { mtu: 1500 }), tablePort(3, { mtu: 9000 })]);
    expect([...rig.send(1, frame(ALL, A, '', 9014)).keys()]).toEqual([3]);
    expect(rig.drops()).toEqual({ '2 mtu-exceeded': 1 });
  });

  it('jumbo frames arrive whole, with another tag too', () => {
    const rig = new Rig();
    rig.publish([tablePort(1, { mtu: 65_521, vlan: { tag: 10 } }), tablePort(2, { mtu: 65_521 })]);
    const big = frame(ALL, A, '', 65_535);
    const [out] = rig.send(1, big).get(2)!;
    expect(hex(out!)).toBe(hex(frame(ALL, A, '8100000a', 65_539)));
    place(rig, B, 10, 1);
    expect(
      hex(
        rig
          .send(
            2,
            out!.map((byte, k) => (k < 6 ? Number.parseInt(B.slice(2 * k, 2 * k + 2), 16) : k === 11 ? 9 : byte)),
          )
          .get(1)![0]!
          .subarray(12),
      ),
    ).toBe(hex(big.subarray(12)));
  });
});

describe('counters', () => {
  it('of receive hold every frame, the dropped ones too', () => {
    const rig = pair();
    rig.send(1, frame(ALL, A));
    rig.send(1, frame(ALL, A, '', 5));
    rig.send(1, frame(ALL, A, '', 2000));
    expect([PortCell.RX_FRAMES, PortCell.RX_BYTES, PortCell.RX_SEGMENTS].map((cell) => rig.cell(1, cell))).toEqual([
      3,
      60 + 5 + 2000,
      3,
    ]);
    expect([PortCell.TX_FRAMES, PortCell.TX_BYTES, PortCell.TX_SEGMENTS].map((cell) => rig.cell(2, cell))).toEqual([
      1, 60, 1,
    ]);
  });
});
