// Weft over interfaces that exist already: `weft run` with one worker and two netdev ports, each the near end of a veth pair.
import type { Peer } from './peer.ts';
import { vethWires } from './veth-wires.ts';
import { netdevPort, startWeft, weftMissing } from './weft-daemon.ts';

export const weftNetdev: Peer = {
  name: 'weft-netdev',
  about: 'this switch: one worker, two netdev ports on veths',
  available: async () => weftMissing(),
  start: async (site, options = {}) => {
    const { devices, near } = await vethWires(site);
    const running = await startWeft(site, {
      workers: 1,
      idle: options.idle ?? 'adaptive',
      ports: [netdevPort('a', near[0]), netdevPort('b', near[1])],
    });
    return { devices, pid: running.pid, stop: () => running.stop() };
  },
};
