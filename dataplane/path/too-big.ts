// HOT: a frame that is longer than a tunnel's path takes: control hears of it and tells its sender (RFC 1191, RFC 8201), if it can be told.
// Called by path/encapsulate.ts, which counts the frame; cold, since a sender that was told sends shorter ones.
import type { Lane } from '../memory/lane.ts';
import { Fact, Protocol } from '../memory/layout.ts';
import { punt } from './punt.ts';

const VID_MASK = 0xfff;
/** EtherTypes as bytes of the frame tell them. */
const IP_HIGH = 0x08;
const IP_LOW = 0x00;
const IPV6_HIGH = 0x86;
const IPV6_LOW = 0xdd;
/** Of an IPv4 header: its flags, and in them "don't fragment". */
const FLAGS_AT = 6;
const DONT_FRAGMENT = 0x40;

/**
 * The frame with these facts, in the shape in which it would leave by the tunnel `port`, does not fit: at most `limit` bytes do, Ethernet
 * header and tags included. Hands its head up, if it is IPv6, or IPv4 that must not be fragmented. The caller drops it.
 */
export function tooBig(lane: Lane, facts: number, port: number, limit: number): void {
  const i32 = lane.i32;
  const u8 = lane.u8;
  const l3 = i32[facts + Fact.L3]!;
  if (l3 + FLAGS_AT >= i32[facts + Fact.HEAD_BYTES]!) return;
  const at = i32[facts + Fact.HEAD_AT]! + l3;
  const high = u8[at - 2]!;
  const low = u8[at - 1]!;
  const isIpv4 = high === IP_HIGH && low === IP_LOW;
  if (isIpv4 ? (u8[at + FLAGS_AT]! & DONT_FRAGMENT) === 0 : high !== IPV6_HIGH || low !== IPV6_LOW) return;
  punt(lane, facts, port, Protocol.TOO_BIG, i32[facts + Fact.TAG]! & VID_MASK, limit);
}
