// vde_switch with one TAP of its own; the second TAP hangs on it through vde_plug2tap, as vde2 is used. Both processes are the switch.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon, missingCommand, run } from '../system/process.ts';
import type { Peer } from './peer.ts';

export const vde: Peer = {
  name: 'vde',
  about: 'vde_switch with a TAP, and vde_plug2tap for the second TAP',
  available: async () => missingCommand(['vde_switch', 'vde_plug2tap', 'ip'], 'vde2'),
  start: async (site) => {
    const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
    for (const device of devices) {
      await run(['ip', 'tuntap', 'add', 'dev', device, 'mode', 'tap']);
      // Gone from here once it was moved; then it goes with its namespace.
      site.cleanup.defer(`removing TAP ${device}`, () => run(['ip', 'link', 'del', device]).catch(() => {}));
    }
    const socket = join(site.folder, 'vde');
    const cpus = site.switchCpus;
    const daemon = new Daemon(['vde_switch', '-s', socket, '-t', devices[0]], site.cleanup, { cpus });
    await sleep(300);
    const plug = new Daemon(['vde_plug2tap', '-s', socket, devices[1]], site.cleanup, { cpus });
    await sleep(300);
    for (const each of [daemon, plug]) if (!each.running) throw new Error(`vde ended: ${each.output.slice(-400)}`);
    for (const index of [0, 1] as const) {
      await run(['ip', 'link', 'set', devices[index], 'netns', site.namespaces[index]]);
    }
    return {
      devices,
      pid: daemon.pid,
      stop: async () => {
        await plug.stop();
        await daemon.stop();
      },
    };
  },
};
