/**
 * Unix sockets by the addon, as an ordinary user may have them: descriptors pass and none stays open, every refusal says what it is, watches
 * call back and end. Each story is a process of its own (lifecycle/sockets.mjs).
 */
import { expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { checkSockets, endWatching, isBuilt, SOCKETS } from './stories.ts';

describeNeeds(
  { addon: true, tools: ['python3'], because: isBuilt ? null : 'needs dist/: npm run build' },
  'unix sockets',
  () => {
    it.each(Object.keys(SOCKETS))('%s', (story) => checkSockets(story, {}));
    it('lets the process exit while watches are open', () => expect(endWatching({})).toBe(7));
  },
);
