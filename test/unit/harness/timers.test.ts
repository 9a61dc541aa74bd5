import { expect, it } from 'vitest';
import { runningTimers } from '../timers.ts';

it('a timer that runs is told with the place where it was started, until it fired or was cleared', async () => {
  const [waiting, again] = [setTimeout(() => {}, 60_000), setInterval(() => {}, 60_000)];
  const fired = new Promise((resolve) => setTimeout(resolve, 1));
  await fired;
  try {
    const left = runningTimers();
    expect(left).toHaveLength(2);
    for (const place of left) expect(place).toMatch(/harness\/timers\.test\.ts:5:/);
  } finally {
    clearTimeout(waiting);
    clearInterval(again);
  }
  expect(runningTimers()).toEqual([]);
  clearTimeout(setTimeout(() => {}, 60_000));
  expect(runningTimers()).toEqual([]);
});
