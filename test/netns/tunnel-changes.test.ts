/**
 * A tunnel while its machine changes: a worker, a local address, a port that a process has, an interface, and a router that takes less than
 * before. What the underlay itself does is tried in tunnel-underlay.test.ts.
 */
import { once } from 'node:events';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TunnelRow } from '../../control/tunnel-rows.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { beforeRetry, bridge, Lab, REAL, tap, until } from './lab.ts';
import { DEVICE, type Machine, routed, vxlan } from './underlay.ts';

const FIT = { vlan: { mode: 'access', tag: 1 } };
/** The ways are looked at every two seconds. */
const SOON_MS = 8000;

/** Holds a UDP port until its input ends. */
const HOLDER = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print('bound', flush=True)
sys.stdin.read()
`;

describeNeeds(REAL, 'a tunnel whose machine changes', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let router: Host;
  let hosts: Record<'a' | 'b', Host>;
  let daemon: Daemon;
  let other: Daemon;

  const ports = (tunnel: object = {}, more: readonly object[] = []): object =>
    bridge([tap(lab, 'a', { address: '10.60.0.1/24', ...FIT }), vxlan(near, [far], { ...FIT, ...tunnel }), ...more]);
  const tunnel = async (): Promise<TunnelRow> => {
    const rows: TunnelRow[] = await daemon.client.get('/v1/tunnels');
    return rows[0]!;
  };
  const becomes = (right: (row: TunnelRow) => boolean) => until(tunnel, right, SOON_MS);
  const isUp = ({ up, remotes }: TunnelRow): boolean => up && remotes.every(({ state }) => state === 'up');
  const pings = async (count = 3) => {
    const answered = async () => hosts.a.ping('10.60.0.2', { count, interval: 0.05, wait: 1 });
    return until(answered, (n) => n === count, SOON_MS);
  };

  beforeAll(async () => {
    lab = new Lab();
    ({ near, far, router } = await routed(lab));
    hosts = await lab.hosts(['a', 'b']);
    daemon = await lab.daemon(ports(), { netns: near.netns, name: 'near' });
    const answering = bridge([tap(lab, 'b', { address: '10.60.0.2/24', ...FIT }), vxlan(far, [near], FIT)]);
    other = await lab.daemon(answering, { netns: far.netns, name: 'far' });
    expect(other.running).toBe(true);
  });
  afterAll(() => lab.close());
  beforeRetry(async () => {
    for (const gone of [
      ['link', 'del', 'later0'],
      ['addr', 'del', '192.0.2.77/32', 'dev', DEVICE],
    ])
      await near.ip(...gone).catch(() => undefined);
    await near.ip('addr', 'replace', `${near.v4}/24`, 'dev', DEVICE);
    await near.ip('route', 'replace', 'default', 'via', '192.0.2.254');
    await router.run('ip', 'link', 'set', 'r2', 'mtu', '1500');
    await daemon.apply(ports());
    await becomes(isUp);
  });

  it('goes on over a worker that is restarted', async () => {
    expect(await pings()).toBe(3);
    await daemon.restartWorker(0);
    expect(await pings()).toBe(3);
  });

  it('is down while its local address is away, and says so', async () => {
    await near.ip('addr', 'del', `${near.v4}/24`, 'dev', DEVICE);
    const down = await becomes(({ up }) => !up);
    expect(down).toMatchObject({ up: false, reason: `no interface has the address ${near.v4}` });
    expect((await daemon.port('x')).reason).toBe(down.reason);
    await near.ip('addr', 'add', `${near.v4}/24`, 'dev', DEVICE);
    await near.ip('route', 'add', 'default', 'via', '192.0.2.254');
    expect(await becomes(isUp)).toMatchObject({ up: true, reason: null });
    expect(await pings()).toBe(3);
  });

  it('follows a narrower way in mid-flow, and so do the TAPs', async () => {
    const mtuOfTap = () => hosts.a.number('eth0', 'mtu');
    expect(await until(mtuOfTap, (mtu) => mtu === 1450)).toBe(1450);
    await router.run('ip', 'link', 'set', 'r2', 'mtu', '1400');
    await hosts.b.serve('10.60.0.2', 6001);
    const { sent, received } = await hosts.a.transfer('10.60.0.2', 6001, 4 << 20);
    expect(received).toBe(sent);
    const row = await becomes(({ mtu }) => mtu === 1350);
    expect(row).toMatchObject({ mtu: 1350, mtuUnderlay: 1350, remotes: [{ pathMtu: 1400 }] });
    expect(await until(mtuOfTap, (mtu) => mtu === 1350)).toBe(1350);
    await router.run('ip', 'link', 'set', 'r2', 'mtu', '1500');
    // What the kernel was told it remembers with the route.
    await near.ip('route', 'del', 'default');
    await near.ip('route', 'add', 'default', 'via', '192.0.2.254');
    expect(await becomes(({ mtu }) => mtu === 1450)).toMatchObject({ mtu: 1450 });
    expect(await until(mtuOfTap, (mtu) => mtu === 1450)).toBe(1450);
  });

  it('names the process that has its UDP port', async () => {
    await daemon.apply(bridge([]));
    const command = ['netns', 'exec', near.netns, 'python3', '-c', HOLDER, near.v4, '4789'];
    const holder = execa('ip', command, { reject: false });
    try {
      await once(holder.stdout, 'data');
      await daemon.apply(ports());
      const row = await tunnel();
      expect(row.reason).toMatch(/^process \d+ \(python3.*\) has UDP port 4789/);
    } finally {
      holder.kill();
      await holder;
    }
    expect(await becomes(isUp)).toMatchObject({ up: true });
    expect(await pings()).toBe(3);
  });

  it('a remote that is this machine gets nothing', async () => {
    await near.ip('addr', 'add', '192.0.2.77/32', 'dev', DEVICE);
    await daemon.apply(ports({ remotes: ['192.0.2.77'] }));
    const [remote] = (await tunnel()).remotes;
    expect(remote).toMatchObject({ state: 'unreachable', reason: 'it is an address of this machine' });
    await daemon.apply(ports());
    await near.ip('addr', 'del', '192.0.2.77/32', 'dev', DEVICE);
  });

  it('a group waits for its interface', async () => {
    await daemon.apply(ports({ group: '239.1.1.1', device: 'later0' }));
    expect(await tunnel()).toMatchObject({ up: false, reason: 'there is no interface later0' });
    await near.ip('link', 'add', 'later0', 'type', 'veth', 'peer', 'name', 'later1');
    await near.ip('link', 'set', 'later0', 'up');
    expect(await becomes(({ up }) => up)).toMatchObject({ up: true, reason: null });
    const joined = () => near.host.run('ip', 'maddr', 'show', 'dev', 'later0');
    expect(await until(joined, (text) => text.includes('239.1.1.1'))).toContain('239.1.1.1');
    await near.ip('link', 'del', 'later0');
    expect(await becomes(({ up }) => !up)).toMatchObject({ up: false });
    await daemon.apply(ports());
    expect(await becomes(isUp)).toMatchObject({ up: true });
  });
});
