/** The bench as a user runs it and stops it: nothing that it made stays behind, and what was measured so far is kept. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { Report } from '../../bench/report.ts';
import { pidOfPrefix } from '../../bench/system/site.ts';
import { describeNeeds } from '../needs.ts';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const SIGTERM_STATUS = 143;

async function namespacesOf(pid: number): Promise<string[]> {
  const { stdout } = await execa('ip', ['netns', 'list']);
  return stdout.split('\n').filter((name) => pidOfPrefix(name) === pid);
}

const because = existsSync(BENCH) ? null : 'needs dist/: npm run build';
describeNeeds({ root: true, addon: true, tools: ['ip', 'ping', 'sleep'], because }, 'a bench that is stopped', () => {
  let out = '';
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  it('keeps what it has measured, says what it has not, and removes what it made', async () => {
    const args = [BENCH, 'system', '--quick', '--only', 'start,memory', '--against', 'linux-bridge', '--out', out];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const closed = once(child, 'close');
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      // A second signal would end it at once.
      if (!child.killed && /^\S+ memory: /m.test(said)) child.kill('SIGTERM');
    });
    expect((await closed)[0], said).toBe(SIGTERM_STATUS);
    const { rows, skipped } = JSON.parse(readFileSync(join(out, 'system.json'), 'utf8')) as Report;
    expect(rows.map(({ scenario, variant }) => `${scenario} ${variant}`)).toEqual(['start 2 ports', 'start 50 ports']);
    expect(skipped).toEqual(['memory: this bench was stopped']);
    expect(said).toContain(`2 rows so far in ${join(out, 'system.md')}`);
    expect(await namespacesOf(child.pid!)).toEqual([]);
  });
});
