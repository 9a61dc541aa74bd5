/**
 * ARP and neighbour suppression: who asks for an address behind the tunnel that the switch has heard of is answered by the switch, and the
 * question does not cross the underlay. Two wefts; what comes to the far machine's device is looked at.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { addressHex } from './packets.ts';
import { DEVICE, type Machine, machines, vxlan } from './underlay.ts';

const NAMES = ['a', 'b', 'c'] as const;
const ADDRESSES = {
  v4: { a: '10.59.0.1', b: '10.59.0.2', c: '10.59.0.3', nobody: '10.59.0.99' },
  v6: { a: 'fd00:59::1', b: 'fd00:59::2', c: 'fd00:59::3', nobody: 'fd00:59::99' },
};

/** What every question for an address holds: an ARP request's target, a neighbour solicitation's. */
function question(family: 'v4' | 'v6', address: string): string {
  return (family === 'v4' ? '000000000000' : '00000000') + addressHex(address);
}

describeNeeds(REAL, 'suppression', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemons: Daemon[];
  let hosts: Record<(typeof NAMES)[number], Host>;

  const port = (name: 'a' | 'b' | 'c') =>
    tap(lab, name, { address: [`${ADDRESSES.v4[name]}/24`, `${ADDRESSES.v6[name]}/64`] });
  const document = (suppress: boolean) => bridge([port('a'), port('c'), vxlan(near, [far], { suppress })]);

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2)) as [Machine, Machine];
    hosts = await lab.hosts(NAMES);
    daemons = await Promise.all([
      lab.daemon(document(true), { netns: near.netns, name: 'near' }),
      lab.daemon(bridge([port('b'), vxlan(far, [near])]), { netns: far.netns, name: 'far' }),
    ]);
  });
  afterAll(() => lab.close());

  /** Questions for `asked` that crossed the underlay while host `from` tried to reach it with nothing in its cache; and how many pings came back. */
  async function asks(family: 'v4' | 'v6', from: 'a' | 'c', asked: 'b' | 'nobody'): Promise<[number, number]> {
    const address = ADDRESSES[family][asked];
    await hosts[from].run('ip', 'neigh', 'flush', 'all');
    await far.host.sniff(DEVICE, question(family, address));
    const answered = await hosts[from].ping(address, asked === 'b' ? {} : { count: 1, wait: 1 });
    return [(await far.host.frames(DEVICE, 1, 0.3)).length, answered];
  }

  describe.each(['v4', 'v6'] as const)('IP%s', (family) => {
    it('a second host’s question does not cross the underlay', async () => {
      await daemons[0]!.apply(document(true));
      expect(await hosts.a.ping(ADDRESSES[family].b)).toBe(3);
      const quiet = await until(
        () => asks(family, 'c', 'b'),
        ([count, pings]) => count === 0 && pings === 3,
        3000,
      );
      expect(quiet).toEqual([0, 3]);
    });

    it('what nobody has heard of is asked there', async () => {
      expect((await asks(family, 'c', 'nobody'))[0]).toBeGreaterThan(0);
    });

    it('an address that has another host now is answered with that', async () => {
      await hosts.b.run(
        'ip',
        'link',
        'set',
        'eth0',
        'address',
        family === 'v4' ? '02:77:74:00:0b:04' : '02:77:74:00:0b:06',
      );
      await hosts.b.run('ip', 'neigh', 'flush', 'all');
      expect(await hosts.b.ping(ADDRESSES[family].a)).toBe(3);
      const [, pings] = await until(
        () => asks(family, 'c', 'b'),
        ([count, came]) => count === 0 && came === 3,
        3000,
      );
      expect(pings).toBe(3);
      expect(await hosts.c.run('ip', 'neigh', 'show', ADDRESSES[family].b)).toContain('02:77:74:00:0b');
    });

    it('without it every question is carried', async () => {
      await daemons[0]!.apply(document(false));
      const [count, pings] = await asks(family, 'c', 'b');
      expect(pings).toBe(3);
      expect(count).toBeGreaterThan(0);
    });
  });
});
