/**
 * The bridged model: a machine, here a namespace that runs weft, whose only NIC becomes a port of its switch. Its connections go on while
 * that happens, and it gets everything back: at a clean end, and at the next start after it was killed.
 */
import { readdirSync, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { Chats, type Talking } from './chat.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { beforeRetry, bridge, Lab, REAL, tap, until } from './lab.ts';
import { netdev, wire } from './veth.ts';

const LAN = ['192.0.2.1/24', '2001:db8:7::1/64'];
const FAR = '198.51.100.1';
const HOST_TAP = 'weft-host';
const CHAT_PORT = 7777;

/** What of an interface counts: not what the kernel makes by itself, nor flags like `nodad`. */
interface Sight {
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
}

describeNeeds(REAL, 'a machine whose NIC is a port of its own switch', () => {
  let lab: Lab;
  let machine: Host;
  let lan: Host;
  let guest: Host;
  let before: Sight;
  const chats = new Chats();
  let talks: Talking[];

  const inHub = async (...args: string[]) => (await execa('ip', ['-n', lab.name('hub'), ...args])).stdout;

  async function sight(device: string): Promise<Sight> {
    const [link] = JSON.parse(await inHub('-json', 'addr', 'show', 'dev', device));
    const routes = async (family: string) =>
      JSON.parse((await inHub(family, '-json', 'route', 'show', 'dev', device)) || '[]');
    type Address = { local: string; prefixlen: number; scope: string; broadcast?: string; preferred_life_time: number };
    type Route = { dst: string; gateway?: string; metric?: number; prefsrc?: string; protocol: string };
    return {
      mac: link.address,
      addresses: (link.addr_info as Address[])
        .filter(({ scope }) => scope !== 'link')
        .map(
          ({ local, prefixlen, broadcast = '-', preferred_life_time: lasts }) =>
            `${local}/${prefixlen} ${broadcast} ${lasts > 4e9}`,
        ),
      routes: ([...(await routes('-4')), ...(await routes('-6'))] as Route[])
        .filter(({ dst }) => !dst.startsWith('fe80'))
        .map(({ dst, gateway, metric, prefsrc, protocol }) => `${dst} ${gateway} ${metric} ${prefsrc} ${protocol}`)
        .sort(),
    };
  }

  const document = (withNic: boolean) =>
    bridge([
      { name: 'host', kind: 'tap', device: HOST_TAP },
      tap(lab, 'guest', { address: '192.0.2.50/24' }),
      ...(withNic ? [netdev('lan', { 'take-over': true })] : []),
    ]);
  const start = (withNic = true): Promise<Daemon> => lab.daemon(document(withNic));
  const left = () =>
    readdirSync('/run/weft').filter((name) => name.includes(HOST_TAP) && name.includes(String(hubNumber)));
  let hubNumber = 0;

  /**
   * Every connection has had an answer from now on: were it cut off again before that, while TCP waits longer and longer, several short
   * outages would look as a long one.
   */
  async function isTalking(): Promise<void> {
    for (const talk of talks) {
      const before = await talk.answers();
      const after = await until(talk.answers, (count) => count > before, 15_000);
      expect(after).toBeGreaterThan(before);
    }
  }

  async function isTaken(): Promise<void> {
    const [nic, host] = [await sight('v-lan'), await sight(HOST_TAP)];
    expect(nic).toEqual({ mac: before.mac, addresses: [], routes: [] });
    expect(host).toEqual(before);
    expect(await machine.ping('192.0.2.1', { interval: 0.01 })).toBe(3);
    expect(await machine.ping(FAR, { interval: 0.01 })).toBe(3);
    expect(await machine.ping('2001:db8:7::1', { interval: 0.01 })).toBe(3);
    expect(await guest.ping('192.0.2.1', { interval: 0.01 })).toBe(3);
    expect(await guest.ping('192.0.2.2', { interval: 0.01 })).toBe(3);
    await isTalking();
  }

  async function isBack(): Promise<void> {
    expect(await sight('v-lan')).toEqual(before);
    expect(left()).toEqual([]);
    expect(await machine.ping(FAR, { interval: 0.01 })).toBe(3);
    expect(await lan.ping('2001:db8:7::2', { interval: 0.01 })).toBe(3);
    await isTalking();
  }

  beforeAll(async () => {
    lab = new Lab();
    machine = await lab.host('hub');
    ({ lan, guest } = await lab.hosts(['lan', 'guest']));
    hubNumber = statSync(`/run/netns/${lab.name('hub')}`).ino;
    await wire(lab, 'lan', { address: LAN });
    await lan.run('ip', 'addr', 'add', `${FAR}/32`, 'dev', 'lo');
    for (const address of ['192.0.2.2/24', '192.0.2.3/24'])
      await inHub('addr', 'add', address, 'broadcast', '+', 'dev', 'v-lan');
    await inHub('addr', 'add', '2001:db8:7::2/64', 'dev', 'v-lan', 'nodad');
    await inHub('addr', 'add', '203.0.113.9/32', 'dev', 'v-lan', 'valid_lft', '90000', 'preferred_lft', '80000');
    await inHub(
      'route',
      'add',
      'default',
      'via',
      '192.0.2.1',
      'dev',
      'v-lan',
      'metric',
      '50',
      'proto',
      'dhcp',
      'src',
      '192.0.2.3',
    );
    await inHub('route', 'add', '10.0.0.0/8', 'via', '192.0.2.9', 'dev', 'v-lan');
    await inHub('-6', 'route', 'add', 'default', 'via', '2001:db8:7::1', 'dev', 'v-lan', 'proto', 'static');
    before = await sight('v-lan');
    await chats.serve(lab.name('hub'), '192.0.2.2', CHAT_PORT);
    await chats.serve(lab.name('hub'), '2001:db8:7::2', CHAT_PORT);
    await chats.serve(lab.name('lan'), FAR, CHAT_PORT);
    talks = [
      await chats.talk(lab.name('lan'), '192.0.2.2', CHAT_PORT),
      await chats.talk(lab.name('lan'), '2001:db8:7::2', CHAT_PORT),
      await chats.talk(lab.name('hub'), FAR, CHAT_PORT),
    ];
  });
  afterAll(async () => {
    await chats.close();
    await lab.close();
  });

  // The next start of a switch that takes nothing over gives everything back.
  beforeRetry(async () => {
    await lab.stopDaemons();
    await (await start(false)).stop();
    await inHub('addr', 'del', '192.0.2.77/24', 'dev', 'v-lan').catch(() => undefined);
    await inHub('route', 'del', '172.16.0.0/12').catch(() => undefined);
  });

  it('has what makes the test worth its while', () => {
    expect(before.addresses.length).toBe(4);
    expect(before.routes.length).toBe(5);
  });

  it('keeps address, MAC and routes on a TAP while weft runs, and has them back at its end', async () => {
    const daemon = await start();
    await isTaken();
    const { code, stderr } = await daemon.stop();
    expect(code, stderr).toBe(0);
    expect(await inHub('link', 'show')).not.toContain(HOST_TAP);
    await isBack();
  });

  it('goes on after weft was killed and started again', async () => {
    const killed = await start();
    await isTaken();
    await killed.kill();
    expect(left().length).toBe(1);
    const daemon = await start();
    await isTaken();
    expect(left().length).toBe(1);
    await daemon.stop();
    await isBack();
  });

  it('gets everything back from the next start, though that takes nothing over', async () => {
    const killed = await start();
    await isTalking();
    await killed.kill();
    const daemon = await start(false);
    await isBack();
    await daemon.stop();
    await isBack();
  });

  it('keeps what its host changed meanwhile', async () => {
    const daemon = await start();
    await inHub('addr', 'add', '192.0.2.77/24', 'dev', HOST_TAP);
    await inHub('route', 'add', '172.16.0.0/12', 'via', '192.0.2.1', 'dev', HOST_TAP);
    await isTalking();
    await daemon.stop();
    const { addresses, routes } = await sight('v-lan');
    expect(addresses.length).toBe(before.addresses.length + 1);
    expect(routes.length).toBe(before.routes.length + 1);
    await inHub('addr', 'del', '192.0.2.77/24', 'dev', 'v-lan');
    await inHub('route', 'del', '172.16.0.0/12');
    await isBack();
  });

  it('takes and gives while weft runs', async () => {
    const daemon = await start(false);
    await daemon.addPort('br0', netdev('lan', { 'take-over': true }));
    await isTaken();
    await daemon.deletePort('br0', 'lan');
    await isBack();
    await daemon.addPort('br0', netdev('lan', { 'take-over': true }));
    await inHub('link', 'del', HOST_TAP);
    const found = await until(
      () => sight(HOST_TAP).catch(() => null),
      (now) => isDeepStrictEqual(now, before),
    );
    expect(found).toEqual(before);
    await isTalking();
    await daemon.stop();
    await isBack();
  });

  it('was never cut off: every connection from before lives', async () => {
    for (const talk of talks) {
      const { answers, error, silence_ms: silence } = await talk.end();
      expect(error).toBe(null);
      expect(answers).toBeGreaterThan(100);
      expect(silence).toBeLessThan(15_000);
    }
  });
});
