/** The MTUs of TAPs beside tunnels: what is set, when it is lowered, and what comes back. */
import { expect, it } from 'vitest';
import { BridgeMtu, mtuOf } from '../../../../control/running/bridge-mtu.ts';
import { rig, tap } from '../running-rig.ts';

const FAR = '192.0.2.2';
const tunnel = { name: 'pod', kind: 'vxlan', vni: 7, local: '192.0.2.1', remotes: [FAR] };

function stand() {
  const it = rig();
  const due: (() => Promise<void>)[] = [];
  const mtus = new BridgeMtu(it.base, (change) => void due.push(change));
  it.base.sizeChanged = (bridge) => mtus.hear(bridge);
  return {
    ...it,
    mtuOf: (name: string) => mtuOf(it.base.book.find('br0', name)!),
    /** What was set since the last call. */
    async set() {
      for (const change of due.splice(0)) await change();
      return it.processes.splice(0).flatMap((line) => /set dev (\S+) mtu (\d+)/.exec(line)?.slice(1).join(' ') ?? []);
    },
  };
}

it('TAPs get what a tunnel takes, but for those whose MTU the document says', async () => {
  const it = stand();
  await it.apply([], [tap('a'), tap('b', { mtu: 1500 }), tap('c', { mtu: 1200 }), tunnel]);
  expect(await it.set()).toEqual(['a 1446']);
  expect(['a', 'b', 'c'].map(it.mtuOf)).toEqual([1446, 1500, 1200]);
});

it('follows the underlay down and up, never above what the TAP has without tunnels', async () => {
  const it = stand();
  await it.apply([], [tap('a'), tunnel]);
  await it.set();
  for (const [mtu, set] of [
    [1300, ['a 1246']],
    [9000, ['a 1500']],
    [1500, ['a 1446']],
  ] as const) {
    it.underlay.ways.set(FAR, { error: 0, mtu, device: 2 });
    it.tunnels.underlay.review();
    expect(await it.set()).toEqual(set);
  }
});

it('the narrowest tunnel counts, and without tunnels there is no limit', async () => {
  const it = stand();
  const other = { ...tunnel, name: 'other', vni: 8, mtu: 1300 };
  const ports = [tap('a'), tunnel, other];
  await it.apply([], ports);
  expect(await it.set()).toEqual(['a 1300']);
  await it.apply(ports, [tap('a'), tunnel]);
  expect(await it.set()).toEqual(['a 1446']);
  await it.apply([tap('a'), tunnel], [tap('a')]);
  expect(await it.set()).toEqual(['a 1500']);
});

it('what the document says of a TAP later is heeded, and that it says no more', async () => {
  const it = stand();
  const [free, fixed] = [
    [tap('a'), tunnel],
    [tap('a', { mtu: 1500 }), tunnel],
  ];
  await it.apply([], free);
  await it.set();
  await it.apply(free, fixed);
  it.base.sizeChanged('br0');
  expect((await it.set()).at(-1)).toBe('a 1500');
  await it.apply(fixed, free);
  it.base.sizeChanged('br0');
  expect((await it.set()).at(-1)).toBe('a 1446');
  const same = [tap('a', { mtu: 1446 }), tunnel];
  await it.apply(free, same);
  it.base.sizeChanged('br0');
  await it.set();
  await it.apply(same, free);
  it.base.sizeChanged('br0');
  expect(await it.set()).toEqual(['a 1500', 'a 1446']);
});
