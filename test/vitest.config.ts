/**
 * Three projects in this order: unit (quick, in parallel, no devices), threads (addon and real workers), devices (TAPs, namespaces, other
 * people's programs). The last two run one file at a time, since they share devices and cores. A folder that is named nowhere is `devices`.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ClosingReporter } from './reporter.ts';

const UNIT = ['test/tidy.test.ts', 'test/{unit,golden,fuzz,sim}/**/*.test.ts'];
const THREADS = ['test/{threads,native}/**/*.test.ts'];
const ALONE = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    reporters: ['default', new ClosingReporter()],
    silent: 'passed-only',
    projects: [
      { test: { name: 'unit', include: UNIT, testTimeout: 20_000, sequence: { groupOrder: 0 } } },
      { test: { name: 'threads', include: THREADS, ...ALONE, sequence: { groupOrder: 1 } } },
      {
        test: {
          name: 'devices',
          include: ['test/**/*.test.ts'],
          exclude: [...UNIT, ...THREADS],
          ...ALONE,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
