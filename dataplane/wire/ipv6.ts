// HOT: read for flow hashing and offload checks.
/*
 * The fixed IPv6 header (RFC 8200, 3). Called by flow.ts and the path on worker threads, and by the
 * cold side through ipv6-value.ts. Never walks extension headers: with one, the payload is opaque.
 *
 *    0                          4                6        7       8              24              40
 *   +----+-------+-------------+----------------+--------+-------+--------------+---------------+
 *   |ver | class | flow label  | payload length |next hdr|hop lim| source       | destination   | payload …
 *   +----+-------+-------------+----------------+--------+-------+--------------+---------------+
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { Check } from './check.ts';
import { sumBytes } from './checksum.ts';

export const IPV6_ADDRESS_BYTES = 16;

export const IPV6_VERSION_CLASS_LABEL_AT = 0;
export const IPV6_PAYLOAD_BYTES_AT = IPV6_VERSION_CLASS_LABEL_AT + 4;
export const IPV6_NEXT_HEADER_AT = IPV6_PAYLOAD_BYTES_AT + 2;
export const IPV6_HOP_LIMIT_AT = IPV6_NEXT_HEADER_AT + 1;
export const IPV6_SOURCE_AT = IPV6_HOP_LIMIT_AT + 1;
export const IPV6_DESTINATION_AT = IPV6_SOURCE_AT + IPV6_ADDRESS_BYTES;
export const IPV6_BYTES = IPV6_DESTINATION_AT + IPV6_ADDRESS_BYTES;

export const IP_PROTOCOL_IPV6_FRAGMENT = 44;
export const IP_PROTOCOL_ICMPV6 = 58;

export const IPV6_FLOW_LABEL_MASK = 0xfffff;
const TRAFFIC_CLASS_SHIFT = 20;

/**
 * OK: the fixed header can be read, and the packet ends within the frame. SHORT: it doesn't end before
 * `end`. BAD_VERSION: not 6. BAD_LENGTH: the payload reaches past `frameEnd`. A payload length of 0 is
 * an empty packet here: jumbograms (RFC 2675) are not known.
 */
export function checkIpv6(bytes: Uint8Array, at: number, end: number, frameEnd: number): Check {
  if (end - at < IPV6_BYTES) return Check.SHORT;
  if (bytes[at + IPV6_VERSION_CLASS_LABEL_AT] >>> 4 !== 6) return Check.BAD_VERSION;
  return ipv6PayloadBytes(bytes, at) > frameEnd - at - IPV6_BYTES ? Check.BAD_LENGTH : Check.OK;
}

/** DSCP in the upper six bits, ECN in the lower two. */
export function ipv6TrafficClass(bytes: Uint8Array, at: number): number {
  return (readI32(bytes, at + IPV6_VERSION_CLASS_LABEL_AT) >>> TRAFFIC_CLASS_SHIFT) & 0xff;
}

export function ipv6FlowLabel(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + IPV6_VERSION_CLASS_LABEL_AT) & IPV6_FLOW_LABEL_MASK;
}

/** Writes the version too; parts beyond their width are cut. */
export function setIpv6ClassAndLabel(bytes: Uint8Array, at: number, trafficClass: number, label: number): void {
  const word = (6 << 28) | ((trafficClass & 0xff) << TRAFFIC_CLASS_SHIFT) | (label & IPV6_FLOW_LABEL_MASK);
  writeI32(bytes, at + IPV6_VERSION_CLASS_LABEL_AT, word);
}

/** Everything behind the fixed header, extension headers included. */
export function ipv6PayloadBytes(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + IPV6_PAYLOAD_BYTES_AT);
}

export function setIpv6PayloadBytes(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + IPV6_PAYLOAD_BYTES_AT, value);
}

export function ipv6NextHeader(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_NEXT_HEADER_AT];
}

export function ipv6HopLimit(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_HOP_LIMIT_AT];
}

/** Sum of the pseudo-header (RFC 8200, 8.1) over a checked header; `l4Bytes` is at most 65,535. */
export function sumPseudoIpv6(bytes: Uint8Array, at: number, protocol: number, l4Bytes: number): number {
  return sumBytes(bytes, at + IPV6_SOURCE_AT, at + IPV6_BYTES, protocol + l4Bytes);
}
