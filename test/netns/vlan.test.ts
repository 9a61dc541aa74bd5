/**
 * VLANs on real devices. Tags are made and compared by hand, byte for byte, so that no VLAN device is needed. The truth is Open vSwitch's
 * table of VLAN modes; scenarios carry the names they have in its suites and in the kernel's selftests.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, MARKER, mac, type Tag } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap } from './lab.ts';

/** Ports of the truth table: one of each mode, and one access port of another VLAN. */
const MODES = {
  trunk: { mode: 'trunk', trunks: [10, 12] },
  access: { mode: 'access', tag: 10 },
  other: { mode: 'access', tag: 12 },
  ntag: { mode: 'native-tagged', tag: 10, trunks: [10, 12] },
  nunt: { mode: 'native-untagged', tag: 10, trunks: [10, 12] },
  tunnel: { mode: 'dot1q-tunnel', tag: 10 },
} as const;
type Port = keyof typeof MODES;
const PORTS = Object.keys(MODES) as Port[];

interface Inside {
  readonly vlan: number;
  readonly priority: number;
  readonly tpid: number;
  /** Tags behind the one that the switch looks at. */
  readonly inner: readonly Tag[];
}

/** ovs-vswitchd.conf.db(5), Port, vlan_mode: which VLAN is a frame in, or null where it may not enter. */
function admitted(port: Port, tags: readonly Tag[]): Inside | null {
  const vlan = MODES[port];
  const [first, ...rest] = tags;
  const native = vlan.mode === 'trunk' ? null : vlan.tag;
  if (vlan.mode === 'dot1q-tunnel')
    return { vlan: vlan.tag, priority: first?.priority ?? 0, tpid: 0x88a8, inner: tags };
  if (first === undefined) return native === null ? null : { vlan: native, priority: 0, tpid: 0x8100, inner: [] };
  const { priority = 0, tpid = 0x8100 } = first;
  if (first.vlan === 0) return native === null ? null : { vlan: native, priority, tpid, inner: rest };
  if (vlan.mode === 'access') return null;
  return (vlan.trunks as readonly number[]).includes(first.vlan)
    ? { vlan: first.vlan, priority, tpid, inner: rest }
    : null;
}

/** The tags with which a frame leaves, outermost first; null where the port doesn't carry its VLAN. */
function leaving(port: Port, { vlan, priority, tpid, inner }: Inside): readonly Tag[] | null {
  const mode = MODES[port];
  if (mode.mode === 'dot1q-tunnel') return mode.tag === vlan ? inner : null;
  // A customer's VLAN behind the access VLAN's tag is not for an access port; a priority tag is.
  if (mode.mode === 'access') return mode.tag === vlan && (inner[0]?.vlan ?? 0) === 0 ? inner : null;
  if (!(mode.trunks as readonly number[]).includes(vlan)) return null;
  if (mode.mode === 'native-untagged' && mode.tag === vlan) return inner;
  return [{ vlan, priority, tpid }, ...inner];
}

const ARRIVALS: Readonly<Record<string, readonly Tag[]>> = {
  untagged: [],
  'tag 10': [{ vlan: 10 }],
  'tag 12, priority 3': [{ vlan: 12, priority: 3 }],
  'tag 11': [{ vlan: 11 }],
  'priority tag 5': [{ vlan: 0, priority: 5 }],
  '802.1ad tag 10': [{ vlan: 10, tpid: 0x88a8, priority: 1 }],
  'tag 10 before tag 77': [{ vlan: 10 }, { vlan: 77, priority: 2 }],
  '802.1ad tag 12 before tag 10': [{ vlan: 12, tpid: 0x88a8 }, { vlan: 10 }],
};

