/** A front end of vhost-user for tests: makes messages as bytes and as what a reader gives, and reads replies. */
import { readFileSync } from 'node:fs';
import type { Message } from '../../../../control/protocols/vhost-user/reader.ts';
import { Request, type RequestName } from '../../../../control/protocols/vhost-user/requests.ts';

export interface Recorded {
  readonly bytes: string;
  readonly descriptors: number;
}

/** What real front ends sent: a whole life each, recorded at the socket (2026-11; QEMU 7.2 with iPXE as its guest, DPDK 22.11). */
export const recorded = JSON.parse(
  readFileSync(new URL('../../../golden/vhost-user.json', import.meta.url), 'utf8'),
) as Record<'qemu' | 'virtio-user' | 'qemu-leaving' | 'qemu-arriving', Recorded[]>;

export interface Sent {
  readonly request: number;
  readonly payload?: Uint8Array;
  readonly flags?: number;
  readonly bytes?: number;
}

export const VERSION = 1;
export const NEED_REPLY = 8;

export function wire({ request, payload = new Uint8Array(0), flags = VERSION, bytes = payload.length }: Sent): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(request, 0);
  head.writeUInt32LE(flags >>> 0, 4);
  head.writeUInt32LE(bytes >>> 0, 8);
  return Buffer.concat([head, payload]);
}

export function message(
  name: RequestName,
  payload: Uint8Array = new Uint8Array(0),
  descriptors: readonly number[] = [],
  needsReply = false,
): Message {
  return { header: { request: Request[name], needsReply, payloadBytes: payload.length }, payload, descriptors };
}

/** 64-bit words, one after the other. */
export function words(...values: (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), i * 8);
  return bytes;
}

export function state(ring: number, number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(ring >>> 0, 0);
  bytes.writeUInt32LE(number >>> 0, 4);
  return bytes;
}

/** Guest address, bytes, user address, offset. */
export type RegionWords = readonly [number | bigint, number | bigint, number | bigint, number | bigint];

export function table(...regions: RegionWords[]): Buffer {
  return Buffer.concat([words(regions.length), ...regions.map((region) => words(...region))]);
}

export function region(one: RegionWords): Buffer {
  return words(0, ...one);
}

export function address(
  ring: number,
  parts: { descriptors: number | bigint; used: number | bigint; available: number | bigint; log?: number | bigint },
): Buffer {
  const { descriptors, used, available, log } = parts;
  return Buffer.concat([state(ring, log === undefined ? 0 : 1), words(descriptors, used, available, log ?? 0)]);
}

/** A reply's request, flags and payload; throws when its length is not what it says. */
export function reply(bytes: Uint8Array): { request: number; flags: number; payload: Buffer } {
  const buffer = Buffer.from(bytes);
  if (buffer.length !== 12 + buffer.readUInt32LE(8)) throw new Error('a reply of another length than it says');
  return { request: buffer.readUInt32LE(0), flags: buffer.readUInt32LE(4), payload: buffer.subarray(12) };
}
