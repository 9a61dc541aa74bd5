// Builds the guests' native tests with the sanitizers and runs them; they need no Node and no addon. WEFT_SEED repeats a random run,
// WEFT_CASES lengthens it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLong } from '../needs.ts';
import { seedFor } from '../seed.ts';

const BUILD_MS = 480_000;
const FUZZ_MS = isLong() ? 7_200_000 : 300_000;
const CASES = Number(process.env.WEFT_CASES ?? (isLong() ? 100_000_000 : 1_000_000));
/** The same, a tenth of them, beside a thread that writes into the memory that is being read. */
const SCRIBBLED = CASES / 10;
const TESTS = [
  'guest.test',
  'guest-receive-rules',
  'guest-transmit-rules',
  'guest-ring-rules',
  'guest-fault',
  'guest-fair',
  'guest-fuzz',
];
const NATIVE = [
  'doorbell',
  'guest',
  'guest-memory',
  'guest-ring',
  'guest-receive',
  'guest-transmit',
  'slots',
  'finish',
  'registry',
  'engine',
  'receive',
  'transmit',
  'uring',
];
const FLAGS = ['-std=c++20', '-O1', '-g1', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti', '-pthread'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover', '-D_GNU_SOURCE'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';

interface End {
  readonly status: number | string | null;
  readonly output: string;
}

function run(command: string, args: readonly string[]): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(command, args);
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (status, signal) => resolve({ status: signal ?? status, output }));
  });
}

describe.skipIf(!hasCompiler)(`guests, native${reason}`, () => {
  const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-guest-')) : '';
  const program = join(folder, 'guest-test');

  async function compile(source: string): Promise<string> {
    const object = join(folder, `${source.replaceAll(/[^a-z]/g, '-')}.o`);
    expect(await run('g++', [...FLAGS, ...SANITIZERS, '-c', join(here, source), '-o', object])).toEqual({
      status: 0,
      output: '',
    });
    return object;
  }

  beforeAll(async () => {
    const sources = [...TESTS.map((name) => `${name}.cc`), ...NATIVE.map((name) => `../../native/${name}.cc`)];
    const halves = await Promise.all(
      [0, 1].map(async (half) => {
        const objects: string[] = [];
        for (let k = half; k < sources.length; k += 2) objects.push(await compile(sources[k]!));
        return objects;
      }),
    );
    expect(await run('g++', [...SANITIZERS, '-pthread', ...halves.flat(), '-o', program])).toEqual({
      status: 0,
      output: '',
    });
  }, BUILD_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps every rule of virtio, and says which one a guest broke', async () => {
    expect(await run(program, ['rules'])).toEqual({ status: 0, output: '' });
  }, 60_000);

  it('outlives files that are cut short, and takes no fault that is another’s', async () => {
    expect(await run(program, ['faults'])).toEqual({ status: 0, output: '' });
  }, 60_000);

  it('leaves every port its share beside those that flood, hog or take nothing', async () => {
    expect(await run(program, ['shares'])).toEqual({ status: 0, output: '' });
  }, 60_000);

  it.each([
    ['fuzz', CASES],
    ['scribbles', SCRIBBLED],
  ])(
    `survives hostile guests: %s`,
    async (part, cases) => {
      const { status, output } = await run(program, [part, String(seedFor(part)), String(cases)]);
      expect(status, output).toBe(0);
    },
    FUZZ_MS,
  );
});
