/**
 * The network below a tunnel changes: its address goes and comes back, its device goes down, its routes change, a remote is out of reach or
 * listens no more, somebody else has the port. Each is followed, shown and told, and nobody has to apply anything.
 */
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TunnelRow } from '../../control/tunnel-rows.ts';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { DEVICE, type Family, type Machine, machines, vxlan } from './underlay.ts';

const A = '10.57.0.1';
const B = '10.57.0.2';
const FAMILIES = ['v4', 'v6'] as const;
/** Without tags inside, whose bytes a trunk would leave room for. */
const ACCESS = { vlan: { mode: 'access', tag: 10 } };
/** A second cable between the machines. */
const OTHER = { device: 'w0', mtu: 1400, near: '198.51.100.1', far: '198.51.100.2' };

describeNeeds({ ...REAL, tools: [...REAL.tools, 'nft'] }, 'the underlay of a tunnel', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemons: Daemon[];
  let hosts: Record<'a' | 'b', Host>;
  let told = '';

  const side = (own: Machine, other: Machine, name: 'a' | 'b', family: Family, more: readonly object[] = []) =>
    bridge([
      tap(lab, name, { address: [`${name === 'a' ? A : B}/24`], ...ACCESS }),
      vxlan(own, [other], ACCESS, family),
      ...more,
    ]);
  async function apply(family: Family = 'v4'): Promise<void> {
    await daemons[0]!.apply(side(near, far, 'a', family));
    await daemons[1]!.apply(side(far, near, 'b', family));
  }
  const row = async () => (await daemons[0]!.tunnels())[0]!;
  const untilRow = (right: (one: TunnelRow) => boolean, ms = 8000) => until(row, right, ms);
  const state = (wanted: string) => untilRow((one) => one.remotes[0]?.state === wanted);
  const eventually = (text: RegExp) =>
    until(
      async () => told,
      (all) => text.test(all),
      5000,
    );

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2)) as [Machine, Machine];
    hosts = await lab.hosts(['a', 'b'], { ipv6: false });
    const ends = [OTHER.device, 'mtu', String(OTHER.mtu), 'netns'];
    await execa('ip', [
      ...['link', 'add', ...ends, near.netns, 'index', '400', 'type', 'veth', 'peer', ...ends, far.netns],
    ]);
    for (const [machine, address] of [
      [near, OTHER.near],
      [far, OTHER.far],
    ] as const) {
      await machine.ip('addr', 'add', `${address}/24`, 'dev', OTHER.device);
      await machine.ip('link', 'set', OTHER.device, 'up');
    }
    daemons = await Promise.all([
      lab.daemon(side(near, far, 'a', 'v4'), { netns: near.netns, name: 'near' }),
      lab.daemon(side(far, near, 'b', 'v4'), { netns: far.netns, name: 'far' }),
    ]);
    const stream = await daemons[0]!.client.stream('/v1/events');
    stream.on('data', (data) => (told += data));
    stream.on('error', () => undefined);
  });
  afterAll(() => lab.close());
  beforeEach(() => {
    told = '';
  });

  it.each(FAMILIES)('the local address goes and comes back, IP%s', async (family) => {
    await apply(family);
    expect(await hosts.a.ping(B)).toBe(3);
    const prefix = family === 'v4' ? 24 : 64;
    await near.ip('addr', 'del', `${near[family]}/${prefix}`, 'dev', DEVICE);
    const down = await untilRow((one) => !one.up);
    expect(down.up).toBe(false);
    expect(down.reason).toContain(near[family]);
    expect(await eventually(/"port-down"/)).toMatch(/"port":"x"/);
    expect((await daemons[0]!.cli('show', 'tunnels')).stdout).toContain(near[family]);
    await near.ip('addr', 'add', `${near[family]}/${prefix}`, 'dev', DEVICE, ...(family === 'v6' ? ['nodad'] : []));
    expect((await untilRow((one) => one.up)).reason).toBeNull();
    expect(await eventually(/"port-up"/)).toMatch(/"port":"x"/);
    expect(await hosts.a.ping(B)).toBe(3);
  });

  it('the device goes down and up', async () => {
    await apply();
    await near.ip('link', 'set', DEVICE, 'down');
    const down = await state('unreachable');
    expect(down.remotes[0]).toMatchObject({ address: far.v4, state: 'unreachable', mtu: 0 });
    expect(down.remotes[0]!.reason).not.toBeNull();
    expect(await eventually(/"remote-changed"/)).toContain(`"remote":"${far.v4}"`);
    await near.ip('link', 'set', DEVICE, 'up');
    expect((await state('up')).remotes[0]).toMatchObject({ state: 'up', reason: null, device: DEVICE });
    expect(await hosts.a.ping(B)).toBe(3);
  });

  it('the route changes to a device with another MTU, and back', async () => {
    await apply();
    expect(await untilRow((one) => one.mtu === 1450)).toMatchObject({ mtu: 1450 });
    for (const [machine, to, via] of [
      [near, far.v4, OTHER.far],
      [far, near.v4, OTHER.near],
    ] as const)
      await machine.ip('route', 'add', `${to}/32`, 'via', via);
    const changed = await untilRow((one) => one.remotes[0]?.device === OTHER.device && one.mtu === 1350);
    expect(changed.remotes[0]).toMatchObject({ device: OTHER.device, pathMtu: OTHER.mtu, mtu: 1350 });
    expect(changed.mtu).toBe(1350);
    const before = await near.host.number(OTHER.device, 'statistics/tx_packets');
    expect(await hosts.a.ping(B)).toBe(3);
    expect(await near.host.number(OTHER.device, 'statistics/tx_packets')).toBeGreaterThan(before);
    for (const machine of [near, far]) await machine.ip('route', 'del', `${machine === near ? far.v4 : near.v4}/32`);
    expect(await untilRow((one) => one.mtu === 1450)).toMatchObject({ mtu: 1450 });
    expect(await hosts.a.ping(B)).toBe(3);
  });

  it('a remote without a way: shown, told, counted, and back', async () => {
    await apply();
    await near.ip('route', 'add', 'unreachable', `${far.v4}/32`);
    expect((await state('unreachable')).remotes[0]!.reason).not.toBeNull();
    expect(await eventually(/"unreachable"/)).toContain('"remote-changed"');
    expect(await hosts.a.ping(B, { count: 2, wait: 1 })).toBe(0);
    const reasons = (await daemons[0]!.drops()).filter(({ port }) => port === 'x').map(({ reason }) => reason);
    expect(reasons).toContain('remote-unreachable');
    await near.ip('route', 'del', 'unreachable', `${far.v4}/32`);
    expect((await state('up')).remotes[0]!.reason).toBeNull();
    expect(await hosts.a.ping(B)).toBe(3);
  });

  it('a remote that listens no more, and listens again', async () => {
    await apply();
    await daemons[1]!.apply(bridge([tap(lab, 'b', { address: [`${B}/24`] })]));
    const refused = await until(
      async () => {
        await hosts.a.ping(B, { count: 1, wait: 0.2 });
        return row();
      },
      (one) => one.remotes[0]?.state === 'refused',
    );
    expect(refused.remotes[0]).toMatchObject({ state: 'refused' });
    await apply();
    const answered = await until(
      () => hosts.a.ping(B, { count: 1, wait: 0.2 }),
      (count) => count === 1,
    );
    expect(answered).toBe(1);
    if (isLong())
      expect((await untilRow((one) => one.remotes[0]?.state === 'up', 15_000)).remotes[0]!.state).toBe('up');
  });

  it('an underlay that runs through the tunnel itself is refused, or shown with the reason', async () => {
    const inside = { name: 'inside', kind: 'tap', device: 'inside0', address: ['10.61.0.1/24'], ...ACCESS };
    const looped = { name: 'y', kind: 'vxlan', vni: 61, local: '10.61.0.1', remotes: ['10.61.0.2'], ...ACCESS };
    const made = (more: object) => side(near, far, 'a', 'v4', [inside, { ...looped, ...more }]);
    await expect(daemons[0]!.apply(made({}))).rejects.toThrow(/10\.61\.0\.1.*"inside"/);
    await daemons[0]!.apply(made({ local: near.v4 }));
    const shown = async () => (await daemons[0]!.tunnels()).find(({ name }) => name === 'y')!;
    const says = (one: TunnelRow) => [one.reason, ...one.remotes.map(({ reason }) => reason)].join('; ');
    expect(says(await until(shown, (one) => /inside/.test(says(one)), 5000))).toMatch(/inside/);
    expect(await hosts.a.ping(B)).toBe(3);
    await apply();
  });

  it('the kernel’s own VXLAN has the port: its device is named, and when it goes the tunnel comes up', async () => {
    await daemons[0]!.apply(bridge([tap(lab, 'a', { address: [`${A}/24`] })]));
    const vxlanDevice = ['link', 'add', 'kvx0', 'type', 'vxlan', 'id', '9', 'dstport', '4789', 'dev', DEVICE];
    await near.ip(...vxlanDevice);
    await near.ip('link', 'set', 'kvx0', 'up');
    await daemons[0]!.apply(side(near, far, 'a', 'v4')).catch(() => undefined);
    const shown = async () => (await daemons[0]!.tunnels())[0];
    const down = await until(shown, (one) => one !== undefined && !one.up);
    expect(down).toMatchObject({ up: false });
    expect(down!.reason).toMatch(/4789/);
    expect(down!.reason).toContain('kvx0');
    await near.ip('link', 'del', 'kvx0');
    expect(await untilRow((one) => one.up)).toMatchObject({ up: true, reason: null });
    expect(await hosts.a.ping(B)).toBe(3);
  });
});
