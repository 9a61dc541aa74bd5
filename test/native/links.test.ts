/**
 * What the kernel tells of links. Its messages' parser is built with the sanitizers and run without Node or addon (link-monitor.test.cc;
 * WEFT_SEED repeats a random run, WEFT_CASES lengthens it); the sockets hear the real kernel (lifecycle/links.mjs).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { checkLinks, LINKS } from './link-stories.ts';
import { wanted } from './stories.ts';

const BUILD_MS = 120_000;
const CASES = process.env.WEFT_CASES ?? '200000';
const SOURCES = ['link-monitor.test.cc', '../../native/link-monitor.cc'];
const FLAGS = ['-std=c++20', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover'];

const here = fileURLToPath(new URL('.', import.meta.url));
const hasCompiler = spawnSync('g++', ['--version']).status === 0;
const reason = hasCompiler ? '' : ' (skipped: g++ is not installed)';

describe.skipIf(!hasCompiler)(`messages of links, native${reason}`, () => {
  const folder = hasCompiler ? mkdtempSync(join(tmpdir(), 'weft-links-')) : '';
  const program = join(folder, 'links-test');
  const run = (...args: string[]) => {
    const { status, signal, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { status: status ?? signal, output: `${stdout}${stderr}` };
  };

  beforeAll(() => {
    const sources = SOURCES.map((name) => join(here, name));
    const built = spawnSync('g++', [...FLAGS, ...SANITIZERS, ...sources, '-o', program], { encoding: 'utf8' });
    expect({ status: built.status, stderr: built.stderr }).toEqual({ status: 0, stderr: '' });
  }, BUILD_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are read within their lengths, and what is no change of a link is left out', () => {
    expect(run('rules')).toEqual({ status: 0, output: '' });
  });

  it('may hold anything', () => {
    expect(run('fuzz', String(seedFor('links')), CASES)).toEqual({ status: 0, output: '' });
  });
});

describeNeeds({ ...wanted, addon: true, tools: [...wanted.tools, 'nsenter'] }, 'a link monitor', () => {
  it.each(Object.keys(LINKS))('%s', (story) => checkLinks(story, {}));
});
