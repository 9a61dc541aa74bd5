/** One capture's queue: what waits for a slow reader is bounded in frames and bytes, and every loss is told. */
import { expect, it } from 'vitest';
import { RunningCapture } from '../../../control/running/captures.ts';

const frame = (bytes: number) =>
  ({ direction: 'in', time: 0n, originalBytes: bytes, bytes: new Uint8Array(bytes) }) as const;

it('super-frames that nobody reads are bounded by their bytes', async () => {
  const capture = new RunningCapture(async () => undefined);
  for (let k = 0; k < 1000; k++) capture.give(frame(65_000));
  await capture.close();
  let bytes = 0;
  let frames = 0;
  for await (const got of capture) {
    bytes += got.bytes.length;
    frames++;
  }
  expect(bytes).toBeLessThanOrEqual(16 << 20);
  expect(bytes).toBeGreaterThan(8 << 20);
  expect(frames + capture.lost).toBe(1000);
});

it('what has been read makes room again', async () => {
  const capture = new RunningCapture(async () => undefined);
  const reader = capture[Symbol.asyncIterator]();
  for (let k = 0; k < 1000; k++) {
    capture.give(frame(65_000));
    await reader.next();
  }
  expect(capture.lost).toBe(0);
});

it('losses in the workers’ rings are told while it runs, and final once it is closed', async () => {
  const capture: RunningCapture = new RunningCapture(async () => {
    await Promise.resolve();
    capture.tellLost(1, 9);
  });
  capture.tellLost(0, 3);
  capture.tellLost(1, 4);
  expect(capture.lost).toBe(7);
  await capture.close();
  expect(capture.lost).toBe(12);
});
