/**
 * The forwarding database in the arena: (bridge, VLAN, MAC) → destination. Read without locks by every worker, written under a
 * bucket's lock. All that a lookup reads of an address and writes to it lies in one cache line:
 *
 *   bucket = one cache line:  | key0 sealed value seen+check | × 4
 *
 *   key0    MAC bytes 2–5, as they lie in the frame
 *   sealed  key1 exclusive-or a mix of key0 and value: words that were not written together give another key, so a half-written entry
 *           is nobody's. key1 is MAC bytes 0–1 | VLAN << 16 | low 4 bits of the bridge << 28
 *   value   destination (16) | high 4 bits of the bridge (4) | generation (10) | static | sticky; 0 is a free entry
 *   seen    uint16 of seconds, written at most once a second
 *   check   uint16, a mix of the words before it, for those who walk the database and know no key to compare with
 *
 * An address lives in one of two buckets: the primary by its hash, the other by exclusive-or with a second hash of the same key, so
 * that each is computed from the other.
 */
import { BRIDGES_MAX, DESTINATIONS_COUNT, PORTS_MAX } from '../limits.ts';

export const ENTRY_KEY0 = 0;
export const ENTRY_SEALED = 1;
export const ENTRY_VALUE = 2;
export const ENTRY_SEEN = 3;

export const DESTINATION_MASK = 0xffff;
export const BRIDGE_SHIFT = 16;
export const BRIDGE_MASK = 0xf << BRIDGE_SHIFT;
export const GENERATION_SHIFT = 20;
export const GENERATION_MASK = 0x3ff;
export const STATIC = 1 << 30;
export const STICKY = 1 << 31;

/** Words of the counts region: per destination a generation; per port how many entries, and how many of them static; a count per bridge; sums. */
export const GENERATIONS_AT = 0;
export const PORT_COUNTS_AT = DESTINATIONS_COUNT;
export const PORT_STATICS_AT = PORT_COUNTS_AT + PORTS_MAX;
export const BRIDGE_COUNTS_AT = PORT_STATICS_AT + PORTS_MAX;
export const FDB_SUM_AT = BRIDGE_COUNTS_AT + BRIDGES_MAX;
export const EVICTED_AT = FDB_SUM_AT + 1;

/** key1 without the MAC: what (bridge, VLAN) adds. */
export function domainBits(bridge: number, vlan: number): number {
  return (vlan << 16) | (bridge << 28);
}

/** The bits of the value that say which bridge. */
export function bridgeBits(bridge: number): number {
  return (bridge >>> 4) << BRIDGE_SHIFT;
}

/**
 * What key1 is sealed with: never the same for two values of one key0, nor for two key0 with one value; for others as seldom as by chance,
 * since addresses and destinations may be numbered alike.
 */
export function sealOf(key0: number, value: number): number {
  const x = Math.imul(key0 ^ Math.imul(value, 0x85ebca6b), 0x9e3779b1);
  return x ^ (x >>> 15);
}

/** The key1 of an entry, from three of its words, each read once: others may be writing it. Of a free or half-written one it is any number. */
export function key1Of(key0: number, sealed: number, value: number): number {
  return sealed ^ sealOf(key0, value);
}

/** The check of an entry, a uint16. */
export function checkOf(key0: number, sealed: number, value: number): number {
  let x = Math.imul(key0 ^ 0x27d4eb2f, 0x9e3779b1);
  x = Math.imul((x ^ (x >>> 15)) + sealed, 0x85ebca6b);
  x = Math.imul((x ^ (x >>> 13)) + value, 0xc2b2ae35);
  return x >>> 16;
}

/** Where the second of "last seen" lies, in uint16. */
export function seenAt(entry: number): number {
  return (entry + ENTRY_SEEN) << 1;
}

/** Where the check lies, in uint16. */
export function checkAt(entry: number): number {
  return ((entry + ENTRY_SEEN) << 1) | 1;
}

/** The primary bucket. */
export function bucketOf(key0: number, key1: number, mask: number): number {
  let x = Math.imul(key0, 0x9e3779b1) ^ Math.imul(key1, 0x85ebca6b);
  x ^= x >>> 15;
  x = Math.imul(x, 0x2c1b3c6d);
  return (x ^ (x >>> 13)) & mask;
}

/** The other bucket of this key, seen from either. */
export function otherBucket(bucket: number, key0: number, key1: number, mask: number): number {
  const x = Math.imul(key0 ^ Math.imul(key1, 0x27d4eb2f), 0x165667b1);
  return (bucket ^ ((x >>> 7) | 1)) & mask;
}
