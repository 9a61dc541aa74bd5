/*
 * The IPv4 header as a plain value. Called by tests, control and printing; never per frame. The header checksum
 * is no part of the value: emit computes it, isIpv4ChecksumRight tells of a received one.
 */
import { writeU16 } from './bytes.ts';
import {
  checkIpv4,
  fillIpv4Checksum,
  IPV4_BYTES_MAX,
  IPV4_BYTES_MIN,
  IPV4_DESTINATION_AT,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_AT,
  IPV4_FRAGMENT_OFFSET_MASK,
  IPV4_MORE_FRAGMENTS,
  IPV4_PROTOCOL_AT,
  IPV4_SOURCE_AT,
  IPV4_TRAFFIC_CLASS_AT,
  IPV4_TTL_AT,
  IPV4_VERSION_IHL_AT,
  ipv4Fragment,
  ipv4HeaderBytes,
  ipv4Identification,
  ipv4Protocol,
  ipv4TotalBytes,
  ipv4TrafficClass,
  ipv4Ttl,
  setIpv4Identification,
  setIpv4TotalBytes,
} from './ipv4.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatIpv4Address, parseIpv4Address } from './text.ts';

export interface Ipv4Header {
  /** DSCP in the upper six bits, ECN in the lower two. */
  readonly trafficClass: number;
  readonly totalBytes: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes: a multiple of eight. */
  readonly fragmentAt: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** As they stand in the header, 0 to 40 bytes in words of four. */
  readonly options: Uint8Array;
}

const OPTIONS_BYTES_MAX = IPV4_BYTES_MAX - IPV4_BYTES_MIN;
const FRAGMENT_UNIT_BYTES = 8;

/** `end` is the frame's end. Throws RangeError when malformed, not for a wrong checksum. */
export function parseIpv4(bytes: Uint8Array, at: number, end: number): Ipv4Header {
  refuse('IPv4 header', checkIpv4(bytes, at, end, end), at, end);
  const fragment = ipv4Fragment(bytes, at);
  return {
    trafficClass: ipv4TrafficClass(bytes, at),
    totalBytes: ipv4TotalBytes(bytes, at),
    identification: ipv4Identification(bytes, at),
    dontFragment: (fragment & IPV4_DONT_FRAGMENT) !== 0,
    moreFragments: (fragment & IPV4_MORE_FRAGMENTS) !== 0,
    fragmentAt: (fragment & IPV4_FRAGMENT_OFFSET_MASK) * FRAGMENT_UNIT_BYTES,
    ttl: ipv4Ttl(bytes, at),
    protocol: ipv4Protocol(bytes, at),
    source: formatIpv4Address(bytes, at + IPV4_SOURCE_AT),
    destination: formatIpv4Address(bytes, at + IPV4_DESTINATION_AT),
    options: bytes.slice(at + IPV4_BYTES_MIN, at + ipv4HeaderBytes(bytes, at)),
  };
}

/** Writes header, options and checksum; returns the offset behind them. */
export function emitIpv4(header: Ipv4Header, bytes: Uint8Array, at: number): number {
  const words = bounded('words of IPv4 options', header.options.length / 4, OPTIONS_BYTES_MAX / 4);
  const headerBytes = IPV4_BYTES_MIN + words * 4;
  const next = roomFor('IPv4 header', bytes, at, headerBytes);
  const offsetMax = IPV4_FRAGMENT_OFFSET_MASK;
  const offset = bounded('IPv4 fragment offset / 8', header.fragmentAt / FRAGMENT_UNIT_BYTES, offsetMax);
  const flags = (header.dontFragment ? IPV4_DONT_FRAGMENT : 0) | (header.moreFragments ? IPV4_MORE_FRAGMENTS : 0);
  bytes[at + IPV4_VERSION_IHL_AT] = (4 << 4) | (headerBytes >>> 2);
  bytes[at + IPV4_TRAFFIC_CLASS_AT] = bounded('IPv4 traffic class', header.trafficClass, 0xff);
  setIpv4TotalBytes(bytes, at, bounded('IPv4 total length', header.totalBytes, 0xffff));
  setIpv4Identification(bytes, at, bounded('IPv4 identification', header.identification, 0xffff));
  writeU16(bytes, at + IPV4_FRAGMENT_AT, flags | offset);
  bytes[at + IPV4_TTL_AT] = bounded('IPv4 TTL', header.ttl, 0xff);
  bytes[at + IPV4_PROTOCOL_AT] = bounded('IPv4 protocol', header.protocol, 0xff);
  bytes.set(parseIpv4Address(header.source), at + IPV4_SOURCE_AT);
  bytes.set(parseIpv4Address(header.destination), at + IPV4_DESTINATION_AT);
  bytes.set(header.options, at + IPV4_BYTES_MIN);
  fillIpv4Checksum(bytes, at);
  return next;
}
