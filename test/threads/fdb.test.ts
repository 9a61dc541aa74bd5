/** The forwarding database between real threads: writers and readers at once, and writers that are killed in the middle of a write. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Lane } from '../../dataplane/memory/lane.ts';
import { FDB_LOCKS_COUNT } from '../../dataplane/memory/layout.ts';
import { View } from '../../dataplane/memory/view.ts';
import { lookUp, valueFor } from '../../dataplane/tables/fdb.ts';
import {
  BRIDGE_COUNTS_AT,
  bridgeBits,
  bucketOf,
  checkAt,
  checkOf,
  FDB_SUM_AT,
  PORT_COUNTS_AT,
  sealOf,
} from '../../dataplane/tables/fdb-layout.ts';
import { breakLocks, recount } from '../../dataplane/tables/fdb-recover.ts';
import { insert } from '../../dataplane/tables/fdb-write.ts';
import { isLong } from '../needs.ts';
import { randomFrom, seedFor } from '../seed.ts';
import { sharedArena } from './arena.ts';
import { compiled } from './compiled.ts';
import { BRIDGE, CLASSES, type HammerResult, type HammerTask, key0Of, key1Of } from './fdb-worker.ts';

const WORKERS = 4;
const script = compiled('test/threads/fdb-worker.ts');
const BITS = bridgeBits(BRIDGE);

interface Hammer {
  readonly worker: Worker;
  readonly ready: Promise<void>;
  readonly result: Promise<HammerResult>;
}

function start(task: HammerTask): Hammer {
  const worker = new Worker(script, { workerData: task });
  const failed = new Promise<never>((_, reject) => worker.once('error', reject));
  const ready = new Promise<void>((resolve) => worker.once('message', () => resolve()));
  const result = new Promise<HammerResult>((resolve) =>
    worker.on('message', (message) => message !== 'ready' && resolve(message)),
  );
  return { worker, ready: Promise.race([ready, failed]), result: Promise.race([result, failed]) };
}

function open(gate: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
}

function heldLocks(lane: Lane): number[] {
  return [...lane.i32.subarray(lane.fdbLocksAt, lane.fdbLocksAt + FDB_LOCKS_COUNT)].filter((owner) => owner !== 0);
}

/** Every valid entry once, on a port of its class; answers how many there are. */
function audit(lane: Lane): number {
  const keys = new Set<string>();
  for (let k = 0; k < (lane.fdbBucketMask + 1) * 4; k++) {
    const entry = lane.fdbAt + k * 4;
    const [key0, sealed, value] = lane.i32.subarray(entry, entry + 3) as unknown as [number, number, number];
    if (value === 0) continue;
    expect(lane.u16[checkAt(entry)]).toBe(checkOf(key0, sealed, value));
    const key = `${key0} ${sealed ^ sealOf(key0, value)}`;
    expect(keys.has(key), `${key} twice`).toBe(false);
    keys.add(key);
  }
  return keys.size;
}

function countsOf(lane: Lane): Int32Array {
  return lane.i32.slice(lane.fdbCountsAt + PORT_COUNTS_AT, lane.fdbCountsAt + FDB_SUM_AT + 1);
}

describe('four workers on one database', () => {
  // Few addresses fight over the same entries; as many as there are slots fight over places.
  it.each([40, 1500, 2300])('%i addresses in 2,048 slots: never a wrong port', async (addresses) => {
    const seed = seedFor('four workers on one database');
    const arena = sharedArena({ workers: WORKERS, fdbEntries: 1024 });
    const steps = isLong() ? 20_000_000 : 1_500_000;
    const gate = new SharedArrayBuffer(4);
    const hammers = Array.from({ length: WORKERS }, (_, index) =>
      start({ arena, index, seed: seed + index, addresses, steps, gate }),
    );
    await Promise.all(hammers.map((hammer) => hammer.ready));
    open(gate);
    const results = await Promise.all(hammers.map((hammer) => hammer.result));
    for (const { worker } of hammers) await worker.terminate();
    const total = (key: keyof HammerResult): number => results.reduce((sum, result) => sum + result[key], 0);
    expect(total('wrong')).toBe(0);
    for (const result of results) {
      expect(result.found).toBeGreaterThan(steps / 100);
      expect(result.written).toBeGreaterThan(steps / 100);
      expect(result.removed).toBeGreaterThan(0);
    }
    const lane = new Lane(new View(arena), 0);
    expect(heldLocks(lane)).toEqual([]);
    const counted = countsOf(lane);
    const entries = audit(lane);
    expect(counted.at(-1)).toBe(entries);
    expect(lane.i32[lane.fdbCountsAt + BRIDGE_COUNTS_AT + BRIDGE]).toBe(entries);
    expect(recount(lane)).toBe(0);
    expect(countsOf(lane)).toEqual(counted);
  });
});

describe('a worker that is killed while it writes', () => {
  it('leaves locks that are broken, and a database that others go on with', async () => {
    const below = randomFrom(seedFor('a worker that is killed while it writes'));
    const arena = sharedArena({ workers: 2, fdbEntries: 1024 });
    const lane = new Lane(new View(arena), 0);
    const addresses = 2300;
    const gate = new SharedArrayBuffer(4);
    open(gate);
    let broken = 0;
    // Where it dies is chance: go on until it died at least three times with a lock in its hand.
    for (let kill = 0; kill < 100 && broken < 3; kill++) {
      const { worker, ready } = start({ arena, index: 1, seed: kill, addresses, steps: 0, gate });
      await ready;
      await new Promise((resolve) => setTimeout(resolve, 5 + below(20)));
      await worker.terminate();
      const held = heldLocks(lane);
      expect(held.every((owner) => owner === 2)).toBe(true);
      expect(breakLocks(lane, 1)).toBe(held.length);
      expect(heldLocks(lane)).toEqual([]);
      if (held.length > 0) broken++;
      recount(lane);
      expect(lane.i32[lane.fdbCountsAt + FDB_SUM_AT]).toBe(audit(lane));
      // What is there can be written: no place has to be found for it, only locks.
      for (let n = 0; n < addresses; n++) {
        const port = lookUp(lane, bucketOf(key0Of(n), key1Of(n), lane.fdbBucketMask), key0Of(n), key1Of(n), BITS);
        if (port === 0) continue;
        expect(port % CLASSES).toBe(n % CLASSES);
        expect(insert(lane, key0Of(n), key1Of(n), BITS, valueFor(lane, port, BITS))).not.toBe(0);
      }
    }
    expect(broken).toBe(3);
  });
});
