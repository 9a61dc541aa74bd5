/**
 * The addon's life cycle: nothing leaks, closed handles are refused, workers and whole processes may end at any moment. Each story is a
 * process of its own (child.mjs) in a network namespace of its own, so that no device outlives it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { seedFor } from '../seed.ts';

const CHILD = fileURLToPath(new URL('./lifecycle/child.mjs', import.meta.url));
const isBuilt = existsSync(fileURLToPath(new URL('../../dist/native/binding.js', import.meta.url)));

function live(story: string, ...more: string[]) {
  const args = ['--net', '--', process.execPath, CHILD, story, ...more];
  const { status, signal, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 50_000 });
  return { end: signal ?? status, stdout, stderr };
}

function told(story: string, ...more: string[]): Record<string, unknown> {
  const { end, stdout, stderr } = live(story, ...more);
  expect(end, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const wanted = {
  root: true,
  tun: true,
  addon: true,
  tools: ['unshare'],
  because: isBuilt ? null : 'needs dist/: npm run build',
};

describeNeeds(wanted, 'the addon', () => {
  it('gives back every descriptor of the devices that it opened', () => {
    const { before, during, after, devices } = told('descriptors');
    expect(during as number).toBeGreaterThanOrEqual((before as number) + 32);
    expect(after).toBe(before);
    expect(devices).toBe(0);
  });

  it('gives back every descriptor of eight workers that are terminated at random', () => {
    const { before, after, devices } = told('terminations', String(seedFor('terminations')));
    expect(after).toBe(before);
    expect(devices).toBe(0);
  });

  it('refuses closed and foreign handles', () => {
    expect(told('handles')).toEqual({
      closedTwice: 'EBADF',
      foreign: 'EBADF',
      persistClosed: 'EBADF',
      attachClosed: -9,
      detachUnknown: -2,
      openTwice: 'EINVAL',
      secondArena: 'EEXIST',
      turn: 0,
    });
  });

  it('answers odd arguments, with and without an arena', () => {
    expect(told('oddities').count).toBeGreaterThan(5000);
  });

  it('prefers the main thread, and nothing that it starts', () => {
    expect(told('priority')).toEqual({ answered: 0, main: -10, started: true, others: true, child: 0 });
  });

  it.each(['loaded', 'mapped', 'opened', 'engine', 'attached', 'turned', 'workers'])(
    'lets the process exit when %s',
    (step) => {
      const { end, stderr } = live('exits', step);
      expect(stderr).toBe('');
      expect(end).toBe(7);
    },
  );
});
