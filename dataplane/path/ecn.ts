// HOT: what the outer packet's ECN field says to the inner one, at a tunnel's end (RFC 6040, section 4.2). Called for datagrams whose outer field
// is not zero: a few where the underlay is congested, all where the inner ones are capable.
import type { Lane } from '../memory/lane.ts';
import { Fact } from '../memory/layout.ts';

const ECT1 = 1;
const ECT0 = 2;
const CE = 3;
const ECN_MASK = 3;
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const IPV4_CHECKSUM_AT = 10;
const TPID_HIGH = 0x81;
const SERVICE_TPID = 0x88a8;

/** Marks the frame with these facts as the outer TOS wants. False: it must be dropped, since congestion can not be told to who is not capable. */
export function decapsulateEcn(lane: Lane, facts: number, outer: number): boolean {
  const u8 = lane.u8;
  const start = lane.i32[facts + Fact.HEAD_AT]!;
  const end = start + lane.i32[facts + Fact.HEAD_BYTES]!;
  let at = start + ETHERNET_BYTES;
  if (at > end) return true;
  let type = (u8[at - 2]! << 8) | u8[at - 1]!;
  for (let tags = 0; tags < 2 && (type === TPID_HIGH << 8 || type === SERVICE_TPID); tags++) {
    at += TAG_BYTES;
    if (at > end) return true;
    type = (u8[at - 2]! << 8) | u8[at - 1]!;
  }
  if (type === 0x0800) return markIpv4(lane, at, end, outer & ECN_MASK);
  if (type === 0x86dd) return markIpv6(lane, at, end, outer & ECN_MASK);
  return true;
}

/** The inner field as it has to be; −1: drop. */
function marked(outer: number, inner: number): number {
  if (outer === CE) return inner === 0 ? -1 : CE;
  return outer === ECT1 && inner === ECT0 ? ECT1 : inner;
}

function markIpv4(lane: Lane, at: number, end: number, outer: number): boolean {
  const u8 = lane.u8;
  if (at + IPV4_BYTES > end) return true;
  const inner = u8[at + 1]! & ECN_MASK;
  const next = marked(outer, inner);
  if (next < 0) return false;
  if (next === inner) return true;
  u8[at + 1] = (u8[at + 1]! & ~ECN_MASK) | next;
  // RFC 1624, equation 3: HC' = ~(~HC + ~m + m'); the field's word changes by `next − inner`.
  const sum = (u8[at + IPV4_CHECKSUM_AT]! << 8) | u8[at + IPV4_CHECKSUM_AT + 1]!;
  let changed = (~sum & 0xffff) + (~inner & 0xffff) + next;
  changed = (changed & 0xffff) + (changed >>> 16);
  changed = ~((changed & 0xffff) + (changed >>> 16)) & 0xffff;
  u8[at + IPV4_CHECKSUM_AT] = changed >>> 8;
  u8[at + IPV4_CHECKSUM_AT + 1] = changed & 0xff;
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
