/** The database alone: high load and displacement, torn entries, generations, locks, and repair after a writer died. */
import { describe, expect, it } from 'vitest';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { FDB_BUCKET_WORDS, FDB_LOCKS_COUNT, plainArena } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { find, findInBucket, lookUp, valueFor } from '../../../dataplane/tables/fdb.ts';
import {
  BRIDGE_COUNTS_AT,
  bridgeBits,
  bucketOf,
  checkAt,
  checkOf,
  domainBits,
  ENTRY_SEALED,
  ENTRY_VALUE,
  FDB_SUM_AT,
  GENERATIONS_AT,
  otherBucket,
  PORT_COUNTS_AT,
  STATIC,
  STICKY,
  sealOf,
} from '../../../dataplane/tables/fdb-layout.ts';
import { breakLocks, recount } from '../../../dataplane/tables/fdb-recover.ts';
import {
  insert,
  insertLearned,
  lockBucket,
  lockPair,
  remove,
  removeLearned,
  unlockBucket,
  unlockPair,
  writeEntry,
} from '../../../dataplane/tables/fdb-write.ts';
import { isLong } from '../../needs.ts';
import { randomFrom, seedFor } from '../../seed.ts';

function laneOf(fdbEntries: number, workers = 1): Lane {
  return new Lane(new View(plainArena({ workers, fdbEntries })), 0);
}

const BITS = bridgeBits(1);
/** Keys of address n: spread as real ones are, and the port that it lives on. */
const key0Of = (n: number): number => Math.imul(n, 0x9e3779b1) ^ (n >>> 3);
const key1Of = (n: number): number => (n & 0xffff & ~1) | domainBits(1, (n >>> 16) & 0xfff);
const portOf = (n: number): number => 1 + (n % 1000);

function put(lane: Lane, n: number): number {
  return insert(lane, key0Of(n), key1Of(n), BITS, valueFor(lane, portOf(n), BITS));
}

function at(lane: Lane, n: number): number {
  return lookUp(lane, bucketOf(key0Of(n), key1Of(n), lane.fdbBucketMask), key0Of(n), key1Of(n), BITS);
}

function sum(lane: Lane): number {
  return lane.i32[lane.fdbCountsAt + FDB_SUM_AT]!;
}

function heldLocks(lane: Lane): number {
  return lane.i32.subarray(lane.fdbLocksAt, lane.fdbLocksAt + FDB_LOCKS_COUNT).filter((owner) => owner !== 0).length;
}

describe('high load', () => {
  // As many addresses as the configuration may hold, in twice as many slots rounded up: 1 M of 2 M in the long version.
  const entries = isLong() ? 1_000_000 : 65_536;
  it(`${entries} addresses: at least 99.9 % find room, and each is found where it was put`, { timeout: 60_000 }, () => {
    const lane = laneOf(entries);
    let learned = 0;
    for (let n = 0; n < entries; n++) if (put(lane, n) !== 0) learned++;
    expect(learned).toBeGreaterThanOrEqual(Math.ceil(entries * 0.999));
    expect(sum(lane)).toBe(learned);
    let found = 0;
    for (let n = 0; n < entries; n++) {
      const port = at(lane, n);
      if (port !== 0 && port !== portOf(n)) throw new Error(`address ${n} is at ${port}, not ${portOf(n)}`);
      if (port !== 0) found++;
    }
    expect(found).toBe(learned);
    expect(heldLocks(lane)).toBe(0);
  });

  it('displacement: far beyond half full nothing is lost that was learned, and no address is there twice', () => {
    const lane = laneOf(4096);
    const slots = (lane.fdbBucketMask + 1) * 4;
    const learned: number[] = [];
    for (let n = 0; n < slots * 1.2; n++) if (put(lane, n) !== 0) learned.push(n);
    expect(learned.length).toBeGreaterThan(slots * 0.85);
    for (const n of learned) expect(at(lane, n)).toBe(portOf(n));
    expect(sum(lane)).toBe(learned.length);
    expect(recount(lane)).toBe(0);
    expect(sum(lane)).toBe(learned.length);
    for (const n of learned) expect(remove(lane, key0Of(n), key1Of(n), BITS)).toBe(true);
    expect(sum(lane)).toBe(0);
    expect(
      lane.i32.subarray(lane.fdbCountsAt + PORT_COUNTS_AT, lane.fdbCountsAt + FDB_SUM_AT).every((n) => n === 0),
    ).toBe(true);
  });

  it('random inserts, moves and removals agree with a map', () => {
    const below = randomFrom(seedFor('random inserts, moves and removals agree with a map'));
    const lane = laneOf(1024);
    const truth = new Map<number, number>();
    for (let step = 0; step < 30_000; step++) {
      const n = below(1500);
      const bucket = bucketOf(key0Of(n), key1Of(n), lane.fdbBucketMask);
      if (below(3) === 0) {
        expect(remove(lane, key0Of(n), key1Of(n), BITS)).toBe(truth.delete(n));
      } else {
        const port = 1 + below(200);
        if (insert(lane, key0Of(n), key1Of(n), BITS, valueFor(lane, port, BITS)) !== 0) truth.set(n, port);
        else expect(truth.has(n)).toBe(false);
      }
      expect(lookUp(lane, bucket, key0Of(n), key1Of(n), BITS)).toBe(truth.get(n) ?? 0);
      if (step % 1000 === 0) expect(sum(lane)).toBe(truth.size);
    }
    for (const [n, port] of truth) expect(at(lane, n)).toBe(port);
  });
});

