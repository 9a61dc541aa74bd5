// No switch at all: one veth pair between the two namespaces. The floor that "added by the switch" is counted from.
import { missingCommand, run } from '../system/process.ts';
import type { Peer } from './peer.ts';

export const veth: Peer = {
  name: 'veth',
  about: 'a veth pair from host to host, no switch: the floor',
  available: async () => missingCommand(['ip'], 'iproute2'),
  start: async (site) => {
    const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
    const [a, b] = site.namespaces;
    await run(['ip', 'link', 'add', devices[0], 'netns', a, 'type', 'veth', 'peer', 'name', devices[1], 'netns', b]);
    return { devices, pid: null, stop: async () => {} };
  },
};
