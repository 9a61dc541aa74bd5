/**
 * A daemon with socket ports only, as an ordinary user runs it: guests of every kind talk, come and go, are slow, lie, and are refused. The
 * guests are this process (socket-guests.ts), so that every frame is accounted for; QEMU's own are in test/guests.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
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
const BYE = 0xfffe;

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
  /** What a test made, and has to end whatever became of it. */
  const open: { close(): void }[] = [];
  const kept = <T extends { close(): void }>(one: T): T => {
    open.push(one);
    return one;
  };
  const connect = async (name: string) => kept(await StreamGuest.connect(at(name)));
  const openDgram = async () => kept(await DgramGuest.open(at('d-guest'), at('d')));
  /** `guest` is there once weft is. */
  const listen = async () => {
    const listening = kept(await StreamGuest.listen(at('c')));
    return { ...listening, guest: listening.guest.then(kept) };
  };

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
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await Promise.all(['a', 'b', 'c', 'd'].map(down));
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
    const listening = await listen();
    const [a, c, d] = [await connect('a'), await listening.guest, await openDgram()];
    await Promise.all(['a', 'c', 'd'].map(up));
    const before = await known('a', () => true);
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
    expect(detail.receive.frames - before.receive.frames).toBeGreaterThanOrEqual(9);
  });

  it('goes on for others while one guest does not read, whose frames are counted and stay whole', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    const d = await openDgram();
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
    const lostOf = (port: PortDetail) => (port.dropped['egress-full'] ?? 0) - (before.dropped['egress-full'] ?? 0);
    const full = await known('b', (port) => port.transmit.frames - before.transmit.frames + lostOf(port) === COUNT);
    const lost = lostOf(full);
    expect(lost).toBeGreaterThan(1000);
    expect(slowOf(full) - slowOf(before)).toBe(lost);
    b.resume();
    const numbers = (await b.receive(COUNT - lost)).map(numberOf);
    expect(numbers.length).toBe(COUNT - lost);
    expect(numbers).toEqual([...numbers].sort((one, other) => one - other));
  });

  it('ends a connection whose framing is lost, with what came before it', async () => {
    const [a, b] = [await connect('a'), await connect('b')];
    await Promise.all(['a', 'b'].map(up));
    await meet([a, b]);
    a.send(frameOf(ALL, 1, 7));
    a.raw(Buffer.from('nonsense'));
    expect((await b.receive(1)).map(numberOf)).toEqual([7]);
    await a.end();
    expect((await down('a')).reason).toContain('the other side sent a length that no frame has');
  });

  it('lets one in at a time, and the next as soon as that one is gone', async () => {
    const first = await connect('a');
    const before = tallies(await up('a'));
    const second = await connect('a');
    await second.end();
    expect(tallies(await up('a'))).toEqual({ ...before, refused: before.refused + 1 });
    let third = await connect('a');
    first.close();
    const isIn = (port: PortDetail) => tallies(port).connections > before.connections;
    // Weft may have been so late with the first one's end that it has refused this one, but not whoever comes then.
    await known('a', (port) => isIn(port) || third.ended);
    if (third.ended) third = await connect('a');
    await known('a', (port) => port.up && isIn(port));
    const b = await connect('b');
    await up('b');
    await meet([third, b]);
  });

  it('finds guests again that come back: the one it seeks, and the one with datagrams', async () => {
    const a = await connect('a');
    for (let round = 0; round < 2; round++) {
      const listening = await listen();
      const c = await listening.guest;
      const d = await openDgram();
      await Promise.all(['a', 'c', 'd'].map(up));
      await meet([a, c, d]);
      c.close();
      listening.close();
      d.close();
      await down('c');
      a.send(frameOf(ALL, 1, 9));
      await down('d');
    }
  });

  it('refuses a socket that somebody has, takes one over that a killed daemon left, and leaves none behind', async () => {
    await expect(start('two', [{ name: 'a', socket: at('a') }])).rejects.toThrow(
      `br0/a: somebody listens at ${at('a')}`,
    );
    await expect(start('two', [{ name: 'd', socket: at('d'), type: 'dgram', remote: at('x') }])).rejects.toThrow(
      `br0/d: somebody receives at ${at('d')}`,
    );
    const ports = [
      { name: 'e', socket: at('e') },
      { name: 'f', socket: at('f'), type: 'dgram', remote: at('f-guest') },
    ];
    const files = () => ports.map(({ socket }) => existsSync(socket));
    await (await start('three', ports)).kill();
    expect(files()).toEqual([true, true]);
    const successor = await start('four', ports);
    try {
      const e = await connect('e');
      await waitFor(
        () => successor.port('e'),
        (port) => port.up,
      );
      const { code, stderr } = await successor.stop();
      expect(code, stderr).toBe(0);
      expect(stderr).not.toContain('link monitor');
      await e.end();
      expect(files()).toEqual([false, false]);
    } finally {
      await successor.kill();
    }
  });
});

const slowOf = ({ details }: PortDetail) => Number(details['lost to a slow reader']);
const tallies = ({ details }: PortDetail) => ({
  connections: Number(details.connections),
  refused: Number(details['refused connections']),
});

/**
 * Guest k of them has address k + 1: each says hello until all others heard it, since a port that has just come up may miss a frame. Frames of
 * one guest stay in order: once its last word is heard nothing of it is under way, which could meet what the next one sends.
 */
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
    guest.send(frameOf(ALL, k + 1, BYE));
    for (const one of others) {
      let last = HELLO;
      await waitFor(
        async () => {
          last = (await one.receive(0)).map(numberOf).at(-1) ?? last;
          return last;
        },
        (number) => number === BYE,
      );
    }
  }
}

async function waitFor<T>(ask: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 10_000; ; ) {
    const value = await ask();
    if (wanted(value)) return value;
    if (Date.now() > end) throw new Error(`waited in vain; there is ${JSON.stringify(value)}`);
    await sleep(20);
  }
}
