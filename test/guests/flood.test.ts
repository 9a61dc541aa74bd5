/**
 * A guest that sends as fast as it can, to addresses that nobody has, so that a host of its VLAN gets all of it: those of other VLANs don't
 * notice, and every frame is sent or counted.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { Testpmd } from './testpmd.ts';

const FLOODED = { mode: 'access', tag: 10 };
const QUIET = { mode: 'access', tag: 20 };
const MAC = '02:77:65:00:01:02';
/** The flood goes on for all of these. */
const PINGS = 150;
const INTERVAL_S = 0.02;
const FLOOD_FRAMES_MIN = 20_000;

describeNeeds({ ...REAL, tools: [...REAL.tools, 'dpdk-testpmd', 'setpriv', 'stdbuf'] }, 'a guest that floods', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;

  beforeAll(async () => {
    lab = new Lab();
    ({ a } = await lab.hosts(['a', 'b', 'deaf'], { ipv6: false }));
    daemon = await lab.daemon(
      bridge([
        tap(lab, 'a', { address: '10.78.0.1/24', vlan: QUIET }),
        tap(lab, 'b', { address: '10.78.0.2/24', vlan: QUIET }),
        tap(lab, 'deaf', { vlan: FLOODED }),
        { name: 'loud', kind: 'vhost-user', mode: 'server', socket: join(lab.folder, 'loud'), vlan: FLOODED },
      ]),
    );
  });
  afterAll(() => lab.close());

  it('keeps nobody else from being heard, and each of its frames is sent or counted', { timeout: 90_000 }, async () => {
    expect(await a.ping('10.78.0.2')).toBe(3);
    const before = { loud: await daemon.port('loud'), deaf: await daemon.port('deaf') };
    const port = { path: join(lab.folder, 'loud'), listen: false, mac: MAC };
    const testpmd = await Testpmd.start(lab.name('hub'), lab.folder, [port], 'txonly');
    try {
      expect(await a.ping('10.78.0.2', { count: PINGS, interval: INTERVAL_S })).toBe(PINGS);
    } finally {
      await testpmd.close();
    }
    await until(
      () => daemon.port('loud'),
      ({ up }) => !up,
    );
    const [loud, deaf] = await Promise.all([daemon.port('loud'), daemon.port('deaf')]);
    const sent = loud.receive.frames - before.loud.receive.frames;
    expect(sent).toBeGreaterThan(FLOOD_FRAMES_MIN);
    const dropped = (deaf.dropped['egress-full'] ?? 0) - (before.deaf.dropped['egress-full'] ?? 0);
    expect(deaf.transmit.frames - before.deaf.transmit.frames + dropped).toBe(sent);
    expect((await daemon.workers()).map(({ restarts }) => restarts)).toEqual([0]);
    expect((await daemon.port('a')).dropped).toEqual({});
  });
});
