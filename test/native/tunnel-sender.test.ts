// Tunnels' senders: their native tests, built with the sanitizers, which need no Node; and the addon's calls. All in namespaces of their own.
import { expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { describeProgram, FINE, SKIPPED } from './program.ts';
import { wanted } from './stories.ts';
import { checkTunnels, TUNNELS } from './tunnel-stories.ts';

const TESTS = ['tunnel-rig', 'tunnel-sender.test', 'tunnel-sender-rules', 'tunnel-set-rules', 'tunnel-trouble-rules'];
const NATIVE = [
  'address',
  'finish',
  'registry',
  'slots',
  'tunnel-batch',
  'tunnel-post',
  'tunnel-sender',
  'tunnel-sockets',
  'tunnel-troubles',
  'way',
];

describeProgram('tunnels’ senders, native', TESTS, NATIVE, (run) => {
  const PARTS = {
    rules: 'sends each frame behind its header to whom it is for, many in a message',
    sets: 'sends floods to each remote of a set, and refuses for each by itself',
    troubles: 'refuses what can not be sent, by its reason, and nothing else',
  };
  for (const [part, what] of Object.entries(PARTS)) {
    it(what, async (ctx) => {
      const ended = await run(part);
      if (ended.status === SKIPPED) ctx.skip('needs root: a namespace of its own');
      expect(ended).toEqual(FINE);
    }, 60_000);
  }
});

describeNeeds({ ...wanted, addon: true }, 'tunnels’ calls of the addon', () => {
  it.each(Object.keys(TUNNELS))('%s', (story) => checkTunnels(story, {}));
});
