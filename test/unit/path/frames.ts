/** Frames from hex, and what the tests of the path share to look at them. */
import { Buffer } from 'node:buffer';
import { valueFor } from '../../../dataplane/tables/fdb.ts';
import { bridgeBits, domainBits } from '../../../dataplane/tables/fdb-layout.ts';
import { insert } from '../../../dataplane/tables/fdb-write.ts';
import type { Rig } from '../../rig.ts';

export const A = '020000000001';
export const B = '020000000002';
export const C = '020000000003';
export const ALL = 'ffffffffffff';
export const GROUP = '01005e000001';

/** `tags` in hex, outermost first (`8100600a`); the payload counts up, so that a shifted byte shows. At least 60 bytes unless `bytes` says. */
export function frame(dst: string, src: string, tags = '', bytes = 60 + tags.length / 2): Uint8Array {
  const header = Buffer.from(`${dst}${src}${tags}88b5`, 'hex');
  const whole = new Uint8Array(bytes);
  for (let k = header.length; k < bytes; k++) whole[k] = k - header.length;
  whole.set(header.subarray(0, bytes));
  return whole;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The tags of a frame made by `frame`, as hex; throws when anything else of it changed. */
export function tagsOf(bytes: Uint8Array, dst: string, src: string, untaggedBytes = 60): string {
  const tags = hex(bytes.subarray(12, 12 + bytes.length - untaggedBytes));
  const expected = hex(frame(dst, src, tags));
  if (hex(bytes) !== expected) throw new Error(`not the frame that was sent:\n${hex(bytes)}\n${expected}`);
  return tags;
}

/** Key words of an address as fdb-layout.ts draws them. */
export function keyOf(mac: string, bridge: number, vlan: number): { key0: number; key1: number; bits: number } {
  const bytes = Buffer.from(mac, 'hex');
  return {
    key0: bytes.readInt32LE(2),
    key1: bytes.readUInt16LE(0) | domainBits(bridge, vlan) | 0,
    bits: bridgeBits(bridge),
  };
}

/** Writes an address into the database as control does; `type` is STATIC, STICKY or 0. */
export function place(rig: Rig, mac: string, vlan: number, port: number, type = 0, bridge = 1): void {
  const { key0, key1, bits } = keyOf(mac, bridge, vlan);
  if (insert(rig.lane, key0, key1, bits, valueFor(rig.lane, port, bits) | type) === 0) throw new Error('no room');
}
