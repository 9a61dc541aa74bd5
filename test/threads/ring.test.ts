/** A byte ring between two real threads, through wrap, full and empty. */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { BYTE_RING_HEADER_BYTES, Ring } from '../../dataplane/memory/layout.ts';
import { isLong } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { compiled } from './compiled.ts';
import type { RingResult, RingTask } from './ring-worker.ts';

const script = compiled('test/threads/ring-worker.ts');

function run(task: RingTask): Promise<RingResult> {
  const worker = new Worker(script, { workerData: task });
  return new Promise((resolve, reject) => {
    worker.on('message', (result) => {
      resolve(result);
      void worker.terminate();
    });
    worker.on('error', reject);
  });
}

it.each([
  ['small: full most of the time', 512, 200, 0],
  ['of one page, cursors that run over', 4096, 1500, 0x7fff_ffff - 4095],
  ['large', 65_536, 1500, 0],
])('two threads on a ring, %s: every record whole and in order', async (_, bytes, dataMax, cursor) => {
  const seed = seedFor('two threads on a ring');
  const memory = new SharedArrayBuffer(BYTE_RING_HEADER_BYTES + bytes);
  const i32 = new Int32Array(memory);
  i32[Ring.HEAD] = cursor;
  i32[Ring.TAIL] = cursor;
  const records = isLong() ? 2_000_000 : 20_000;
  const task = { memory, bytes, seed, records, dataMax };
  const [producer, consumer] = await Promise.all([run({ ...task, produce: true }), run({ ...task, produce: false })]);
  expect([producer.wrong, consumer.wrong]).toEqual([0, 0]);
  expect(producer.waits + consumer.waits).toBeGreaterThan(0);
  expect(i32[Ring.HEAD]).toBe(i32[Ring.TAIL]);
});
