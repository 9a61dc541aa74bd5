/**
 * The engine's lists: everything that a list says is done once and wholly, and a list that can't be right ends the engine instead of writing
 * to foreign memory. The stories are in lifecycle/lists.mjs.
 */
import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { WorkerIo } from '../../dataplane/memory/layout.ts';
import { describeNeeds } from '../needs.ts';
import { checkLists, LISTS, RINGS, ringReason, tell, wanted } from './stories.ts';

describeNeeds({ ...wanted, addon: true, tools: [...wanted.tools, 'prlimit', 'setpriv'] }, 'the engine’s lists', () => {
  for (const io of RINGS) {
    it.each(Object.keys(LISTS))(`%s, with ${io}`, (story, ctx) => {
      const reason = ringReason(io);
      if (reason !== null) (ctx as unknown as { skip(why: string): void }).skip(reason);
      checkLists(story, io, {});
    });
  }

  it('takes plain calls and says why, when the ring’s memory may not be locked', () => {
    const poor = ['prlimit', '--memlock=65536:65536', 'setpriv', '--bounding-set', '-ipc_lock,-sys_resource'];
    const { stdout, stderr } = tell('lists', ['fallback', 'auto'], {}, poor);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ io: WorkerIo.READ_WRITE, ringError: constants.errno.ENOMEM, received: 0 });
  });
});
