/** Tunnels of a running switch: what they share, what workers find in the arena, what becomes of them while the underlay changes. */
import { constants } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { portOf, remoteOf } from '../../../../control/running/remote-record.ts';
import { portDetail, vlanRows } from '../../../../control/running/show.ts';
import { Header } from '../../../../dataplane/memory/layout.ts';
import { RemoteWord } from '../../../../dataplane/memory/tunnel-words.ts';
import { ENDPOINT, ENDPOINT_KIND_SHIFT, EndpointKind, remoteAt } from '../../../../dataplane/tables/tunnel-layout.ts';
import { rig, tap } from '../running-rig.ts';

const { EMSGSIZE } = constants.errno;
const FAR = '192.0.2.2';

const vxlan = (name: string, vni: number, more: object = {}) => ({
  name,
  kind: 'vxlan' as const,
  vni,
  local: '192.0.2.1',
  remotes: [FAR],
  ...more,
});

function stand() {
  const it = rig();
  const { view, book, tunnels } = it.base;
  const device = (name: string) => tunnels.of(book.port('br0', name))!;
  const remotes = (name: string) => [...device(name).remotes];
  return {
    ...it,
    device,
    remotes,
    port: (name: string) => book.find('br0', name)!,
    member: (number: number) => view.i32[(view.layout.words[Header.MEMBERS_AT]! >> 2) + number]!,
    limit: (destination: number) =>
      view.i32[remoteAt(view.layout.words[Header.REMOTES_AT]! >> 2, destination) + RemoteWord.FRAME_BYTES_MAX]!,
    words: (a: number, b: number, c: number, d: number) => [a | (b << 8) | (c << 16) | (d << 24), 0, 0, 0],
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

it('a tunnel whose VNIs stand for VLANs shows none', async () => {
  const it = stand();
  await it.apply([], [vxlan('a', 0, { vni: undefined, vlans: { 10: 5010, 20: 5020 } }), tap('t')]);
  expect(vlanRows(it.base).find(({ vlans }) => vlans === '10,20')).toMatchObject({ untagged: ['a'], tagged: ['t'] });
});

it('a tunnel that goes takes along who is known behind it', async () => {
  const it = stand();
  await it.apply([], [vxlan('a', 1, { suppress: true })]);
  expect(portDetail(it.base, it.port('a')).details).toMatchObject({ answers: 'for 0 addresses behind it' });
  const forget = vi.spyOn(it.base.neighbours, 'forget');
  const { number } = it.port('a');
  await it.apply([vxlan('a', 1, { suppress: true })], []);
  expect(forget).toHaveBeenCalledWith(number);
});

describe('tunnels of one address and port', () => {
  it('share an endpoint and a sender, which go with the last', async () => {
    const it = stand();
    const [one, two] = [[vxlan('a', 1)], [vxlan('a', 1), vxlan('b', 2)]];
    await it.apply([], two);
    expect(it.device('a').endpoint).toBe(it.device('b').endpoint);
    expect([it.underlay.receivers.size, it.underlay.senders.size]).toEqual([1, 1]);
    const { number } = it.device('a').endpoint;
    expect(it.member(number)).toBe(ENDPOINT | (EndpointKind.VXLAN << ENDPOINT_KIND_SHIFT));
    await it.apply(two, one);
    expect([it.underlay.receivers.size, it.underlay.senders.size]).toEqual([1, 1]);
    await it.apply(one, []);
    expect([it.underlay.receivers.size, it.underlay.senders.size]).toEqual([0, 0]);
    expect(it.member(number)).toBe(0);
    expect(it.underlay.asked).toBeGreaterThan(0);
    expect(it.base.tunnels.underlay.count).toBe(0);
  });

  it('have senders apart where these differ', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1), vxlan('b', 2, { df: false }), vxlan('c', 3, { checksum: false })]);
    expect([it.underlay.receivers.size, it.underlay.senders.size]).toEqual([1, 3]);
  });

  it('are attached at their own numbers, and their endpoint at its own', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1)]);
    const attached = it.orders.flatMap((order) => (order.type === 'attach' ? [order.attachment] : []));
    const { endpoint, sender } = it.device('a');
    expect(attached).toEqual([
      { kind: 'device', port: endpoint.number, handle: endpoint.handle, queue: 0 },
      { kind: 'device', port: it.port('a').number, handle: sender.handle, queue: 0 },
    ]);
    expect(it.base.tunnels.attachments(0)).toEqual([attached[0]]);
  });

  it('stay up when one is made anew', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1)]);
    await it.apply([vxlan('a', 1)], [vxlan('a', 2, { df: false })]);
    expect(it.port('a')).toMatchObject({ up: true, reason: null });
    expect(it.underlay.receivers.size).toBe(1);
  });

  it('stay what they were when one that is made anew fails', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1)]);
    const before = it.device('a');
    it.base.openers.netdev = { open: () => Promise.reject(new Error('there is no eth9')) };
    const wanted = [vxlan('a', 2), { name: 'eth9', kind: 'netdev' }];
    await expect(it.apply([vxlan('a', 1)], wanted)).rejects.toThrow('there is no eth9');
    expect(it.device('a')).toBe(before);
    expect(it.tunnels.all()).toEqual([before]);
    expect(before.remotes.find(FAR, null)).toMatchObject({ state: 'up' });
  });

  it('whose endpoint is being closed wait for that', async () => {
    const { endpoints } = stand().tunnels;
    const [first, second] = [() => undefined, () => undefined];
    const old = await endpoints.acquire('vxlan', '192.0.2.1', 4789, first);
    const closed = endpoints.release(old, first);
    const fresh = await endpoints.acquire('vxlan', '192.0.2.1', 4789, second);
    expect(fresh).not.toBe(old);
    expect(fresh).toMatchObject({ reason: null });
    expect(old.handle).toBeNull();
    await closed;
  });
});

