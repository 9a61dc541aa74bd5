/*
 * The fixed IPv6 header as a plain value. Called by tests, control and printing; never per frame.
 */
import {
  checkIpv6,
  IPV6_BYTES,
  IPV6_DESTINATION_AT,
  IPV6_FLOW_LABEL_MASK,
  IPV6_HOP_LIMIT_AT,
  IPV6_NEXT_HEADER_AT,
  IPV6_SOURCE_AT,
  ipv6FlowLabel,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadBytes,
  ipv6TrafficClass,
  setIpv6ClassAndLabel,
  setIpv6PayloadBytes,
} from './ipv6.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatIpv6Address, parseIpv6Address } from './text.ts';

export interface Ipv6Header {
  /** DSCP in the upper six bits, ECN in the lower two. */
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadBytes: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: string;
  readonly destination: string;
}

/** `end` is the frame's end. Throws RangeError when malformed. */
export function parseIpv6(bytes: Uint8Array, at: number, end: number): Ipv6Header {
  refuse('IPv6 header', checkIpv6(bytes, at, end, end), at, end);
  return {
    trafficClass: ipv6TrafficClass(bytes, at),
    flowLabel: ipv6FlowLabel(bytes, at),
    payloadBytes: ipv6PayloadBytes(bytes, at),
    nextHeader: ipv6NextHeader(bytes, at),
    hopLimit: ipv6HopLimit(bytes, at),
    source: formatIpv6Address(bytes, at + IPV6_SOURCE_AT),
    destination: formatIpv6Address(bytes, at + IPV6_DESTINATION_AT),
  };
}

/** Writes 40 bytes and returns the offset behind them. */
export function emitIpv6(header: Ipv6Header, bytes: Uint8Array, at: number): number {
  const next = roomFor('IPv6 header', bytes, at, IPV6_BYTES);
  const label = bounded('IPv6 flow label', header.flowLabel, IPV6_FLOW_LABEL_MASK);
  setIpv6ClassAndLabel(bytes, at, bounded('IPv6 traffic class', header.trafficClass, 0xff), label);
  setIpv6PayloadBytes(bytes, at, bounded('IPv6 payload length', header.payloadBytes, 0xffff));
  bytes[at + IPV6_NEXT_HEADER_AT] = bounded('IPv6 next header', header.nextHeader, 0xff);
  bytes[at + IPV6_HOP_LIMIT_AT] = bounded('IPv6 hop limit', header.hopLimit, 0xff);
  bytes.set(parseIpv6Address(header.source), at + IPV6_SOURCE_AT);
  bytes.set(parseIpv6Address(header.destination), at + IPV6_DESTINATION_AT);
  return next;
}
