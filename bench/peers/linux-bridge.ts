// The kernel's bridge over two veth pairs. It has no process: its work runs in the softirq of whoever sends, on the sender's CPU,
// so "pinned" pins the sender and the receiver only.
import { missingCommand, run } from '../system/process.ts';
import type { Peer } from './peer.ts';
import { vethWires } from './veth-wires.ts';

export const linuxBridge: Peer = {
  name: 'linux-bridge',
  about: "the kernel's bridge over veth; no process, its work is done by the sender's softirq",
  available: async () => missingCommand(['ip'], 'iproute2'),
  start: async (site) => {
    const bridge = `${site.prefix}br`;
    await run(['ip', 'link', 'add', bridge, 'type', 'bridge']);
    site.cleanup.defer(`removing bridge ${bridge}`, () => run(['ip', 'link', 'del', bridge]));
    await run(['ip', 'link', 'set', bridge, 'addrgenmode', 'none', 'up']);
    const { devices, near } = await vethWires(site);
    for (const device of near) await run(['ip', 'link', 'set', device, 'master', bridge]);
    return { devices, pid: null, stop: async () => {} };
  },
};
