/**
 * The forwarding database in the arena: (bridge, VLAN, MAC) → destination. Read without locks by every worker, written under a
 * bucket's lock; an entry whose check word does not fit is half-written and counts as absent.
 *
 *   bucket = one cache line:  | key0 key1 value check | × 4          beside it: last seen, a uint16 of seconds per entry
 *
 *   key0   MAC bytes 2–5, as they lie in the frame
 *   key1   MAC bytes 0–1 | VLAN << 16 | low 4 bits of the bridge << 28
 *   value  destination (16) | high 4 bits of the bridge (4) | generation (10) | static | sticky; 0 is a free entry
 *   check  a mix of the other three
 *
 * An address lives in one of two buckets: the primary by its hash, the other by exclusive-or with a second hash of the same key, so
 * that each is computed from the other.
 */
import { BRIDGES_MAX, DESTINATIONS_COUNT, PORTS_MAX } from '../limits.ts';

export const ENTRY_KEY0 = 0;
export const ENTRY_KEY1 = 1;
export const ENTRY_VALUE = 2;
export const ENTRY_CHECK = 3;

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

export function checkOf(key0: number, key1: number, value: number): number {
  let x = Math.imul(key0 ^ 0x5bd1e995, 0x9e3779b1);
  x = Math.imul((x ^ (x >>> 15)) + key1, 0x85ebca6b);
  x = Math.imul((x ^ (x >>> 13)) + value, 0xc2b2ae35);
  return x ^ (x >>> 16);
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
