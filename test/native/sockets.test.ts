/**
 * Unix sockets by the addon, as an ordinary user may have them: descriptors pass and none stays open, every refusal says what it is, watches
 * call back and end (lifecycle/sockets.mjs); and socket ports: frames stay whole wherever a stream is cut, slow readers lose what is counted
 * and nothing else (lifecycle/streams.mjs, datagrams.mjs). Each story is a process of its own.
 */
import { expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { seedFor } from '../seed.ts';
import { checkSockets, checkStreams, endWatching, SOCKETS, STREAMS } from './socket-stories.ts';
import { isBuilt } from './stories.ts';

describeNeeds(
  { addon: true, tools: ['python3'], because: isBuilt ? null : 'needs dist/: npm run build' },
  'unix sockets',
  () => {
    it.each(Object.keys(SOCKETS))('%s', (story) => checkSockets(story, {}));
    it.each(Object.keys(STREAMS))('%s', (story) => checkStreams(story, seedFor(story), {}));
    it('lets the process exit while watches are open', () => expect(endWatching({})).toBe(7));
  },
);