describe('an entry', () => {
  it('torn is a miss, whichever of its words is wrong', () => {
    for (let word = 0; word < 3; word++) {
      const lane = laneOf(1024);
      const entry = put(lane, 7);
      lane.i32[entry + word] = lane.i32[entry + word]! ^ (word === ENTRY_VALUE ? 1 : 0x100);
      expect(at(lane, 7), `word ${word}`).toBe(0);
      expect(lane.tornReads).toBe(word === ENTRY_VALUE || word === ENTRY_SEALED ? 1 : 0);
    }
  });

  it('whose words are of two writes is nobody’s, even where addresses are numbered as ports are', () => {
    const words = (key0: number, key1: number, value: number) => [key0, key1 ^ sealOf(key0, value), value] as const;
    const other = key1Of(7) ^ 0x0014_0000;
    // The same MAC elsewhere, another MAC, another VLAN; and keys that differ in the bits in which their values do.
    const writes = [
      words(0x0501_0000, key1Of(7), 0x0010_0001),
      words(0x0501_0000, key1Of(7), 0x0010_0002),
      words(0x0501_0003, key1Of(7), 0x0010_0002),
      words(0x0501_0003, other, 0x0010_0002),
      words(0x0511_0000, other, 0x0000_0001),
    ];
    for (const one of writes)
      for (const two of writes)
        for (let mix = 1; mix < 7; mix++) {
          const [key0, sealed, value] = [0, 1, 2].map((word) => ((mix >> word) & 1 ? one : two)[word]!) as [
            number,
            number,
            number,
          ];
          if (writes.some((whole) => whole[0] === key0 && whole[1] === sealed && whole[2] === value)) continue;
          for (const key1 of [key1Of(7), other]) expect(sealed ^ sealOf(key0, value)).not.toBe(key1);
        }
  });

  it('that became static or sticky meanwhile is not overwritten by what another worker learned; a flushed one is', () => {
    const learned = (lane: Lane) => insertLearned(lane, key0Of(7), key1Of(7), BITS, valueFor(lane, 900, BITS));
    for (const type of [STATIC, STICKY]) {
      const lane = laneOf(1024);
      const entry = insert(lane, key0Of(7), key1Of(7), BITS, valueFor(lane, portOf(7), BITS) | type);
      expect([learned(lane), at(lane, 7), heldLocks(lane)]).toEqual([0, portOf(7), 0]);
      lane.i32[lane.fdbCountsAt + GENERATIONS_AT + portOf(7)]!++;
      expect([learned(lane), at(lane, 7), sum(lane), heldLocks(lane)]).toEqual([entry, 900, 1, 0]);
      expect(recount(lane)).toBe(0);
    }
  });

  it('that became static meanwhile is not evicted', () => {
    const lane = laneOf(1024);
    const value = valueFor(lane, portOf(7), BITS);
    const evict = () => removeLearned(lane, key0Of(7), key1Of(7), BITS);
    insert(lane, key0Of(7), key1Of(7), BITS, value | STATIC);
    expect([evict(), at(lane, 7), heldLocks(lane)]).toEqual([false, portOf(7), 0]);
    insert(lane, key0Of(7), key1Of(7), BITS, value);
    expect([evict(), at(lane, 7), evict(), heldLocks(lane)]).toEqual([true, 0, false, 0]);
  });

  it('of another bridge with the same low bits is another entry', () => {
    const lane = laneOf(1024);
    const key1 = 0x0002 | domainBits(3, 5);
    for (const bridge of [3, 19, 35, 243])
      insert(lane, 99, key1, bridgeBits(bridge), valueFor(lane, bridge, bridgeBits(bridge)));
    const bucket = bucketOf(99, key1, lane.fdbBucketMask);
    for (const bridge of [3, 19, 35, 243]) expect(lookUp(lane, bucket, 99, key1, bridgeBits(bridge))).toBe(bridge);
    expect(lookUp(lane, bucket, 99, key1, bridgeBits(51))).toBe(0);
    for (const bridge of [3, 19, 35, 243]) expect(lane.i32[lane.fdbCountsAt + BRIDGE_COUNTS_AT + bridge]).toBe(1);
  });

  it('of a flushed generation is absent, and its place is used again', () => {
    const lane = laneOf(1024);
    const entry = put(lane, 7);
    lane.i32[lane.fdbCountsAt + GENERATIONS_AT + portOf(7)]!++;
    expect(at(lane, 7)).toBe(0);
    expect(put(lane, 7)).toBe(entry);
    expect([at(lane, 7), sum(lane)]).toEqual([portOf(7), 1]);
  });

  it('lies in a bucket that each of its two buckets can tell from the other', () => {
    for (let n = 0; n < 1000; n++) {
      const bucket = bucketOf(key0Of(n), key1Of(n), 0xfff);
      const other = otherBucket(bucket, key0Of(n), key1Of(n), 0xfff);
      expect(other).not.toBe(bucket);
      expect(otherBucket(other, key0Of(n), key1Of(n), 0xfff)).toBe(bucket);
    }
  });
});

