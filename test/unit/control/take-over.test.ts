/**
 * The bridged model over a kernel of a few lines: whatever an interface had is back after a run that was killed at any step, and no address is
 * ever on neither side. And how `ip` is asked to give an interface what another one had.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunIp } from '../../../control/devices/ip.ts';
import { heldAddress, heldRoute } from '../../../control/devices/netdev/belongings.ts';
import { Interfaces, refusalOf } from '../../../control/devices/netdev/interfaces.ts';
import { TakeOver } from '../../../control/devices/netdev/take-over.ts';
import type { Log } from '../../../control/log.ts';

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Link {
  index: number;
  mac: string;
  addresses: string[];
}

/** Two interfaces; an address that goes takes the routes from it along, and the last one all of them. */
class Kernel {
  readonly links: Record<string, Link> = {
    eth0: { index: 2, mac: '02:00:00:00:00:02', addresses: ['192.0.2.2/24', '192.0.2.3/24', '2001:db8::2/64'] },
    host: { index: 9, mac: '02:77:00:00:00:09', addresses: [] },
  };
  /** By destination; where to, and from which address. */
  routes = new Map([
    ['0.0.0.0/0', { dev: 'eth0', via: '192.0.2.1', src: '192.0.2.3' as string | undefined }],
    ['10.0.0.0/8', { dev: 'eth0', via: '192.0.2.9', src: undefined }],
  ]);
  /** Commands that are still carried out; then the process that gives them is dead. */
  budget = Number.POSITIVE_INFINITY;
  done = 0;

  readonly run: RunIp = async (args, input = '') => {
    if (this.budget <= 0) throw new Error('killed');
    if (!args.includes('-batch')) return { exitCode: 0, stdout: JSON.stringify(this.#answer(args)), stderr: '' };
    for (const line of input.trim().split('\n')) {
      if (this.budget-- <= 0) throw new Error('killed');
      this.done++;
      this.#carryOut(line.split(' '));
    }
    return { exitCode: 0, stdout: '', stderr: '' };
  };

  #answer(args: readonly string[]): object[] {
    const device = args.includes('dev') ? args[args.indexOf('dev') + 1] : undefined;
    if (args.includes('addr')) return this.#links(device);
    if (args.includes('-6')) return [];
    return [...this.routes]
      .filter(([, route]) => device === undefined || route.dev === device)
      .map(([dst, { via, src }]) => ({
        type: 'unicast',
        dst: dst === '0.0.0.0/0' ? 'default' : dst,
        gateway: via,
        table: 'main',
        protocol: 'static',
        ...(src === undefined ? {} : { prefsrc: src }),
      }));
  }

  #links(device: string | undefined): object[] {
    return Object.entries(this.links)
      .filter(([name]) => device === undefined || name === device)
      .map(([ifname, { index, mac, addresses }]) => ({
        ifindex: index,
        ifname,
        flags: ['UP', 'LOWER_UP'],
        mtu: 1500,
        address: mac,
        addr_info: addresses.map((address) => {
          const [local, prefix] = address.split('/');
          const family = address.includes(':') ? 'inet6' : 'inet';
          return { family, local, prefixlen: Number(prefix), scope: 'global' };
        }),
      }));
  }

  #carryOut(words: readonly string[]): void {
    const [what, verb, subject] = words as [string, string, string];
    const after = (word: string): string | undefined =>
      words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
    const dev = after('dev')!;
    const link = this.links[dev]!;
    if (what === 'link') link.mac = after('address')!;
    else if (what === 'route') this.routes.set(subject, { dev, via: after('via')!, src: after('src') });
    else if (verb === 'del') {
      link.addresses = link.addresses.filter((address) => address !== subject);
      for (const [dst, route] of this.routes)
        if (route.dev === dev && (link.addresses.length === 0 || subject.startsWith(`${route.src}/`)))
          this.routes.delete(dst);
    } else if (!link.addresses.includes(subject)) link.addresses.push(subject);
  }

  get state(): string {
    return JSON.stringify([this.links, [...this.routes].sort()]);
  }
}

