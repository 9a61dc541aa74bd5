/**
 * The engine's lists: everything that a list says is done once and wholly, and a list that can't be right ends the engine instead of writing
 * to foreign memory. The stories are in lifecycle/lists.mjs.
 */
import { it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { checkLists, LISTS, RINGS, ringReason, wanted } from './stories.ts';

describeNeeds({ ...wanted, addon: true }, 'the engine’s lists', () => {
  for (const io of RINGS) {
    it.each(Object.keys(LISTS))(`%s, with ${io}`, (story, ctx) => {
      const reason = ringReason(io);
      if (reason !== null) (ctx as unknown as { skip(why: string): void }).skip(reason);
      checkLists(story, io, {});
    });
  }
});
