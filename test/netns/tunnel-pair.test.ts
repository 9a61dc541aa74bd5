/**
 * Two wefts joined by VXLAN, hosts on TAPs behind each: ping, files over TCP with and without offloads, VLANs through the tunnel as tags and
 * as networks of their own, over IPv4 and IPv6. K and O are scenarios of the kernel's and Open vSwitch's suites, by their names.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { type Family, type Machine, machines, VNI, vxlan } from './underlay.ts';

const MEGABYTE = 1 << 20;
const BYTES = (isLong() ? 50 : 8) * MEGABYTE;
/** The underlay's 1,500 without IP, UDP, VXLAN and the inner Ethernet header; a trunk has a tag as well. */
const INNER_MTU = { v4: 1450, v6: 1430 };
const VLANS = [10, 20];

interface Sides {
  readonly tunnel?: object;
  readonly hosted?: object;
  readonly family?: Family;
}

const TRUNK = { vlan: { mode: 'trunk' } };
const NOTHING: Sides = { tunnel: {}, hosted: {} };

/** Both the tunnel and the hosts in an access VLAN. */
function access(tag: number): Sides {
  const vlan = { mode: 'access', tag };
  return { tunnel: { vlan }, hosted: { vlan } };
}

describeNeeds({ ...REAL, tools: [...REAL.tools, 'ethtool'] }, 'VXLAN between two wefts', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let hosts: Record<'a' | 'b', Host>;
  let daemons: Daemon[];
  let port = 5000;

  /** One side has one worker, the other two. */
  function side(own: Machine, other: Machine, name: 'a' | 'b', sides: Sides): object {
    const { tunnel = {}, hosted = {}, family = 'v4' } = sides;
    const n = name === 'a' ? 1 : 2;
    const ports = [
      tap(lab, name, { address: [`10.50.0.${n}/24`, `fd00:50::${n}/64`], ...hosted }),
      vxlan(own, [other], tunnel, family),
    ];
    return bridge(ports, {}, { workers: { count: n } });
  }
  /** Both sides anew; what is told of b's alone comes over what is told of both. */
  async function apply(both: Sides = {}, b: Sides = {}): Promise<void> {
    await daemons[0]!.apply(side(near, far, 'a', both));
    await daemons[1]!.apply(side(far, near, 'b', { ...both, ...b }));
  }
  async function moves(from: Host, to: Host, address: string, bytes = BYTES): Promise<void> {
    port++;
    await to.serve(address, port);
    const { sent, received } = await from.transfer(address, port, bytes);
    expect(received).toBe(sent);
  }

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2)) as [Machine, Machine];
    hosts = await lab.hosts(['a', 'b']);
    daemons = await Promise.all([
      lab.daemon(side(near, far, 'a', {}), { netns: near.netns, name: 'near' }),
      lab.daemon(side(far, near, 'b', {}), { netns: far.netns, name: 'far' }),
    ]);
  });
  afterAll(() => lab.close());

  describe.each(['v4', 'v6'] as const)('over IP%s', (family) => {
    beforeAll(() => apply({ family }));

    it('K vxlan_bridge_1d ping_ipv4; O "ping over vxlan tunnel", "ping over vxlan6 tunnel"', async () => {
      const { a, b } = hosts;
      expect(await a.ping('10.50.0.2', { count: 10, interval: 0.02 })).toBe(10);
      expect(await b.ping('fd00:50::1', { count: 10, interval: 0.02 })).toBe(10);
      expect(await b.ping('10.50.0.1', { size: 8000 })).toBe(3);
      expect(await a.ping('fd00:50::2', { size: 8000 })).toBe(3);
    });

    it('TAPs have the MTU that the tunnel leaves them', async () => {
      for (const [vlan, mtu] of [
        [access(10), INNER_MTU[family]],
        [NOTHING, INNER_MTU[family] - 4],
      ] as const) {
        await apply({ ...vlan, family });
        for (const host of [hosts.a, hosts.b]) {
          const set = await until(
            () => host.number('eth0', 'mtu'),
            (found) => found === mtu,
          );
          expect(set).toBe(mtu);
        }
        const whole = ['-n', '-M', 'do', '-c', '2', '-i', '0.05', '-W', '2'];
        const asked = await hosts.a.run('ping', ...whole, '-s', String(mtu - 28), '10.50.0.2');
        expect(asked).toContain(' 2 received');
      }
    });

    it.each(['off', 'on'])('O "tcp over vxlan tunnel with software fallback": files, offloads %s', async (state) => {
      for (const host of [hosts.a, hosts.b])
        await host.run('ethtool', '-K', 'eth0', 'tx', state, 'sg', state, 'tso', state, 'gso', state);
      await moves(hosts.a, hosts.b, '10.50.0.2');
      await moves(hosts.b, hosts.a, '10.50.0.1');
      await moves(hosts.a, hosts.b, 'fd00:50::2');
      await moves(hosts.b, hosts.a, 'fd00:50::1');
    });
  });

  it('workers start anew on both sides, and nothing was left open', async () => {
    await apply();
    expect(await hosts.a.ping('10.50.0.2')).toBe(3);
    const before = daemons.map((daemon) => daemon.descriptors());
    await Promise.all([daemons[0]!.restartWorker(0), daemons[1]!.restartWorker(0), daemons[1]!.restartWorker(1)]);
    expect(await hosts.a.ping('10.50.0.2', { count: 10, interval: 0.05 })).toBeGreaterThan(0);
    await moves(hosts.a, hosts.b, '10.50.0.2', 4 * MEGABYTE);
    await moves(hosts.b, hosts.a, 'fd00:50::1', 4 * MEGABYTE);
    const nothingIsOpen = async () => {
      for (const [k, daemon] of daemons.entries()) {
        const open = await until(
          async () => daemon.descriptors(),
          (count) => count <= before[k]!,
        );
        expect(open).toBeLessThanOrEqual(before[k]!);
      }
    };
    await nothingIsOpen();
    for (let round = 0; round < 5; round++) {
      for (const daemon of daemons)
        await daemon.apply(bridge([], {}, { workers: { count: daemon === daemons[0] ? 1 : 2 } }));
      await apply();
    }
    expect(await hosts.a.ping('10.50.0.2')).toBe(3);
    await nothingIsOpen();
  });

  it('VXLAN in VXLAN: hosts have a tunnel of their own in it, with TCP', async () => {
    await apply();
    for (const [k, host] of [hosts.a, hosts.b].entries()) {
      // It is there on a second try.
      await host.run('ip', 'link', 'del', 'vx').catch(() => undefined);
      const ends = ['local', `10.50.0.${k + 1}`, 'remote', `10.50.0.${2 - k}`];
      await host.run('ip', 'link', 'add', 'vx', 'type', 'vxlan', 'id', '5', 'dstport', '4789', 'dev', 'eth0', ...ends);
      await host.run('ip', 'addr', 'add', `10.60.0.${k + 1}/24`, 'dev', 'vx');
      await host.run('ip', 'link', 'set', 'vx', 'up');
    }
    expect(await hosts.a.ping('10.60.0.2')).toBe(3);
    await moves(hosts.a, hosts.b, '10.60.0.2', 4 * MEGABYTE);
    await moves(hosts.b, hosts.a, '10.60.0.1', 4 * MEGABYTE);
    for (const host of [hosts.a, hosts.b]) await host.run('ip', 'link', 'del', 'vx');
  });

  describe('VLANs through it', () => {
    /** Frames that came to b of `frames`, which a sends. */
    async function carried(frames: readonly string[], count = frames.length): Promise<string[]> {
      await hosts.b.drain('eth0');
      await hosts.a.send('eth0', frames);
      return hosts.b.frames('eth0', count);
    }

    it('O "ping vlan over vxlan tunnel": a trunk keeps tags, priorities and all', async () => {
      await apply({ tunnel: TRUNK, hosted: TRUNK });
      await hosts.b.sniff('eth0', MARKER);
      const frames = VLANS.flatMap((vlan) => [
        frame(BROADCAST, mac(1), [{ vlan, priority: 5 }]),
        frame(mac(0x99), mac(1), [{ vlan }], 'unknown'),
        frame(mac(0x99), mac(1), [{ vlan }, { vlan: 7 }], 'two tags'),
      ]);
      expect((await carried(frames)).sort()).toEqual([...frames].sort());
    });

    it('K vxlan_bridge_1q test_pvid: in an access VLAN on each side, whose numbers differ', async () => {
      await apply(access(10), access(20));
      expect(await hosts.a.ping('10.50.0.2')).toBe(3);
      await moves(hosts.b, hosts.a, '10.50.0.1', MEGABYTE);
    });

    it('K vxlan_bridge_1q: each VLAN a network of its own, and in the right one', async () => {
      const vlans = Object.fromEntries(VLANS.map((vlan) => [vlan, vlan * 1000]));
      await apply({ tunnel: { vlans }, hosted: TRUNK });
      const frames = VLANS.map((vlan) => frame(BROADCAST, mac(2), [{ vlan }], `in ${vlan}`));
      const others = [frame(BROADCAST, mac(2), [{ vlan: 30 }]), frame(BROADCAST, mac(2), [])];
      expect((await carried([...others, ...frames], frames.length)).sort()).toEqual([...frames].sort());
      expect(await hosts.b.frames('eth0', 1, 0.2)).toEqual([]);
      await apply({ tunnel: { vlans }, hosted: TRUNK }, { tunnel: { vlans: { ...vlans, 20: 20_001 } } });
      expect(await carried(frames, 1)).toEqual([frames[0]]);
      expect(await hosts.b.frames('eth0', 1, 0.2)).toEqual([]);
    });

    it('one side’s map meets the other’s port of one VNI, with TCP', async () => {
      await apply({ tunnel: { vlans: { 10: VNI } }, hosted: access(10).hosted! }, NOTHING);
      expect(await hosts.b.ping('10.50.0.1')).toBe(3);
      await moves(hosts.a, hosts.b, '10.50.0.2', MEGABYTE);
      await moves(hosts.b, hosts.a, 'fd00:50::1', MEGABYTE);
    });
  });
});
