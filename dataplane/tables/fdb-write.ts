// HOT: the forwarding database, write side: new, moved and removed addresses. Rare beside lookups, but an attacker can make it run
// per frame, so every loop here is bounded. Locks are words that hold their worker's number plus one, so that a dead worker's can be
// broken; a lock that is not had soon is given up, and the address is learned from a later frame.
import type { Lane } from '../memory/lane.ts';
import { FDB_BUCKET_ENTRIES, FDB_BUCKET_WORDS, FDB_LOCKS_COUNT } from '../memory/layout.ts';
import { find, isStale, portOf } from './fdb.ts';
import {
  BRIDGE_COUNTS_AT,
  BRIDGE_MASK,
  BRIDGE_SHIFT,
  bucketOf,
  checkAt,
  checkOf,
  DESTINATION_MASK,
  ENTRY_SEALED,
  ENTRY_VALUE,
  FDB_SUM_AT,
  key1Of,
  otherBucket,
  PORT_COUNTS_AT,
  PORT_STATICS_AT,
  STATIC,
  STICKY,
  sealOf,
  seenAt,
} from './fdb-layout.ts';

const LOCK_TRIES = 64;
const STRIPES_MASK = FDB_LOCKS_COUNT - 1;

/** Takes the stripe of a bucket; false when another worker holds it for too long. */
export function lockBucket(lane: Lane, bucket: number): boolean {
  const at = lane.fdbLocksAt + (bucket & STRIPES_MASK);
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    if (Atomics.compareExchange(lane.i32, at, 0, lane.index + 1) === 0) return true;
  }
  return false;
}

export function unlockBucket(lane: Lane, bucket: number): void {
  Atomics.store(lane.i32, lane.fdbLocksAt + (bucket & STRIPES_MASK), 0);
}

/** Takes both buckets of a key, in the order of their stripes. */
export function lockPair(lane: Lane, one: number, other: number): boolean {
  const a = one & STRIPES_MASK;
  const b = other & STRIPES_MASK;
  const first = a < b ? a : b;
  const second = a < b ? b : a;
  if (!lockBucket(lane, first)) return false;
  if (first === second || lockBucket(lane, second)) return true;
  unlockBucket(lane, first);
  return false;
}

export function unlockPair(lane: Lane, one: number, other: number): void {
  unlockBucket(lane, one);
  if ((one & STRIPES_MASK) !== (other & STRIPES_MASK)) unlockBucket(lane, other);
}

/** Adds to the counts of an entry with this value: its port's, also of static ones, its bridge's and the sum. */
export function countEntry(lane: Lane, key1: number, value: number, by: number): void {
  const bridge = (((value & BRIDGE_MASK) >>> BRIDGE_SHIFT) << 4) | (key1 >>> 28);
  const port = portOf(lane, value & DESTINATION_MASK);
  Atomics.add(lane.i32, lane.fdbCountsAt + PORT_COUNTS_AT + port, by);
  if ((value & STATIC) !== 0) Atomics.add(lane.i32, lane.fdbCountsAt + PORT_STATICS_AT + port, by);
  Atomics.add(lane.i32, lane.fdbCountsAt + BRIDGE_COUNTS_AT + bridge, by);
  Atomics.add(lane.i32, lane.fdbCountsAt + FDB_SUM_AT, by);
}

/** Writes an entry whose bucket is locked. The value goes first and last, as 0 and as it shall be: between, readers see no entry. */
export function writeEntry(lane: Lane, entry: number, key0: number, key1: number, value: number): void {
  const i32 = lane.i32;
  i32[entry + ENTRY_VALUE] = 0;
  i32[entry] = key0;
  const sealed = key1 ^ sealOf(key0, value);
  i32[entry + ENTRY_SEALED] = sealed;
  lane.u16[checkAt(entry)] = checkOf(key0, sealed, value);
  lane.u16[seenAt(entry)] = lane.nowS & 0xffff;
  i32[entry + ENTRY_VALUE] = value;
}

/** Frees an entry whose bucket is locked. */
export function clearEntry(lane: Lane, entry: number): void {
  const value = lane.i32[entry + ENTRY_VALUE]!;
  if (value === 0) return;
  const key1 = key1Of(lane.i32[entry]!, lane.i32[entry + ENTRY_SEALED]!, value);
  lane.i32[entry + ENTRY_VALUE] = 0;
  countEntry(lane, key1, value, -1);
}

