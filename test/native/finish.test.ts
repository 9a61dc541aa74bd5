// Builds the finisher's native tests with the sanitizers and runs them; they need no Node and no addon. Each part is one
// test here. WEFT_SEED repeats a random run, WEFT_CASES lengthens it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const SKIPPED = 77;
const BUILD_MS = 180_000;
const SOURCES = ['finish.test.cc', 'finish-rules.cc', 'finish-kernel.cc', '../../native/finish.cc'];
const FLAGS = ['-std=c++20', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';
const seed = process.env.WEFT_SEED ?? String(Date.now() % 1_000_000_000);
const cases = process.env.WEFT_CASES ?? '100000';

describe.skipIf(!hasCompiler)(`finish, native${reason}`, () => {
  const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-finish-')) : '';
  const program = join(folder, 'finish-test');

  const run = (...args: string[]) => {
    const { status, signal, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { status: status ?? signal, output: `${stdout}${stderr}` };
  };

  beforeAll(() => {
    const sources = SOURCES.map((name) => join(here, name));
    const built = spawnSync('g++', [...FLAGS, ...SANITIZERS, ...sources, '-o', program], { encoding: 'utf8' });
    expect(built.stderr).toBe('');
    expect(built.status).toBe(0);
  }, BUILD_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps every rule of the header, checksum and scratch', () => {
    expect(run('rules')).toEqual({ status: 0, output: '' });
  }, 60_000);

  it(`survives mutated descriptions (WEFT_SEED=${seed} WEFT_CASES=${cases})`, () => {
    const { status, output } = run('fuzz', seed, cases);
    expect(status, output).toBe(0);
  }, 600_000);

  it(`cuts super-frames as the kernel does, byte for byte (WEFT_SEED=${seed})`, (ctx) => {
    const { status, output } = run('kernel', seed, '300');
    if (status === SKIPPED) ctx.skip(output.trim());
    expect(status, output).toBe(0);
  }, 60_000);
});
