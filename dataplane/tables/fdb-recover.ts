/**
 * After a worker died: frees the bucket locks that it held and repairs what it left half-done behind them; and counts the database anew.
 * Called by another worker (or by main before a successor runs), with its own lane, once the dead thread is gone. Cold; never waits.
 *
 * What a writer can leave: an entry that is free or torn instead of written, counts that are off by one, and an address twice (displace
 * has written the copy and not yet cleared the original). Entries lie in buckets whose lock it still holds, so nobody else writes there
 * until the lock is freed here.
 */
import { BRIDGES_MAX, PORTS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FDB_BUCKET_ENTRIES, FDB_BUCKET_WORDS, FDB_LOCKS_COUNT } from '../memory/layout.ts';
import { findInBucket, portOf } from './fdb.ts';
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
} from './fdb-layout.ts';

/** Frees every lock that `worker` holds, after repairing the buckets behind it. Answers how many locks those were. */
export function breakLocks(lane: Lane, worker: number): number {
  const { i32, fdbLocksAt } = lane;
  let broken = 0;
  for (let stripe = 0; stripe < FDB_LOCKS_COUNT; stripe++) {
    if (Atomics.load(i32, fdbLocksAt + stripe) !== worker + 1) continue;
    for (let bucket = stripe; bucket <= lane.fdbBucketMask; bucket += FDB_LOCKS_COUNT) repairBucket(lane, bucket);
    broken++;
  }
  // Only now: a displaced address lies in two buckets, and both locks protect the repair of either.
  for (let stripe = 0; stripe < FDB_LOCKS_COUNT; stripe++) {
    Atomics.compareExchange(i32, fdbLocksAt + stripe, worker + 1, 0);
  }
  return broken;
}

function repairBucket(lane: Lane, bucket: number): void {
  const { i32 } = lane;
  for (let k = 0; k < FDB_BUCKET_ENTRIES; k++) {
    const entry = lane.fdbAt + bucket * FDB_BUCKET_WORDS + k * 4;
    const value = i32[entry + ENTRY_VALUE]!;
    if (value === 0) continue;
    const key0 = i32[entry]!;
    const sealed = i32[entry + ENTRY_SEALED]!;
    const key1 = key1Of(key0, sealed, value);
    const isTorn = lane.u16[checkAt(entry)] !== checkOf(key0, sealed, value);
    if (isTorn || isTwin(lane, bucket, key0, key1, value)) i32[entry + ENTRY_VALUE] = 0;
  }
}

/** Whether the same address lies in its other bucket too. The primary one, which lookups see first, stays. */
function isTwin(lane: Lane, bucket: number, key0: number, key1: number, value: number): boolean {
  const primary = bucketOf(key0, key1, lane.fdbBucketMask);
  if (bucket === primary || otherBucket(primary, key0, key1, lane.fdbBucketMask) !== bucket) return false;
  return findInBucket(lane, primary, key0, key1, value & BRIDGE_MASK) !== 0;
}

/**
 * Counts the entries of every port, every bridge and all together anew: a writer that died between an entry and its count left them off
 * by one. Walks the whole database. A count that others change meanwhile stays as it is; answers how many those were, for another try.
 */
export function recount(lane: Lane): number {
  const { i32, fdbAt, fdbCountsAt } = lane;
  const before = i32.slice(fdbCountsAt + PORT_COUNTS_AT, fdbCountsAt + FDB_SUM_AT + 1);
  const found = new Int32Array(before.length);
  const end = fdbAt + (lane.fdbBucketMask + 1) * FDB_BUCKET_WORDS;
  for (let entry = fdbAt; entry < end; entry += 4) {
    const value = i32[entry + ENTRY_VALUE]!;
    if (value === 0) continue;
    const key0 = i32[entry]!;
    const sealed = i32[entry + ENTRY_SEALED]!;
    if (lane.u16[checkAt(entry)] !== checkOf(key0, sealed, value)) continue;
    const key1 = key1Of(key0, sealed, value);
    const port = portOf(lane, value & DESTINATION_MASK);
    const bridge = (((value & BRIDGE_MASK) >>> BRIDGE_SHIFT) << 4) | (key1 >>> 28);
    if (port < PORTS_MAX) found[port]!++;
    if (port < PORTS_MAX && (value & STATIC) !== 0) found[PORT_STATICS_AT - PORT_COUNTS_AT + port]!++;
    if (bridge < BRIDGES_MAX) found[BRIDGE_COUNTS_AT - PORT_COUNTS_AT + bridge]!++;
    found[FDB_SUM_AT - PORT_COUNTS_AT]!++;
  }
  let changed = 0;
  for (let k = 0; k < found.length; k++) {
    const seen = before[k]!;
    if (Atomics.compareExchange(i32, fdbCountsAt + PORT_COUNTS_AT + k, seen, found[k]!) !== seen) changed++;
  }
  return changed;
}