describe('locks', () => {
  it('are given up soon when another worker holds them; nothing is written then', () => {
    const lane = laneOf(1024);
    const bucket = bucketOf(key0Of(7), key1Of(7), lane.fdbBucketMask);
    lane.i32[lane.fdbLocksAt + bucket] = 9;
    expect(lockBucket(lane, bucket)).toBe(false);
    expect(put(lane, 7)).toBe(0);
    expect(remove(lane, key0Of(7), key1Of(7), BITS)).toBe(false);
    lane.i32[lane.fdbLocksAt + bucket] = 0;
    expect(put(lane, 7)).not.toBe(0);
    expect(heldLocks(lane)).toBe(0);
  });

  it('of a pair are both had or none; one stripe is taken once', () => {
    const lane = laneOf(1_000_000);
    lane.i32[lane.fdbLocksAt + 5] = 9;
    expect(lockPair(lane, 5, 3)).toBe(false);
    expect(lockPair(lane, 3, 5)).toBe(false);
    expect(heldLocks(lane)).toBe(1);
    expect(lockPair(lane, 6, 6 + FDB_LOCKS_COUNT)).toBe(true);
    expect(heldLocks(lane)).toBe(2);
    unlockPair(lane, 6, 6 + FDB_LOCKS_COUNT);
    expect(heldLocks(lane)).toBe(1);
  });
});

