/**
 * Two wefts back to back over a bond of veths, with the same names and no address told: modes that need an equal on the other side, changes
 * of mode, hash and members under traffic, several workers, and super-frames of hosts on TAPs, compared by SHA-256.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import { bond, bondRow, cables, carrying, commandMember, ip, memberRow, untilBond, untilCarrying } from './bond-rig.ts';
import { flowBetween, RATE } from './bond-stand.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap } from './lab.ts';

const A = '10.42.0.1';
const B = '10.42.0.2';
const A6 = 'fd00:42::1';
const B6 = 'fd00:42::2';
const BYTES = (isLong() ? 64 : 8) << 20;
const COUNT = 3;
const LOSS_MS_MAX = 1000;

interface Settings {
  readonly mode: string;
  readonly [key: string]: unknown;
}

const MODES: readonly Settings[] = [
  { mode: 'active-backup' },
  { mode: 'balance-rr' },
  { mode: 'balance-xor' },
  { mode: 'balance-xor', hash: 'layer2' },
  { mode: '802.3ad', lacp: { rate: 'fast' } },
];

for (const workers of [1, 2]) {
  describeNeeds(REAL, `a bond between two wefts, workers: ${workers}`, () => {
    let lab: Lab;
    let near: Daemon;
    let far: Daemon;
    let a: Host;
    let b: Host;
    let number = 7100;
    let flows = 0;

    const names = (prefix: string, count = COUNT) => Array.from({ length: count }, (_, k) => `${prefix}${k}`);
    const side = (host: 'a' | 'b', prefix: string, { count = COUNT, ...settings }: Settings & { count?: number }) => {
      const port = tap(lab, host, { address: host === 'a' ? [`${A}/24`, `${A6}/64`] : [`${B}/24`, `${B6}/64`] });
      return bridge([port, bond(names(prefix, count), settings)], {}, { workers: { count: workers } });
    };
    async function both(settings: Settings & { count?: number }): Promise<void> {
      await near.apply(side('a', 'm', settings));
      await far.apply(side('b', 'f', settings));
      const count = settings.count ?? COUNT;
      const share = settings.mode === 'active-backup' ? 1 : count;
      for (const [daemon, prefix] of [
        [near, 'm'],
        [far, 'f'],
      ] as const) {
        const row = await untilCarrying(daemon, names(prefix, share), 12_000);
        expect(carrying(row)).toEqual(names(prefix, share));
      }
    }
    async function moves(from: Host, to: Host, address: string): Promise<void> {
      const port = ++number;
      await to.serve(address, port);
      const { sent, received } = await from.transfer(address, port, BYTES);
      expect(received).toBe(sent);
    }
    const flow = (from: Host, to: Host, seconds: number, work: () => Promise<unknown>) =>
      flowBetween(from, to, ++flows, seconds, work);

    beforeAll(async () => {
      lab = new Lab();
      await lab.netns('hub', { ipv6: false });
      await lab.netns('hub2', { ipv6: false });
      ({ a, b } = await lab.hosts(['a', 'b']));
      await cables(lab, COUNT, 'hub2');
      near = await lab.daemon(side('a', 'm', MODES[0]!));
      far = await lab.daemon(side('b', 'f', MODES[0]!), { netns: lab.name('hub2'), name: 'far' });
    });
    afterAll(() => lab.close());

    // What the number of workers can't change is tried with one, in the short run.
    const isFull = workers === 1 || isLong();

    const itFull = (title: string, run: () => Promise<void>) => isFull && it(title, run);

    it.each(isFull ? MODES : [])(
      '$mode: pings, and files over TCP with super-frames, IPv4 and IPv6',
      async (settings) => {
        await both(settings);
        expect(await a.ping(B, { count: 10, interval: 0.01 })).toBe(10);
        expect(await b.ping(A6, { count: 10, interval: 0.01, size: 1400 })).toBe(10);
        await moves(a, b, B);
        await moves(b, a, A6);
      },
    );

    itFull('balance-rr: every member carries its share of one flow', async () => {
      await both({ mode: 'balance-rr' });
      const before = await bondRow(near);
      const { lost, duplicates } = await flow(a, b, 1, async () => undefined);
      expect([lost, duplicates]).toEqual([0, 0]);
      const after = await bondRow(near);
      const more = names('m').map(
        (name) => memberRow(after, name).transmit.frames - memberRow(before, name).transmit.frames,
      );
      const mean = more.reduce((sum, one) => sum + one, 0) / COUNT;
      for (const one of more) expect(Math.abs(one - mean)).toBeLessThan(mean * 0.1);
    });

    itFull('balance-xor: a flow stays on one member, another member’s loss doesn’t touch it', async () => {
      await both({ mode: 'balance-xor' });
      const before = await bondRow(near);
      const used = (after: typeof before) =>
        names('m').filter(
          (name) => memberRow(after, name).transmit.frames - memberRow(before, name).transmit.frames > RATE / 4,
        );
      let other = '';
      const { lost, duplicates } = await flow(a, b, 2, async () => {
        const now = used(await untilBond(near, (row) => used(row).length > 0, 1200));
        expect(now).toHaveLength(1);
        other = names('m').find((name) => name !== now[0])!;
        await commandMember(near, 'disable', other);
      });
      expect([lost, duplicates]).toEqual([0, 0]);
      expect(used(await bondRow(near))).toHaveLength(1);
      await commandMember(near, 'enable', other);
    });

    itFull('mode, hash and members change under traffic without lasting loss', async () => {
      await both({ mode: 'balance-xor' });
      const chain: (Settings & { count?: number })[] = [
        { mode: 'balance-xor', hash: 'layer2+3', 'hash-seed': 99 },
        { mode: 'balance-rr', count: 2 },
        { mode: 'balance-xor', hash: 'vlan+srcmac' },
        { mode: 'active-backup' },
        { mode: 'balance-xor' },
      ];
      const { sent, lost, outageMs } = await flow(a, b, 4.5, async () => {
        for (const settings of chain) {
          await near.apply(side('a', 'm', settings));
          await far.apply(side('b', 'f', settings));
          await sleep(150);
        }
      });
      expect(outageMs).toBeLessThan(LOSS_MS_MAX);
      expect(lost).toBeLessThan(sent / 4);
      const calm = await flow(a, b, 0.5, async () => undefined);
      expect(calm).toMatchObject({ lost: 0, duplicates: 0 });
    });

    itFull('802.3ad: who loses a member by its document says so, and the partner sends no more by it', async () => {
      await both({ mode: '802.3ad', lacp: { rate: 'slow' } });
      const fewer = bond(names('m').slice(1), { mode: '802.3ad', lacp: { rate: 'slow' } });
      const port = tap(lab, 'a', { address: [`${A}/24`, `${A6}/64`] });
      await near.apply(bridge([port, fewer], {}, { workers: { count: workers } }));
      // Its timer would end after 90 seconds.
      expect(carrying(await untilCarrying(far, names('f').slice(1), 3000))).toEqual(names('f').slice(1));
      expect(await b.ping(A, { count: 20, interval: 0.01 })).toBe(20);
    });

    it('a cut cable under TCP: the file arrives whole', async () => {
      await both({ mode: '802.3ad', lacp: { rate: 'fast' } });
      const moving = Promise.all([moves(a, b, B), moves(b, a, A6)]);
      try {
        await ip(lab, 'hub', 'link', 'set', 'm0', 'down');
        await moving;
      } finally {
        await ip(lab, 'hub', 'link', 'set', 'm0', 'up');
      }
      expect(carrying(await untilCarrying(near, names('m'), 12_000))).toEqual(names('m'));
    });
  });
}