/** A free or stale entry of a locked bucket, cleared; 0 when all four live. */
export function freeInBucket(lane: Lane, bucket: number): number {
  const at = lane.fdbAt + bucket * FDB_BUCKET_WORDS;
  for (let k = 0; k < FDB_BUCKET_ENTRIES; k++) {
    const entry = at + k * 4;
    const value = lane.i32[entry + ENTRY_VALUE]!;
    if (value === 0) return entry;
    if (isStale(lane, value)) {
      clearEntry(lane, entry);
      return entry;
    }
  }
  return 0;
}

/**
 * Moves one entry of a locked bucket to that entry's other bucket, and answers the place that became free; 0 when none could move.
 * The copy is written before the original goes, so a reader finds one of them.
 */
function displace(lane: Lane, bucket: number): number {
  const i32 = lane.i32;
  const at = lane.fdbAt + bucket * FDB_BUCKET_WORDS;
  for (let k = 0; k < FDB_BUCKET_ENTRIES; k++) {
    const entry = at + k * 4;
    const key0 = i32[entry]!;
    const key1 = key1Of(key0, i32[entry + ENTRY_SEALED]!, i32[entry + ENTRY_VALUE]!);
    const other = otherBucket(bucket, key0, key1, lane.fdbBucketMask);
    const stripe = other & STRIPES_MASK;
    // Only a free lock is taken: waiting here while holding others could deadlock.
    if (Atomics.compareExchange(i32, lane.fdbLocksAt + stripe, 0, lane.index + 1) !== 0) continue;
    const free = freeInBucket(lane, other);
    if (free !== 0) {
      const seen = lane.u16[seenAt(entry)]!;
      writeEntry(lane, free, key0, key1, i32[entry + ENTRY_VALUE]!);
      lane.u16[seenAt(free)] = seen;
      i32[entry + ENTRY_VALUE] = 0;
    }
    unlockBucket(lane, other);
    if (free !== 0) return entry;
  }
  return 0;
}

/**
 * Inserts or overwrites an address. Answers the entry's word offset, or 0 when both buckets stay full or a lock was not had. Limits
 * are the caller's business.
 */
export function insert(lane: Lane, key0: number, key1: number, bits: number, value: number): number {
  return put(lane, key0, key1, bits, value, 0);
}

/** The same for what a worker learned: 0 also when the address turns out to be static or sticky, since another worker was faster. */
export function insertLearned(lane: Lane, key0: number, key1: number, bits: number, value: number): number {
  return put(lane, key0, key1, bits, value, STATIC | STICKY);
}

/** `fixed`: bits of a live entry's value that keep it from being overwritten. */
function put(lane: Lane, key0: number, key1: number, bits: number, value: number, fixed: number): number {
  const bucket = bucketOf(key0, key1, lane.fdbBucketMask);
  const other = otherBucket(bucket, key0, key1, lane.fdbBucketMask);
  if (!lockPair(lane, bucket, other)) return 0;
  let entry = find(lane, bucket, key0, key1, bits);
  if (entry !== 0) {
    const old = lane.i32[entry + ENTRY_VALUE]!;
    if ((old & fixed) !== 0 && !isStale(lane, old)) {
      unlockPair(lane, bucket, other);
      return 0;
    }
    clearEntry(lane, entry);
  } else {
    entry = freeInBucket(lane, bucket);
    if (entry === 0) entry = freeInBucket(lane, other);
    if (entry === 0) entry = displace(lane, bucket);
    if (entry === 0) entry = displace(lane, other);
  }
  if (entry !== 0) {
    writeEntry(lane, entry, key0, key1, value);
    countEntry(lane, key1, value, 1);
  }
  unlockPair(lane, bucket, other);
  return entry;
}

/** Removes an address; false when it wasn't there or its lock was not had. */
export function remove(lane: Lane, key0: number, key1: number, bits: number): boolean {
  return take(lane, key0, key1, bits, 0);
}

/** The same, unless the address turns out to be static. */
export function removeLearned(lane: Lane, key0: number, key1: number, bits: number): boolean {
  return take(lane, key0, key1, bits, STATIC);
}

function take(lane: Lane, key0: number, key1: number, bits: number, fixed: number): boolean {
  const bucket = bucketOf(key0, key1, lane.fdbBucketMask);
  const other = otherBucket(bucket, key0, key1, lane.fdbBucketMask);
  if (!lockPair(lane, bucket, other)) return false;
  const entry = find(lane, bucket, key0, key1, bits);
  const takes = entry !== 0 && (lane.i32[entry + ENTRY_VALUE]! & fixed) === 0;
  if (takes) clearEntry(lane, entry);
  unlockPair(lane, bucket, other);
  return takes;
}