describeNeeds(REAL, 'VLANs on TAPs', () => {
  let lab: Lab;
  let daemon: Daemon;
  let hosts: Record<Port, Host>;

  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(PORTS, { ipv6: false });
    daemon = await lab.daemon(bridge(PORTS.map((name) => tap(lab, name, { vlan: MODES[name] }))));
    await Promise.all(PORTS.map((name) => hosts[name].sniff('eth0', MARKER)));
  });
  afterAll(() => lab.close());

  /** Sends frames into one port and answers what each other port gave out. */
  async function through(from: Port, frames: readonly string[], expected: Record<Port, string[]>) {
    await hosts[from].send('eth0', frames);
    const got = PORTS.map(async (name) => {
      const first = await hosts[name].frames('eth0', expected[name].length);
      return [name, [...first, ...(await hosts[name].frames('eth0', 1, 0.15))].sort()] as const;
    });
    return Object.fromEntries(await Promise.all(got)) as Record<Port, string[]>;
  }

  it.each(PORTS)('OD "VLAN handling": what enters at %s leaves at each port as the truth table says', async (from) => {
    const expected = Object.fromEntries(PORTS.map((name) => [name, [] as string[]])) as Record<Port, string[]>;
    const frames: string[] = [];
    for (const [what, tags] of Object.entries(ARRIVALS)) {
      frames.push(frame(BROADCAST, mac(1 + PORTS.indexOf(from)), tags, what));
      const inside = admitted(from, tags);
      if (inside === null) continue;
      for (const to of PORTS) {
        const left = to === from ? null : leaving(to, inside);
        if (left !== null) expected[to].push(frame(BROADCAST, mac(1 + PORTS.indexOf(from)), left, what));
      }
    }
    for (const name of PORTS) expected[name].sort();
    expect(await through(from, frames, expected)).toEqual(expected);
  });

  it('OD "VLAN handling": a known unicast address leaves in the same form as a flooded one', async () => {
    await hosts.tunnel.send('eth0', [frame(BROADCAST, mac(0x50), [], 'learn me')]);
    await Promise.all(PORTS.map((name) => hosts[name].drain('eth0', 0.2)));
    const none = Object.fromEntries(PORTS.map((name) => [name, [] as string[]])) as Record<Port, string[]>;
    const tagged = frame(mac(0x50), mac(0x51), [{ vlan: 10 }, { vlan: 5 }], 'to the tunnel');
    const expected = { ...none, tunnel: [frame(mac(0x50), mac(0x51), [{ vlan: 5 }], 'to the tunnel')] };
    expect(await through('trunk', [tagged], expected)).toEqual(expected);
  });

  it('K bridge_vlan_aware drop_untagged: what a trunk may not carry is counted with its reason', async () => {
    const before = (await daemon.port('trunk')).dropped['vlan-not-admitted'] ?? 0;
    const onAccess = (await daemon.port('access')).dropped['tagged-on-access'] ?? 0;
    await hosts.trunk.send('eth0', [frame(BROADCAST, mac(2), []), frame(BROADCAST, mac(2), [{ vlan: 4094 }])]);
    await hosts.access.send('eth0', [frame(BROADCAST, mac(2), [{ vlan: 10 }])]);
    expect(await hosts.ntag.frames('eth0', 1, 0.2)).toEqual([]);
    expect((await daemon.port('trunk')).dropped['vlan-not-admitted']).toBe(before + 2);
    expect((await daemon.port('access')).dropped['tagged-on-access']).toBe(onAccess + 1);
  });

  it('VLAN 4095 and a tag that is cut off drop as bad-tag', async () => {
    const before = (await daemon.port('trunk')).dropped['bad-tag'] ?? 0;
    const cut = `${BROADCAST}${mac(2)}81000`.slice(0, 28);
    await hosts.trunk.send('eth0', [frame(BROADCAST, mac(2), [{ vlan: 4095 }]), `${cut}00`]);
    expect(await hosts.ntag.frames('eth0', 1, 0.2)).toEqual([]);
    expect((await daemon.port('trunk')).dropped['bad-tag']).toBe(before + 2);
  });

  it('an address lives in each VLAN by itself (independent learning)', async () => {
    await hosts.access.send('eth0', [frame(BROADCAST, mac(0x60), [])]);
    await hosts.other.send('eth0', [frame(BROADCAST, mac(0x60), [])]);
    await Promise.all(PORTS.map((name) => hosts[name].drain('eth0', 0.2)));
    const rows = (await daemon.fdb()).filter((row) => row.mac === '02:77:74:00:00:60');
    expect(rows.map(({ vlan, port }) => `${vlan} ${port}`).sort()).toEqual(['10 access', '12 other']);
  });
});

