/**
 * Messages of vhost-user between bytes and values: a header of 12 bytes (request, flags, payload bytes; u32 each), a payload, and file
 * descriptors beside it. Called by reader.ts and session.ts on the main thread. What comes from a front end is untrusted: a bad message
 * is a Refusal with its reason, never an exception. Source: QEMU, docs/interop/vhost-user.rst, "Message Specification"; numbers are in
 * the machine's order there, and Linux on weft's machines is little-endian.
 */
import { type PayloadKind, payloadKind, type RequestName, requestName } from './requests.ts';

export const HEADER_BYTES = 12;
/** No payload of a net back end is longer than 264 bytes; up to this a longer one is read and refused, beyond it nothing can follow. */
export const PAYLOAD_BYTES_MAX = 4096;
/** Regions in one SET_MEM_TABLE. */
export const TABLE_REGIONS_MAX = 8;

const FLAGS_AT = 4;
const BYTES_AT = 8;
const VERSION = 1;
const VERSION_MASK = 3;
const REPLY_FLAG = 4;
const NEED_REPLY_FLAG = 8;

const TABLE_HEAD_BYTES = 8;
const REGION_BYTES = 32;
const REGION_HEAD_BYTES = 8;
const RING_MASK = 0xffn;
const NO_DESCRIPTOR_FLAG = 0x100n;
const RING_LOG_FLAG = 1;

