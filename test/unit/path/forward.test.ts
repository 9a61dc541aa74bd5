import { expect, test } from 'vitest';
import { Rig, tablePort } from '../../rig.ts';

function frame(dst: string, src: string, length = 60, tag: number[] = []): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(Buffer.from(dst + src, 'hex'));
  bytes.set([...tag, 0x88, 0xb5], 12);
  return bytes;
}
const A = '020000000001';
const B = '020000000002';
const ALL = 'ffffffffffff';

test('a frame to an unknown address is flooded, its answer goes to one port', () => {
  const rig = new Rig();
  rig.publish([tablePort(1), tablePort(2), tablePort(3)]);
  expect([...rig.send(1, frame(B, A)).keys()]).toEqual([2, 3]);
  expect([...rig.send(2, frame(A, B)).keys()]).toEqual([1]);
  expect([...rig.send(1, frame(B, A)).keys()]).toEqual([2]);
  expect(rig.drops()).toEqual({});
});

test('one broadcast is right byte for byte on access, trunk and native ports', () => {
  const rig = new Rig();
  rig.publish([
    tablePort(1, { vlan: { mode: 'access', tag: 10 } }),
    tablePort(2, { vlan: { mode: 'trunk', trunks: [10] } }),
    tablePort(3, { vlan: { mode: 'native-untagged', tag: 10, trunks: [20] } }),
    tablePort(4, { vlan: { mode: 'access', tag: 20 } }),
  ]);
  const out = rig.send(1, frame(ALL, A));
  expect([...out.keys()]).toEqual([2, 3]);
  expect(Buffer.from(out.get(3)![0]!).equals(Buffer.from(frame(ALL, A)))).toBe(true);
  const tagged = out.get(2)![0]!;
  expect(Buffer.from(tagged).subarray(0, 18).toString('hex')).toBe(`${ALL}${A}8100000a88b5`);
  expect(tagged.length).toBe(64);
});
