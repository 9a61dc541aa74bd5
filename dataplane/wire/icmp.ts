/*
 * Two messages that ICMP (RFC 792) and ICMPv6 (RFC 4443) share, each a value with parse and emit: echo, and what tells a sender that a packet
 * was too long: "fragmentation needed" (RFC 1191, 4) and "packet too big" (RFC 4443, 3.2). Called by control, tests, demo and printing;
 * never per frame.
 *
 *    0      1      2          4            6          8
 *   +------+------+----------+------------+----------+---------
 *   | type | code | checksum | identifier | sequence | payload …
 *   +------+------+----------+------------+----------+---------
 *   | type | code | checksum | MTU (ICMP: the last two bytes) | the packet that was too long …
 *   +------+------+----------+-----------------------+---------
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { Check } from './check.ts';
import { bounded, refuse, roomFor } from './malformed.ts';

export const ICMP_TYPE_AT = 0;
export const ICMP_CODE_AT = ICMP_TYPE_AT + 1;
export const ICMP_CHECKSUM_AT = ICMP_CODE_AT + 1;
export const ICMP_IDENTIFIER_AT = ICMP_CHECKSUM_AT + 2;
export const ICMP_SEQUENCE_AT = ICMP_IDENTIFIER_AT + 2;
export const ICMP_ECHO_BYTES = ICMP_SEQUENCE_AT + 2;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO_REQUEST = 8;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;

export const ICMP_MTU_AT = ICMP_CHECKSUM_AT + 2;
export const ICMP_TOO_BIG_BYTES = ICMP_MTU_AT + 4;
export const ICMP_UNREACHABLE = 3;
export const ICMP_FRAGMENTATION_NEEDED = 4;
export const ICMPV6_TOO_BIG = 2;

export interface IcmpEcho {
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  readonly identifier: number;
  readonly sequence: number;
}

/** OK: the echo header can be read. SHORT: it can't. */
export function checkIcmpEcho(_bytes: Uint8Array, at: number, end: number): Check {
  return end - at < ICMP_ECHO_BYTES ? Check.SHORT : Check.OK;
}

/** Throws RangeError when cut short. Whether it is an echo at all is in `type`. */
export function parseIcmpEcho(bytes: Uint8Array, at: number, end: number): IcmpEcho {
  refuse('ICMP echo', checkIcmpEcho(bytes, at, end), at, end);
  return {
    type: bytes[at + ICMP_TYPE_AT],
    code: bytes[at + ICMP_CODE_AT],
    checksum: readU16(bytes, at + ICMP_CHECKSUM_AT),
    identifier: readU16(bytes, at + ICMP_IDENTIFIER_AT),
    sequence: readU16(bytes, at + ICMP_SEQUENCE_AT),
  };
}

/** Writes eight bytes and returns the offset behind them. */
export function emitIcmpEcho(echo: IcmpEcho, bytes: Uint8Array, at: number): number {
  const next = roomFor('ICMP echo', bytes, at, ICMP_ECHO_BYTES);
  bytes[at + ICMP_TYPE_AT] = bounded('ICMP type', echo.type, 0xff);
  bytes[at + ICMP_CODE_AT] = bounded('ICMP code', echo.code, 0xff);
  writeU16(bytes, at + ICMP_CHECKSUM_AT, bounded('ICMP checksum', echo.checksum, 0xffff));
  writeU16(bytes, at + ICMP_IDENTIFIER_AT, bounded('ICMP identifier', echo.identifier, 0xffff));
  writeU16(bytes, at + ICMP_SEQUENCE_AT, bounded('ICMP sequence', echo.sequence, 0xffff));
  return next;
}

/** Of ICMP: `type` ICMP_UNREACHABLE, `code` ICMP_FRAGMENTATION_NEEDED, and an MTU of up to 65,535; of ICMPv6: ICMPV6_TOO_BIG and 0. */
export interface IcmpTooBig {
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  readonly mtu: number;
}

/** Throws RangeError when cut short. Whether it is such a message at all is in `type` and `code`. */
export function parseIcmpTooBig(bytes: Uint8Array, at: number, end: number): IcmpTooBig {
  refuse('ICMP too big', checkIcmpEcho(bytes, at, end), at, end);
  return {
    type: bytes[at + ICMP_TYPE_AT],
    code: bytes[at + ICMP_CODE_AT],
    checksum: readU16(bytes, at + ICMP_CHECKSUM_AT),
    mtu: readI32(bytes, at + ICMP_MTU_AT) >>> 0,
  };
}

/** Writes eight bytes and returns the offset behind them. */
export function emitIcmpTooBig(message: IcmpTooBig, bytes: Uint8Array, at: number): number {
  const next = roomFor('ICMP too big', bytes, at, ICMP_TOO_BIG_BYTES);
  bytes[at + ICMP_TYPE_AT] = bounded('ICMP type', message.type, 0xff);
  bytes[at + ICMP_CODE_AT] = bounded('ICMP code', message.code, 0xff);
  writeU16(bytes, at + ICMP_CHECKSUM_AT, bounded('ICMP checksum', message.checksum, 0xffff));
  const max = message.type === ICMP_UNREACHABLE ? 0xffff : 0xffff_ffff;
  writeI32(bytes, at + ICMP_MTU_AT, bounded('MTU', message.mtu, max));
  return next;
}
