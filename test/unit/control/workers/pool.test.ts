import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type PoolOptions, WorkerPool } from '../../../../control/workers/pool.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-pool-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Loads for `ms`; leaves a file once it has. */
function slowWorker(ms: number): string {
  const file = join(folder, 'slow.mjs');
  const text = `import { writeFileSync } from 'node:fs';
await new Promise((resolve) => setTimeout(resolve, ${ms}));
export function serve({ orders }) {
  writeFileSync(${JSON.stringify(join(folder, 'loaded'))}, '');
  orders.postMessage({ type: 'standing-by' });
  return new Promise(() => orders.ref());
}`;
  writeFileSync(file, text);
  return file;
}

it('lets the spare load before it ends it: Node may end the process with a thread that loads a module', async () => {
  const options = { count: 0, file: slowWorker(300), log: { warn: vi.fn() } };
  const pool = new WorkerPool(options as unknown as PoolOptions);
  await pool.start();
  await once(process, 'worker');
  await pool.close();
  expect(existsSync(join(folder, 'loaded'))).toBe(true);
});
