/** Flags of V8 that weft sets while it runs: an engine that doesn't know one says so on stderr and goes on without it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function flagsIn(folder: string): string[] {
  const files = readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const sources = files.map((name) => readFileSync(`${ROOT}${folder}/${name}`, 'utf8'));
  return sources.flatMap((source) =>
    [...source.matchAll(/setFlagsFromString\(\s*['"`](--[a-z0-9-]+)/g)].map(([, flag]) => flag!),
  );
}

it('this engine knows all of them', () => {
  const flags = ['control', 'dataplane', 'native'].flatMap(flagsIn);
  expect(flags).toContain('--gc-memory-reducer-start-delay-ms');
  expect(flags).toContain('--max-inlined-bytecode-size');
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  const isKnown = (flag: string) => known.includes(`\n  ${flag} (`);
  expect(flags.filter((flag) => !isKnown(flag))).toEqual([]);
  expect(isKnown('--no-such-flag')).toBe(false);
});
