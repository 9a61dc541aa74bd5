/*
 * LACPDUs and marker PDUs as plain values. Called by control's LACP, tests and printing, on the main thread; never per frame.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import {
  COLLECTOR_BYTES,
  checkLacpdu,
  checkMarker,
  END_BYTES,
  END_KEY_AT,
  END_LENGTH_AT,
  END_PORT_AT,
  END_PORT_PRIORITY_AT,
  END_STATE_AT,
  END_SYSTEM_AT,
  END_SYSTEM_PRIORITY_AT,
  LACP_ACTIVITY_MASK,
  LACP_ACTOR_AT,
  LACP_AGGREGATION_MASK,
  LACP_COLLECTING_MASK,
  LACP_COLLECTOR_AT,
  LACP_DEFAULTED_MASK,
  LACP_DISTRIBUTING_MASK,
  LACP_EXPIRED_MASK,
  LACP_MAX_DELAY_AT,
  LACP_PARTNER_AT,
  LACP_SYNCHRONIZATION_MASK,
  LACP_TIMEOUT_MASK,
  LACP_TYPE_ACTOR,
  LACP_TYPE_COLLECTOR,
  LACP_TYPE_PARTNER,
  lacpMaxDelay,
  MARKER_BYTES,
  MARKER_LENGTH_AT,
  MARKER_PORT_AT,
  MARKER_SYSTEM_AT,
  MARKER_TRANSACTION_AT,
  MARKER_TYPE_AT,
  MARKER_TYPE_REQUEST,
  MARKER_TYPE_RESPONSE,
  MARKER_VERSION,
  markerType,
  SLOW_PDU_BYTES,
  SLOW_SUBTYPE_AT,
  SLOW_SUBTYPE_LACP,
  SLOW_SUBTYPE_MARKER,
  SLOW_VERSION_AT,
} from './lacp.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatMac, parseMac } from './text.ts';

/** The state byte (6.4.2.3). `timeout` set means short. */
export interface LacpState {
  readonly activity: boolean;
  readonly timeout: boolean;
  readonly aggregation: boolean;
  readonly synchronization: boolean;
  readonly collecting: boolean;
  readonly distributing: boolean;
  readonly defaulted: boolean;
  readonly expired: boolean;
}

/** What an LACPDU says of one end of the link. */
export interface LacpEnd {
  readonly systemPriority: number;
  readonly system: string;
  readonly key: number;
  readonly portPriority: number;
  readonly port: number;
  readonly state: LacpState;
}

export interface Lacpdu {
  readonly version: number;
  readonly actor: LacpEnd;
  readonly partner: LacpEnd;
  /** Tens of microseconds that the collector may hold a frame. */
  readonly maxDelay: number;
}

export interface Marker {
  readonly kind: 'request' | 'response';
  readonly port: number;
  readonly system: string;
  /** 0 … 2³² − 1. */
  readonly transaction: number;
}

/** Names and bits of the state, lowest bit first. */
const STATE_BITS: readonly (readonly [keyof LacpState, number])[] = [
  ['activity', LACP_ACTIVITY_MASK],
  ['timeout', LACP_TIMEOUT_MASK],
  ['aggregation', LACP_AGGREGATION_MASK],
  ['synchronization', LACP_SYNCHRONIZATION_MASK],
  ['collecting', LACP_COLLECTING_MASK],
  ['distributing', LACP_DISTRIBUTING_MASK],
  ['defaulted', LACP_DEFAULTED_MASK],
  ['expired', LACP_EXPIRED_MASK],
];

/** Names of all state bits, lowest first. */
export const LACP_STATE_NAMES: readonly (keyof LacpState)[] = STATE_BITS.map(([name]) => name);

/** The names of the bits that are set, lowest first. */
export function lacpStateNames(state: LacpState): string[] {
  return STATE_BITS.filter(([name]) => state[name]).map(([name]) => name);
}

function parseState(byte: number): LacpState {
  return {
    activity: (byte & LACP_ACTIVITY_MASK) !== 0,
    timeout: (byte & LACP_TIMEOUT_MASK) !== 0,
    aggregation: (byte & LACP_AGGREGATION_MASK) !== 0,
    synchronization: (byte & LACP_SYNCHRONIZATION_MASK) !== 0,
    collecting: (byte & LACP_COLLECTING_MASK) !== 0,
    distributing: (byte & LACP_DISTRIBUTING_MASK) !== 0,
    defaulted: (byte & LACP_DEFAULTED_MASK) !== 0,
    expired: (byte & LACP_EXPIRED_MASK) !== 0,
  };
}

function stateByte(state: LacpState): number {
  return STATE_BITS.reduce((byte, [name, mask]) => (state[name] ? byte | mask : byte), 0);
}

