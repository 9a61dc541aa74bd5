// HOT: what the outer packet's ECN field says to the inner one, at a tunnel's end (RFC 6040, section 4.2). Called for datagrams whose outer field
// is not zero: a few where the underlay is congested, all where the inner ones are capable.
import type { Lane } from '../memory/lane.ts';
import { Fact } from '../memory/layout.ts';
import { readU16, writeU16 } from '../wire/bytes.ts';
import { updateChecksum } from '../wire/checksum.ts';
import { ETHERTYPE_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../wire/ethernet.ts';
import { IPV4_BYTES_MIN, ipv4Checksum, setIpv4Checksum } from '../wire/ipv4.ts';
import { IPV6_BYTES } from '../wire/ipv6.ts';
import { networkAt } from './network.ts';

const ECT1 = 1;
const ECT0 = 2;
const CE = 3;
const ECN_MASK = 3;

/** Marks the frame with these facts as the outer TOS wants. False: it must be dropped, since congestion can not be told to who is not capable. */
export function decapsulateEcn(lane: Lane, facts: number, outer: number): boolean {
  const start = lane.i32[facts + Fact.HEAD_AT]!;
  const end = start + lane.i32[facts + Fact.HEAD_BYTES]!;
  const at = networkAt(lane.u8, start, end);
  const type = readU16(lane.u8, at - ETHERTYPE_BYTES);
  if (type === ETHERTYPE_IPV4) return markIpv4(lane, at, end, outer & ECN_MASK);
  if (type === ETHERTYPE_IPV6) return markIpv6(lane, at, end, outer & ECN_MASK);
  return true;
}

/** The inner field as it has to be; −1: drop. */
function marked(outer: number, inner: number): number {
  if (outer === CE) return inner === 0 ? -1 : CE;
  return outer === ECT1 && inner === ECT0 ? ECT1 : inner;
}

function markIpv4(lane: Lane, at: number, end: number, outer: number): boolean {
  const u8 = lane.u8;
  if (at + IPV4_BYTES_MIN > end) return true;
  const before = readU16(u8, at);
  const next = marked(outer, before & ECN_MASK);
  if (next < 0) return false;
  const after = (before & ~ECN_MASK) | next;
  if (after === before) return true;
  writeU16(u8, at, after);
  setIpv4Checksum(u8, at, updateChecksum(ipv4Checksum(u8, at), before, after));
  return true;
}

/** The field's two bits stand in the middle of the second byte: traffic class, low half. */
function markIpv6(lane: Lane, at: number, end: number, outer: number): boolean {
  const u8 = lane.u8;
  if (at + IPV6_BYTES > end) return true;
  const inner = (u8[at + 1]! >>> 4) & ECN_MASK;
  const next = marked(outer, inner);
  if (next < 0) return false;
  u8[at + 1] = (u8[at + 1]! & ~(ECN_MASK << 4)) | (next << 4);
  return true;
}
