// The kernel's bridge with a veth to the container and a vxlan device. It has no process, and nothing about its offloads is changed.
import { missingCommand, run } from '../system/process.ts';
import { type Half, VNI, vxlanPeer } from './vxlan.ts';

export const kernelHalf: Half = {
  available: async () => missingCommand(['ip'], 'iproute2'),
  start: async (machine) => {
    const inSpace = (...args: string[]) => run(['ip', '-n', machine.space, ...args]);
    const ends = ['local', machine.address, 'remote', machine.other];
    await inSpace('link', 'add', 'vx', 'type', 'vxlan', 'id', String(VNI), 'dstport', '4789', ...ends);
    await inSpace('link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
    const far = ['peer', 'name', machine.device, 'netns', machine.container];
    await inSpace('link', 'add', 'p', 'type', 'veth', ...far);
    for (const port of ['vx', 'p']) await inSpace('link', 'set', port, 'master', 'br0');
    for (const device of ['vx', 'p', 'br0']) await inSpace('link', 'set', device, 'up');
    return { pid: null, stop: async () => {} };
  },
};

export const kernelVxlan = vxlanPeer(
  'kernel-vxlan',
  "the kernel's bridge and vxlan device on two machines, containers by veth; no process",
  kernelHalf,
);
