/*
 * Neighbour solicitation and advertisement of ICMPv6 (RFC 4861, 4.3 and 4.4): a value with parse and emit. Called by control, tests and
 * printing; never per frame. Of the options only the link-layer address that belongs to the message is known; others are walked over.
 *
 *    0      1      2          4         8                  24     25        26                 32
 *   +------+------+----------+---------+------------------+------+---------+------------------+
 *   | type | code | checksum | flags   | target           | kind | eights  | link address     | more options …
 *   +------+------+----------+---------+------------------+------+---------+------------------+
 */
import { readU16, writeU16 } from './bytes.ts';
import { Check } from './check.ts';
import { MAC_BYTES } from './ethernet.ts';
import { ICMP_CHECKSUM_AT, ICMP_CODE_AT, ICMP_TYPE_AT } from './icmp.ts';
import { IPV6_ADDRESS_BYTES } from './ipv6.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatIpv6Address, formatMac, parseIpv6Address, parseMac } from './text.ts';

export const NDP_FLAGS_AT = ICMP_CHECKSUM_AT + 2;
export const NDP_TARGET_AT = NDP_FLAGS_AT + 4;
export const NDP_OPTIONS_AT = NDP_TARGET_AT + IPV6_ADDRESS_BYTES;
export const NDP_BYTES_MIN = NDP_OPTIONS_AT;
const OPTION_KIND_AT = 0;
const OPTION_EIGHTS_AT = OPTION_KIND_AT + 1;
const OPTION_ADDRESS_AT = OPTION_EIGHTS_AT + 1;
/** An option's length is told in these; one with a link-layer address of Ethernet is as long. */
const OPTION_UNIT_BYTES = OPTION_ADDRESS_AT + MAC_BYTES;

export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;
export const NDP_HOP_LIMIT = 255;

const ROUTER_FLAG = 0x80;
const SOLICITED_FLAG = 0x40;
const OVERRIDE_FLAG = 0x20;
const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;

export interface NeighbourMessage {
  readonly type: typeof NEIGHBOUR_SOLICITATION | typeof NEIGHBOUR_ADVERTISEMENT;
  readonly checksum: number;
  /** These three mean something in an advertisement only. */
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
  readonly target: string;
  /** A solicitation's source, an advertisement's target; null: none is told. */
  readonly linkAddress: string | null;
}

/**
 * `end` is the message's end, not the padding's. OK: the message and its options can be read. SHORT: they can't. BAD_TYPE: neither of
 * the two. BAD_LENGTH: an option of no length, or one that ends behind the message.
 */
export function checkNeighbour(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < NDP_BYTES_MIN) return Check.SHORT;
  const type = bytes[at + ICMP_TYPE_AT];
  if (type !== NEIGHBOUR_SOLICITATION && type !== NEIGHBOUR_ADVERTISEMENT) return Check.BAD_TYPE;
  if (bytes[at + ICMP_CODE_AT] !== 0) return Check.BAD_TYPE;
  let option = at + NDP_OPTIONS_AT;
  while (option < end) {
    const bytesOf = end - option < OPTION_ADDRESS_AT ? 0 : bytes[option + OPTION_EIGHTS_AT] * OPTION_UNIT_BYTES;
    if (bytesOf === 0 || bytesOf > end - option) return Check.BAD_LENGTH;
    option += bytesOf;
  }
  return Check.OK;
}

/** Throws RangeError when malformed. Whether the checksum is right is the caller's to ask. */
export function parseNeighbour(bytes: Uint8Array, at: number, end: number): NeighbourMessage {
  refuse('neighbour message', checkNeighbour(bytes, at, end), at, end);
  const isSolicitation = bytes[at + ICMP_TYPE_AT] === NEIGHBOUR_SOLICITATION;
  const flags = isSolicitation ? 0 : bytes[at + NDP_FLAGS_AT];
  return {
    type: isSolicitation ? NEIGHBOUR_SOLICITATION : NEIGHBOUR_ADVERTISEMENT,
    checksum: readU16(bytes, at + ICMP_CHECKSUM_AT),
    router: (flags & ROUTER_FLAG) !== 0,
    solicited: (flags & SOLICITED_FLAG) !== 0,
    override: (flags & OVERRIDE_FLAG) !== 0,
    target: formatIpv6Address(bytes, at + NDP_TARGET_AT),
    linkAddress: linkAddressOf(bytes, at, end, isSolicitation ? SOURCE_LINK_ADDRESS : TARGET_LINK_ADDRESS),
  };
}

/** Of checked options the first of its kind. */
function linkAddressOf(bytes: Uint8Array, at: number, end: number, kind: number): string | null {
  for (let option = at + NDP_OPTIONS_AT; option < end; option += bytes[option + OPTION_EIGHTS_AT] * OPTION_UNIT_BYTES) {
    if (bytes[option + OPTION_KIND_AT] === kind && bytes[option + OPTION_EIGHTS_AT] === 1)
      return formatMac(bytes, option + OPTION_ADDRESS_AT);
  }
  return null;
}

/** How long the message is when emitted. */
export function neighbourBytes(message: Pick<NeighbourMessage, 'linkAddress'>): number {
  return NDP_BYTES_MIN + (message.linkAddress === null ? 0 : OPTION_UNIT_BYTES);
}

/** Writes 24 or 32 bytes and returns the offset behind them. A solicitation's flags are written as 0. */
export function emitNeighbour(message: NeighbourMessage, bytes: Uint8Array, at: number): number {
  const next = roomFor('neighbour message', bytes, at, neighbourBytes(message));
  const isSolicitation = message.type === NEIGHBOUR_SOLICITATION;
  bytes.fill(0, at, next);
  bytes[at + ICMP_TYPE_AT] = message.type;
  writeU16(bytes, at + ICMP_CHECKSUM_AT, bounded('ICMPv6 checksum', message.checksum, 0xffff));
  if (!isSolicitation)
    bytes[at + NDP_FLAGS_AT] =
      (message.router ? ROUTER_FLAG : 0) |
      (message.solicited ? SOLICITED_FLAG : 0) |
      (message.override ? OVERRIDE_FLAG : 0);
  bytes.set(parseIpv6Address(message.target), at + NDP_TARGET_AT);
  if (message.linkAddress === null) return next;
  const option = at + NDP_OPTIONS_AT;
  bytes[option + OPTION_KIND_AT] = isSolicitation ? SOURCE_LINK_ADDRESS : TARGET_LINK_ADDRESS;
  bytes[option + OPTION_EIGHTS_AT] = 1;
  bytes.set(parseMac(message.linkAddress), option + OPTION_ADDRESS_AT);
  return next;
}
