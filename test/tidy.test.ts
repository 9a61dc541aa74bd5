/**
 * The house rules, as far as the source's text can prove them. Each check is a pure function in tidy/ that returns findings, run once
 * over the tree and once over a bad sample, so that none can pass by looking at nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DROPS, Drop } from '../dataplane/drop.ts';
import { syntaxFindings, textFindings } from './tidy/habits.ts';
import { hotFindings, isHot } from './tidy/hot.ts';
import { commandFindings, type Manifest, readmeFindings, scriptFindings, topFindings } from './tidy/house.ts';
import { cycleFindings, dependencyFindings, layerFindings, orderFindings } from './tidy/layers.ts';
import { tableFindings, unusedFindings } from './tidy/reasons.ts';
import { FILE_LINES_MAX, FUNCTION_LINES_MAX, sizeFindings } from './tidy/sizes.ts';
import { listFiles, ROOT, readSources, type Source } from './tidy/tree.ts';

const paths = listFiles();
const sources = readSources(paths);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest & {
  dependencies: Record<string, string>;
};

function sample(path: string, ...lines: string[]): Source {
  return { path, text: `${lines.join('\n')}\n` };
}

it('looks at the whole tree', () => {
  for (const path of [
    'dataplane/path/1-parse.ts',
    'native/engine.cc',
    'package-lock.json',
    'test/tidy.test.ts',
    'native/ready.mjs',
  ]) {
    expect(sources.map((source) => source.path)).toContain(path);
  }
  expect(sources.filter(isHot).length).toBeGreaterThan(10);
});

describe('the outline', () => {
  it('has only the agreed names at the top level', () => expect(topFindings(paths)).toEqual([]));
  it('has a README.md in every folder with code', () => expect(readmeFindings(paths)).toEqual([]));
  it('has scripts that run files which exist', () => expect(scriptFindings(manifest, paths)).toEqual([]));
  it('has READMEs whose commands exist', () => {
    const readmes = sources.filter(({ path }) => path.endsWith('README.md'));
    expect(commandFindings(readmes, manifest, paths)).toEqual([]);
  });

  it('would notice a stray file, a folder without README, a dead script and a wrong command', () => {
    expect(topFindings(['src/a.ts', '.ci/run', 'README.md'])).toEqual(['src must not stand at the top level']);
    expect(readmeFindings(['native/README.md', 'native/a.cc', 'bench/peers/a.ts', 'test/unit/a.ts'])[0]).toMatch(
      /^bench\/peers\/README\.md/,
    );
    const dead = { scripts: { build: 'node a.mjs', test: 'node dist/b/main.js' }, bin: { weft: 'dist/c.js' } };
    expect(scriptFindings(dead, ['a.mjs'])).toEqual([
      ...['demo', 'test:all', 'bench', 'lint', 'format'].map((name) => `package.json has no script ${name}`),
      'package.json: script test runs dist/b/main.js, but there is no b/main.ts',
      'package.json: bin weft runs dist/c.js, but there is no c.ts',
    ]);
    const readme = sample(
      'README.md',
      'npm run demo',
      'npm test',
      'npm run test:all',
      'npm run soak',
      'npx weft run -c examples/gone.yaml',
    );
    expect(commandFindings([readme], manifest, paths)).toEqual([
      'README.md: npm run soak is no script of package.json',
      'README.md: there is no examples/gone.yaml',
      'README.md does not tell: npm run bench',
    ]);
  });
});

describe('imports', () => {
  it('only go down', () => expect(layerFindings(sources)).toEqual([]));
  it('bring no code of the dataplane into control', () => expect(orderFindings(sources)).toEqual([]));
  it('never go in a circle', () => expect(cycleFindings(sources)).toEqual([]));
  it('name packages that are dependencies', () => {
    expect(dependencyFindings(sources, Object.keys(manifest.dependencies))).toEqual([]);
  });

  it.each([
    ['dataplane/wire/vlan.ts', '../memory/lane.ts'],
    ['dataplane/tables/fdb.ts', '../path/3-learn.ts'],
    ['dataplane/path/4-decide.ts', '../ports/tap.ts'],
    ['dataplane/path/4-decide.ts', '../../native/binding.ts'],
    ['dataplane/path/4-decide.ts', 'node:fs'],
    ['dataplane/ports/memory.ts', '../tables/fdb.ts'],
    ['dataplane/counters.ts', './path/forward.ts'],
    ['dataplane/wire/text.ts', 'yaml'],
    ['native/binding.ts', '../dataplane/tables/fdb.ts'],
    ['control/apply/apply.ts', '../../dataplane/path/forward.ts'],
    ['control/apply/apply.ts', '../../dataplane/ports/tap.ts'],
    ['control/compile/fdb.ts', '../../dataplane/tables/fdb.ts'],
    ['control/cli/bench.ts', '../../bench/main.ts'],
  ])('from %s to %s would be noticed', (path, to) => {
    expect(layerFindings([sample(path, '', `import { x } from '${to}';`)])).toHaveLength(1);
    expect(layerFindings([sample(path, `export type { X } from '${to}';`)])).toHaveLength(1);
  });

  it.each([
    ['control/compile/fdb.ts', '../../dataplane/tables/fdb-layout.ts'],
    ['control/workers/pool.ts', '../../dataplane/orders.ts'],
    ['dataplane/worker.ts', '../native/binding.ts'],
    ['dataplane/wire/check.ts', '../drop.ts'],
    ['test/unit/a.test.ts', '../../dataplane/path/forward.ts'],
  ])('from %s to %s are allowed', (path, to) => {
    expect(layerFindings([sample(path, `import { x } from '${to}';`)])).toEqual([]);
  });

  it('of code into orders.ts would be noticed', () => {
    const orders = sample('dataplane/orders.ts', "import type { A } from './a.ts';", "import { b } from './b.ts';");
    expect(orderFindings([orders])).toEqual([
      'dataplane/orders.ts:2 control imports this file, so it may import types only',
    ]);
  });

  it('in a circle, and of strange packages, would be noticed', () => {
    const circle = [
      sample('control/b.ts', "import './c.ts';"),
      sample('control/a.ts', "import { b } from './b.ts';"),
      sample('control/c.ts', "export * from './a.ts';"),
    ];
    expect(cycleFindings(circle)).toEqual(['control/a.ts → control/b.ts → control/c.ts → control/a.ts']);
    const strange = sample('control/a.ts', "import { z } from 'zod';", "import x from '@scope/name/deep';");
    expect(dependencyFindings([strange], ['zod'])).toEqual([
      'control/a.ts:2 imports @scope/name/deep, which is not among the dependencies',
    ]);
  });
});

describe('sizes', () => {
  it('of files and functions are within bounds', () => expect(sizeFindings(sources)).toEqual([]));

  it('beyond the bounds would be noticed', () => {
    const blank = (count: number) => Array<string>(count).fill('');
    expect(sizeFindings([sample('control/a.ts', ...blank(FILE_LINES_MAX))])).toEqual([]);
    expect(sizeFindings([sample('native/a.cc', ...blank(FILE_LINES_MAX + 1))])).toHaveLength(1);
    const long = (head: string, count: number) => sample('control/a.ts', '', head, ...blank(count - 2), '}');
    expect(sizeFindings([long('function f() {', FUNCTION_LINES_MAX)])).toEqual([]);
    expect(sizeFindings([long('function f() {', FUNCTION_LINES_MAX + 1)])).toEqual([
      'control/a.ts:2 f has 71 lines; at most 70',
    ]);
    expect(sizeFindings([long('const g = () => {', FUNCTION_LINES_MAX + 1)])).toHaveLength(1);
    expect(sizeFindings([long('class A { m() {', FUNCTION_LINES_MAX + 1)])).toHaveLength(1);
  });
});

describe('hot files', () => {
  it('obey the ban list', () => expect(hotFindings(sources)).toEqual([]));

  it.each([
    'const a = { b: 1 };',
    'const a = [1];',
    'function f() { return () => 1; }',
    'const f = function () {};',
    'function f() { function g() {} }',
    'f(...a);',
    'function f(...a: number[]) {}',
    'const { a } = b;',
    'function f([a]: number[]) {}',
    'for (const a of b) c(a);',
    'for (const a in b) c(a);',
    'try { f(); } finally { g(); }',
    "const a = 'b';",
    'const a = `b$' + '{c}`;',
    'const a = 1n;',
    'const a = BigInt(1);',
    'const a = new Map();',
    'class A { b = new Int32Array(1); }',
    'function f(a = 1) {}',
    'class A { get b() { return 1; } }',
    'class A { set b(c: number) {} }',
    'const a = Date.now();',
    'console.log(1);',
    'const a = b.subarray(1, 2);',
    'const a = b.slice();',
  ])('with %s would be noticed', (line) => {
    const found = hotFindings([sample('dataplane/wire/a.ts', '// HOT: a sample.', line)]);
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]).toMatch(/^dataplane\/wire\/a\.ts:2 .* in a hot file$/);
    expect(hotFindings([sample('dataplane/wire/a.ts', '// Cold.', line)])).toEqual([]);
  });

  it('may hold types, closed sets, imports and directives', () => {
    const fine = sample(
      'dataplane/path/a.ts',
      '// HOT: a sample.',
      "'use strict';",
      "import { b } from './b.ts';",
      'export const Form = { A: 1, B: 2 } as const;',
      "type C = { d: 'e' }[];",
      'interface F { g: [number] }',
      'export function h(i: number, j: C[0]): number { for (let k = 0; k < i; k++) b(j!, k); return -1 | i; }',
    );
    expect(hotFindings([fine])).toEqual([]);
  });

  it('of the path must say so', () => {
    expect(hotFindings([sample('dataplane/path/8-late.ts', '// Forgot.')])).toHaveLength(1);
  });
});

describe('habits', () => {
  it('of syntax are kept', () => expect(syntaxFindings(sources)).toEqual([]));
  it('of text are kept', () => expect(textFindings(sources)).toEqual([]));

  it.each([
    'export default 1;',
    'export default function f() {}',
    'enum A { B }',
    'namespace A { export const b = 1; }',
    'class A { constructor(private readonly b: number) {} }',
  ])('of syntax: %s would be noticed', (line) => {
    expect(syntaxFindings([sample('control/a.ts', line)])).toHaveLength(1);
  });

  const join2 = (...parts: string[]) => parts.join('');
  it.each([
    join2('// TO', 'DO: later'),
    join2('// FIX', 'ME'),
    join2('see ../sha', 'red/design.md'),
    join2("const a = '/wo", "rk/main';"),
    join2("const a = '/ro", "ot';"),
    join2("const a = '/tm", "p/x';"),
    join2('"resol', 'ved": "somewhere"'),
    join2('https://registr', 'y.example.org/weft'),
  ])('of text: %s would be noticed', (line) => {
    expect(textFindings([sample('control/a.ts', '', line)])).toEqual([expect.stringMatching(/^control\/a\.ts:2 /)]);
  });

  it('of text leave reasons, relative paths and words alone', () => {
    const fine = [
      join2('// TO', 'DO until the kernel can: cut here'),
      "join(tmpdir(), 'a')",
      join2('$X/tm', 'p/a'),
      join2('a/wo', 'rk/b'),
      'root',
    ];
    expect(textFindings([sample('control/a.ts', ...fine)])).toEqual([]);
  });
});

describe('drop reasons', () => {
  it('are numbered, named and described alike', () => expect(tableFindings({ Drop, DROPS })).toEqual([]));
  it('are all in use', () => expect(unusedFindings(Drop, sources)).toEqual([]));

  it('with a gap, a twin, another name or no sentence would be noticed', () => {
    const none = { name: 'none', sentence: 'Not dropped.' };
    const runt = { name: 'runt', sentence: 'Too short.' };
    expect(tableFindings({ Drop: { RUNT: 1 }, DROPS: [none, runt] })).toEqual([]);
    expect(tableFindings({ Drop: { RUNT: 2 }, DROPS: [none, runt, runt] })).toHaveLength(2);
    expect(tableFindings({ Drop: { RUNT: 1, GIANT: 1 }, DROPS: [none, runt] })).toHaveLength(3);
    expect(tableFindings({ Drop: { BAD_TAG: 1 }, DROPS: [none, { name: 'bad_tag', sentence: 'Bad.' }] })).toHaveLength(
      2,
    );
    expect(tableFindings({ Drop: { RUNT: 1 }, DROPS: [none, { name: 'runt', sentence: 'too short' }] })).toHaveLength(
      1,
    );
  });

  it('that nothing drops with would be noticed', () => {
    const user = sample('dataplane/path/1-parse.ts', 'return Drop.RUNT;');
    const native = sample('native/transmit.cc', 'return kDropEgressFull;');
    const mention = sample('native/abi.ts', 'Drop.GIANT');
    expect(unusedFindings({ RUNT: 1, EGRESS_FULL: 2, GIANT: 3 }, [user, native, mention])).toEqual([
      'Drop.GIANT is used nowhere in dataplane or native',
    ]);
  });
});
