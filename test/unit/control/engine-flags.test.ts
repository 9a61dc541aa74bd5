/** Flags of V8 that weft sets while it runs: an engine that doesn't know one says so on stderr and goes on without it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const FILES = ['control/cli/main.ts', 'dataplane/inlining.ts'];

it.each(FILES)('this engine knows the flags that %s sets', (file) => {
  const source = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
  const flags = [...source.matchAll(/setFlagsFromString\(['"`](--[a-z0-9-]+)/g)].map(([, flag]) => flag!);
  expect(flags).not.toEqual([]);
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  for (const flag of flags) expect(known).toContain(`${flag} (`);
});
