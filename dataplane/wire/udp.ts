// HOT: read for flow hashing, offload checks and tunnels.
/*
 * The UDP header (RFC 768). Called by flow.ts and the path on worker threads, and by the cold side
 * through udp-value.ts. Never decides whether a missing checksum is allowed.
 *
 *    0        2             4        6          8
 *   +--------+-------------+--------+----------+---------
 *   | source | destination | length | checksum | payload …
 *   +--------+-------------+--------+----------+---------
 */
import { readU16, writeU16 } from './bytes.ts';
import { Check } from './check.ts';

export const UDP_SOURCE_PORT_AT = 0;
export const UDP_DESTINATION_PORT_AT = UDP_SOURCE_PORT_AT + 2;
export const UDP_LENGTH_AT = UDP_DESTINATION_PORT_AT + 2;
export const UDP_CHECKSUM_AT = UDP_LENGTH_AT + 2;
export const UDP_BYTES = UDP_CHECKSUM_AT + 2;

/** OK: the header can be read, and the datagram ends within the frame. SHORT, BAD_LENGTH: one of them not. */
export function checkUdp(bytes: Uint8Array, at: number, end: number, frameEnd: number): Check {
  if (end - at < UDP_BYTES) return Check.SHORT;
  const length = udpLength(bytes, at);
  return length < UDP_BYTES || length > frameEnd - at ? Check.BAD_LENGTH : Check.OK;
}

export function udpSourcePort(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + UDP_SOURCE_PORT_AT);
}

export function setUdpSourcePort(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + UDP_SOURCE_PORT_AT, value);
}

export function udpDestinationPort(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + UDP_DESTINATION_PORT_AT);
}

export function setUdpDestinationPort(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + UDP_DESTINATION_PORT_AT, value);
}

/** Header and payload, in bytes. */
export function udpLength(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + UDP_LENGTH_AT);
}

export function setUdpLength(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + UDP_LENGTH_AT, value);
}

/** 0 means that the sender made none. */
export function udpChecksum(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + UDP_CHECKSUM_AT);
}

export function setUdpChecksum(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + UDP_CHECKSUM_AT, value);
}
