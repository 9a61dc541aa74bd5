/** The thread of ring.test.ts: one end of a byte ring. */
import { parentPort, workerData } from 'node:worker_threads';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { randomFrom } from '../random.ts';

export interface RingTask {
  readonly memory: SharedArrayBuffer;
  readonly bytes: number;
  readonly seed: number;
  readonly records: number;
  readonly dataMax: number;
  readonly produce: boolean;
}

export interface RingResult {
  readonly records: number;
  readonly wrong: number;
  /** How often the ring was full, or empty. */
  readonly waits: number;
}

function run(task: RingTask): RingResult {
  const ring = new ByteRing(new Int32Array(task.memory), 0, task.bytes);
  const below = randomFrom(task.seed);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let wrong = 0;
  let waits = 0;
  for (let k = 0; k < task.records; k++) {
    // Both ends draw the same lengths.
    const data = below(task.dataMax);
    let record = task.produce ? ring.reserve(data) : ring.peek();
    while (record < 0) {
      waits++;
      Atomics.wait(pause, 0, 0, 0.02);
      record = task.produce ? ring.reserve(data) : ring.peek();
    }
    const words = ring.i32[record]!;
    if (words !== BYTE_RING_HEAD_WORDS + ((data + 7) >> 3) * 2) wrong++;
    for (let at = 1; at < words; at++) {
      if (task.produce) ring.i32[record + at] = k ^ at;
      else if (ring.i32[record + at] !== (k ^ at)) wrong++;
    }
    if (task.produce) ring.publish(record);
    else ring.release(record);
  }
  return { records: task.records, wrong, waits };
}

if (parentPort !== null) parentPort.postMessage(run(workerData as RingTask));
