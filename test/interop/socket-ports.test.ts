/**
 * A daemon with socket ports only, as an ordinary user runs it: guests of every kind talk, come and go, are slow, lie, and are refused. The
 * guests are this process (socket-guests.ts), so that every frame is accounted for; QEMU's own are in test/guests.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PortDetail } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import { Daemon, WEFT } from '../netns/daemon.ts';
import { DgramGuest, frameOf, numberOf, StreamGuest } from './socket-guests.ts';

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all'];
const isRoot = process.getuid?.() === 0;
const under = isRoot ? NOBODY : [];
const readable =
  !isRoot || spawnSync(NOBODY[0]!, [...NOBODY.slice(1), process.execPath, WEFT, '--version']).status === 0;
const needs = {
  addon: true,
  tools: isRoot ? ['setpriv'] : [],
  because: readable ? null : 'this host lets no ordinary user read the build',
};
const ALL = 0xff;
const HELLO = 0xffff;

describeNeeds(needs, 'socket ports, as an ordinary user', () => {
  let folder: string;
  let daemon: Daemon;
  const at = (name: string) => join(folder, name);
  const start = (name: string, ports: readonly object[]) =>
    Daemon.start({
      folder,
      name,
      under,
      document: {
        metrics: { listen: '127.0.0.1:0' },
        workers: { count: 2 },
        bridges: [{ name: 'br0', ports: ports.map((port) => ({ kind: 'socket', mtu: 9000, ...port })) }],
      },
    });
  const known = (name: string, wanted: (port: PortDetail) => boolean) =>
    waitFor(() => daemon.client.get<PortDetail>(`/v1/bridges/br0/ports/${name}`), wanted);
  const up = (name: string) => known(name, (port) => port.up);
  const down = (name: string) => known(name, (port) => !port.up);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-socket-ports-'));
    chmodSync(folder, 0o777);
    daemon = await start('one', [
      { name: 'a', socket: at('a') },
      { name: 'b', socket: at('b') },
      { name: 'c', socket: at('c'), mode: 'client' },
      { name: 'd', socket: at('d'), type: 'dgram', remote: at('d-guest') },
    ]);
  });
  afterAll(async () => {
    await daemon?.kill();
    rmSync(folder, { recursive: true });
  });

  it('says whom it waits for, and makes files that are the owner’s only', async () => {
    const reasons = await Promise.all(['a', 'c', 'd'].map(async (name) => (await down(name)).reason));
    expect(reasons).toEqual([
      `nobody is connected to ${at('a')}`,
      `nobody answers at ${at('c')}`,
      `nobody receives at ${at('d-guest')}: ENOENT`,
    ]);
    for (const name of ['a', 'd']) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
    if (isRoot) expect(statSync(at('a')).uid).toBe(65534);
  });

  it('joins guests of every kind; frames of every size arrive as they were sent, in order', async () => {
    const listening = await StreamGuest.listen(at('c'));
    const [a, c, d] = [
      await StreamGuest.connect(at('a')),
      await listening.guest,
      await DgramGuest.open(at('d-guest'), at('d')),
    ];
    await Promise.all(['a', 'c', 'd'].map(up));
    const guests = [a, c, d];
    await meet(guests);
    const sizes = [18, 60, 255, 256, 257, 1514, 4000, 9014];
    for (const [k, from] of guests.entries()) {
      const to = (k + 1) % guests.length;
      const sent = Array.from({ length: 8 }, (_, n) => frameOf(to + 1, k + 1, n, sizes[n]));
      from.send(...sent);
      expect(await guests[to]!.receive(sent.length)).toEqual(sent);
    }
    for (const guest of guests) guest.close();
    listening.close();
    const detail = await down('a');
    expect(detail.reason).toBe(
      `nobody is connected to ${at('a')}; of the last connection: it was closed by the other side`,
    );
    expect(detail.receive.frames).toBeGreaterThanOrEqual(9);
  });

  it('goes on for others while one guest does not read, whose frames are counted and stay whole', async () => {
    const [a, b] = [await StreamGuest.connect(at('a')), await StreamGuest.connect(at('b'))];
    const d = await DgramGuest.open(at('d-guest'), at('d'));
    await Promise.all(['a', 'b', 'd'].map(up));
    await meet([a, b, d]);
    const before = await known('b', () => true);
    b.pause();
    const COUNT = 6000;
    for (let k = 0; k < COUNT; k += 100) {
      a.send(...Array.from({ length: 100 }, (_, n) => frameOf(2, 1, k + n, 1000)));
      // The answer comes through in time, though b's queue is full.
      a.send(frameOf(3, 1, k));
      expect((await d.receive(1)).map(numberOf)).toEqual([k]);
    }
    const full = await known(
      'b',
      (port) => port.transmit.frames - before.transmit.frames + (port.dropped['egress-full'] ?? 0) === COUNT,
    );
    const lost = full.dropped['egress-full']!;
    expect(lost).toBeGreaterThan(1000);
    expect(full.details['lost to a slow reader']).toBe(`${lost}`);
    b.resume();
    const numbers = (await b.receive(COUNT - lost)).map(numberOf);
    expect(numbers.length).toBe(COUNT - lost);
    expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
    for (const guest of [a, b, d]) guest.close();
    await Promise.all(['a', 'b'].map(down));
  });

  it('ends a connection whose framing is lost, with what came before it', async () => {
    const [a, b] = [await StreamGuest.connect(at('a')), await StreamGuest.connect(at('b'))];
    await Promise.all(['a', 'b'].map(up));
    await meet([a, b]);
    a.send(frameOf(ALL, 1, 7));
    a.raw(Buffer.from('nonsense'));
    expect((await b.receive(1)).map(numberOf)).toEqual([7]);
    await a.end();
    expect((await down('a')).reason).toContain('the other side sent a length that no frame has');
    b.close();
    await down('b');
  });

  it('lets one in at a time, and the next as soon as that one is gone', async () => {
    const first = await StreamGuest.connect(at('a'));
    await up('a');
    const second = await StreamGuest.connect(at('a'));
    await second.end();
    expect((await up('a')).details).toMatchObject({ 'refused connections': '1' });
    const third = await StreamGuest.connect(at('a'));
    first.close();
    const b = await StreamGuest.connect(at('b'));
    await Promise.all(['a', 'b'].map(up));
    await meet([third, b]);
    for (const guest of [third, b]) guest.close();
    await Promise.all(['a', 'b'].map(down));
  });

  it('finds guests again that come back: the one it seeks, and the one with datagrams', async () => {
    const a = await StreamGuest.connect(at('a'));
    for (let round = 0; round < 2; round++) {
      const listening = await StreamGuest.listen(at('c'));
      const c = await listening.guest;
      const d = await DgramGuest.open(at('d-guest'), at('d'));
      await Promise.all(['a', 'c', 'd'].map(up));
      await meet([a, c, d]);
      c.close();
      listening.close();
      d.close();
      await down('c');
      a.send(frameOf(ALL, 1, 9));
      await down('d');
    }
    a.close();
  });

  it('refuses a socket that somebody has, takes one over that a killed daemon left, and leaves none behind', async () => {
    await expect(start('two', [{ name: 'a', socket: at('a') }])).rejects.toThrow(
      `br0/a: somebody listens at ${at('a')}`,
    );
    await expect(start('two', [{ name: 'd', socket: at('d'), type: 'dgram', remote: at('x') }])).rejects.toThrow(
      `br0/d: somebody receives at ${at('d')}`,
    );
    await daemon.kill();
    expect(['a', 'b', 'd'].map((name) => existsSync(at(name)))).toEqual([true, true, true]);
    daemon = await start('three', [
      { name: 'a', socket: at('a') },
      { name: 'd', socket: at('d'), type: 'dgram', remote: at('d-guest') },
    ]);
    const a = await StreamGuest.connect(at('a'));
    await up('a');
    const { code, stderr } = await daemon.stop();
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('link monitor');
    await a.end();
    expect(['a', 'd'].map((name) => existsSync(at(name)))).toEqual([false, false]);
  });
});

/** Guest k of them has address k + 1: each says hello until all others heard it, since a port that has just come up may miss a frame. */
async function meet(guests: readonly (StreamGuest | DgramGuest)[]): Promise<void> {
  for (const [k, guest] of guests.entries()) {
    const others = guests.filter((one) => one !== guest);
    const heard = new Set<StreamGuest | DgramGuest>();
    await waitFor(
      async () => {
        guest.send(frameOf(ALL, k + 1, HELLO));
        await sleep(50);
        for (const one of others) if ((await one.receive(0)).length > 0) heard.add(one);
        return heard.size;
      },
      (count) => count === others.length,
    );
  }
  await sleep(200);
  for (const guest of guests) await guest.receive(0);
}

async function waitFor<T>(ask: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 10_000; ; ) {
    const value = await ask();
    if (wanted(value)) return value;
    if (Date.now() > end) throw new Error(`waited in vain; there is ${JSON.stringify(value)}`);
    await sleep(20);
  }
}
