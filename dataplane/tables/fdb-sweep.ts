// HOT: ageing. One worker walks the whole database about once a second, a stretch per turn, and removes what was not seen for its
// bridge's ageing time, or whose port was flushed.
import type { Lane } from '../memory/lane.ts';
import { FDB_BUCKET_ENTRIES, FDB_BUCKET_WORDS } from '../memory/layout.ts';
import { isStale } from './fdb.ts';
import { BRIDGE_MASK, BRIDGE_SHIFT, ENTRY_SEALED, ENTRY_VALUE, key1Of, STATIC, seenAt } from './fdb-layout.ts';
import { clearEntry, lockBucket, unlockBucket } from './fdb-write.ts';
import { BridgeWord } from './port-layout.ts';

/** Ages wrap at 2¹⁶ seconds; the last few are clocks that run ahead. */
const AGE_FUTURE = 0xfff0;

function isAged(lane: Lane, entry: number, value: number): boolean {
  if ((value & STATIC) !== 0) return false;
  const key1 = key1Of(lane.i32[entry]!, lane.i32[entry + ENTRY_SEALED]!, value);
  const bridge = (((value & BRIDGE_MASK) >>> BRIDGE_SHIFT) << 4) | (key1 >>> 28);
  const ageing = lane.i32[lane.bridgesAt + bridge * 8 + BridgeWord.AGEING_S]!;
  const age = (lane.nowS - lane.u16[seenAt(entry)]!) & 0xffff;
  // Another worker's clock may be a second ahead of this turn's: what it saw "in the future" is not old.
  return ageing !== 0 && age > ageing && age < AGE_FUTURE;
}

/** Removes aged and flushed entries of `count` buckets from `bucket` on; answers the bucket to go on with. */
export function sweep(lane: Lane, bucket: number, count: number): number {
  const i32 = lane.i32;
  let at = bucket & lane.fdbBucketMask;
  for (let k = 0; k < count; k++) {
    for (let n = 0; n < FDB_BUCKET_ENTRIES; n++) {
      const entry = lane.fdbAt + at * FDB_BUCKET_WORDS + n * 4;
      const value = i32[entry + ENTRY_VALUE]!;
      if (value === 0 || !(isStale(lane, value) || isAged(lane, entry, value))) continue;
      if (!lockBucket(lane, at)) continue;
      const again = i32[entry + ENTRY_VALUE]!;
      if (again !== 0 && (isStale(lane, again) || isAged(lane, entry, again))) clearEntry(lane, entry);
      unlockBucket(lane, at);
    }
    at = (at + 1) & lane.fdbBucketMask;
  }
  return at;
}
