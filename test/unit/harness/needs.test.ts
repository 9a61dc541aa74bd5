import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findTool, needs, rootReason } from '../../needs.ts';
import { isExcused } from '../../outcome.ts';

const ALL_CAPABILITIES = 'Name:\tnode\nCapEff:\t000001ffffffffff\n';

describe('needs', () => {
  it('is null when nothing is missing', () => {
    expect(needs({})).toBeNull();
    expect(needs({ tools: ['sh'] })).toBeNull();
    expect(needs({ because: null })).toBeNull();
  });

  it('names the command and the package that brings it', () => {
    expect(needs({ tools: ['no-such-command'] })).toBe('needs no-such-command: apt-get install no-such-command');
  });

  it('tells everything at once', () => {
    expect(needs({ tools: ['no-such-a', 'no-such-b'], because: 'this kernel has no geneve' })).toBe(
      'needs no-such-a: apt-get install no-such-a; needs no-such-b: apt-get install no-such-b; this kernel has no geneve',
    );
  });
});

describe('root', () => {
  it('needs the user and both capabilities', () => {
    expect(rootReason(1000, ALL_CAPABILITIES)).toBe('needs root');
    expect(rootReason(0, ALL_CAPABILITIES)).toBeNull();
  });

  it('blames the host for a root without capabilities', () => {
    for (const status of ['CapEff:\t0000000000200000\n', 'CapEff:\t0000000000001000\n', '']) {
      expect(isExcused(rootReason(0, status) ?? ''), status).toBe(true);
    }
  });
});

describe('findTool', () => {
  it('gives the file that would run', () => {
    const found = findTool('sh');
    expect(found !== null && existsSync(found)).toBe(true);
    expect(findTool('sh', dirname(found!))).toBe(found);
  });

  it('takes no folder and nothing that is not executable', () => {
    expect(findTool('unit', new URL('../..', import.meta.url).pathname)).toBeNull();
    expect(findTool('needs.ts', new URL('../..', import.meta.url).pathname)).toBeNull();
  });
});