it('an endpoint is closed only after workers let go of it', async () => {
  const it = stand();
  await it.apply([], [vxlan('a', 1)]);
  const { number } = it.device('a').endpoint;
  const open: number[] = [];
  it.answers.order = (order) => {
    if (order.type === 'detach' && order.port === number) open.push(it.underlay.receivers.size);
    return 0;
  };
  await it.apply([vxlan('a', 1)], []);
  expect(open).toEqual([1]);
});

describe('a tunnel that can’t be opened', () => {
  it('says that its address is not there, and comes up with it', async () => {
    const it = stand();
    it.underlay.addresses.clear();
    await it.apply([], [vxlan('a', 1)]);
    expect(it.port('a')).toMatchObject({ up: false, reason: 'no interface has the address 192.0.2.1' });
    it.underlay.addresses.add('192.0.2.1');
    for (let k = 0; k < 8; k++) it.tunnels.tick();
    await it.turn();
    await it.settle();
    expect(it.port('a')).toMatchObject({ up: true, reason: null });
    expect(it.events.map(({ type }) => type)).toContain('port-up');
    expect(it.limit(it.remotes('a')[0]!.destination)).toBe(1464);
  });

  it('says who has its port', async () => {
    const it = stand();
    it.underlay.taken.add(4789);
    await it.apply([], [vxlan('a', 1)]);
    expect(it.port('a').reason).toBe('process 77 (squid) has UDP port 4789 of 192.0.2.1');
    it.underlay.taken.clear();
    for (let k = 0; k < 4; k++) it.tunnels.tick();
    await it.turn();
    await it.settle();
    expect(it.port('a').up).toBe(true);
  });

  it('by its workers says so, and leaves nothing open', async () => {
    const it = stand();
    it.answers.order = (order) =>
      order.type === 'attach' &&
      order.attachment.kind === 'device' &&
      it.underlay.receivers.has(order.attachment.handle)
        ? -constants.errno.ENOMEM
        : 0;
    await it.apply([], [vxlan('a', 1)]);
    expect(it.port('a').reason).toBe('its sockets can’t be served: ENOMEM'.replace('’', "'"));
    expect(it.underlay.receivers.size).toBe(0);
  });
});

it('a local address that vanishes takes the tunnel down, with one event and not one for each remote', async () => {
  const it = stand();
  await it.apply([], [vxlan('a', 1, { remotes: [FAR, '192.0.2.3'] })]);
  it.events.length = 0;
  it.underlay.addresses.clear();
  it.tunnels.underlay.review();
  await it.settle();
  expect(it.port('a').reason).toBe('no interface has the address 192.0.2.1');
  it.underlay.addresses.add('192.0.2.1');
  it.tunnels.underlay.review();
  await it.settle();
  expect(it.events.map(({ type }) => type)).toEqual(['port-down', 'port-up']);
});

