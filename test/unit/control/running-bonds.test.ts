/** Bonds of a running switch while ports come and go: what workers find in the arena meanwhile, and what goes out. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { LacpSystem } from '../../../control/protocols/lacp/system.ts';
import { injectRing } from '../../../dataplane/inject.ts';
import { PUNT_RING_BYTES } from '../../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../../dataplane/memory/byte-ring.ts';
import { BOND_WORDS_SHIFT, Header, InjectWord, Punt, workerRegion } from '../../../dataplane/memory/layout.ts';
import { BondWord } from '../../../dataplane/tables/bond-layout.ts';
import { LACP } from './bonding/rig.ts';
import { FakeOpener } from './fake-opener.ts';
import { rig, tap } from './running-rig.ts';

const MACS: Record<string, string | null> = { 'up/a': '02:00:00:00:00:0a', 'up/b': '02:00:00:00:00:0b' };

/** A bond over `a` and `b`, whose interfaces have these addresses. */
function bondOf(rest: object, names = ['a', 'b']) {
  return { name: 'up', kind: 'bond', ...rest, members: names.map((name) => ({ kind: 'netdev', device: name })) };
}

function stand(macs = MACS) {
  const netdev = new FakeOpener();
  let handle = 100;
  netdev.opening = (device) => {
    device.come(handle++);
    Object.assign(device, { link: { speed: 1e10, mac: macs[device.host.port] ?? null } });
  };
  const switched = rig({ netdev });
  const { view, book } = switched.base;
  const record = () => (view.layout.words[Header.BONDS_AT]! >> 2) + (1 << BOND_WORDS_SHIFT);
  return {
    ...switched,
    number: (name: string) => book.find('br0', name)!.number,
    word: (at: number) => view.i32[record() + at]!,
    buckets: () => new Set(view.i32.slice(record() + BondWord.BUCKETS, record() + BondWord.BUCKETS + 256)),
    /** A worker hands up a frame, and control doesn't hear of it yet. */
    punt(port: string, frame: Uint8Array) {
      const ring = new ByteRing(view.i32, workerRegion(view.layout, Header.PUNT_AT, 0), PUNT_RING_BYTES);
      const at = ring.reserve(frame.length);
      view.i32[at + Punt.PORT] = book.find('br0', port)!.number;
      view.i32[at + Punt.BYTES] = frame.length;
      view.u8.set(frame, (at + BYTE_RING_HEAD_WORDS) << 2);
      ring.publish(at);
    },
    /** Frames that wait for worker 0, by the port out of which they go. */
    injected(): [number, Uint8Array][] {
      const ring = injectRing(view, 0);
      const frames: [number, Uint8Array][] = [];
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        const from = (at + BYTE_RING_HEAD_WORDS) << 2;
        const bytes = view.u8.slice(from, from + view.i32[at + InjectWord.BYTES]!);
        frames.push([view.i32[at + InjectWord.PORT]!, bytes]);
        ring.release(at);
      }
      return frames;
    },
  };
}

/** An LACP system at the other ends of the bond's links. */
function partnerOf({ base, number, injected }: ReturnType<typeof stand>) {
  const names = ['a', 'b'];
  const numbers = new Map(names.map((name) => [number(`up/${name}`), name]));
  const sent: [string, Uint8Array][] = [];
  const last = new Map<string, Uint8Array>();
  const system = new LacpSystem(LACP, 1, performance.now(), (name, frame) => void sent.push([name, frame]));
  names.forEach((name, k) => {
    system.addPort(name, { number: k + 1, priority: 1 }, performance.now());
    system.link(name, true, 1e10, `02:00:00:00:01:0${k}`, performance.now());
  });
  const hear = () => {
    for (const [port, frame] of injected()) system.receive(numbers.get(port)!, frame, performance.now());
  };
  return {
    hear,
    /** A tenth of a second passes. */
    step() {
      vi.advanceTimersByTime(100);
      system.tick(performance.now());
      for (const [name, frame] of sent.splice(0)) {
        last.set(name, frame);
        base.bonds.of('br0', 'up')!.receive(name, frame);
      }
      hear();
    },
    last: (name: string) => last.get(name)!,
    carrying: () => names.filter((name) => system.distributing(name)),
  };
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('a member that is taken out of the document', () => {
  it('carries nothing from before its workers let go of it, whatever downdelay says', async () => {
    const it = stand();
    const [both, one] = [['a', 'b'], ['a']].map((names) => [bondOf({ mode: 'balance-xor', downdelay: 60_000 }, names)]);
    await it.apply([], both!);
    const [a, b] = [it.number('up/a'), it.number('up/b')];
    expect(it.buckets()).toEqual(new Set([a, b]));
    const seen: Set<number>[] = [];
    it.answers.order = ({ type }) => {
      if (type === 'detach') seen.push(it.buckets());
      return 0;
    };
    await it.apply(both!, one!);
    expect(seen).toEqual([new Set([a])]);
  });

  it('tells LACP’s partner while its frames still leave', async () => {
    vi.useFakeTimers();
    const it = stand();
    const [both, one] = [['a', 'b'], ['a']].map((names) => [bondOf({ mode: '802.3ad' }, names)]);
    await it.apply([], both!);
    const partner = partnerOf(it);
    for (let k = 0; k < 100; k++) partner.step();
    expect(partner.carrying()).toEqual(['a', 'b']);
    it.answers.order = ({ type }) => {
      if (type === 'detach') partner.hear();
      return 0;
    };
    await it.apply(both!, one!);
    expect(partner.carrying()).toEqual(['a']);
  });
});

it('LACP hears what came while the thread was busy before it counts it as missing', async () => {
  vi.useFakeTimers();
  const it = stand();
  await it.apply([], [bondOf({ mode: '802.3ad' })]);
  const partner = partnerOf(it);
  for (let k = 0; k < 100; k++) partner.step();
  const carrying = () =>
    it.base.bonds
      .of('br0', 'up')!
      .status()
      .members.map(({ state }) => state);
  expect(carrying()).toEqual(['enabled', 'enabled']);
  const late = performance.now() + 95_000;
  it.punt('up/a', partner.last('a'));
  vi.spyOn(performance, 'now').mockImplementation(() => late);
  vi.advanceTimersByTime(31_000);
  expect(carrying()).toEqual(['enabled', 'waiting']);
});

describe('balance-alb', () => {
  it('balances the address that this machine has now', async () => {
    const it = stand();
    const [before, after] = ['02:00:00:00:00:31', '02:00:00:00:00:32'].map((mac) => [
      tap('host', { mac }),
      bondOf({ mode: 'balance-alb' }),
    ]);
    await it.apply([], before!);
    expect(it.word(BondWord.OWN_HIGH)).toBe(0x31000000);
    await it.apply(before!, after!);
    expect(it.word(BondWord.OWN_HIGH)).toBe(0x32000000);
  });
});
