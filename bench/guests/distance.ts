// How far the guests' CPU and the switch's are apart: what a cache line takes to the other and back, between two pinned threads. Machines in a
// cloud move that from one second to the next, between two cores of one cache and of two, and guests' frames are cache lines that move.
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { addon } from '../../native/binding.ts';

const ROUNDS = 40_000;
const STRETCH = 2000;
/** Two distances are one when they differ by less than this factor. */
const ALIKE = 2.4;

interface Task {
  readonly cpu: number;
  /** Who begins a round: 0 or 1. */
  readonly side: number;
  readonly line: SharedArrayBuffer;
}

/** Nanoseconds for a round trip between two CPUs on which nothing else runs, of the best stretch. */
export async function cpuDistance(one: number, other: number): Promise<number> {
  const line = new SharedArrayBuffer(64);
  const ends = [one, other].map((cpu, side) => {
    const task: Task = { cpu, side, line };
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: task });
    return new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  });
  const [ns] = await Promise.all(ends);
  return ns!;
}

/** Whether all of these distances (ns) are one. */
export function isOneDistance(distances: readonly number[]): boolean {
  return Math.max(...distances) < ALIKE * Math.min(...distances);
}

function bounce({ cpu, side, line }: Task): number {
  addon().pin(cpu);
  const cell = new Int32Array(line);
  let best = Number.POSITIVE_INFINITY;
  let start = process.hrtime.bigint();
  for (let round = 1; round <= ROUNDS; round++) {
    if (round % STRETCH === 0) {
      const now = process.hrtime.bigint();
      best = Math.min(best, Number(now - start) / STRETCH);
      start = now;
    }
    while (Atomics.load(cell, 0) !== 2 * (round - 1) + side);
    Atomics.store(cell, 0, 2 * (round - 1) + side + 1);
  }
  return best;
}

if (!isMainThread && workerData?.line instanceof SharedArrayBuffer) parentPort!.postMessage(bounce(workerData as Task));
