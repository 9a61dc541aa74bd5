/**
 * A weft and Open vSwitch's userspace datapath: VXLAN, Geneve and GRE, with and without a key, IPv4 and IPv6 underlay, ping, TCP by SHA-256,
 * learning, Geneve options. O are scenarios of Open vSwitch's own suite.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { DEVICE, type Family, type Machine, machines, vxlan } from '../netns/underlay.ts';
import { OpenVSwitch, OVS_TOOLS } from './ovs.ts';

const BYTES = 4 << 20;
const OURS = ['10.54.0.1', 'fd00:54::1'] as const;
const THEIRS = ['10.54.0.2', 'fd00:54::2'] as const;
/** Enough less than 1,500 for every header. */
const MTU = 1400;
const KEY = 7007;
const UNDERLAY_BRIDGE = 'br-phy';
const UNDERLAY_MAC = '02:00:5e:00:53:b1';
const TUNNEL = 'tun';
/** RFC 8926 section 3.5: the first bit of a type says that who does not know it must not go on. */
const CRITICAL = 0x80;
const NEIGHBOUR_MS = 15_000;

interface Case {
  readonly kind: 'vxlan' | 'geneve' | 'gre';
  readonly family: Family;
  readonly key: number | null;
}

const CASES: readonly Case[] = [
  { kind: 'vxlan', family: 'v4', key: KEY },
  { kind: 'vxlan', family: 'v6', key: KEY },
  { kind: 'geneve', family: 'v4', key: KEY },
  { kind: 'geneve', family: 'v6', key: KEY },
  { kind: 'gre', family: 'v4', key: KEY },
  { kind: 'gre', family: 'v4', key: null },
];

/** Open vSwitch takes no unfinished checksums: outer ones are made before they leave. */
describeNeeds(
  { ...REAL, tools: [...REAL.tools, ...OVS_TOOLS, 'ovs-ofctl', 'ethtool'] },
  'Open vSwitch’s tunnels',
  () => {
    let lab: Lab;
    let near: Machine;
    let far: Machine;
    let daemon: Daemon;
    let ovs: OpenVSwitch;
    let a: Host;
    let port = 5000;

    function document({ kind, family, key }: Case): object {
      const id = kind === 'gre' ? 'key' : 'vni';
      const way = { kind, vni: undefined, ...(key === null ? {} : { [id]: key }) };
      const host = tap(lab, 'a', { mtu: MTU, address: [`${OURS[0]}/24`, `${OURS[1]}/64`] });
      return JSON.parse(JSON.stringify(bridge([host, vxlan(near, [far], way, family)])));
    }
    async function apply(one: Case): Promise<void> {
      await daemon.apply(document(one));
      await daemon.client.send('POST', '/v1/fdb/flush', {});
      const options = {
        local_ip: far[one.family],
        remote_ip: near[one.family],
        ...(one.key === null ? {} : { key: one.key }),
      };
      const settings = Object.entries(options).map(([name, value]) => `options:${name}="${value}"`);
      await ovs.vsctl(
        ...['--if-exists', 'del-port', TUNNEL, '--', 'add-port', 'br0', TUNNEL, '--', 'set', 'interface', TUNNEL],
        ...[`type=${one.kind}`, ...settings],
      );
      await ovs.appctl('fdb/flush', 'br0');
      for (const host of [a, far.host]) await host.run('ip', 'neigh', 'flush', 'all');
    }
    async function moves(from: Host, to: Host, address: string): Promise<void> {
      port++;
      await to.serve(address, port);
      const { sent, received } = await from.transfer(address, port, BYTES);
      expect(received).toBe(sent);
    }

    beforeAll(async () => {
      lab = new Lab();
      [near, far] = (await machines(lab, 2, { wire: true })) as [Machine, Machine];
      a = await lab.host('a');
      ovs = await OpenVSwitch.start(lab, far.name);
      const settings = ['datapath_type=netdev', `other_config:hwaddr=${UNDERLAY_MAC}`];
      await ovs.vsctl('add-br', UNDERLAY_BRIDGE, '--', 'set', 'bridge', UNDERLAY_BRIDGE, ...settings);
      await far.ip('addr', 'flush', 'dev', DEVICE);
      await ovs.vsctl('add-port', UNDERLAY_BRIDGE, DEVICE);
      for (const [device, addresses] of [
        [UNDERLAY_BRIDGE, [`${far.v4}/24`, `${far.v6}/64`]],
        ['br0', [`${THEIRS[0]}/24`, `${THEIRS[1]}/64`]],
      ] as const) {
        for (const address of addresses)
          await far.ip('addr', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []));
        await far.ip('link', 'set', device, 'up');
      }
      await far.ip('link', 'set', 'br0', 'mtu', String(MTU));
      daemon = await lab.daemon(document(CASES[0]!), { netns: near.netns });
      // Open vSwitch sends tunnelled packets only to neighbours that it has seen.
      for (const address of [near.v4, near.v6]) {
        const ping = () => far.host.ping(address, { count: 1, wait: 1 });
        expect(await until(ping, (answers) => answers === 1, NEIGHBOUR_MS)).toBe(1);
      }
    });
    afterAll(async () => {
      await ovs?.close();
      await lab.close();
    });

    describe.each(CASES)('$kind over IP$family, key $key', (one) => {
      beforeAll(() => apply(one));

      it(`O "ping over ${one.kind} tunnel"`, async () => {
        expect(await a.ping(THEIRS[0])).toBe(3);
        expect(await far.host.ping(OURS[1])).toBe(3);
        const mac = await far.host.run('cat', '/sys/class/net/br0/address');
        const row = async () => (await daemon.fdb()).find((found) => found.mac === mac);
        const wanted = { port: 'x', type: 'learned', remote: far[one.family] };
        expect(await until(row, (found) => found !== undefined)).toMatchObject(wanted);
      });

      it('TCP, both ways', async () => {
        await moves(a, far.host, THEIRS[0]);
        await moves(far.host, a, OURS[1]);
      });
    });

    it('O "handling of geneve corrupted metadata": options pass, unknown critical ones drop', async () => {
      await apply(CASES.find(({ kind }) => kind === 'geneve')!);
      // The datapath goes by what it made of former flows until that is gone.
      const forgets = () => ovs.appctl('revalidator/purge');
      const option = async (type: number) => {
        await ovs.ofctl('del-flows', 'br0');
        await ovs.ofctl('del-tlv-map', 'br0');
        await ovs.ofctl('add-tlv-map', 'br0', `{class=0xffff,type=${type},len=4}->tun_metadata0`);
        await ovs.ofctl('add-flow', 'br0', 'actions=set_field:0x1234->tun_metadata0,normal');
        await forgets();
      };
      const lost = async () => (await daemon.drops()).find(({ reason }) => reason === 'tunnel-option')?.frames ?? 0;
      const before = await lost();
      await option(1);
      expect(await far.host.ping(OURS[0])).toBe(3);
      expect(await lost()).toBe(before);
      await option(CRITICAL | 1);
      expect(await far.host.ping(OURS[0], { count: 2, wait: 1 })).toBe(0);
      expect((await lost()) - before).toBeGreaterThanOrEqual(2);
      await ovs.ofctl('del-flows', 'br0');
      await ovs.ofctl('del-tlv-map', 'br0');
      await ovs.ofctl('add-flow', 'br0', 'actions=normal');
      await forgets();
      expect(await far.host.ping(OURS[0])).toBe(3);
    });
  },
);
