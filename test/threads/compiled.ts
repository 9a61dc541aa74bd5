/**
 * Worker threads and child processes for tests: Node 20 runs no TypeScript, and dist/ may be older than the source under test. Compiles
 * one file and what it imports, into a folder that goes away with the test file.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RELATIVE_IMPORT = /^(?:import|export)[^;]*?['"](\.[^'"]*\.ts)['"];/gms;

/** Compiles `entry` (a path in the clone) with everything that it imports; answers the path of the JavaScript. */
export function compiled(entry: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const waiting = [resolve(ROOT, entry)];
  const seen = new Set(waiting);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const text = readFileSync(file, 'utf8');
    const target = join(folder, relative(ROOT, file)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, transpile(text));
    for (const [, path] of text.matchAll(RELATIVE_IMPORT)) {
      const imported = resolve(dirname(file), path!);
      if (!seen.has(imported)) waiting.push(imported);
      seen.add(imported);
    }
  }
  return join(folder, entry).replace(/\.ts$/, '.js');
}

function transpile(text: string): string {
  return ts.transpileModule(text, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText;
}
