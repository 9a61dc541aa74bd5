/**
 * The thread of fdb.test.ts: hammers one shared database. An address `n` may live on any port that is congruent to n, so that every
 * thread can tell a wrong port from a moved one.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Lane } from '../../dataplane/memory/lane.ts';
import { View } from '../../dataplane/memory/view.ts';
import { lookUp, valueFor } from '../../dataplane/tables/fdb.ts';
import { bridgeBits, bucketOf, domainBits } from '../../dataplane/tables/fdb-layout.ts';
import { sweep } from '../../dataplane/tables/fdb-sweep.ts';
import { insert, remove } from '../../dataplane/tables/fdb-write.ts';
import { randomFrom } from '../random.ts';

export interface HammerTask {
  readonly arena: SharedArrayBuffer;
  readonly index: number;
  readonly seed: number;
  readonly addresses: number;
  /** Operations, or 0 for as many as there is time. */
  readonly steps: number;
  /** Nobody begins before its first word is nonzero. */
  readonly gate: SharedArrayBuffer;
}

export interface HammerResult {
  readonly wrong: number;
  readonly found: number;
  readonly missed: number;
  readonly written: number;
  readonly removed: number;
  readonly torn: number;
}

export const CLASSES = 64;
export const BRIDGE = 5;
const PORTS_PER_CLASS = 32;

export const key0Of = (n: number): number => Math.imul(n, 0x9e3779b1);
export const key1Of = (n: number): number => 0x0002 | domainBits(BRIDGE, n & 0xff) | 0;

function hammer(task: HammerTask): HammerResult {
  const lane = new Lane(new View(task.arena), task.index);
  const below = randomFrom(task.seed);
  const bits = bridgeBits(BRIDGE);
  let wrong = 0;
  let found = 0;
  let missed = 0;
  let written = 0;
  let removed = 0;
  for (let step = 0; task.steps === 0 || step < task.steps; step++) {
    const n = below(task.addresses);
    const what = below(8);
    if (what < 4) {
      const port = lookUp(lane, bucketOf(key0Of(n), key1Of(n), lane.fdbBucketMask), key0Of(n), key1Of(n), bits);
      if (port === 0) missed++;
      else if (port % CLASSES === n % CLASSES) found++;
      else wrong++;
    } else if (what < 7) {
      const port = CLASSES + (n % CLASSES) + CLASSES * below(PORTS_PER_CLASS);
      if (insert(lane, key0Of(n), key1Of(n), bits, valueFor(lane, port, bits)) !== 0) written++;
    } else if (remove(lane, key0Of(n), key1Of(n), bits)) removed++;
    if ((step & 0xfff) === 0 && task.index === 0) sweep(lane, step >>> 12, 16);
  }
  return { wrong, found, missed, written, removed, torn: lane.tornReads };
}

// Imported by the test for its constants too, where there is no parent.
if (parentPort !== null && workerData?.arena !== undefined) {
  parentPort.postMessage('ready');
  Atomics.wait(new Int32Array((workerData as HammerTask).gate), 0, 0);
  parentPort.postMessage(hammer(workerData as HammerTask));
}
