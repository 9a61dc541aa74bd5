/** What is shown of a running bond: its own row and its members', and members left out of everything else. */
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../control/running/metrics-source.ts';
import * as show from '../../../control/running/show.ts';
import { bondRows } from '../../../control/running/show-bonds.ts';
import { Header, PORT_CELLS_COUNT, PortCell, workerRegion } from '../../../dataplane/memory/layout.ts';
import { rig } from './running-rig.ts';

const BOND = {
  name: 'up',
  kind: 'bond',
  mode: 'balance-xor',
  vlan: { tag: 10 },
  members: [
    { kind: 'memory', name: 'a', speed: '1G' },
    { kind: 'memory', name: 'b', speed: '10G' },
  ],
};

async function stand(bond: object = BOND) {
  const stand = rig();
  await stand.start([{ name: 'vm', kind: 'memory' }, bond]);
  const { base } = stand;
  const count = (port: string, cell: number, frames: number) => {
    const number = base.book.port('br0', port).number;
    const cells = workerRegion(base.view.layout, Header.COUNTERS_AT, 0) >> 3;
    base.view.f64[cells + number * PORT_CELLS_COUNT + cell] = frames;
  };
  for (const name of ['up/a', 'up/b']) {
    const state = base.book.find('br0', name);
    if (state !== null) base.bonds.hear(state);
  }
  return { ...stand, count };
}

describe('lists of ports', () => {
  it('have bonds, and no members', async () => {
    const { base } = await stand();
    expect(base.book.ports().map(({ model }) => model.name)).toEqual(['vm', 'up', 'up/a', 'up/b']);
    expect(show.portRows(base).map(({ name, kind }) => [name, kind])).toEqual([
      ['vm', 'memory'],
      ['up', 'bond'],
    ]);
    expect(show.bridgeRows(base)[0]!.ports).toBe(2);
    expect(show.vlanRows(base).flatMap(({ tagged, untagged }) => [...tagged, ...untagged])).not.toContain('up/a');
    expect(show.vlanRows(base).find(({ vlans }) => vlans === '10')).toMatchObject({ tagged: ['vm'], untagged: ['up'] });
    expect(new Metrics(base).ports().map(({ port }) => port)).toEqual(['vm', 'up']);
    expect(new Metrics(base).bonds().map(({ name, members }) => [name, members.length])).toEqual([['up', 2]]);
  });
});

describe('a bond’s rows', () => {
  it('add up what its members sent and lost', async () => {
    const { base, count } = await stand();
    count('up', PortCell.RX_FRAMES, 7);
    count('up/a', PortCell.RX_FRAMES, 9);
    count('up/a', PortCell.TX_FRAMES, 3);
    count('up/b', PortCell.TX_FRAMES, 4);
    count('up/b', PortCell.TX_BYTES, 400);
    count('up/b', PortCell.TX_SEGMENTS, 5);
    count('up/b', PortCell.PUNTED, 6);
    count('up/b', PortCell.INJECTED, 8);
    const row = show.portRows(base).find(({ name }) => name === 'up')!;
    expect(row.receive.frames, 'what entered the bridge').toBe(7);
    expect(row.transmit).toEqual({ frames: 7, bytes: 400, segments: 5 });
    const [bond] = bondRows(base);
    expect(bond!.members.map(({ name, receive, transmit }) => [name, receive.frames, transmit.frames])).toEqual([
      ['a', 9, 3],
      ['b', 0, 4],
    ]);
    const [sample] = new Metrics(base).bonds();
    expect(sample!.members[1]).toMatchObject({ punted: 6, injected: 8, carrying: true });
    expect(new Metrics(base).ports()[1]).toMatchObject({ receiveFrames: 7, transmitFrames: 7, transmitBytes: 400 });
  });

  it('say which losses are whose', async () => {
    const { base } = await stand();
    const lose = (port: string, frames: number) => {
      const { number } = base.book.port('br0', port);
      const drops = base.counters.drops;
      base.counters.drops = (one) => (one === number ? { 'egress-full': frames } : drops.call(base.counters, one));
    };
    lose('up', 1);
    lose('up/a', 2);
    lose('up/b', 3);
    expect(show.portRows(base)[1]!.dropped).toEqual({ 'egress-full': 6 });
    expect(show.dropRows(base).map(({ port, frames }) => [port, frames])).toEqual([
      ['up', 1],
      ['up/a', 2],
      ['up/b', 3],
    ]);
    expect(bondRows(base)[0]!.members.map(({ dropped }) => dropped)).toEqual([
      { 'egress-full': 2 },
      { 'egress-full': 3 },
    ]);
    expect(new Metrics(base).drops().map(({ port }) => port)).toEqual(['up', 'up/a', 'up/b']);
  });

  it('count what the kernel lost of members as the bond’s', async () => {
    const { base } = await stand();
    const lost: Record<string, number> = { 'up/a': 4, 'up/b': 5 };
    base.kernel.of = ({ model }): Record<string, number> =>
      model.memberOf === null ? {} : { 'rx-missed': lost[model.name]! };
    expect(show.portRows(base)[1]!.missed).toEqual({ 'rx-missed': 9 });
    expect(new Metrics(base).missed()).toEqual([{ bridge: 'br0', port: 'up', reason: 'rx-missed', frames: 9 }]);
  });

  it('have the speed of what carries, and the document’s where it has one', async () => {
    const speed = async (change: object) => show.portRows((await stand({ ...BOND, ...change })).base)[1]!.speed;
    expect(await speed({})).toBe(1.1e10);
    expect(await speed({ mode: 'active-backup' })).toBe(1e9);
    expect(await speed({ mode: 'broadcast' })).toBe(1e9);
    expect(await speed({ speed: '40G' })).toBe(4e10);
    expect(await speed({ members: [{ kind: 'memory', name: 'a' }, BOND.members[1]] })).toBe(null);
  });

  it('tell why a member has no link in its device’s words', async () => {
    const { base } = await stand();
    const state = base.book.port('br0', 'up/b');
    Object.assign(state, { leaving: true, up: false, reason: 'device eth9 is not there' });
    base.bonds.hear(state);
    expect(bondRows(base)[0]!.members[1]).toMatchObject({ state: 'down', reason: 'device eth9 is not there' });
  });

  it('have its keys with defaults where one port is shown', async () => {
    const detail = async (change: object) => {
      const { base } = await stand({ ...BOND, ...change });
      return show.portDetail(base, base.book.port('br0', 'up'));
    };
    expect(await detail({ mac: '02:00:00:00:00:09' })).toMatchObject({
      mac: '02:00:00:00:00:09',
      settings: {
        mode: 'balance-xor',
        members: ['a', 'b'],
        hash: 'layer3+4',
        'rebalance-interval': 10_000,
        'min-links': 1,
        primary: null,
      },
    });
    const lacp = (await detail({ mode: '802.3ad', lacp: { rate: 'fast' } })).settings;
    expect(lacp).toMatchObject({ 'lacp.rate': 'fast', 'lacp.key': 'by speed', 'lacp.strict': true });
    const plain = (await detail({ mode: 'broadcast', monitor: { targets: ['10.0.0.9'] } })).settings;
    expect(plain).toMatchObject({ 'monitor.targets': ['10.0.0.9'], 'monitor.vlan': 0 });
    for (const key of ['hash', 'rebalance-interval', 'packets-per-member', 'lacp.mode'])
      expect(plain).not.toHaveProperty([key]);
    const rr = (await detail({ mode: 'balance-rr' })).settings;
    expect(rr).toMatchObject({ 'packets-per-member': 1 });
  });
});
