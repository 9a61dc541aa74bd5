// A patch between two TAPs in plain C (plain.c), compiled at the start: the floor of what reading and writing TAPs costs on this machine.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../root.ts';
import { Daemon, missingCommand, run } from '../system/process.ts';
import type { Peer } from './peer.ts';

export const plain: Peer = {
  name: 'plain-c',
  about: 'a patch between two TAPs in plain C: read and write, no switching',
  available: async () => missingCommand(['gcc', 'ip'], 'gcc'),
  start: async (site, options = {}) => {
    const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
    const program = join(site.folder, 'plain');
    await run(['gcc', '-O2', '-o', program, join(projectRoot(), 'bench/peers/plain.c')]);
    const daemon = new Daemon([program, ...devices, options.idle ?? 'adaptive'], site.cleanup, {
      cpus: site.switchCpus,
    });
    await sleep(300);
    if (!daemon.running) throw new Error(`the plain patch ended: ${daemon.output.slice(-400)}`);
    for (const index of [0, 1] as const) {
      await run(['ip', 'link', 'set', devices[index], 'netns', site.namespaces[index]]);
    }
    return { devices, pid: daemon.pid, stop: () => daemon.stop() };
  },
};
