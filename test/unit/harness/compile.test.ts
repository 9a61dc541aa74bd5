/** native/compile.mjs writes named integers into the code that uses them, and nothing else. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const CONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    rewriteRelativeImportExtensions: true,
    strict: true,
    rootDir: '.',
    outDir: 'dist',
    types: [],
  },
};
const NAMES = `export const Word = { A: 1, B: 2 + 3, C: -1 } as const;
export const SHIFT = 4;
export const MASK = (1 << SHIFT) - 1;
export let changing = 7;
export const text = 'x';
export const open = { A: 9 };
export function change(): void { changing++; }
`;
const USER = `import { changing, MASK, open, SHIFT, text, Word } from './names.ts';
export function use(words: Int32Array, at: number): unknown[] {
  const SHIFT_HERE = words[0]!;
  return [words[at + Word.B], at << SHIFT, at & MASK, at + Word.C, { SHIFT, A: Word.A }, changing + 0, open.A + 0, text, SHIFT_HERE + 0, Word];
}
`;

test('integers are written where they are used; what can change stays', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-compile-'));
  folders.push(folder);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(join(root, 'node_modules/typescript'), join(folder, 'node_modules/typescript'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG));
  writeFileSync(join(folder, 'names.ts'), NAMES);
  writeFileSync(join(folder, 'use.ts'), USER);
  await execa(process.execPath, [join(root, 'native/compile.mjs'), folder]);
  const code = readFileSync(join(folder, 'dist/use.js'), 'utf8').replaceAll(/ \/\*.*?\*\//g, '');
  expect(code).toContain(
    'words[at + 5], at << 4, at & 15, at + (-1), { SHIFT, A: 1 }, changing + 0, open.A + 0, text, SHIFT_HERE + 0, Word]',
  );
  const { use } = (await import(join(folder, 'dist/use.js'))) as { use: (words: Int32Array, at: number) => unknown[] };
  expect(use(Int32Array.from([1, 2, 3, 4, 5, 6, 7]), 1)).toEqual([
    7,
    16,
    1,
    0,
    { SHIFT: 4, A: 1 },
    7,
    9,
    'x',
    1,
    { A: 1, B: 5, C: -1 },
  ]);
});
