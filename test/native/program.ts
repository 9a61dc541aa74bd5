/**
 * A C++ test program: built with the sanitizers from sources of test/native and native, and run part by part. None of it needs Node or the
 * addon. Its files are compiled one by one, on two cores, since one call of the compiler uses one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect } from 'vitest';

/** What a program ends with that could not do its part here; it says why. */
export const SKIPPED = 77;
const BUILD_MS = 480_000;
const FLAGS = ['-std=c++20', '-O1', '-g1', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti', '-pthread'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover', '-D_GNU_SOURCE'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';

interface End {
  /** Its exit status, or the signal that ended it. */
  readonly status: number | string | null;
  readonly output: string;
}

export const FINE: End = { status: 0, output: '' };

export type Run = (...args: readonly (string | number)[]) => Promise<End>;

function end(command: string, args: readonly string[]): Promise<End> {
  return new Promise((resolve) => {
    const child = spawn(command, args);
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (status, signal) => resolve({ status: signal ?? status, output }));
  });
}

/** A suite around a program of `tests` (files of test/native) and `native` (of native), all without `.cc`. Skipped without a compiler. */
export function describeProgram(
  title: string,
  tests: readonly string[],
  native: readonly string[],
  body: (run: Run) => void,
): void {
  describe.skipIf(!hasCompiler)(`${title}${reason}`, () => {
    const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-native-')) : '';
    const program = join(folder, 'program');

    async function compile(source: string): Promise<string> {
      const object = join(folder, `${source.replaceAll(/[^a-z]/g, '-')}.o`);
      expect(await end('g++', [...FLAGS, ...SANITIZERS, '-c', join(here, `${source}.cc`), '-o', object])).toEqual(FINE);
      return object;
    }

    beforeAll(async () => {
      const sources = [...tests, ...native.map((name) => `../../native/${name}`)];
      const halves = await Promise.all(
        [0, 1].map(async (half) => {
          const objects: string[] = [];
          for (let k = half; k < sources.length; k += 2) objects.push(await compile(sources[k]!));
          return objects;
        }),
      );
      expect(await end('g++', [...SANITIZERS, '-pthread', ...halves.flat(), '-o', program])).toEqual(FINE);
    }, BUILD_MS);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    body((...args) => end(program, args.map(String)));
  });
}
