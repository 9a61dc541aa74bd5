// HOT: read for flow hashing and offload checks.
/*
 * The TCP header (RFC 9293, 3.1). Called by flow.ts and the path on worker threads, and by the cold
 * side through tcp-value.ts. Never looks into options.
 *
 *    0        2             4          8                12      13      14       16         18
 *   +--------+-------------+----------+----------------+-------+-------+--------+----------+--------+
 *   | source | destination | sequence | acknowledgment |off|res| flags | window | checksum | urgent | options …
 *   +--------+-------------+----------+----------------+-------+-------+--------+----------+--------+
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { Check } from './check.ts';

export const TCP_SOURCE_PORT_AT = 0;
export const TCP_DESTINATION_PORT_AT = TCP_SOURCE_PORT_AT + 2;
export const TCP_SEQUENCE_AT = TCP_DESTINATION_PORT_AT + 2;
export const TCP_ACKNOWLEDGMENT_AT = TCP_SEQUENCE_AT + 4;
export const TCP_DATA_OFFSET_AT = TCP_ACKNOWLEDGMENT_AT + 4;
export const TCP_FLAGS_AT = TCP_DATA_OFFSET_AT + 1;
export const TCP_WINDOW_AT = TCP_FLAGS_AT + 1;
export const TCP_CHECKSUM_AT = TCP_WINDOW_AT + 2;
export const TCP_URGENT_AT = TCP_CHECKSUM_AT + 2;
/** Without options. */
export const TCP_BYTES_MIN = TCP_URGENT_AT + 2;
export const TCP_BYTES_MAX = 60;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/**
 * OK: the header with its options can be read. SHORT: it doesn't end before `end`. BAD_LENGTH: a data
 * offset below five words.
 */
export function checkTcp(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < TCP_BYTES_MIN) return Check.SHORT;
  const headerBytes = tcpHeaderBytes(bytes, at);
  if (headerBytes < TCP_BYTES_MIN) return Check.BAD_LENGTH;
  return end - at < headerBytes ? Check.SHORT : Check.OK;
}

export function tcpSourcePort(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + TCP_SOURCE_PORT_AT);
}

export function tcpDestinationPort(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + TCP_DESTINATION_PORT_AT);
}

/** As int32; `>>> 0` gives the sequence number. */
export function tcpSequence(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + TCP_SEQUENCE_AT);
}

export function setTcpSequence(bytes: Uint8Array, at: number, value: number): void {
  writeI32(bytes, at + TCP_SEQUENCE_AT, value);
}

/** With options: 0 … 60, at least 20 once checked. */
export function tcpHeaderBytes(bytes: Uint8Array, at: number): number {
  return (bytes[at + TCP_DATA_OFFSET_AT] >>> 4) << 2;
}

export function tcpFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + TCP_FLAGS_AT];
}

export function setTcpFlags(bytes: Uint8Array, at: number, value: number): void {
  bytes[at + TCP_FLAGS_AT] = value;
}

export function tcpChecksum(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + TCP_CHECKSUM_AT);
}

export function setTcpChecksum(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + TCP_CHECKSUM_AT, value);
}
