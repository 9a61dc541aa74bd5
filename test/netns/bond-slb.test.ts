/**
 * balance-slb over veths into a Linux bridge that knows nothing of it: every member sends, one takes what goes to many, nothing comes
 * twice and nothing comes back. OD are scenarios of Open vSwitch's suite, by their names.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { bond, bondRow, carrying, memberRow, untilCarrying } from './bond-rig.ts';
import { A, B, NEEDS, OUTAGE_MS_MAX, Stand } from './bond-stand.ts';
import { BROADCAST, colons, frame, MARKER, mac } from './frames.ts';
import { beforeRetry } from './lab.ts';

describeNeeds(NEEDS, 'balance-slb into a Linux bridge', () => {
  const stand = new Stand();
  const up = (more: object = {}) => bond(['m0', 'm1'], { mode: 'balance-slb', ...more });

  beforeAll(() => stand.open(up()));
  afterAll(() => stand.lab.close());
  beforeRetry(() => stand.mend());

  it('OD "balance-slb bonding": senders are spread over the members, each stays on its own, nothing comes twice', async () => {
    await untilCarrying(stand.daemon, ['m0', 'm1']);
    expect(await stand.a.ping(B, { count: 20, interval: 0.01 })).toBe(20);
    const before = await bondRow(stand.daemon);
    await stand.b.sniff('eth0', MARKER);
    const to = (await stand.b.run('cat', '/sys/class/net/eth0/address')).replaceAll(':', '');
    const sent = Array.from({ length: 64 }, (_, k) => frame(to, mac(0x100 + k), [], `${k}`));
    await stand.a.send('eth0', sent, { times: 3, pause: 0.01 });
    const came = await stand.b.frames('eth0', 192);
    expect(came.toSorted()).toEqual([...sent, ...sent, ...sent].sort());
    const after = await bondRow(stand.daemon);
    for (const name of ['m0', 'm1']) {
      const more = memberRow(after, name).transmit.frames - memberRow(before, name).transmit.frames;
      // 64 senders at random over two members.
      expect(more).toBeGreaterThan(192 / 6);
    }
    expect(after.members.map(({ buckets }) => buckets)).toEqual([128, 128]);
  });

  it('OD "bond - discard duplicated frames": what the bridge reflects or floods to both members is taken once', async () => {
    await stand.a.sniff('eth0', MARKER);
    await stand.b.frames('eth0', 1000, 0.2);
    const own = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => frame(BROADCAST, mac(0x200 + k), [], `own ${k}`));
    await stand.a.send('eth0', own);
    expect((await stand.b.frames('eth0', own.length + 1, 1)).sort()).toEqual([...own].sort());
    expect(await stand.a.frames('eth0', 1, 0.5)).toEqual([]);
    const rows = await stand.daemon.fdb();
    for (let k = 0; k < 8; k++)
      expect(rows.find(({ mac: address }) => address === colons(mac(0x200 + k)))?.port).toBe('a');
    const foreign = [0, 1, 2, 3].map((k) => frame(BROADCAST, mac(0x300 + k), [], `foreign ${k}`));
    await stand.b.send('eth0', foreign);
    expect((await stand.a.frames('eth0', foreign.length + 1, 1)).sort()).toEqual([...foreign].sort());
  });

  it('a member lost moves its senders to the other; both are used again when it is back', async () => {
    const { outageMs, duplicates } = await stand.flow('a', 1.8, async () => {
      await stand.link('sw', 'f0', 'down');
      expect(carrying(await untilCarrying(stand.daemon, ['m1']))).toEqual(['m1']);
      await stand.link('sw', 'f0', 'up');
      expect(carrying(await untilCarrying(stand.daemon, ['m0', 'm1']))).toEqual(['m0', 'm1']);
    });
    expect(outageMs).toBeLessThan(OUTAGE_MS_MAX);
    expect(duplicates).toBe(0);
    expect(await stand.b.ping(A, { count: 10, interval: 0.01 })).toBe(10);
  });
});
