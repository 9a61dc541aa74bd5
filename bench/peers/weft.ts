// Weft as a peer: `weft run` with one worker and two TAP ports, one in each namespace.
import type { Peer } from './peer.ts';
import { startWeft, tapPort, weftMissing } from './weft-daemon.ts';

export const weft: Peer = {
  name: 'weft',
  about: 'this switch: one worker, two TAP ports',
  available: async () => weftMissing(),
  start: async (site, options = {}) => {
    const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
    const running = await startWeft(site, {
      workers: 1,
      idle: options.idle ?? 'adaptive',
      ports: [tapPort('a', devices[0], site.namespaces[0]), tapPort('b', devices[1], site.namespaces[1])],
    });
    return { devices, pid: running.pid, stop: () => running.stop() };
  },
};
