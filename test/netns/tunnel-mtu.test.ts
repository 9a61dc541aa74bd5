/**
 * MTU that never fails in silence: an underlay whose router lets less pass than the machines believe, from the start and in mid-flow, a
 * device whose MTU shrinks, paths that lose large packets without a word. Senders inside are told by ICMP and TCP goes on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { addressHex, checksum, hex, ipFrame, ipPacket, TCP } from './packets.ts';
import { DEVICE, type Family, type Machine, routed, vxlan } from './underlay.ts';

const BYTES = (isLong() ? 50 : 8) << 20;
/** So that a change is in mid-flow. */
const PAUSE_S = 0.1;
/** Of hosts that were told, so that only ICMP helps them. */
const HOST_MTU = 1450;
/** Of TAPs that were told none, where nothing asks for less. */
const TAP_MTU = 1500;
/** Outer packet less inner packet. */
const OVERHEAD = { v4: 50, v6: 70 };
/** Without tags inside, whose bytes a trunk would leave room for. */
const ACCESS = { vlan: { mode: 'access', tag: 10 } };
const INSIDE = { v4: ['10.56.0.1', '10.56.0.2'], v6: ['fd00:56::1', 'fd00:56::2'] } as const;
const FAMILIES = ['v4', 'v6'] as const;

interface Sides {
  readonly family?: Family;
  readonly tunnel?: object;
  readonly hosted?: object;
}

