// The kernel's bridge over two veth pairs. It has no process: its work runs in the softirq of whoever sends, on the sender's CPU,
// so "pinned" pins the sender and the receiver only.
import { missingCommand, run } from '../system/process.ts';
import type { Peer } from './peer.ts';

export const linuxBridge: Peer = {
  name: 'linux-bridge',
  about: "the kernel's bridge over veth; no process, its work is done by the sender's softirq",
  available: async () => missingCommand(['ip'], 'iproute2'),
  start: async (site) => {
    const bridge = `${site.prefix}br`;
    await run(['ip', 'link', 'add', bridge, 'type', 'bridge']);
    site.cleanup.defer(`removing bridge ${bridge}`, () => run(['ip', 'link', 'del', bridge]));
    await run(['ip', 'link', 'set', bridge, 'addrgenmode', 'none', 'up']);
    const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
    for (const index of [0, 1] as const) {
      const near = `${site.prefix}p${index}`;
      const namespace = site.namespaces[index];
      await run(['ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', devices[index], 'netns', namespace]);
      site.cleanup.defer(`removing veth ${near}`, () => run(['ip', 'link', 'del', near]));
      await run(['ip', 'link', 'set', near, 'addrgenmode', 'none', 'master', bridge, 'up']);
    }
    return { devices, pid: null, stop: async () => {} };
  },
};
