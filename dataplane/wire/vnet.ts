// HOT: read at every receive from a TAP, an interface or a guest; written at every transmit to one.
/*
 * The virtio-net header (virtio 1.2, 5.1.6), in the 12-byte shape that all port kinds are set to. Little-
 * endian as virtio 1 has it, which is also this host's order. Called by ports and the path on worker threads.
 * Never trusts hdr_len: it is a hint, rebuilt from the facts.
 *
 *    0       1          2         4          6            8             10            12
 *   +-------+----------+---------+----------+------------+-------------+-------------+--------
 *   | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset | num_buffers | frame …
 *   +-------+----------+---------+----------+------------+-------------+-------------+--------
 */
import { readU16Little, writeU16Little } from './bytes.ts';
import { Check } from './check.ts';
import { ETHERNET_BYTES } from './ethernet.ts';

export const VNET_FLAGS_AT = 0;
export const VNET_GSO_TYPE_AT = VNET_FLAGS_AT + 1;
export const VNET_HEADER_BYTES_AT = VNET_GSO_TYPE_AT + 1;
export const VNET_GSO_BYTES_AT = VNET_HEADER_BYTES_AT + 2;
export const VNET_CHECKSUM_START_AT = VNET_GSO_BYTES_AT + 2;
export const VNET_CHECKSUM_OFFSET_AT = VNET_CHECKSUM_START_AT + 2;
export const VNET_BUFFER_COUNT_AT = VNET_CHECKSUM_OFFSET_AT + 2;
export const VNET_BYTES = VNET_BUFFER_COUNT_AT + 2;

/** The checksum field holds the pseudo-header's sum; the rest is still to be added. */
export const VNET_F_NEEDS_CSUM = 1;
/** Whoever hands the frame over has verified its checksum. */
export const VNET_F_DATA_VALID = 2;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
/** UDP as IP fragments; old, and refused by checkVnet, as nothing here can finish it. */
export const VNET_GSO_UDP = 3;
export const VNET_GSO_TCPV6 = 4;
/** UDP as datagrams. */
export const VNET_GSO_UDP_L4 = 5;
/** With a TCP type: CWR in the first segment only. */
export const VNET_GSO_ECN = 0x80;

const CHECKSUM_BYTES = 2;

/**
 * `at` is the header, bytes[at + 12 … end) the frame's head. OK: the twelve bytes can be read; a checksum that
 * is asked for has its field wholly in the head and behind the Ethernet header; a GSO type is TCPV4, TCPV6
 * (ECN allowed) or UDP_L4, comes with NEEDS_CSUM and a segment size. SHORT: no twelve bytes. BAD_TYPE: an
 * unknown GSO type. BAD_OFFLOAD: the rest. Void once the frame's start moves: shift start and length by as much.
 * That the L4 header at csum_start fits the GSO type is for checkTcp and checkUdp.
 */
export function checkVnet(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < VNET_BYTES) return Check.SHORT;
  const gsoType = vnetGsoType(bytes, at);
  if (!isKnownGsoType(gsoType)) return Check.BAD_TYPE;
  const needsChecksum = (vnetFlags(bytes, at) & VNET_F_NEEDS_CSUM) !== 0;
  if (gsoType !== VNET_GSO_NONE && (!needsChecksum || vnetGsoBytes(bytes, at) === 0)) return Check.BAD_OFFLOAD;
  if (!needsChecksum) return Check.OK;
  const start = vnetChecksumStart(bytes, at);
  const fieldEnd = start + vnetChecksumOffset(bytes, at) + CHECKSUM_BYTES;
  return start < ETHERNET_BYTES || fieldEnd > end - at - VNET_BYTES ? Check.BAD_OFFLOAD : Check.OK;
}

function isKnownGsoType(gsoType: number): boolean {
  if (gsoType === VNET_GSO_NONE || gsoType === VNET_GSO_UDP_L4) return true;
  const base = gsoType & ~VNET_GSO_ECN;
  return base === VNET_GSO_TCPV4 || base === VNET_GSO_TCPV6;
}

export function vnetFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + VNET_FLAGS_AT];
}

export function vnetGsoType(bytes: Uint8Array, at: number): number {
  return bytes[at + VNET_GSO_TYPE_AT];
}

/** What the sender says are all headers, from the frame's start to the payload of L4. Untrusted. */
export function vnetHeaderBytes(bytes: Uint8Array, at: number): number {
  return readU16Little(bytes, at + VNET_HEADER_BYTES_AT);
}

/** Payload of L4 in each segment. */
export function vnetGsoBytes(bytes: Uint8Array, at: number): number {
  return readU16Little(bytes, at + VNET_GSO_BYTES_AT);
}

/** From the frame's start. */
export function vnetChecksumStart(bytes: Uint8Array, at: number): number {
  return readU16Little(bytes, at + VNET_CHECKSUM_START_AT);
}

/** From the checksum's start. */
export function vnetChecksumOffset(bytes: Uint8Array, at: number): number {
  return readU16Little(bytes, at + VNET_CHECKSUM_OFFSET_AT);
}

export function vnetBufferCount(bytes: Uint8Array, at: number): number {
  return readU16Little(bytes, at + VNET_BUFFER_COUNT_AT);
}

export function setVnetBufferCount(bytes: Uint8Array, at: number, value: number): void {
  writeU16Little(bytes, at + VNET_BUFFER_COUNT_AT, value);
}

/** Flags, type and the four lengths in one go; a transmit writes all of them or none. Buffer count: 0. */
export function writeVnet(
  bytes: Uint8Array,
  at: number,
  flags: number,
  gsoType: number,
  headerBytes: number,
  gsoBytes: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  bytes[at + VNET_FLAGS_AT] = flags;
  bytes[at + VNET_GSO_TYPE_AT] = gsoType;
  writeU16Little(bytes, at + VNET_HEADER_BYTES_AT, headerBytes);
  writeU16Little(bytes, at + VNET_GSO_BYTES_AT, gsoBytes);
  writeU16Little(bytes, at + VNET_CHECKSUM_START_AT, checksumStart);
  writeU16Little(bytes, at + VNET_CHECKSUM_OFFSET_AT, checksumOffset);
  writeU16Little(bytes, at + VNET_BUFFER_COUNT_AT, 0);
}
