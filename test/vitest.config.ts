/**
 * Five projects in this order: unit (quick, in parallel, no devices, modules loaded once for all files of a worker), threads (addon and real
 * workers), devices (TAPs, namespaces, other people's programs), bonds (which measure how long nothing came), alone (those that measure
 * milliseconds, or take whole CPUs). Threads and devices run two files at a time, bonds three: most of them wait, in namespaces and folders
 * of their own. A folder that is named nowhere is `devices`.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ClosingReporter } from './reporter.ts';

const UNIT = ['test/tidy.test.ts', 'test/{unit,golden,fuzz,sim}/**/*.test.ts'];
const LIMITS = { testTimeout: 60_000, hookTimeout: 60_000 };
/** Loading is a third of their time, so files share it; vitest would leave a CPU idle besides. */
const QUICK = {
  ...LIMITS,
  isolate: false,
  maxWorkers: '100%',
  setupFiles: ['test/unit/timers.ts'],
};
const THREADS = ['test/{threads,native}/**/*.test.ts'];
const BONDS = ['test/interop/bond-lacp.test.ts', 'test/netns/{bond,bond-alb,bond-monitor,bond-pair,bond-slb}.test.ts'];
const ALONE = [
  'test/unit/control/thousand-ports.test.ts',
  'test/guests/{flood,foreign,idle,migration,queues}.test.ts',
  'test/interop/{guests-bench,prometheus}.test.ts',
  'test/netns/{churn,control-devices,counting,life-cycle}.test.ts',
];
/**
 * On real devices a machine that stood still for a moment looks as a switch that did. One that fails is tried once more, named at the end
 * (reporter.ts), and more than a few of them fail the run.
 */
const PATIENT = { ...LIMITS, retry: 1 };
const TWO = { ...PATIENT, maxWorkers: 2 };

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    reporters: ['default', new ClosingReporter()],
    silent: 'passed-only',
    projects: [
      { test: { name: 'unit', include: UNIT, exclude: ALONE, ...QUICK, sequence: { groupOrder: 0 } } },
      { test: { name: 'threads', include: THREADS, ...TWO, retry: 0, sequence: { groupOrder: 1 } } },
      {
        test: {
          name: 'devices',
          include: ['test/**/*.test.ts'],
          exclude: [...UNIT, ...THREADS, ...BONDS, ...ALONE],
          ...TWO,
          sequence: { groupOrder: 2 },
        },
      },
      { test: { name: 'bonds', include: BONDS, ...PATIENT, maxWorkers: 3, sequence: { groupOrder: 3 } } },
      { test: { name: 'alone', include: ALONE, ...PATIENT, fileParallelism: false, sequence: { groupOrder: 4 } } },
    ],
  },
});
