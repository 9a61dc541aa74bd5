// HOT: the forwarding database, read side, and the fast half of learning. Called by path/3-learn and path/4-decide in every worker;
// layout and invariants are in fdb-layout.ts, everything that writes keys is in fdb-write.ts.
import { PORTS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FDB_BUCKET_WORDS } from '../memory/layout.ts';
import { RemoteWord } from '../memory/tunnel-words.ts';
import {
  BRIDGE_MASK,
  checkAt,
  checkOf,
  DESTINATION_MASK,
  ENTRY_SEALED,
  ENTRY_VALUE,
  GENERATION_MASK,
  GENERATION_SHIFT,
  GENERATIONS_AT,
  otherBucket,
  sealOf,
  seenAt,
} from './fdb-layout.ts';
import { remoteAt } from './tunnel-layout.ts';

/** Word offsets of an arena of 2 GiB: tells the engine that sums with a small constant can't overflow. */
const AT_MASK = 0x1fffffff;

/** The entry of this key in one bucket as a word offset, 0 when it isn't there. A torn entry is none. */
export function findInBucket(lane: Lane, bucket: number, key0: number, key1: number, bits: number): number {
  const i32 = lane.i32;
  const at = (lane.fdbAt + Math.imul(bucket, FDB_BUCKET_WORDS)) & AT_MASK;
  const end = at + FDB_BUCKET_WORDS;
  for (let e = at; e < end; e += 4) {
    if (i32[e] === key0) {
      const value = i32[e + ENTRY_VALUE]!;
      const sealed = i32[e + ENTRY_SEALED]!;
      if ((sealed ^ sealOf(key0, value)) === key1) {
        if (value !== 0 && (value & BRIDGE_MASK) === bits) return e;
      } else if (value !== 0) {
        noteTorn(lane, e, key0, sealed, value);
      }
    }
  }
  return 0;
}

/** The entry of this key, whatever its generation, as a word offset; 0 when there is none. */
export function find(lane: Lane, bucket: number, key0: number, key1: number, bits: number): number {
  const entry = findInBucket(lane, bucket, key0, key1, bits);
  if (entry !== 0) return entry;
  return findInBucket(lane, otherBucket(bucket, key0, key1, lane.fdbBucketMask), key0, key1, bits);
}

/** The port to which a destination belongs: itself, or a remote's tunnel. */
export function portOf(lane: Lane, destination: number): number {
  if (destination < PORTS_MAX) return destination;
  return lane.i32[remoteAt(lane.remotesAt, destination) + RemoteWord.PORT]!;
}

/** A value without its static and sticky bits: what a learned entry of a destination looks like now. */
export function valueFor(lane: Lane, destination: number, bits: number): number {
  const generation = lane.i32[lane.fdbCountsAt + GENERATIONS_AT + destination]!;
  return destination | bits | ((generation & GENERATION_MASK) << GENERATION_SHIFT);
}

/** Whether a value's destination was flushed since it was written. */
export function isStale(lane: Lane, value: number): boolean {
  const generation = lane.i32[lane.fdbCountsAt + GENERATIONS_AT + (value & DESTINATION_MASK)]!;
  return ((value >>> GENERATION_SHIFT) & GENERATION_MASK) !== (generation & GENERATION_MASK);
}

/** Counts words that have half of a key in common with what was sought as torn, if they are: most are whole, and of another VLAN. */
function noteTorn(lane: Lane, entry: number, key0: number, sealed: number, value: number): void {
  if (lane.u16[checkAt(entry)] !== checkOf(key0, sealed, value)) lane.tornReads = (lane.tornReads + 1) | 0;
}

/** The value of this key's entry, whatever its generation, as it was when its key fitted; 0 when there is none. */
export function readValue(lane: Lane, bucket: number, key0: number, key1: number, bits: number): number {
  const i32 = lane.i32;
  let at = bucket;
  for (let turn = 0; turn < 2; turn++) {
    const first = (lane.fdbAt + Math.imul(at, FDB_BUCKET_WORDS)) & AT_MASK;
    for (let e = first; e < first + FDB_BUCKET_WORDS; e += 4) {
      if (i32[e] === key0) {
        // Read once: what is answered is what the key was sealed with.
        const value = i32[e + ENTRY_VALUE]!;
        const sealed = i32[e + ENTRY_SEALED]!;
        if ((sealed ^ sealOf(key0, value)) === key1) {
          if (value !== 0 && (value & BRIDGE_MASK) === bits) return value;
        } else if (value !== 0) {
          noteTorn(lane, e, key0, sealed, value);
        }
      }
    }
    at = otherBucket(at, key0, key1, lane.fdbBucketMask);
  }
  return 0;
}

/** Where this address lives: its destination, or 0 when it is unknown. `bits` as bridgeBits gives them. */
export function lookUp(lane: Lane, bucket: number, key0: number, key1: number, bits: number): number {
  const value = readValue(lane, bucket, key0, key1, bits);
  return value === 0 || isStale(lane, value) ? 0 : value & DESTINATION_MASK;
}

/** Marks an entry as seen in this second; writes only when that is news. */
export function refresh(lane: Lane, entry: number): void {
  const cell = seenAt(entry);
  const now = lane.nowS & 0xffff;
  if (lane.u16[cell] !== now) lane.u16[cell] = now;
}
