/**
 * The demo as a user runs it: the built command as a process, on real devices and without any. What it says must hold by what it counted,
 * and nothing that it made may be left: at its end, after Ctrl-C, and after --clean.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DemoResult } from '../../control/demo/result.ts';
import { describeNeeds } from '../needs.ts';

const WEFT = fileURLToPath(new URL('../../dist/control/cli/main.js', import.meta.url));
const NOBODY = 65_534;
/** A temporary folder of our own: `--clean` would remove a demo that somebody else keeps. */
const TMP = mkdtempSync(join(tmpdir(), 'weft-test-'));
afterAll(() => rmSync(TMP, { recursive: true, force: true }));

/** Runs `weft demo …`; `pid` is what its namespaces are called by. */
async function demo(args: readonly string[], options: { env?: NodeJS.ProcessEnv; uid?: number } = {}) {
  const child = execa(process.execPath, [WEFT, 'demo', ...args], {
    reject: false,
    ...options,
    env: { TMPDIR: TMP, ...options.env },
  });
  const { exitCode, stdout, stderr } = await child;
  return { pid: child.pid!, exitCode, stdout, stderr };
}

async function namespacesOf(pid: number): Promise<string[]> {
  const { stdout } = await execa('ip', ['netns', 'list']);
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name.startsWith(`weft-demo-${pid}-`));
}

function foldersOf(pid: number): string[] {
  return readdirSync(TMP).filter((name) => name.startsWith(`weft-demo-${pid}-`));
}

async function isGone(pid: number): Promise<void> {
  expect(await namespacesOf(pid)).toEqual([]);
  expect(foldersOf(pid)).toEqual([]);
}

/** A process's command line; empty when it has ended, whether or not somebody has reaped it. */
function commandOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Resolves with everything on stderr once it matches. */
function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (pattern.test(text)) resolve(text);
    });
    child.once('exit', () => reject(new Error(`ended before it said ${pattern}: ${text}`)));
  });
}

function expectHeld(result: DemoResult): void {
  expect(result.expectations.filter(({ held }) => !held)).toEqual([]);
  expect(result.ok).toBe(true);
}

describe('weft demo --memory', () => {
  it('shows both tenants without root, devices or addon', async () => {
    const { exitCode, stdout } = await demo(['--memory', '--json', '--seconds', '1'], {
      env: { WEFT_ADDON: join(tmpdir(), 'no-addon-here') },
    });
    const result = JSON.parse(stdout) as DemoResult;
    expectHeld(result);
    expect(exitCode).toBe(0);
    expect(result.expectations.map(({ what }) => what)).toContain('red1 does not reach blue1');
    expect(result.drops).toEqual([
      expect.objectContaining({ port: 'red1', reason: 'tagged-on-access', frames: 5, meaning: expect.any(String) }),
    ]);
    const [red1, red2, blue1, blue2] = result.ports;
    expect(red2!.transmit.frames).toBeGreaterThan(1000);
    // Nothing of red's stream, echo or ARP came out at blue: only what blue said to itself.
    expect(blue1!.transmit.frames + blue2!.transmit.frames).toBe(blue1!.receive.frames + blue2!.receive.frames);
    expect(red1!.receive.frames).toBeGreaterThanOrEqual(red2!.transmit.frames);
  });

  it('prints a picture, the ports and what was dropped for people', async () => {
    const { exitCode, stdout, stderr } = await demo(['--memory', '--seconds', '1']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^red1 +access 10 /m);
    expect(stdout).toMatch(/red1 +5 +tagged-on-access +A tagged frame came in on an access port\./);
    expect(stdout).toMatch(/5 of 5 expectations held/);
    expect(stderr.match(/^ {2}ok /gm)).toHaveLength(5);
  });
});

describeNeeds({ root: true }, 'weft demo as nobody', () => {
  it('says in one sentence what it needs and what works without', async () => {
    const { exitCode, stdout, stderr } = await demo([], { uid: NOBODY });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/needs root .*--memory/);
  });
});

describeNeeds({ root: true, tun: true, addon: true, tools: ['ip'] }, 'weft demo on devices', () => {
  it('holds what it promises and leaves nothing', async () => {
    const { pid, exitCode, stdout, stderr } = await demo(['--json', '--seconds', '1']);
    expect(stdout, stderr).not.toBe('');
    const result = JSON.parse(stdout) as DemoResult;
    expectHeld(result);
    expect(exitCode).toBe(0);
    expect(result.throughput!.bitsPerSecond).toBeGreaterThan(1e6);
    const [red1, red2, blue1, blue2] = result.ports;
    // The stream's bytes crossed the switch, and none of them came out at blue.
    expect(red2!.transmit.bytes).toBeGreaterThan((result.throughput!.bitsPerSecond / 8) * 0.5);
    expect(red1!.receive.bytes).toBeGreaterThanOrEqual(red2!.transmit.bytes);
    expect(blue1!.transmit.bytes + blue2!.transmit.bytes).toBeLessThan(1e6);
    expect(result.metrics!.sample.length).toBeGreaterThan(0);
    await isGone(pid);
  });

  it('removes everything after Ctrl-C', async () => {
    const child = spawn(process.execPath, [WEFT, 'demo', '--seconds', '30'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: TMP },
    });
    await said(child, /red1 reaches red2/);
    expect(await namespacesOf(child.pid!)).toHaveLength(4);
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(1);
    await isGone(child.pid!);
  });

  it('--clean removes what a killed demo left', async () => {
    const child = spawn(process.execPath, [WEFT, 'demo', '--seconds', '30'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TMPDIR: TMP },
    });
    await said(child, /blue2 does not reach red2/);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    expect(await namespacesOf(child.pid!)).toHaveLength(4);
    const cleaned = await demo(['--clean']);
    expect(cleaned.stdout).toMatch(/removed process \d+/);
    await isGone(child.pid!);
  });

  describe('--keep', () => {
    let pid = 0;
    let result: DemoResult;
    beforeAll(async () => {
      const kept = await demo(['--keep', '--json', '--seconds', '1']);
      pid = kept.pid;
      result = JSON.parse(kept.stdout) as DemoResult;
    });
    afterAll(async () => {
      if (foldersOf(pid).length > 0) await demo(['--clean']);
    });

    it('leaves a switch that answers and forwards', async () => {
      const { socket, namespaces } = result.kept!;
      const shown = await execa(process.execPath, [WEFT, 'show', 'ports', '--json', '--socket', socket]);
      expect((JSON.parse(shown.stdout) as { name: string; up: boolean }[]).filter(({ up }) => up)).toHaveLength(4);
      const metrics = await fetch(result.metrics!.url);
      expect(await metrics.text()).toContain('weft_port_up{');
      expect(namespaces).toEqual(await namespacesOf(pid).then((names) => expect.arrayContaining(names)));
    });

    it('is removed by --clean, and by nothing else', async () => {
      expect(existsSync(result.kept!.folder)).toBe(true);
      const cleaned = await demo(['--clean']);
      expect(cleaned.exitCode).toBe(0);
      expect(cleaned.stdout).toContain(`removed namespace weft-demo-${pid}-red1`);
      await isGone(pid);
      expect(commandOf(result.kept!.pid)).toBe('');
    });
  });
});
