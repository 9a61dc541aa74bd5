/**
 * What the kernel tells of links. Its messages' parser is built with the sanitizers and run without Node or addon (link-monitor.test.cc;
 * WEFT_SEED repeats a random run, WEFT_CASES lengthens it); the sockets hear the real kernel (lifecycle/links.mjs).
 */
import { expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { checkLinks, LINKS } from './link-stories.ts';
import { describeProgram, FINE } from './program.ts';
import { wanted } from './stories.ts';

const CASES = process.env.WEFT_CASES ?? '200000';
const TESTS = ['link-monitor.test'];
const NATIVE = ['link-monitor'];

describeProgram('messages of links, native', TESTS, NATIVE, (run) => {
  it('are read within their lengths, and what is no change of a link is left out', async () => {
    expect(await run('rules')).toEqual(FINE);
  });

  it('may hold anything', async () => {
    expect(await run('fuzz', seedFor('links'), CASES)).toEqual(FINE);
  });
});

describeNeeds({ ...wanted, addon: true, tools: [...wanted.tools, 'nsenter'] }, 'a link monitor', () => {
  it.each(Object.keys(LINKS))('%s', (story) => checkLinks(story, {}));
});
