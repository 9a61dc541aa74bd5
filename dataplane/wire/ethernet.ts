// HOT: read for every frame.
/*
 * The Ethernet header (IEEE 802.3-2022, 3.1.1) and what a bridge must know of group addresses
 * (IEEE 802.1Q-2022, 8.6.3). Called by the path and tables on worker threads; never sees the FCS.
 *
 *    0                 6                 12          14
 *   +-----------------+-----------------+-----------+---------
 *   |   destination   |     source      | EtherType | payload …
 *   +-----------------+-----------------+-----------+---------
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { Check } from './check.ts';

export const MAC_BYTES = 6;
export const ETHERTYPE_BYTES = 2;

export const DESTINATION_AT = 0;
export const SOURCE_AT = DESTINATION_AT + MAC_BYTES;
export const ETHERTYPE_AT = SOURCE_AT + MAC_BYTES;
export const ETHERNET_BYTES = ETHERTYPE_AT + ETHERTYPE_BYTES;

/** Smallest frame on a wire, without its FCS; shorter ones are padded with zeros. */
export const PADDED_BYTES_MIN = 60;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
/** LACP and its kin (IEEE 802.3-2022, annex 57A). */
export const ETHERTYPE_SLOW_PROTOCOLS = 0x8809;
/** For private experiments (IEEE 802-2014, 9.2.4): what traffic generators send. */
export const ETHERTYPE_LOCAL_EXPERIMENT_1 = 0x88b5;
/** From here on the field is a type; up to LENGTH_MAX it is an 802.3 length. Between them: undefined. */
export const ETHERTYPE_MIN = 0x0600;
export const ETHERNET_LENGTH_MAX = 1500;

const GROUP_MASK = 0x01;
const RESERVED_HIGH = 0x0180;
const RESERVED_LOW_MASK = 0xfffffff0 | 0;
const RESERVED_LOW = 0xc2000000 | 0;
const SLOW_PROTOCOLS_LOW = 0xc2000002 | 0;

/** OK: addresses and EtherType can be read. SHORT: they can't. */
export function checkEthernet(_bytes: Uint8Array, at: number, end: number): Check {
  return end - at < ETHERNET_BYTES ? Check.SHORT : Check.OK;
}

export function etherType(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + ETHERTYPE_AT);
}

export function setEtherType(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + ETHERTYPE_AT, value);
}

/** First two bytes of the destination, 0 … 65535. With destinationLow, the whole address in two ints. */
export function destinationHigh(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + DESTINATION_AT);
}

/** Last four bytes of the destination, as an int32. */
export function destinationLow(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + DESTINATION_AT + 2);
}

export function setDestination(bytes: Uint8Array, at: number, high: number, low: number): void {
  writeU16(bytes, at + DESTINATION_AT, high);
  writeI32(bytes, at + DESTINATION_AT + 2, low);
}

/** First two bytes of the source, 0 … 65535. */
export function sourceHigh(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + SOURCE_AT);
}

/** Last four bytes of the source, as an int32. */
export function sourceLow(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + SOURCE_AT + 2);
}

export function setSource(bytes: Uint8Array, at: number, high: number, low: number): void {
  writeU16(bytes, at + SOURCE_AT, high);
  writeI32(bytes, at + SOURCE_AT + 2, low);
}

/** Multicast or broadcast; `high` as destinationHigh gives it. A source must never be one. */
export function isGroup(high: number): boolean {
  return ((high >>> 8) & GROUP_MASK) !== 0;
}

export function isBroadcast(high: number, low: number): boolean {
  return high === 0xffff && low === -1;
}

/** All zero: names no station, as source or as destination. */
export function isZero(high: number, low: number): boolean {
  return (high | low) === 0;
}

/** One of 01-80-C2-00-00-00 … 0F, which a bridge doesn't forward (802.1Q-2022, table 8-1). */
export function isReserved(high: number, low: number): boolean {
  return high === RESERVED_HIGH && (low & RESERVED_LOW_MASK) === RESERVED_LOW;
}

/** 01-80-C2-00-00-02, where LACP is sent (802.3-2022, 57A.3). */
export function isSlowProtocols(high: number, low: number): boolean {
  return high === RESERVED_HIGH && low === SLOW_PROTOCOLS_LOW;
}