describeNeeds(REAL, 'VLANs end to end', () => {
  const MEGABYTE = 1 << 20;
  const port = (lab: Lab, name: string, n: number, vlan: object) =>
    tap(lab, name, { vlan, address: [`10.8.0.${n}/24`, `fd00:8::${n}/64`] });
  const patches = (left: object, right: object) =>
    [
      { name: 'to-br1', kind: 'patch', peer: 'br1/to-br0', ...left },
      { name: 'to-br0', kind: 'patch', peer: 'br0/to-br1', ...right },
    ] as const;

  /** Two bridges with a patch between them, so that frames of real hosts carry tags on the way. */
  async function joined(
    lab: Lab,
    vlans: { a: object; b: object; c: object; left: object; right: object },
  ): Promise<Record<'a' | 'b' | 'c', Host>> {
    const hosts = await lab.hosts(['a', 'b', 'c']);
    const [left, right] = patches({ vlan: vlans.left }, { vlan: vlans.right });
    await lab.daemon({
      metrics: false,
      bridges: [
        { name: 'br0', ports: [port(lab, 'a', 1, vlans.a), left] },
        { name: 'br1', ports: [port(lab, 'b', 2, vlans.b), port(lab, 'c', 3, vlans.c), right] },
      ],
    });
    return hosts;
  }

  async function reaches(from: Host, to: Host): Promise<void> {
    expect(await from.ping('10.8.0.2')).toBe(3);
    expect(await from.ping('fd00:8::2')).toBe(3);
    expect(await from.ping('10.8.0.2', { size: 3000 })).toBe(3);
    await to.serve('10.8.0.2', 80);
    const { sent, received } = await from.transfer('10.8.0.2', 80, 4 * MEGABYTE);
    expect(received).toBe(sent);
  }

  const cases = {
    'O "datapath - ping between two ports on vlan"; K bridge_vlan_aware ping_ipv4, ping_ipv6': {
      a: { tag: 10 },
      b: { tag: 10 },
      c: { tag: 20 },
      left: { mode: 'trunk', trunks: [10] },
      right: { mode: 'trunk', trunks: [10, 20] },
    },
    'O "datapath - ping between two ports on cvlan"; O "802.1ad - push/pop outer 802.1ad"': {
      a: { mode: 'dot1q-tunnel', tag: 100 },
      b: { mode: 'dot1q-tunnel', tag: 100 },
      c: { mode: 'dot1q-tunnel', tag: 200 },
      left: { mode: 'trunk', trunks: [100] },
      right: { mode: 'trunk', trunks: [100, 200] },
    },
    'O "802.1ad - 802.1q tunnel"; O "802.1ad - push/pop outer 802.1q"': {
      a: { mode: 'dot1q-tunnel', tag: 100, ethertype: '802.1q' },
      b: { mode: 'native-untagged', tag: 100 },
      c: { tag: 101 },
      left: { mode: 'native-tagged', tag: 1 },
      right: { mode: 'trunk' },
    },
  };

  describe.each(Object.entries(cases))('%s', (_, vlans) => {
    let lab: Lab;
    beforeAll(() => {
      lab = new Lab();
    });
    afterAll(() => lab.close());

    it('passes ping, ping6 and TCP; the other VLAN hears nothing', async () => {
      const { a, b, c } = await joined(lab, vlans);
      await reaches(a, b);
      expect(await a.ping('10.8.0.3', { count: 2, wait: 1 })).toBe(0);
      expect(await c.ping('10.8.0.1', { count: 2, wait: 1 })).toBe(0);
    });
  });
});
