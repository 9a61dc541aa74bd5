/** Sockets that receive tunnels' datagrams: what Python sends over loopback, read by an engine. The stories are in lifecycle/arrivals.mjs. */
import { it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { ARRIVALS, checkArrivals } from './arrival-stories.ts';
import { wanted } from './stories.ts';

describeNeeds({ ...wanted, addon: true, tools: ['unshare', 'ip', 'python3'] }, 'what receives for tunnels', () => {
  it.each(Object.keys(ARRIVALS))('%s', (story) => checkArrivals(story, {}));
});