describe('after a worker died', () => {
  it('its locks are free, the torn entry is gone, others keep theirs', () => {
    const lane = laneOf(1024, 2);
    const dead = 1;
    put(lane, 1);
    put(lane, 2);
    const entry = put(lane, 7);
    const bucket = (entry - lane.fdbAt) / FDB_BUCKET_WORDS;
    const stripe = Math.floor(bucket) & (FDB_LOCKS_COUNT - 1);
    lane.u16[checkAt(entry)]! ^= 1;
    lane.i32[lane.fdbLocksAt + stripe] = dead + 1;
    const foreign = (stripe + 1) & (FDB_LOCKS_COUNT - 1);
    lane.i32[lane.fdbLocksAt + foreign] = 1;
    expect(breakLocks(lane, dead)).toBe(1);
    expect([lane.i32[lane.fdbLocksAt + stripe], lane.i32[lane.fdbLocksAt + foreign]]).toEqual([0, 1]);
    expect(lane.i32[entry + ENTRY_VALUE]).toBe(0);
    unlockBucket(lane, foreign);
    expect([at(lane, 1), at(lane, 2), at(lane, 7)]).toEqual([portOf(1), portOf(2), 0]);
    expect(sum(lane)).toBe(3);
    expect(recount(lane)).toBe(0);
    expect(sum(lane)).toBe(2);
  });

  it('an address that it was moving between buckets is there once', () => {
    const lane = laneOf(1024, 2);
    const [key0, key1] = [key0Of(7), key1Of(7)];
    const primary = bucketOf(key0, key1, lane.fdbBucketMask);
    const other = otherBucket(primary, key0, key1, lane.fdbBucketMask);
    const value = valueFor(lane, portOf(7), BITS);
    for (const bucket of [primary, other]) {
      writeEntry(lane, lane.fdbAt + bucket * FDB_BUCKET_WORDS, key0, key1, value);
      lane.i32[lane.fdbLocksAt + bucket] = 2;
    }
    expect(breakLocks(lane, 1)).toBe(2);
    expect(findInBucket(lane, primary, key0, key1, BITS)).not.toBe(0);
    expect(findInBucket(lane, other, key0, key1, BITS)).toBe(0);
    expect(remove(lane, key0, key1, BITS)).toBe(true);
    expect(find(lane, primary, key0, key1, BITS)).toBe(0);
  });

  it('at any word of a write: found as it was, found as it should be, or not at all', () => {
    const value = (lane: Lane) => valueFor(lane, portOf(7), BITS);
    // What writeEntry stores, in its order, over the entry of another address.
    const steps = (lane: Lane, entry: number): readonly (() => void)[] => {
      const sealed = key1Of(7) ^ sealOf(key0Of(7), value(lane));
      const store = (word: number, stored: number) => () => {
        lane.i32[entry + word] = stored;
      };
      return [
        store(ENTRY_VALUE, 0),
        store(0, key0Of(7)),
        store(ENTRY_SEALED, sealed),
        () => {
          lane.u16[checkAt(entry)] = checkOf(key0Of(7), sealed, value(lane));
        },
        store(ENTRY_VALUE, value(lane)),
      ];
    };
    for (let died = 0; died <= 5; died++) {
      const lane = laneOf(1024, 2);
      const bucket = bucketOf(key0Of(7), key1Of(7), lane.fdbBucketMask);
      const entry = lane.fdbAt + bucket * FDB_BUCKET_WORDS;
      writeEntry(lane, entry, 1234, 4321, value(lane));
      lane.i32[lane.fdbLocksAt + bucket] = 2;
      for (const step of steps(lane, entry).slice(0, died)) step();
      breakLocks(lane, 1);
      expect([0, portOf(7)]).toContain(at(lane, 7));
      expect(at(lane, 7) !== 0).toBe(died === 5);
      expect(put(lane, 7)).not.toBe(0);
      expect(at(lane, 7)).toBe(portOf(7));
      recount(lane);
      expect(sum(lane)).toBe(died === 0 ? 2 : 1);
    }
  });

  it('without locks there is nothing to break', () => {
    const lane = laneOf(1024, 2);
    put(lane, 7);
    expect(breakLocks(lane, 1)).toBe(0);
    expect(at(lane, 7)).toBe(portOf(7));
  });
});