describe('remotes', () => {
  it('of the document get floods, those of entries don’t, and each has its limit', async () => {
    const it = stand();
    const fdb = [{ mac: '02:00:00:00:00:77', remote: '192.0.2.9' }];
    await it.apply([], [vxlan('a', 1, { fdb })]);
    const [configured, other] = ['configured', 'static'].map(
      (o) => it.remotes('a').find(({ origin }) => origin === o)!,
    );
    expect(it.device('a').tunnel!.remotes).toEqual([configured!.destination]);
    expect([configured!, other!].map(({ destination }) => it.limit(destination))).toEqual([1464, 1464]);
    const entries = it.orders.flatMap((order) => (order.type === 'fdb-add' ? [order.entry.port] : []));
    expect(entries).toEqual([other!.destination]);
  });

  it('come and go with the document, while the port stays', async () => {
    const it = stand();
    const [before, after] = [[vxlan('a', 1)], [vxlan('a', 1, { remotes: ['192.0.2.3'] })]];
    await it.apply([], before);
    const [gone] = it.remotes('a');
    await it.apply(before, after);
    const [come] = it.remotes('a');
    expect(come!.address).toBe('192.0.2.3');
    expect(it.device('a').tunnel!.remotes).toEqual([come!.destination]);
    expect(remoteOf(it.base.view, gone!.destination)).toBeNull();
    expect(portOf(it.base.view, come!.destination)).toBe(it.port('a').number);
  });

  it('of an entry with a VNI of its own are apart from the others', async () => {
    const it = stand();
    const fdb = [
      { mac: '02:00:00:00:00:77', remote: FAR, vni: 9 },
      { mac: '02:00:00:00:00:78', remote: FAR, vni: 1 },
    ];
    await it.apply([], [vxlan('a', 1, { fdb })]);
    expect(it.remotes('a').map(({ vni, origin }) => [vni, origin])).toEqual([
      [9, 'static'],
      [null, 'configured'],
    ]);
  });

  it('are learned up to a limit, and given back when nobody lives behind them', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1, { 'remote-limit': 2 })]);
    const { number } = it.port('a');
    for (const last of [2, 5, 5, 6, 7]) it.tunnels.stranger(number, it.words(192, 0, 2, last));
    expect(it.remotes('a').map(({ address, origin }) => `${address} ${origin}`)).toEqual([
      '192.0.2.2 configured',
      '192.0.2.5 learned',
      '192.0.2.6 learned',
    ]);
    expect(it.device('a').refused).toBe(1);
    it.clock.now = 300_000;
    for (let k = 0; k < 40; k++) it.tunnels.tick();
    expect(it.remotes('a')).toHaveLength(3);
    it.clock.now++;
    for (let k = 0; k < 40; k++) it.tunnels.tick();
    expect(it.remotes('a').map(({ address }) => address)).toEqual([FAR]);
  });

  it('that can’t be reached get nothing and are told of', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1)]);
    const [remote] = it.remotes('a');
    it.underlay.lose(FAR);
    it.tunnels.underlay.review();
    expect(it.limit(remote!.destination)).toBe(0);
    expect(it.events.at(-1)).toMatchObject({ type: 'remote-changed', remote: FAR, state: 'unreachable' });
    it.underlay.ways.clear();
    it.tunnels.underlay.review();
    expect(it.limit(remote!.destination)).toBe(1464);
    expect(it.events.at(-1)).toMatchObject({ type: 'remote-changed', state: 'up', reason: null });
  });

  it('that are this machine are not sent to', async () => {
    const it = stand();
    it.underlay.addresses.add(FAR);
    await it.apply([], [vxlan('a', 1)]);
    expect(it.remotes('a')[0]).toMatchObject({ state: 'unreachable', reason: 'it is an address of this machine' });
    expect(it.limit(it.remotes('a')[0]!.destination)).toBe(0);
  });

  it('whose way leads back into the bridge are not sent to', async () => {
    const it = stand();
    it.underlay.interfaces.set('weft-host', 9);
    it.underlay.ways.set(FAR, { error: 0, mtu: 1500, device: 9 });
    await it.apply([], [tap('weft-host'), vxlan('a', 1)]);
    await it.turn();
    const reason = 'the way there leads back into the bridge, by its port weft-host';
    await expect.poll(() => it.remotes('a')[0]).toMatchObject({ state: 'unreachable', reason });
    expect(it.limit(it.remotes('a')[0]!.destination)).toBe(0);
  });

  it('are sent to by a TAP of the bridge that no VLAN joins to the tunnel', async () => {
    const it = stand();
    const [ten, twenty] = [
      { mode: 'access', tag: 10 },
      { mode: 'access', tag: 20 },
    ];
    const host = tap('weft-host', { vlan: twenty });
    it.underlay.interfaces.set('weft-host', 9);
    it.underlay.ways.set(FAR, { error: 0, mtu: 1500, device: 9 });
    await it.apply([], [host, vxlan('a', 1, { vlan: twenty })]);
    await expect.poll(() => it.remotes('a')[0]!.state).toBe('unreachable');
    await it.apply([host, vxlan('a', 1, { vlan: twenty })], [host, vxlan('a', 1, { vlan: ten })]);
    expect(it.remotes('a')[0]).toMatchObject({ state: 'up', reason: null });
  });

  it('take no more after a router said so', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1)]);
    const { sender, mtu } = it.device('a');
    expect(mtu).toBe(1446);
    it.underlay.troubles.set(sender.handle!, [{ address: FAR, errno: EMSGSIZE, mtu: 1300, count: 3 }]);
    it.tunnels.tick();
    expect(it.limit(it.remotes('a')[0]!.destination)).toBe(1264);
    expect(it.events.at(-1)).toMatchObject({ type: 'mtu-changed', from: 1446, to: 1246 });
  });

  it('of a tunnel that lets its packets be cut take any frame', async () => {
    const it = stand();
    await it.apply([], [vxlan('a', 1, { df: false })]);
    expect(it.limit(it.remotes('a')[0]!.destination)).toBe(65_535 - 36);
    expect(it.device('a').mtu).toBe(1446);
  });
});

