/**
 * `weft` as a process: the daemon's life, its signals and exit codes, over ports that need no root. Runs what `npm run build` made.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { describeNeeds, itNeeds } from '../../needs.ts';

const WEFT = fileURLToPath(new URL('../../../dist/control/cli/main.js', import.meta.url));
const built = existsSync(WEFT) ? null : 'needs dist/: npm run build';
const GOOD =
  'metrics: false\nbridges: [{ name: br0, ports: [{ name: a, kind: memory }, { name: b, kind: memory }] }]\n';

let folder: string;
let file: string;
let socket: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-process-'));
  file = join(folder, 'weft.yaml');
  socket = join(folder, 'weft.sock');
  writeFileSync(file, GOOD);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function weft(...args: readonly string[]) {
  return spawnSync(process.execPath, [WEFT, '--socket', socket, ...args], { encoding: 'utf8' });
}

async function run(): Promise<{ child: ChildProcess; ready: string }> {
  const child = spawn(process.execPath, [WEFT, 'run', '-c', file, '--socket', socket], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => (complaint += piece));
  const [first] = (await Promise.race([once(child.stdout!, 'data'), once(child, 'exit').then(() => [''])])) as [
    Buffer | string,
  ];
  expect(String(first), complaint).toMatch(/^ready /);
  return { child, ready: String(first) };
}

describeNeeds({ addon: true, because: built }, 'weft as a process', () => {
  itNeeds(
    {},
    'run prints ready, answers, reloads at SIGHUP and ends at SIGTERM with 0, leaving no socket',
    async () => {
      const { child, ready } = await run();
      expect(ready).toBe(`ready bridges=1 ports=2 socket=${socket}\n`);
      expect(JSON.parse(weft('show', 'ports', '--json').stdout)).toHaveLength(2);
      writeFileSync(file, GOOD.replace(', { name: b, kind: memory }', ''));
      child.kill('SIGHUP');
      await expect.poll(() => JSON.parse(weft('show', 'ports', '--json').stdout).length, { timeout: 10_000 }).toBe(1);
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
      expect(existsSync(socket)).toBe(false);
    },
    30_000,
  );

  itNeeds(
    {},
    'a second run at the same socket is refused; after kill -9 the socket is taken over; SIGINT ends with 0',
    async () => {
      const { child } = await run();
      const second = weft('run', '-c', file);
      expect([second.status, second.stderr]).toEqual([
        1,
        expect.stringContaining(`a weft already runs and answers at ${socket}`),
      ]);
      const killed = once(child, 'exit');
      child.kill('SIGKILL');
      await killed;
      expect(existsSync(socket)).toBe(true);
      const { child: next } = await run();
      const exited = once(next, 'exit');
      next.kill('SIGINT');
      expect(await exited).toEqual([0, null]);
    },
    30_000,
  );

  itNeeds(
    {},
    'a bad file ends run and check with 2 and the place',
    () => {
      writeFileSync(file, GOOD.replace('kind: memory', 'kind: memroy'));
      for (const command of [
        ['run', '-c', file],
        ['check', file],
      ]) {
        const { status, stdout, stderr } = weft(...command);
        expect([status, stdout]).toEqual([2, '']);
        expect(stderr).toMatch(/weft\.yaml:2: bridges\[0\]\.ports\[0\]\.kind: .*did you mean "memory"/);
      }
    },
    30_000,
  );

  itNeeds(
    {},
    'a reader that goes away ends a command quietly',
    async () => {
      const child = spawn(process.execPath, [WEFT, 'completion', 'bash'], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout?.destroy();
      let complaint = '';
      child.stderr?.setEncoding('utf8').on('data', (piece: string) => (complaint += piece));
      expect([await once(child, 'exit'), complaint]).toEqual([[0, null], '']);
    },
    30_000,
  );

  itNeeds({}, 'an addon that is missing or does not fit ends run with 1, the remedy and no stack', () => {
    const run = (addonFolder: string) => {
      const env = { ...process.env, WEFT_ADDON: addonFolder };
      return spawnSync(process.execPath, [WEFT, 'run', '-c', file, '--socket', socket], { encoding: 'utf8', env });
    };
    const missing = run(folder);
    expect(missing.status).toBe(1);
    expect(missing.stderr).toContain('the addon could not be loaded');
    expect(missing.stderr).toContain('npm run build');
    expect(missing.stderr).not.toMatch(/^ +at /m);
    mkdirSync(join(folder, 'weft.node'));
    writeFileSync(join(folder, 'weft.node/index.js'), 'exports.abi = () => ({ HEAD_BYTES: 1 });');
    const other = run(folder);
    expect(other.status).toBe(1);
    expect(other.stderr).toMatch(/disagree on HEAD_BYTES: 1 there, \d+ here\n.*npm run build/);
    expect(existsSync(socket)).toBe(false);
  });
});
