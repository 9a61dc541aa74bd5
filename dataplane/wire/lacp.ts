/*
 * LACPDUs and marker PDUs (IEEE 802.1AX-2014, 6.4.2 and 6.5.3), the two slow protocols (IEEE 802.3-2022, annex 57A)
 * that a bond speaks. `at` is behind the Ethernet header. Called by control through lacp-value.ts; never per frame.
 *
 *    0         1         2                 22                42          58        60
 *   +---------+---------+-----------------+-----------------+-----------+---------+------------+
 *   | 1: LACP | version | 1, 20: actor    | 2, 20: partner  | 3, 16:    | 0, 0:   | reserved   | 110 bytes
 *   |         |         |                 |                 | collector | the end |            |
 *   +---------+---------+-----------------+-----------------+-----------+---------+------------+
 *   | 2:      | version | 1 or 2, 16: requester's port and system,  pad | 0, 0:   | reserved   | 110 bytes
 *   | marker  |         | transaction                          (18)      | the end |            |
 *   +---------+---------+-----------------------------------------------+---------+------------+
 *   an end, behind type and length:  system priority, system, key, port priority, port, state, 3 reserved
 */
import { readU16 } from './bytes.ts';
import { Check } from './check.ts';
import { MAC_BYTES } from './ethernet.ts';

export const SLOW_SUBTYPE_AT = 0;
export const SLOW_VERSION_AT = SLOW_SUBTYPE_AT + 1;
const TLVS_AT = SLOW_VERSION_AT + 1;
const TLV_HEADER_BYTES = 2;

export const SLOW_SUBTYPE_LACP = 1;
export const SLOW_SUBTYPE_MARKER = 2;
/** Subtypes 1 to 10 are some slow protocol; 0 and those beyond are illegal (802.3-2022, table 57A-3). */
export const SLOW_SUBTYPE_MAX = 10;
/** Both PDUs, up to and with their reserved end. Version 2 of LACP may be longer. */
export const SLOW_PDU_BYTES = 110;

/** A system's word about one end of the link; offsets from the TLV's type. */
export const END_LENGTH_AT = 1;
export const END_SYSTEM_PRIORITY_AT = END_LENGTH_AT + 1;
export const END_SYSTEM_AT = END_SYSTEM_PRIORITY_AT + 2;
export const END_KEY_AT = END_SYSTEM_AT + MAC_BYTES;
export const END_PORT_PRIORITY_AT = END_KEY_AT + 2;
export const END_PORT_AT = END_PORT_PRIORITY_AT + 2;
export const END_STATE_AT = END_PORT_AT + 2;
export const END_RESERVED_AT = END_STATE_AT + 1;
export const END_BYTES = END_RESERVED_AT + 3;

export const LACP_ACTOR_AT = TLVS_AT;
export const LACP_PARTNER_AT = LACP_ACTOR_AT + END_BYTES;
export const LACP_COLLECTOR_AT = LACP_PARTNER_AT + END_BYTES;
export const LACP_MAX_DELAY_AT = LACP_COLLECTOR_AT + TLV_HEADER_BYTES;
export const COLLECTOR_BYTES = 16;

export const LACP_TYPE_ACTOR = 1;
export const LACP_TYPE_PARTNER = 2;
export const LACP_TYPE_COLLECTOR = 3;
export const LACP_VERSION_1 = 1;

/** Bits of the state byte, lowest first (6.4.2.3). */
export const LACP_ACTIVITY_MASK = 0x01;
/** Set: the sender wants an LACPDU every second; else every 30. */
export const LACP_TIMEOUT_MASK = 0x02;
export const LACP_AGGREGATION_MASK = 0x04;
export const LACP_SYNCHRONIZATION_MASK = 0x08;
export const LACP_COLLECTING_MASK = 0x10;
export const LACP_DISTRIBUTING_MASK = 0x20;
export const LACP_DEFAULTED_MASK = 0x40;
export const LACP_EXPIRED_MASK = 0x80;

export const MARKER_TYPE_AT = TLVS_AT;
export const MARKER_LENGTH_AT = MARKER_TYPE_AT + 1;
export const MARKER_PORT_AT = MARKER_LENGTH_AT + 1;
export const MARKER_SYSTEM_AT = MARKER_PORT_AT + 2;
export const MARKER_TRANSACTION_AT = MARKER_SYSTEM_AT + MAC_BYTES;
export const MARKER_PAD_AT = MARKER_TRANSACTION_AT + 4;
export const MARKER_BYTES = MARKER_PAD_AT + 2 - MARKER_TYPE_AT;

export const MARKER_TYPE_REQUEST = 1;
export const MARKER_TYPE_RESPONSE = 2;
export const MARKER_VERSION = 1;

/**
 * OK: both ends and the collector's delay can be read. SHORT: they can't. BAD_TYPE: another slow protocol. BAD_LENGTH: a part isn't as
 * long as it must be. As 6.4.12 demands, version, TLV types and reserved bits are not looked at, so a later version passes too.
 */
export function checkLacpdu(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < SLOW_PDU_BYTES) return Check.SHORT;
  if (bytes[at + SLOW_SUBTYPE_AT] !== SLOW_SUBTYPE_LACP) return Check.BAD_TYPE;
  if (bytes[at + LACP_ACTOR_AT + END_LENGTH_AT] !== END_BYTES) return Check.BAD_LENGTH;
  if (bytes[at + LACP_PARTNER_AT + END_LENGTH_AT] !== END_BYTES) return Check.BAD_LENGTH;
  return bytes[at + LACP_COLLECTOR_AT + END_LENGTH_AT] === COLLECTOR_BYTES ? Check.OK : Check.BAD_LENGTH;
}

/** OK: a request or a response whose fields can be read. SHORT, BAD_TYPE, BAD_LENGTH as for an LACPDU; the version is not looked at. */
export function checkMarker(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < SLOW_PDU_BYTES) return Check.SHORT;
  if (bytes[at + SLOW_SUBTYPE_AT] !== SLOW_SUBTYPE_MARKER) return Check.BAD_TYPE;
  const type = markerType(bytes, at);
  if (type !== MARKER_TYPE_REQUEST && type !== MARKER_TYPE_RESPONSE) return Check.BAD_TYPE;
  return bytes[at + MARKER_LENGTH_AT] === MARKER_BYTES ? Check.OK : Check.BAD_LENGTH;
}

export function markerType(bytes: Uint8Array, at: number): number {
  return bytes[at + MARKER_TYPE_AT];
}

/** Tens of microseconds that a collector may hold a frame. */
export function lacpMaxDelay(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + LACP_MAX_DELAY_AT);
}
