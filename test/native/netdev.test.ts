/** Packet sockets and their rings, both ends of a veth pair in one process. The stories are in lifecycle/netdev.mjs. */
import { it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { checkNetdev, NETDEV } from './netdev-stories.ts';
import { wanted } from './stories.ts';

describeNeeds({ ...wanted, addon: true }, 'an interface’s packet ring', () => {
  it.each(Object.keys(NETDEV))('%s', (story) => checkNetdev(story, 'auto', {}));
});
