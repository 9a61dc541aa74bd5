import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { itNeeds } from '../../needs.ts';
import { apiRig } from './api-rig.ts';
import { startWeft, weft } from './cli-rig.ts';

const rig = apiRig();

/** Candidates after `words`; the last word is being typed. */
async function candidates(...words: readonly string[]): Promise<string[]> {
  const { out } = await startWeft({ WEFT_SOCKET: rig.path }, ['__complete', '--', ...words]).done;
  return out.split('\n').filter(Boolean);
}

describe('completion', () => {
  it('knows commands, without the hidden one', async () => {
    const all = await candidates('');
    expect(all).toEqual(expect.arrayContaining(['run', 'show', 'capture', 'top', 'completion']));
    expect(all.filter((name) => name.startsWith('__'))).toEqual([]);
    expect(await candidates('c')).toEqual(['check', 'capture', 'completion']);
    expect(await candidates('port', '')).toEqual(['add', 'del', 'show']);
  });

  it('knows arguments, options and their values', async () => {
    expect(await candidates('show', 'b')).toEqual(['bridges', 'bonds']);
    expect(await candidates('show', 'ports', '--j')).toEqual(['--json']);
    expect(await candidates('capture', 'web', '--direction', '')).toEqual(['in', 'out', 'both']);
    expect(await candidates('port', 'add', 'br0/x', '--mode', 'native')).toEqual(['native-tagged', 'native-untagged']);
    expect(await candidates('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('asks the daemon for names', async () => {
    expect(await candidates('capture', '')).toEqual(['web', 'db', 'up', 'br0/web', 'br0/db', 'br1/up']);
    expect(await candidates('capture', 'br0/')).toEqual(['br0/web', 'br0/db']);
    expect(await candidates('capture', '--vlan', '10', 'w')).toEqual(['web']);
    expect(await candidates('port', 'add', '')).toEqual(['br0/', 'br1/']);
    expect(await candidates('fdb', 'flush', '--bridge', '')).toEqual(['br0', 'br1']);
    expect(await candidates('worker', 'restart', '')).toEqual(['0']);
  });

  it('leaves files to the shell and is quiet without a daemon', async () => {
    expect(await candidates('check', '')).toEqual([]);
    expect(await candidates('run', '-c', '')).toEqual([]);
    const environment = { WEFT_SOCKET: join(rig.folder, 'nobody.sock') };
    const { code, out, err } = await startWeft(environment, ['__complete', '--', 'capture', '']).done;
    expect([code, out, err]).toEqual([0, '', '']);
  });

  it.each(['bash', 'zsh', 'fish'])('prints a script for %s', async (shell) => {
    const { code, out } = await weft(rig, `completion ${shell}`);
    expect([code, out.includes('weft __complete')]).toEqual([0, true]);
  });

  itNeeds({ tools: ['bash'] }, 'the script works in bash', async () => {
    const { out } = await weft(rig, 'completion bash');
    const fake = join(rig.folder, 'weft');
    writeFileSync(fake, '#!/bin/sh\nshift 2\nprintf "%s\\n" "got:$*:" "two words"\n');
    chmodSync(fake, 0o755);
    const script = `${out}\nCOMP_WORDS=(weft port del '')\nCOMP_CWORD=3\n_weft\nprintf '%s|' "\${COMPREPLY[@]}"`;
    const done = spawnSync('bash', ['--norc', '--noprofile', '-c', script], {
      env: { PATH: `${rig.folder}:${process.env.PATH}` },
      encoding: 'utf8',
    });
    expect([done.stderr, done.stdout]).toEqual(['', 'got:port del :|two words|']);
  });
});
