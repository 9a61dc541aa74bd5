// The pool of prebuilt heads that a bench receives from: addresses in an order that no prefetcher knows, every head distinct. Made once
// per process, before anything is timed.
import { Arrival } from '../../dataplane/memory/tunnel-words.ts';

/** A seeded generator of 32-bit numbers (Marsaglia's xorshift), so that two runs see the same order. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 1;
  }
  /** 0 … below − 1. */
  next(below: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % below;
  }
}

/** `count` numbers, 0 … distinct − 1 in turn, shuffled: each appears equally often. */
export function shuffled(count: number, distinct: number, random: Random): Int32Array {
  const found = new Int32Array(count);
  for (let k = 0; k < count; k++) found[k] = k % distinct;
  for (let k = count - 1; k > 0; k--) {
    const other = random.next(k + 1);
    const kept = found[k]!;
    found[k] = found[other]!;
    found[other] = kept;
  }
  return found;
}

/** Different for different numbers, and spread over all 32 bits (the finish of MurmurHash3 maps one to one). */
export function spreadBits(number: number): number {
  let x = number;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** Address number `number`: locally administered, 02:57 and 32 spread bits; −1 is the broadcast address. */
function writeAddress(u8: Uint8Array, at: number, number: number): void {
  if (number < 0) {
    u8.fill(0xff, at, at + 6);
    return;
  }
  const bits = spreadBits(number);
  u8[at] = 0x02;
  u8[at + 1] = 0x57;
  for (let k = 0; k < 4; k++) u8[at + 2 + k] = bits >>> (24 - 8 * k);
}

export interface HeadWanted {
  readonly destination: number;
  readonly source: number;
  /** 0 for an untagged frame. */
  readonly vlan: number;
  /** Makes the head distinct: a word of its payload. */
  readonly serial: number;
  /** A UDP packet over IPv4, each of another flow. */
  readonly isUdp: boolean;
}

/** Bytes before a head that tell of the datagram, in whole steps of the copy. */
export const LEAD_BYTES = 64;

/** Writes what native tells of a VXLAN datagram, before the head at `at`: from `remoteAddress(remote)`, without TOS. */
export function writeArrival(u8: Uint8Array, at: number, remote: number, vni: number): void {
  u8.fill(0, at - LEAD_BYTES, at);
  const byteAt = (word: number): number => at + word * 4;
  u8.set(remoteAddress(remote), byteAt(Arrival.ADDRESS));
  u8.set([0x08, 0, 0, 0, vni >>> 16, (vni >>> 8) & 0xff, vni & 0xff, 0], byteAt(Arrival.HEADER));
}

/** 10.1.0.x of remote number x; it has no cell that is a NaN. */
export function remoteAddress(remote: number): Uint8Array {
  return Uint8Array.of(10, 1, 0, remote + 1);
}

/** Writes one head of `bytes` bytes. No 8-byte cell of it is the pattern of a NaN, so that it may be moved as float64. */
export function writeHead(u8: Uint8Array, at: number, bytes: number, wanted: HeadWanted): void {
  u8.fill(0x5a, at, at + bytes);
  writeAddress(u8, at, wanted.destination);
  writeAddress(u8, at + 6, wanted.source);
  let type = at + 12;
  if (wanted.vlan !== 0) {
    u8.set([0x81, 0x00, wanted.vlan >>> 8, wanted.vlan & 0xff], type);
    type += 4;
  }
  if (wanted.isUdp) writeUdp(u8, type, wanted);
  else {
    u8.set([0x88, 0xb5], type);
    for (let k = 0; k < 4; k++) u8[at + 24 + k] = wanted.serial >>> (8 * k);
  }
}

/** From the EtherType on: 10.0.x.y by the addresses' numbers, and the serial as the port that sends. */
function writeUdp(u8: Uint8Array, type: number, wanted: HeadWanted): void {
  u8.set([0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0], type);
  u8.set([10, 0, wanted.source >>> 8, wanted.source & 0xff], type + 14);
  u8.set([10, 0, wanted.destination >>> 8, wanted.destination & 0xff], type + 18);
  u8.set([(wanted.serial >>> 8) & 0xff, wanted.serial & 0xff, 0x13, 0x89, 0, 26, 0, 0], type + 22);
}
