/*
 * A neighbour solicitation or advertisement as a plain value. Called by control, tests and printing; never per frame.
 */
import { readU16, writeU16 } from './bytes.ts';
import { ICMP_CHECKSUM_AT, ICMP_TYPE_AT } from './icmp.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import {
  checkNeighbour,
  NDP_BYTES_MIN,
  NDP_FLAGS_AT,
  NDP_OPTION_ADDRESS_AT,
  NDP_OPTION_BYTES,
  NDP_OPTION_EIGHTS_AT,
  NDP_OPTION_KIND_AT,
  NDP_OPTIONS_AT,
  NDP_OVERRIDE,
  NDP_ROUTER,
  NDP_SOLICITED,
  NDP_SOURCE_LINK,
  NDP_TARGET_AT,
  NDP_TARGET_LINK,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  neighbourLinkAt,
} from './ndp.ts';
import { formatIpv6Address, formatMac, parseIpv6Address, parseMac } from './text.ts';

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

/** Throws RangeError when malformed. Whether the checksum is right is the caller's to ask. */
export function parseNeighbour(bytes: Uint8Array, at: number, end: number): NeighbourMessage {
  refuse('neighbour message', checkNeighbour(bytes, at, end), at, end);
  const isSolicitation = bytes[at + ICMP_TYPE_AT] === NEIGHBOUR_SOLICITATION;
  const flags = isSolicitation ? 0 : bytes[at + NDP_FLAGS_AT];
  const link = neighbourLinkAt(bytes, at, end, isSolicitation ? NDP_SOURCE_LINK : NDP_TARGET_LINK);
  return {
    type: isSolicitation ? NEIGHBOUR_SOLICITATION : NEIGHBOUR_ADVERTISEMENT,
    checksum: readU16(bytes, at + ICMP_CHECKSUM_AT),
    router: (flags & NDP_ROUTER) !== 0,
    solicited: (flags & NDP_SOLICITED) !== 0,
    override: (flags & NDP_OVERRIDE) !== 0,
    target: formatIpv6Address(bytes, at + NDP_TARGET_AT),
    linkAddress: link === 0 ? null : formatMac(bytes, link),
  };
}

/** How long the message is when emitted. */
export function neighbourBytes(message: Pick<NeighbourMessage, 'linkAddress'>): number {
  return NDP_BYTES_MIN + (message.linkAddress === null ? 0 : NDP_OPTION_BYTES);
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
      (message.router ? NDP_ROUTER : 0) |
      (message.solicited ? NDP_SOLICITED : 0) |
      (message.override ? NDP_OVERRIDE : 0);
  bytes.set(parseIpv6Address(message.target), at + NDP_TARGET_AT);
  if (message.linkAddress === null) return next;
  const option = at + NDP_OPTIONS_AT;
  bytes[option + NDP_OPTION_KIND_AT] = isSolicitation ? NDP_SOURCE_LINK : NDP_TARGET_LINK;
  bytes[option + NDP_OPTION_EIGHTS_AT] = 1;
  bytes.set(parseMac(message.linkAddress), option + NDP_OPTION_ADDRESS_AT);
  return next;
}
