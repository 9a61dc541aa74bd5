// Tunnels' senders: their native tests, built with the sanitizers, which need no Node; and the addon's calls. All in namespaces of their own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { wanted } from './stories.ts';
import { checkTunnels, TUNNELS } from './tunnel-stories.ts';

const SKIPPED = 77;
const BUILD_MS = 480_000;
const TESTS = ['tunnel-rig', 'tunnel-sender.test', 'tunnel-sender-rules', 'tunnel-set-rules', 'tunnel-trouble-rules'];
const NATIVE = [
  'address',
  'finish',
  'registry',
  'slots',
  'tunnel-batch',
  'tunnel-post',
  'tunnel-sender',
  'tunnel-sockets',
  'tunnel-troubles',
  'way',
];
const FLAGS = ['-std=c++20', '-O1', '-g1', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti', '-pthread'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover', '-D_GNU_SOURCE'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';

describe.skipIf(!hasCompiler)(`tunnels’ senders, native${reason}`, () => {
  const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-tunnel-')) : '';
  const program = join(folder, 'tunnel-test');

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

  const PARTS = {
    rules: 'sends each frame behind its header to whom it is for, many in a message',
    sets: 'sends floods to each remote of a set, and refuses for each by itself',
    troubles: 'refuses what can not be sent, by its reason, and nothing else',
  };
  for (const [part, what] of Object.entries(PARTS)) {
    it(what, (ctx) => {
      const { status, signal, stdout, stderr } = spawnSync(program, [part], { encoding: 'utf8' });
      if (status === SKIPPED) ctx.skip('needs root: a namespace of its own');
      expect({ status: signal ?? status, output: `${stdout}${stderr}` }).toEqual({ status: 0, output: '' });
    }, 60_000);
  }
});

describeNeeds({ ...wanted, addon: true }, 'tunnels’ calls of the addon', () => {
  it.each(Object.keys(TUNNELS))('%s', (story) => checkTunnels(story, {}));
});