/** Why a message isn't taken: a sentence without a full stop. */
export class Refusal {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

export interface Header {
  readonly request: number;
  readonly needsReply: boolean;
  readonly payloadBytes: number;
}

export interface Region {
  readonly guestAddress: bigint;
  readonly bytes: bigint;
  /** Where the front end has it in its own memory; ring addresses are such ones. */
  readonly userAddress: bigint;
  /** Where it begins behind the start of its descriptor's file. */
  readonly offset: bigint;
}

export interface RingAddress {
  readonly ring: number;
  readonly descriptors: bigint;
  readonly used: bigint;
  readonly available: bigint;
  /** Guest address under which writes of the used ring are logged; null when they aren't. */
  readonly log: bigint | null;
}

export type Payload =
  | { readonly kind: 'none' }
  | { readonly kind: 'u64'; readonly value: bigint }
  | { readonly kind: 'ring-descriptor'; readonly ring: number; readonly has: boolean }
  | { readonly kind: 'ring-state'; readonly ring: number; readonly number: number }
  | ({ readonly kind: 'ring-address' } & RingAddress)
  | { readonly kind: 'table'; readonly regions: readonly Region[] }
  | { readonly kind: 'region'; readonly region: Region }
  | { readonly kind: 'log'; readonly bytes: bigint; readonly offset: bigint };

/** The header at the start of `bytes`, of which there are at least 12. A Refusal ends the connection: what follows has no known length. */
export function parseHeader(bytes: Uint8Array): Header | Refusal {
  const view = viewOf(bytes);
  const request = view.getUint32(0, true);
  const flags = view.getUint32(FLAGS_AT, true);
  const payloadBytes = view.getUint32(BYTES_AT, true);
  if ((flags & VERSION_MASK) !== VERSION) return new Refusal(`a message of version ${flags & VERSION_MASK}, not 1`);
  if ((flags & REPLY_FLAG) !== 0) return new Refusal('a reply, though nothing was asked');
  if ((flags & ~(VERSION_MASK | NEED_REPLY_FLAG)) !== 0) return new Refusal(`unknown flags 0x${hex(flags)}`);
  if (payloadBytes > PAYLOAD_BYTES_MAX) {
    return new Refusal(`a payload of ${payloadBytes} bytes; at most ${PAYLOAD_BYTES_MAX}`);
  }
  return { request, needsReply: (flags & NEED_REPLY_FLAG) !== 0, payloadBytes };
}

/** The payload of `name`, all of its bytes, with the number of descriptors that came with it. */
export function parsePayload(name: RequestName, bytes: Uint8Array, descriptors: number): Payload | Refusal {
  const kind = payloadKind(name);
  const size = sizeRefusal(name, kind, bytes);
  if (size !== null) return size;
  const payload = readPayload(kind, viewOf(bytes));
  const wanted = descriptorsOf(name, payload);
  if (wanted.includes(descriptors)) return payload;
  return new Refusal(`${name} with ${descriptors} descriptors instead of ${wanted.join(' or ')}`);
}

const FIXED_BYTES: Readonly<Record<Exclude<PayloadKind, 'table'>, number>> = {
  none: 0,
  u64: 8,
  'ring-descriptor': 8,
  'ring-state': 8,
  'ring-address': 40,
  region: REGION_HEAD_BYTES + REGION_BYTES,
  log: 16,
};

function sizeRefusal(name: RequestName, kind: PayloadKind, bytes: Uint8Array): Refusal | null {
  let wanted: number;
  if (kind === 'table') {
    if (bytes.length < TABLE_HEAD_BYTES) return new Refusal(`${name} of ${bytes.length} bytes; at least 8`);
    const count = viewOf(bytes).getUint32(0, true);
    if (count < 1 || count > TABLE_REGIONS_MAX) {
      return new Refusal(`${name} with ${count} regions (1–${TABLE_REGIONS_MAX})`);
    }
    wanted = TABLE_HEAD_BYTES + count * REGION_BYTES;
  } else {
    wanted = FIXED_BYTES[kind];
  }
  return bytes.length === wanted ? null : new Refusal(`${name} of ${bytes.length} bytes instead of ${wanted}`);
}

/** The size has been checked. */
function readPayload(kind: PayloadKind, view: DataView): Payload {
  switch (kind) {
    case 'none':
      return { kind };
    case 'u64':
      return { kind, value: view.getBigUint64(0, true) };
    case 'ring-descriptor': {
      const word = view.getBigUint64(0, true);
      return { kind, ring: Number(word & RING_MASK), has: (word & NO_DESCRIPTOR_FLAG) === 0n };
    }
    case 'ring-state':
      return { kind, ring: view.getUint32(0, true), number: view.getUint32(4, true) };
    case 'ring-address':
      return { kind, ...readRingAddress(view) };
    case 'table': {
      const count = view.getUint32(0, true);
      const regions = Array.from({ length: count }, (_, i) => readRegion(view, TABLE_HEAD_BYTES + i * REGION_BYTES));
      return { kind, regions };
    }
    case 'region':
      return { kind, region: readRegion(view, REGION_HEAD_BYTES) };
    case 'log':
      return { kind, bytes: view.getBigUint64(0, true), offset: view.getBigUint64(8, true) };
  }
}

/** u32 ring, u32 flags, u64 descriptor table, u64 used ring, u64 available ring, u64 log. */
function readRingAddress(view: DataView): RingAddress {
  const logs = (view.getUint32(4, true) & RING_LOG_FLAG) !== 0;
  return {
    ring: view.getUint32(0, true),
    descriptors: view.getBigUint64(8, true),
    used: view.getBigUint64(16, true),
    available: view.getBigUint64(24, true),
    log: logs ? view.getBigUint64(32, true) : null,
  };
}

function readRegion(view: DataView, at: number): Region {
  return {
    guestAddress: view.getBigUint64(at, true),
    bytes: view.getBigUint64(at + 8, true),
    userAddress: view.getBigUint64(at + 16, true),
    offset: view.getBigUint64(at + 24, true),
  };
}

/** How many descriptors a message may have. REM_MEM_REG needs none, but some front ends send one. */
function descriptorsOf(name: RequestName, payload: Payload): readonly number[] {
  if (payload.kind === 'ring-descriptor') return [payload.has ? 1 : 0];
  if (payload.kind === 'table') return [payload.regions.length];
  if (name === 'ADD_MEM_REG' || name === 'SET_LOG_BASE' || name === 'SET_LOG_FD') return [1];
  return name === 'REM_MEM_REG' ? [0, 1] : [0];
}

/** A reply whose payload is one u64: features, counts, and the answer to need_reply (0 done, anything else refused). */
export function emitNumber(request: number, value: bigint): Uint8Array {
  const { bytes, view } = emptyReply(request, 8);
  view.setBigUint64(HEADER_BYTES, value, true);
  return bytes;
}

/** The reply to GET_VRING_BASE. */
export function emitRingState(request: number, ring: number, number: number): Uint8Array {
  const { bytes, view } = emptyReply(request, 8);
  view.setUint32(HEADER_BYTES, ring, true);
  view.setUint32(HEADER_BYTES + 4, number, true);
  return bytes;
}

function emptyReply(request: number, payloadBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes);
  const view = viewOf(bytes);
  view.setUint32(0, request, true);
  view.setUint32(FLAGS_AT, VERSION | REPLY_FLAG, true);
  view.setUint32(BYTES_AT, payloadBytes, true);
  return { bytes, view };
}

/** For messages to people: `SET_VRING_NUM`, or `request 99`. */
export function nameOf(request: number): string {
  return requestName(request) ?? `request ${request}`;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}
