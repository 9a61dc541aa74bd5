/**
 * `weft demo --guests` as a user runs it who isn't root; and what it says where something is missing.
 */
import { chownSync, copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../control/demo/guests/image.ts';
import { kernelAtHand } from '../../control/demo/guests/kernel.ts';
import type { DemoResult } from '../../control/demo/result.ts';
import { GUESTS, itNeeds } from '../needs.ts';
import { WEFT } from '../netns/daemon.ts';

const NOBODY = 65_534;
const DEMO_MS = 120_000;

describe('weft demo --guests', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-demo-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const demo = (args: readonly string[], env: NodeJS.ProcessEnv, options: { uid?: number } = {}) =>
    execa(process.execPath, [WEFT, 'demo', '--guests', ...args], {
      reject: false,
      ...options,
      env: { TMPDIR: folder, ...env },
    });

  itNeeds(
    { ...GUESTS, addon: true },
    'shows two guests talking, without root, and leaves nothing',
    async () => {
      const uid = process.getuid!();
      const env: NodeJS.ProcessEnv = {};
      const options: { uid?: number } = {};
      if (uid === 0) {
        // What root fetched lies where nobody may look.
        const { file, modules } = kernelAtHand(cacheFolder())!;
        env.WEFT_GUEST_CACHE = join(folder, 'cache');
        env.WEFT_GUEST_KERNEL = join(folder, basename(file));
        env.WEFT_GUEST_MODULES = join(folder, 'modules');
        copyFileSync(file, env.WEFT_GUEST_KERNEL);
        cpSync(modules, env.WEFT_GUEST_MODULES, { recursive: true });
        chownSync(folder, NOBODY, NOBODY);
        options.uid = NOBODY;
      }
      const { exitCode, stdout, stderr } = await demo(['--json'], env, options);
      expect(stdout, stderr).not.toBe('');
      const result = JSON.parse(stdout) as DemoResult;
      expect(result.expectations.filter(({ held }) => !held)).toEqual([]);
      expect({ exitCode, ok: result.ok, mode: result.mode }).toEqual({ exitCode: 0, ok: true, mode: 'guests' });
      expect(result.ports.map(({ name }) => name)).toEqual(['vm1', 'vm2']);
      expect(result.ports[1]!.transmit.bytes).toBeGreaterThan(20e6);
      expect(result.drops).toEqual([expect.objectContaining({ port: 'vm1', reason: 'tagged-on-access' })]);
      expect(readdirSync(folder).filter((name) => name.startsWith('weft-demo-'))).toEqual([]);
    },
    DEMO_MS,
  );

  itNeeds(
    { ...GUESTS, addon: true, tools: [...GUESTS.tools, 'ps'] },
    'ends its guests and leaves nothing after Ctrl-C',
    async () => {
      const running = demo([], { WEFT_GUEST_CACHE: cacheFolder() });
      await new Promise<void>((resolve) => {
        running.stderr!.on('data', (data) => String(data).includes('The switch runs') && resolve());
      });
      running.kill('SIGINT');
      const { exitCode } = await running;
      expect(exitCode).toBe(1);
      expect(readdirSync(folder)).toEqual([]);
      const { stdout } = await execa('ps', ['-eo', 'args']);
      expect(stdout).not.toContain(folder);
    },
    DEMO_MS,
  );

  it('says in one sentence what isn’t installed', async () => {
    const { exitCode, stdout, stderr } = await demo([], { PATH: folder });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/needs qemu-system-x86_64 and busybox \(apt-get install qemu-system-x86 busybox-static\)/);
  });
});