describe('inner MTU', () => {
  it.each([
    ['vxlan', vxlan('a', 1), 1446],
    ['access ports', vxlan('a', 1, { vlan: { mode: 'access', tag: 10 } }), 1450],
    ['IPv6', vxlan('a', 1, { local: '2001:db8::1', remotes: ['2001:db8::2'] }), 1426],
    ['gre', { name: 'a', kind: 'gre', local: '192.0.2.1', remotes: [FAR] }, 1458],
    ['gre with a key', { name: 'a', kind: 'gre', key: 7, local: '192.0.2.1', remotes: [FAR] }, 1454],
    ['the document', vxlan('a', 1, { mtu: 1300 }), 1300],
  ])('of %s', async (_, port, mtu) => {
    const it = stand();
    await it.apply([], [port]);
    expect(it.device('a').mtu).toBe(mtu);
  });
});

describe('a group', () => {
  const grouped = (more: object = {}) => vxlan('a', 1, { remotes: [], group: '239.1.1.1', device: 'eth0', ...more });

  it('that can’t be joined is told of, and joined when it can be', async () => {
    const it = stand();
    it.underlay.refusesGroups = true;
    await it.apply([], [grouped()]);
    expect(it.device('a').details()).toMatchObject({ group: expect.stringMatching(/^239\.1\.1\.1 can't be joined/) });
    it.underlay.refusesGroups = false;
    for (let k = 0; k < 4; k++) it.tunnels.tick();
    expect(it.device('a').details()).not.toHaveProperty('group');
    expect(it.underlay.groups.size).toBe(1);
  });

  it('is joined by its interface, and left with the tunnel', async () => {
    const it = stand();
    await it.apply([], [grouped()]);
    const { endpoint, tunnel } = it.device('a');
    expect([...it.underlay.groups]).toEqual([`${endpoint.handle} 239.1.1.1 2`]);
    expect(it.remotes('a')).toMatchObject([{ address: '239.1.1.1', origin: 'group' }]);
    expect(tunnel!.remotes).toHaveLength(1);
    expect([...it.underlay.senders.values()]).toMatchObject([{ scope: 2 }]);
    await it.apply([grouped()], []);
    expect(it.underlay.groups.size).toBe(0);
  });

  it('waits for its interface, and follows it', async () => {
    const it = stand();
    it.underlay.interfaces.delete('eth0');
    await it.apply([], [grouped()]);
    expect(it.port('a')).toMatchObject({ up: false, reason: 'there is no interface eth0' });
    const seen = { time: 0, netns: null, device: 'eth0', adminUp: true, carrier: true, mtu: 1500 };
    it.links.tell({ type: 'device-appeared', ...seen, index: 7 });
    await it.turn();
    await it.turn();
    await it.settle();
    expect(it.port('a')).toMatchObject({ up: true, reason: null });
    expect([...it.underlay.groups]).toEqual([`${it.device('a').endpoint.handle} 239.1.1.1 7`]);
    expect([...it.underlay.senders.values()]).toMatchObject([{ scope: 7 }]);
    const { words } = it.base.view.layout;
    const record = remoteAt(words[Header.REMOTES_AT]! >> 2, it.remotes('a')[0]!.destination);
    expect(it.base.view.i32[record + RemoteWord.SCOPE]).toBe(7);
  });
});