function parseEnd(bytes: Uint8Array, at: number): LacpEnd {
  return {
    systemPriority: readU16(bytes, at + END_SYSTEM_PRIORITY_AT),
    system: formatMac(bytes, at + END_SYSTEM_AT),
    key: readU16(bytes, at + END_KEY_AT),
    portPriority: readU16(bytes, at + END_PORT_PRIORITY_AT),
    port: readU16(bytes, at + END_PORT_AT),
    state: parseState(bytes[at + END_STATE_AT]),
  };
}

function emitEnd(type: number, end: LacpEnd, bytes: Uint8Array, at: number): void {
  bytes[at] = type;
  bytes[at + END_LENGTH_AT] = END_BYTES;
  writeU16(bytes, at + END_SYSTEM_PRIORITY_AT, bounded('LACP system priority', end.systemPriority, 0xffff));
  bytes.set(parseMac(end.system), at + END_SYSTEM_AT);
  writeU16(bytes, at + END_KEY_AT, bounded('LACP key', end.key, 0xffff));
  writeU16(bytes, at + END_PORT_PRIORITY_AT, bounded('LACP port priority', end.portPriority, 0xffff));
  writeU16(bytes, at + END_PORT_AT, bounded('LACP port', end.port, 0xffff));
  bytes[at + END_STATE_AT] = stateByte(end.state);
}

/** Throws RangeError when checkLacpdu doesn't answer OK. What a later version adds is left out. */
export function parseLacpdu(bytes: Uint8Array, at: number, end: number): Lacpdu {
  refuse('LACPDU', checkLacpdu(bytes, at, end), at, end);
  return {
    version: bytes[at + SLOW_VERSION_AT],
    actor: parseEnd(bytes, at + LACP_ACTOR_AT),
    partner: parseEnd(bytes, at + LACP_PARTNER_AT),
    maxDelay: lacpMaxDelay(bytes, at),
  };
}

/** Writes 110 bytes in version 1's layout and returns the offset behind them. */
export function emitLacpdu(pdu: Lacpdu, bytes: Uint8Array, at: number): number {
  const next = roomFor('LACPDU', bytes, at, SLOW_PDU_BYTES);
  bytes.fill(0, at, next);
  bytes[at + SLOW_SUBTYPE_AT] = SLOW_SUBTYPE_LACP;
  bytes[at + SLOW_VERSION_AT] = bounded('LACP version', pdu.version, 0xff);
  emitEnd(LACP_TYPE_ACTOR, pdu.actor, bytes, at + LACP_ACTOR_AT);
  emitEnd(LACP_TYPE_PARTNER, pdu.partner, bytes, at + LACP_PARTNER_AT);
  bytes[at + LACP_COLLECTOR_AT] = LACP_TYPE_COLLECTOR;
  bytes[at + LACP_COLLECTOR_AT + END_LENGTH_AT] = COLLECTOR_BYTES;
  writeU16(bytes, at + LACP_MAX_DELAY_AT, bounded('LACP maximum delay', pdu.maxDelay, 0xffff));
  return next;
}

/** Throws RangeError when checkMarker doesn't answer OK. */
export function parseMarker(bytes: Uint8Array, at: number, end: number): Marker {
  refuse('marker PDU', checkMarker(bytes, at, end), at, end);
  return {
    kind: markerType(bytes, at) === MARKER_TYPE_REQUEST ? 'request' : 'response',
    port: readU16(bytes, at + MARKER_PORT_AT),
    system: formatMac(bytes, at + MARKER_SYSTEM_AT),
    transaction: readI32(bytes, at + MARKER_TRANSACTION_AT) >>> 0,
  };
}

/** Writes 110 bytes and returns the offset behind them. */
export function emitMarker(marker: Marker, bytes: Uint8Array, at: number): number {
  const next = roomFor('marker PDU', bytes, at, SLOW_PDU_BYTES);
  bytes.fill(0, at, next);
  bytes[at + SLOW_SUBTYPE_AT] = SLOW_SUBTYPE_MARKER;
  bytes[at + SLOW_VERSION_AT] = MARKER_VERSION;
  bytes[at + MARKER_TYPE_AT] = marker.kind === 'request' ? MARKER_TYPE_REQUEST : MARKER_TYPE_RESPONSE;
  bytes[at + MARKER_LENGTH_AT] = MARKER_BYTES;
  writeU16(bytes, at + MARKER_PORT_AT, bounded('marker port', marker.port, 0xffff));
  bytes.set(parseMac(marker.system), at + MARKER_SYSTEM_AT);
  writeI32(bytes, at + MARKER_TRANSACTION_AT, bounded('marker transaction', marker.transaction, 0xffffffff));
  return next;
}