describe('what was taken over', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-take-over-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const process = ({ run }: Kernel) => {
    const interfaces = new Interfaces(run);
    return { interfaces, takeOver: new TakeOver({ run, interfaces, log: quiet, folder }) };
  };
  const take = async (kernel: Kernel) => {
    const { interfaces, takeOver } = process(kernel);
    await takeOver.take((await interfaces.byName('eth0'))!, 'host');
    return takeOver;
  };
  const original = new Kernel().state;

  it('is on the TAP, with the MAC address, and on the interface again afterwards', async () => {
    const kernel = new Kernel();
    const takeOver = await take(kernel);
    expect(kernel.links.eth0!.addresses).toEqual([]);
    expect(kernel.links.host).toEqual({ ...new Kernel().links.eth0, index: 9 });
    expect([...kernel.routes.values()].map(({ dev }) => dev)).toEqual(['host', 'host']);
    await takeOver.giveBack('host');
    expect(kernel.state).toBe(original);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is whole after a run that was killed at any step', async () => {
    const whole = new Kernel();
    await (await take(whole)).giveBack('host');
    expect(whole.done).toBeGreaterThan(20);
    for (let step = 0; step <= whole.done; step++) {
      rmSync(folder, { recursive: true });
      const kernel = new Kernel();
      kernel.budget = step + 2;
      await take(kernel)
        .then((takeOver) => takeOver.giveBack('host'))
        .catch(() => undefined);
      const { eth0, host } = kernel.links;
      const somewhere = new Set([...eth0!.addresses, ...host!.addresses]);
      expect([...somewhere].sort(), `killed after ${step} steps`).toEqual(
        [...new Kernel().links.eth0!.addresses].sort(),
      );
      kernel.budget = Number.POSITIVE_INFINITY;
      await process(kernel).takeOver.giveBackAll();
      const sorted = (state: Kernel) =>
        JSON.stringify([state.links.eth0!.addresses.sort(), state.links.host, [...state.routes].sort()]);
      expect(sorted(kernel), `killed after ${step} steps`).toBe(sorted(new Kernel()));
      expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
    }
  });

  it('waits for an interface that is gone', async () => {
    const kernel = new Kernel();
    await take(kernel);
    const { eth0 } = kernel.links;
    delete kernel.links.eth0;
    await process(kernel).takeOver.giveBackAll();
    expect(readdirSync(folder).length).toBe(1);
    kernel.links.eth1 = { ...eth0!, index: 12 };
    await process(kernel).takeOver.giveBackAll();
    expect(kernel.links.eth1!.addresses).toEqual(new Kernel().links.eth0!.addresses);
    expect([...kernel.routes.values()].map(({ dev }) => dev)).toEqual(['eth1', 'eth1']);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('what an interface has', () => {
  const four = { family: 'inet', local: '192.0.2.2', prefixlen: 24, scope: 'global' };

  it.each([
    [four, '192.0.2.2/24', 'scope global'],
    [{ ...four, broadcast: '192.0.2.255' }, '192.0.2.2/24', 'broadcast 192.0.2.255 scope global'],
    [{ ...four, address: '192.0.2.1', prefixlen: 32 }, '192.0.2.2 peer 192.0.2.1/32', 'scope global'],
    [
      { ...four, valid_life_time: 3600, preferred_life_time: 4294967295, noprefixroute: true, metric: 7 },
      '192.0.2.2/24',
      'scope global metric 7 valid_lft 3600 preferred_lft forever noprefixroute',
    ],
    [{ ...four, family: 'inet6', local: 'fd00::2', prefixlen: 64 }, 'fd00::2/64', 'scope global nodad'],
  ])('address %j', (item, address, more) => expect(heldAddress(item)).toEqual({ address, more }));

  it('without what the kernel makes by itself', () => {
    expect(heldAddress({ ...four, family: 'inet6', local: 'fe80::1', scope: 'link' })).toBe(null);
    expect(heldRoute(4, { dst: '192.0.2.0/24', protocol: 'kernel' }, true)).toBe(null);
    expect(heldRoute(4, { dst: '192.0.2.0/24', protocol: 'kernel', metric: 100 }, false)).toBe(
      '192.0.2.0/24 table main proto kernel metric 100',
    );
    expect(heldRoute(4, { dst: '192.0.2.2', table: 'local' }, false)).toBe(null);
    expect(heldRoute(4, { type: 'multicast', dst: 'ff00::/8' }, false)).toBe(null);
    expect(heldRoute(6, { dst: 'fe80::/64', protocol: 'kernel' }, false)).toBe(null);
  });

  it.each([
    [4, { dst: 'default', gateway: '192.0.2.1', flags: ['onlink'] }, '0.0.0.0/0 via 192.0.2.1 table main onlink'],
    [
      6,
      { dst: 'default', gateway: 'fd00::1', protocol: 'ra', expires: 9, pref: 'high' },
      '::/0 via fd00::1 table main proto ra expires 9 pref high',
    ],
    [
      4,
      { dst: '10.0.0.0/8', via: { family: 'inet6', host: 'fd00::1' }, table: '77' },
      '10.0.0.0/8 via inet6 fd00::1 table 77',
    ],
    [
      4,
      { dst: '10.0.0.0/8', scope: 'link', prefsrc: '192.0.2.2', metric: 5, tos: '0x10', metrics: [{ mtu: 1400 }] },
      '10.0.0.0/8 table main scope link src 192.0.2.2 metric 5 tos 0x10 mtu 1400',
    ],
  ] as const)('route of IPv%i: %j', (family, route, words) => expect(heldRoute(family, route, false)).toBe(words));
});

describe('an interface is refused', () => {
  const nic = {
    index: 2,
    name: 'eth0',
    adminUp: true,
    carrier: true,
    mtu: 1500,
    mac: '02:00:00:00:00:02',
    master: null,
    mark: null,
    addresses: [],
    hasDefaultRoute: false,
  };

  it('when its machine needs it, and says how it could be had', () => {
    expect(refusalOf(nic, false)).toBe(null);
    expect(refusalOf({ ...nic, addresses: ['192.0.2.2/24'] }, false)).toMatchObject({ code: 'device-in-use' });
    expect(refusalOf({ ...nic, hasDefaultRoute: true }, false)!.message).toContain('carries the default route');
    expect(refusalOf({ ...nic, addresses: ['192.0.2.2/24'], hasDefaultRoute: true }, true)).toBe(null);
    for (const takeOver of [true, false]) {
      expect(refusalOf({ ...nic, master: 'bond0' }, takeOver)).toMatchObject({ code: 'device-enslaved' });
      expect(refusalOf({ ...nic, mark: { bridge: 'br0', port: 'a', owner: null } }, takeOver)).toMatchObject({
        code: 'own-device',
      });
    }
  });
});
