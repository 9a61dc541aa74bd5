// Weft on a machine: one worker, the container on a TAP, a port of kind vxlan.

import { type Half, INNER_MTU, VNI, vxlanPeer } from './vxlan.ts';
import { startWeft, tapPort, weftMissing } from './weft-daemon.ts';

export const weftHalf: Half = {
  available: async () => weftMissing(),
  start: async (machine) => {
    const far = { vni: VNI, local: machine.address, remotes: [machine.other], mtu: INNER_MTU };
    const running = await startWeft(machine, {
      namespace: machine.space,
      workers: 1,
      ports: [
        // Both namespaces are one machine to weft, which makes the same address from the same name there.
        { ...tapPort(`container-${machine.index}`, machine.device, machine.container), mtu: INNER_MTU },
        { name: 'far', kind: 'vxlan', ...far },
      ],
    });
    return { pid: running.pid, stop: () => running.stop() };
  },
};

export const weftVxlan = vxlanPeer(
  'weft-vxlan',
  'this switch on two machines: one worker, a TAP and a tunnel',
  weftHalf,
);
