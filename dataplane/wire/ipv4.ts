// HOT: read for flow hashing and offload checks.
/*
 * The IPv4 header (RFC 791, 3.1; DSCP and ECN: RFC 2474, RFC 3168). Called by flow.ts and the path on
 * worker threads, and by the cold side through ipv4-value.ts. Never looks into options.
 *
 *    0        1        2                 4                 6        8    9      10        12       16
 *   +--------+--------+-----------------+-----------------+--------+----+------+---------+--------+-------------+
 *   |ver |IHL|DSCP|ECN|  total length   | identification  |flg|frag|TTL |proto |checksum | source | destination | options …
 *   +--------+--------+-----------------+-----------------+--------+----+------+---------+--------+-------------+
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { Check } from './check.ts';
import { foldSum, sumBytes } from './checksum.ts';

export const IPV4_ADDRESS_BYTES = 4;

export const IPV4_VERSION_IHL_AT = 0;
export const IPV4_TRAFFIC_CLASS_AT = IPV4_VERSION_IHL_AT + 1;
export const IPV4_TOTAL_BYTES_AT = IPV4_TRAFFIC_CLASS_AT + 1;
export const IPV4_IDENTIFICATION_AT = IPV4_TOTAL_BYTES_AT + 2;
export const IPV4_FRAGMENT_AT = IPV4_IDENTIFICATION_AT + 2;
export const IPV4_TTL_AT = IPV4_FRAGMENT_AT + 2;
export const IPV4_PROTOCOL_AT = IPV4_TTL_AT + 1;
export const IPV4_CHECKSUM_AT = IPV4_PROTOCOL_AT + 1;
export const IPV4_SOURCE_AT = IPV4_CHECKSUM_AT + 2;
export const IPV4_DESTINATION_AT = IPV4_SOURCE_AT + IPV4_ADDRESS_BYTES;
/** Without options. */
export const IPV4_BYTES_MIN = IPV4_DESTINATION_AT + IPV4_ADDRESS_BYTES;
export const IPV4_BYTES_MAX = 60;

export const IP_PROTOCOL_ICMP = 1;
export const IP_PROTOCOL_TCP = 6;
export const IP_PROTOCOL_UDP = 17;

export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;
/** In units of eight bytes. */
export const IPV4_FRAGMENT_OFFSET_MASK = 0x1fff;

/**
 * OK: the header with its options can be read, and the packet ends within the frame. SHORT: the header
 * doesn't end before `end`. BAD_VERSION: not 4. BAD_LENGTH: IHL below 5, or a total length below the
 * header's or past `frameEnd`. The header's checksum is a separate question.
 */
export function checkIpv4(bytes: Uint8Array, at: number, end: number, frameEnd: number): Check {
  if (end - at < IPV4_BYTES_MIN) return Check.SHORT;
  if (bytes[at + IPV4_VERSION_IHL_AT] >>> 4 !== 4) return Check.BAD_VERSION;
  const headerBytes = ipv4HeaderBytes(bytes, at);
  if (headerBytes < IPV4_BYTES_MIN) return Check.BAD_LENGTH;
  if (end - at < headerBytes) return Check.SHORT;
  const totalBytes = ipv4TotalBytes(bytes, at);
  return totalBytes < headerBytes || totalBytes > frameEnd - at ? Check.BAD_LENGTH : Check.OK;
}

/** With options: 0 … 60, at least 20 once checked. */
export function ipv4HeaderBytes(bytes: Uint8Array, at: number): number {
  return (bytes[at + IPV4_VERSION_IHL_AT] & 0x0f) << 2;
}

/** DSCP in the upper six bits, ECN in the lower two. */
export function ipv4TrafficClass(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TRAFFIC_CLASS_AT];
}

/** Header and payload, without what pads the frame. */
export function ipv4TotalBytes(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + IPV4_TOTAL_BYTES_AT);
}

/** The header checksum is not brought up to date: use updateChecksum. */
export function setIpv4TotalBytes(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + IPV4_TOTAL_BYTES_AT, value);
}

export function ipv4Identification(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + IPV4_IDENTIFICATION_AT);
}

export function setIpv4Identification(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + IPV4_IDENTIFICATION_AT, value);
}

/** The 16 bits with DF, MF and the offset. */
export function ipv4Fragment(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + IPV4_FRAGMENT_AT);
}

/** First fragments count too: their ports must not be used where later ones have none. */
export function isIpv4Fragment(bytes: Uint8Array, at: number): boolean {
  return (ipv4Fragment(bytes, at) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET_MASK)) !== 0;
}

export function ipv4Ttl(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TTL_AT];
}

export function ipv4Protocol(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_PROTOCOL_AT];
}

export function ipv4Checksum(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + IPV4_CHECKSUM_AT);
}

export function setIpv4Checksum(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + IPV4_CHECKSUM_AT, value);
}

/** As int32. */
export function ipv4Source(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + IPV4_SOURCE_AT);
}

export function setIpv4Source(bytes: Uint8Array, at: number, value: number): void {
  writeI32(bytes, at + IPV4_SOURCE_AT, value);
}

/** As int32. */
export function ipv4Destination(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + IPV4_DESTINATION_AT);
}

export function setIpv4Destination(bytes: Uint8Array, at: number, value: number): void {
  writeI32(bytes, at + IPV4_DESTINATION_AT, value);
}

/** Over a checked header. */
export function isIpv4ChecksumRight(bytes: Uint8Array, at: number): boolean {
  return foldSum(sumBytes(bytes, at, at + ipv4HeaderBytes(bytes, at), 0)) === 0xffff;
}

/** Sums a checked header anew and writes the field. */
export function fillIpv4Checksum(bytes: Uint8Array, at: number): void {
  setIpv4Checksum(bytes, at, 0);
  setIpv4Checksum(bytes, at, ~foldSum(sumBytes(bytes, at, at + ipv4HeaderBytes(bytes, at), 0)));
}

/**
 * Sum of TCP's and UDP's pseudo-header (RFC 9293, 3.1) over a checked header; `l4Bytes` is the segment with
 * its own header.
 */
export function sumPseudoIpv4(bytes: Uint8Array, at: number, protocol: number, l4Bytes: number): number {
  return sumBytes(bytes, at + IPV4_SOURCE_AT, at + IPV4_BYTES_MIN, protocol + l4Bytes);
}