describeNeeds({ ...REAL, tools: [...REAL.tools, 'nft'] }, 'the MTU of tunnels', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let router: Host;
  let daemons: Daemon[];
  let hosts: Record<'a' | 'b', Host>;
  let port = 5000;

  function side(own: Machine, other: Machine, name: 'a' | 'b', sides: Sides): object {
    const { family = 'v4', tunnel = {}, hosted = { mtu: HOST_MTU } } = sides;
    const [v4, v6] = FAMILIES.map((one) => INSIDE[one][name === 'a' ? 0 : 1]);
    return bridge([
      tap(lab, name, { address: [`${v4}/24`, `${v6}/64`], ...ACCESS, ...hosted }),
      vxlan(own, [other], { ...ACCESS, ...tunnel }, family),
    ]);
  }
  async function apply(sides: Sides = {}): Promise<void> {
    await daemons[0]!.apply(side(near, far, 'a', sides));
    await daemons[1]!.apply(side(far, near, 'b', sides));
  }
  /** What the segment between router and far machine takes. */
  async function shrink(mtu: number): Promise<void> {
    await router.run('ip', 'link', 'set', 'r2', 'mtu', String(mtu));
    await far.ip('link', 'set', DEVICE, 'mtu', String(mtu));
  }
  /** Everybody forgets what was learned of paths; then both sides anew. */
  async function afresh(sides: Sides = {}): Promise<void> {
    for (const daemon of daemons) await daemon.apply(bridge([]));
    for (const host of [hosts.a, hosts.b, near.host, far.host]) {
      await host.run('ip', 'route', 'flush', 'cache');
      await host.run('ip', '-6', 'route', 'flush', 'cache');
    }
    await apply(sides);
  }
  async function moves(from: Host, to: Host, address: string, during?: () => Promise<void>): Promise<void> {
    port++;
    await to.serve(address, port);
    const moving = from.transfer(address, port, BYTES, during === undefined ? 0 : PAUSE_S);
    await during?.();
    const { sent, received } = await moving;
    expect(received).toBe(sent);
  }
  const rowOf = async (daemon = daemons[0]!) => (await daemon.tunnels())[0]!;
  const lost = async () =>
    (await daemons[0]!.drops()).find(({ reason, port: at }) => reason === 'path-mtu' && at === 'x')?.frames ?? 0;
  /** The path's MTU as host a knows it. */
  const knownTo = async (address: string) =>
    Number(/mtu (\d+)/.exec(await hosts.a.run('ip', 'route', 'get', address))?.[1] ?? 0);

  beforeAll(async () => {
    lab = new Lab();
    ({ near, far, router } = await routed(lab));
    hosts = await lab.hosts(['a', 'b']);
    daemons = await Promise.all([
      lab.daemon(side(near, far, 'a', {}), { netns: near.netns, name: 'near' }),
      lab.daemon(side(far, near, 'b', {}), { netns: far.netns, name: 'far' }),
    ]);
  });
  afterAll(() => lab.close());

  describe.each(FAMILIES)('over IP%s', (family) => {
    const overhead = OVERHEAD[family];

    it('too small from the start: senders are told, and everything arrives', async () => {
      await shrink(1400);
      await afresh({ family });
      const before = await lost();
      await moves(hosts.a, hosts.b, INSIDE.v4[1]);
      await moves(hosts.b, hosts.a, INSIDE.v6[0]);
      await moves(hosts.a, hosts.b, INSIDE.v6[1]);
      expect(await lost()).toBeGreaterThan(before);
      expect(await knownTo(INSIDE.v4[1])).toBe(1400 - overhead);
      const [remote] = (await rowOf()).remotes;
      expect(remote).toMatchObject({ pathMtu: 1400, mtu: 1400 - overhead });
    });

    it('shrinks in mid-flow: TCP goes on', async () => {
      await shrink(1500);
      await afresh({ family });
      expect((await rowOf()).mtuUnderlay).toBe(1500 - overhead);
      await moves(hosts.a, hosts.b, INSIDE.v4[1], () => shrink(1420));
      expect((await rowOf()).remotes[0]).toMatchObject({ pathMtu: 1420 });
      await moves(hosts.a, hosts.b, INSIDE.v6[1], () => shrink(1360));
      expect((await rowOf()).remotes[0]).toMatchObject({ pathMtu: 1360 });
    });

    it('V encap_big_packet: says by ICMP what fits, to a sender that asks', async () => {
      await shrink(1400);
      await afresh({ family, tunnel: { mtu: 1300 } });
      const asked = ['-n', '-M', 'do', '-c', '2', '-i', '0.2', '-W', '1', '-s'];
      for (const inner of FAMILIES) {
        const { stdout } = await pinged(hosts.a, [...asked, '1350', INSIDE[inner][1]]);
        expect(stdout).toMatch(/mtu ?= ?1300/);
        expect(await hosts.a.ping(INSIDE[inner][1], { size: 1300 - 48 })).toBe(3);
      }
    });

    it('df off: what is too long travels in fragments', async () => {
      await shrink(1400);
      await afresh({ family, tunnel: { df: false, mtu: 1450 } });
      // The kernel of the machine learns what IPv6 routers don't fragment by losing it once.
      await hosts.a.ping(INSIDE.v4[1], { size: 1450 - 28, count: 1, wait: 1 });
      await hosts.b.ping(INSIDE.v4[0], { size: 1450 - 28, count: 1, wait: 1 });
      expect(await hosts.a.ping(INSIDE.v4[1], { size: 1450 - 28 })).toBe(3);
      expect(await hosts.b.ping(INSIDE.v6[0], { size: 1450 - 48 })).toBe(3);
    });
  });

  it('follows the MTU of the device, and so do the TAPs that were told none', async () => {
    await shrink(1500);
    await afresh({ hosted: {} });
    const stream = await daemons[0]!.client.stream('/v1/events');
    let told = '';
    stream.on('data', (data) => (told += data));
    for (const mtu of [1500, 1380, 9000, 1500]) {
      await near.ip('link', 'set', DEVICE, 'mtu', String(mtu));
      await router.run('ip', 'link', 'set', 'r1', 'mtu', String(mtu));
      const row = await until(rowOf, ({ mtu: inner }) => inner === mtu - OVERHEAD.v4);
      expect(row).toMatchObject({ mtu: mtu - OVERHEAD.v4, mtuFixed: false, overhead: OVERHEAD.v4 });
      const set = await until(
        () => hosts.a.number('eth0', 'mtu'),
        (inner) => inner === Math.min(TAP_MTU, mtu - OVERHEAD.v4),
      );
      expect(set).toBe(Math.min(TAP_MTU, mtu - OVERHEAD.v4));
    }
    stream.destroy();
    expect(told).toContain('"type":"mtu-changed"');
  });

  it('names the TAPs that are too large and were told to be', async () => {
    await apply();
    expect((await rowOf()).tooLarge).toEqual([]);
    await apply({ hosted: { mtu: 1500 } });
    expect((await rowOf()).tooLarge).toEqual(['a']);
  });

  it.each(FAMILIES)('clamp-mss: no more than fits, with the checksum mended, IP%s inside', async (family) => {
    await apply({ tunnel: { 'clamp-mss': true, mtu: 1300 } });
    await hosts.b.sniff('eth0', MARKER);
    const fits = 1300 - (family === 'v4' ? 40 : 60);
    for (const [mss, expected] of [
      [1460, fits],
      [536, 536],
    ] as const) {
      await hosts.a.send('eth0', [ipFrame(BROADCAST, mac(0xa), syn(family, mss))]);
      const [came] = await hosts.b.frames('eth0');
      expect(came!.slice(28)).toBe(syn(family, expected));
    }
  });

  it('weft doctor mtu: names the pair where large packets are lost without a word', async () => {
    await shrink(1400);
    await afresh();
    await router.run('nft', 'add table inet t; add chain inet t o { type filter hook output priority 0; }');
    for (const drop of ['ip protocol icmp drop', 'icmpv6 type packet-too-big drop'])
      await router.run('nft', `add rule inet t o ${drop}`);
    const { stdout, exitCode } = await daemons[0]!.cli('doctor', 'mtu');
    expect(stdout).toMatch(new RegExp(`${near.v4}.*${far.v4}`));
    expect(stdout).toContain('1400');
    expect(exitCode).toBe(1);
    await router.run('nft', 'delete table inet t');
    await shrink(1500);
    await afresh();
    expect((await daemons[0]!.cli('doctor', 'mtu')).exitCode).toBe(0);
  });
});

async function pinged(host: Host, args: readonly string[]): Promise<{ stdout: string }> {
  return { stdout: await host.run('sh', '-c', `ping ${args.join(' ')} 2>&1; true`) };
}

/** A TCP SYN with an MSS, and the marker as an option of no meaning. */
function syn(family: Family, mss: number): string {
  const [source, destination] = INSIDE[family];
  const options = `0204${hex(mss, 2)}fd06${MARKER}0101`;
  const head = `04d20050${hex(1, 4)}${hex(0, 4)}${hex((5 + options.length / 8) << 4, 1)}02ffff`;
  const bytes = head.length / 2 + 4 + options.length / 2;
  const pseudo = `${addressHex(source) + addressHex(destination)}00${hex(TCP, 1)}${hex(bytes, 2)}`;
  const sum = checksum(`${pseudo}${head}00000000${options}`);
  return ipPacket({ source, destination, protocol: TCP, payload: `${head}${hex(sum, 2)}0000${options}` });
}
