// HOT: read where neighbour solicitations are answered or suppressed.
/*
 * Neighbour solicitation and advertisement of ICMPv6 (RFC 4861, 4.3 and 4.4). Called by the path on worker threads, and by the cold side
 * through ndp-value.ts. Of the options only the link-layer address that belongs to the message is known; others are walked over.
 *
 *    0      1      2          4         8                  24     25        26                 32
 *   +------+------+----------+---------+------------------+------+---------+------------------+
 *   | type | code | checksum | flags   | target           | kind | eights  | link address     | more options …
 *   +------+------+----------+---------+------------------+------+---------+------------------+
 */
import { Check } from './check.ts';
import { MAC_BYTES } from './ethernet.ts';
import { ICMP_CHECKSUM_AT, ICMP_CODE_AT, ICMP_TYPE_AT } from './icmp.ts';
import { IPV6_ADDRESS_BYTES } from './ipv6.ts';

export const NDP_FLAGS_AT = ICMP_CHECKSUM_AT + 2;
export const NDP_TARGET_AT = NDP_FLAGS_AT + 4;
export const NDP_OPTIONS_AT = NDP_TARGET_AT + IPV6_ADDRESS_BYTES;
export const NDP_BYTES_MIN = NDP_OPTIONS_AT;
export const NDP_OPTION_KIND_AT = 0;
export const NDP_OPTION_EIGHTS_AT = NDP_OPTION_KIND_AT + 1;
export const NDP_OPTION_ADDRESS_AT = NDP_OPTION_EIGHTS_AT + 1;
/** An option's length is told in these; one with a link-layer address of Ethernet is as long. */
export const NDP_OPTION_BYTES = NDP_OPTION_ADDRESS_AT + MAC_BYTES;

export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;
export const NDP_HOP_LIMIT = 255;

export const NDP_ROUTER = 0x80;
export const NDP_SOLICITED = 0x40;
export const NDP_OVERRIDE = 0x20;
export const NDP_SOURCE_LINK = 1;
export const NDP_TARGET_LINK = 2;

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
    const bytesOf = end - option < NDP_OPTION_ADDRESS_AT ? 0 : bytes[option + NDP_OPTION_EIGHTS_AT] * NDP_OPTION_BYTES;
    if (bytesOf === 0 || bytesOf > end - option) return Check.BAD_LENGTH;
    option += bytesOf;
  }
  return Check.OK;
}

/** Of checked options where the first link-layer address of this kind stands; 0: there is none. */
export function neighbourLinkAt(bytes: Uint8Array, at: number, end: number, kind: number): number {
  let option = at + NDP_OPTIONS_AT;
  while (option < end) {
    if (bytes[option + NDP_OPTION_KIND_AT] === kind && bytes[option + NDP_OPTION_EIGHTS_AT] === 1)
      return option + NDP_OPTION_ADDRESS_AT;
    option += bytes[option + NDP_OPTION_EIGHTS_AT] * NDP_OPTION_BYTES;
  }
  return 0;
}
