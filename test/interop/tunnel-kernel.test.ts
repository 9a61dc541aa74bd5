/**
 * A weft and the kernel's VXLAN device over a veth, of which nothing is switched off: the kernel's segments then come with inner checksums
 * that are only begun. Unicast and groups, IPv4 and IPv6, learning both ways, files compared by SHA-256.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { DEVICE, type Family, type Machine, machines, vxlan } from '../netns/underlay.ts';
import { KernelTunnel } from './kernel-tunnel.ts';

const BYTES = (isLong() ? 50 : 8) << 20;
const INNER_MTU = { v4: 1450, v6: 1430 };
const OURS = ['10.53.0.1', 'fd00:53::1'] as const;
const THEIRS = ['10.53.0.2', 'fd00:53::2'] as const;

interface Case {
  readonly family: Family;
  readonly group?: string;
}

const CASES: readonly Case[] = [
  { family: 'v4' },
  { family: 'v6' },
  { family: 'v4', group: '239.1.1.1' },
  { family: 'v6', group: 'ff05::100' },
];

describeNeeds({ ...REAL, tools: [...REAL.tools, 'bridge', 'ethtool'] }, 'the kernel’s VXLAN', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemon: Daemon;
  let kernel: KernelTunnel;
  let a: Host;
  let port = 5000;

  const document = ({ family, group }: Case, more: object = {}) => {
    const way = group === undefined ? {} : { group, device: DEVICE };
    const host = tap(lab, 'a', { address: [`${OURS[0]}/24`, `${OURS[1]}/64`] });
    return bridge([host, vxlan(near, group === undefined ? [far] : [], { ...way, ...more }, family)]);
  };
  async function apply(one: Case, more: object = {}, kernelMore: readonly string[] = []): Promise<void> {
    const { family, group } = one;
    await daemon.apply(document(one, more));
    await daemon.client.send('POST', '/v1/fdb/flush', {});
    const remote = group === undefined ? { remote: near[family] } : { group };
    await kernel.open({ family, ...remote, mtu: INNER_MTU[family], more: kernelMore });
    for (const host of [a, kernel.host]) await host.run('ip', 'neigh', 'flush', 'all');
  }
  async function moves(from: Host, to: Host, address: string, bytes = BYTES): Promise<void> {
    port++;
    await to.serve(address, port);
    const { sent, received } = await from.transfer(address, port, bytes);
    expect(received).toBe(sent);
  }
  const macOf = (host: Host) => host.run('cat', '/sys/class/net/eth0/address');

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2)) as [Machine, Machine];
    a = await lab.host('a');
    kernel = await KernelTunnel.make(lab, far, 'k', [`${THEIRS[0]}/24`, `${THEIRS[1]}/64`]);
    daemon = await lab.daemon(document(CASES[0]!), { netns: near.netns });
  });
  afterAll(() => lab.close());

  describe.each(CASES)('IP$family, group: $group', (one) => {
    const { family, group } = one;
    beforeAll(() => apply(one));

    it('K vxlan_bridge_1d ping_ipv4: whoever begins, IPv4 and IPv6', async () => {
      expect(await a.ping(THEIRS[0])).toBe(3);
      expect(await kernel.host.ping(OURS[1])).toBe(3);
      expect(await kernel.host.ping(OURS[0], { size: 6000 })).toBe(3);
    });

    it('K test_learning: each knows behind which machine the other’s host is', async () => {
      const row = async () => {
        const mac = await macOf(kernel.host);
        return (await daemon.fdb()).find((found) => found.mac === mac);
      };
      expect(await until(row, (found) => found?.remote === far[family])).toMatchObject({
        ...{ port: 'x', type: 'learned', remote: far[family] },
      });
      expect(await kernel.remoteOf(await macOf(a))).toBe(near[family]);
      const [shown] = await daemon.tunnels();
      const origins = shown!.remotes.map(({ address, origin }) => [origin, address]).sort();
      const peer = far[family];
      expect(origins).toEqual(
        group === undefined
          ? [['configured', peer]]
          : [
              ['group', group],
              ['learned', peer],
            ],
      );
    });

    it('O "tcp over vxlan tunnel with software fallback": files, nothing switched off', async () => {
      await moves(a, kernel.host, THEIRS[0]);
      await moves(kernel.host, a, OURS[0]);
      await moves(kernel.host, a, OURS[1]);
      if (isLong()) await moves(a, kernel.host, THEIRS[1]);
    });
  });

  it('segments that come one a datagram, as from hardware, arrive merged', async () => {
    await apply(CASES[0]!);
    await kernel.offloads('off');
    const merged = async () => (await daemon.tunnels())[0]!.endpoint!.merged;
    const before = await merged();
    await moves(kernel.host, a, OURS[0]);
    expect(await merged()).toBeGreaterThan(before);
    await moves(kernel.host, a, OURS[1]);
    await kernel.offloads('on');
  });

  it('without UDP checksums on either side', async () => {
    await apply(CASES[0]!, { checksum: false }, ['noudpcsum']);
    await moves(a, kernel.host, THEIRS[0], 1 << 20);
    await moves(kernel.host, a, OURS[0], 1 << 20);
  });

  it('hosts’ offloads off', async () => {
    await apply(CASES[0]!);
    for (const host of [a, kernel.host])
      await host.run('ethtool', '-K', 'eth0', 'tx', 'off', 'sg', 'off', 'tso', 'off', 'gso', 'off');
    await moves(a, kernel.host, THEIRS[0], 1 << 20);
    await moves(kernel.host, a, OURS[1], 1 << 20);
    for (const host of [a, kernel.host])
      await host.run('ethtool', '-K', 'eth0', 'tx', 'on', 'sg', 'on', 'tso', 'on', 'gso', 'on');
  });
});
