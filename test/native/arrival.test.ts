// Builds the native tests of what tunnels receive (headers, frames in them, merging) with the sanitizers and runs them; they need no Node and
// no addon. WEFT_SEED repeats a random run, WEFT_CASES lengthens it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { seedFor } from '../seed.ts';

const BUILD_MS = 480_000;
const RUN_MS = isLong() ? 3_600_000 : 300_000;
const CASES = Number(process.env.WEFT_CASES ?? (isLong() ? 2_000_000 : 20_000));
/** A case of streams is some hundred frames. */
const STREAMS = Math.ceil(CASES / 50);
const TESTS = ['arrival.test', 'arrival-rules', 'coalesce-rules', 'arrival-fuzz'];
const NATIVE = ['decapsulate', 'inner', 'coalesce', 'slots', 'finish', 'registry'];
const FLAGS = ['-std=c++20', '-O1', '-g1', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti', '-pthread'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover', '-D_GNU_SOURCE'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';

describe.skipIf(!hasCompiler)(`tunnels’ arrivals, native${reason}`, () => {
  const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-arrival-')) : '';
  const program = join(folder, 'arrival-test');

  const run = (...args: string[]) => {
    const { status, signal, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { status: status ?? signal, output: `${stdout}${stderr}` };
  };

  beforeAll(() => {
    const sources = [
      ...TESTS.map((name) => join(here, `${name}.cc`)),
      ...NATIVE.map((name) => join(here, `../../native/${name}.cc`)),
    ];
    const built = spawnSync('g++', [...FLAGS, ...SANITIZERS, ...sources, '-o', program], { encoding: 'utf8' });
    expect(built.stderr).toBe('');
    expect(built.status).toBe(0);
  }, BUILD_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps every rule of headers, unfinished checksums and merging', () => {
    expect(run('rules')).toEqual({ status: 0, output: '' });
  }, 60_000);

  it.each([
    ['streams', STREAMS],
    ['garbage', CASES],
  ])(
    'loses and reorders nothing, and reads nothing outside: %s',
    (part, cases) => {
      const { status, output } = run(part, String(seedFor(part)), String(cases));
      expect(status, output).toBe(0);
    },
    RUN_MS,
  );
});
