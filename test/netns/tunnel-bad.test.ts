/**
 * What may come to a tunnel's port from anywhere: garbage, headers with wrong bits, frames that are cut off or nested, storms. All of it is
 * counted with its reason, what is kept has bounds, and other ports don't notice.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { randomFrom, seedFor } from '../seed.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, colons, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { GENEVE_PORT, geneveHeader, vxlanHeader } from './outer.ts';
import { hex, ipFrame, ipPacket, udpPacket } from './packets.ts';
import { Speaker } from './speaker.ts';
import { type Machine, machines, VNI, vxlan } from './underlay.ts';

const GARBAGE = 400;
const GARBAGE_BYTES_MAX = 120;
const STORM = 200;
const REMOTE_LIMIT = 32;
const A = '10.58.0.1';
const C = '10.58.0.2';
const INNER = frame(BROADCAST, mac(0xe1), []);

interface Case {
  readonly what: string;
  readonly header: string;
  readonly inner?: string;
  /** null: it is taken. */
  readonly reason: string | null;
  readonly port?: number;
}

const CASES: readonly Case[] = [
  { what: 'VXLAN as it should be', header: vxlanHeader(VNI), reason: null },
  { what: 'VXLAN with all reserved bits', header: `ffffffff${hex(VNI, 3)}ff`, reason: null },
  { what: 'VXLAN without the flag I', header: vxlanHeader(VNI, 0), reason: 'bad-tunnel-header' },
  {
    what: 'VXLAN with no whole frame',
    header: vxlanHeader(VNI),
    inner: INNER.slice(0, 26),
    reason: 'bad-tunnel-header',
  },
  { what: 'VXLAN with nothing inside', header: vxlanHeader(VNI), inner: '', reason: 'bad-tunnel-header' },
  { what: 'a datagram of three bytes', header: '080000', inner: '', reason: 'bad-tunnel-header' },
  { what: 'an empty datagram', header: '', inner: '', reason: 'bad-tunnel-header' },
  { what: 'Geneve as it should be', port: GENEVE_PORT, header: geneveHeader(VNI), reason: null },
  {
    what: 'Geneve with an option',
    port: GENEVE_PORT,
    header: geneveHeader(VNI, { options: '0102030100000000' }),
    reason: null,
  },
  {
    what: 'Geneve with a critical option',
    port: GENEVE_PORT,
    header: geneveHeader(VNI, { options: '0102830100000000', critical: true }),
    reason: 'tunnel-option',
  },
  {
    what: 'Geneve with options beyond its end',
    port: GENEVE_PORT,
    header: hex(0x3f, 1) + geneveHeader(VNI).slice(2),
    reason: 'bad-tunnel-header',
  },
  {
    what: 'Geneve of another version',
    port: GENEVE_PORT,
    header: hex(0x40, 1) + geneveHeader(VNI).slice(2),
    reason: 'bad-tunnel-header',
  },
  { what: 'Geneve of another VNI', port: GENEVE_PORT, header: geneveHeader(VNI + 1), reason: 'unknown-vni' },
];

describeNeeds({ ...REAL, tools: [...REAL.tools, 'ethtool'] }, 'what comes to a tunnel’s port', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemon: Daemon;
  let hosts: Record<'a' | 'c', Host>;
  let speaker: Speaker;

  const document = (more: object = {}) => {
    const ports = [tap(lab, 'a', { address: [`${A}/24`] }), tap(lab, 'c', { address: [`${C}/24`] })];
    const geneve = vxlan(near, [far], { name: 'g', kind: 'geneve' });
    return bridge([...ports, vxlan(near, [far], more), geneve], {}, { workers: { count: 2 } });
  };

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2, { wire: true })) as [Machine, Machine];
    hosts = await lab.hosts(['a', 'c'], { ipv6: false });
    daemon = await lab.daemon(document(), { netns: near.netns });
    await hosts.a.sniff('eth0', MARKER);
    speaker = await Speaker.to(near, far);
    await far.host.hold(far.v4, GENEVE_PORT);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await daemon.apply(document());
    await hosts.a.drain('eth0');
  });

  const total = (rows: readonly { reason: string; frames: number }[], reasons: readonly string[]) =>
    rows.reduce((sum, row) => sum + (reasons.includes(row.reason) ? row.frames : 0), 0);
  const lost = async (...reasons: string[]) => total(await daemon.drops(), reasons);
  const received = async (name: string) => (await daemon.port(name)).receive.frames;

  it.each(CASES)('$what: $reason', async ({ header, inner = INNER, reason, port }) => {
    const before = reason === null ? 0 : await lost(reason);
    await speaker.say(inner, { header, ...(port === undefined ? {} : { port }) });
    if (reason === null) {
      expect(await hosts.a.frames('eth0')).toEqual([inner]);
      return;
    }
    const counted = await until(
      () => lost(reason),
      (frames) => frames > before,
    );
    expect(counted).toBe(before + 1);
    expect(await hosts.a.frames('eth0', 1, 0.02)).toEqual([]);
  });

  it('garbage: every datagram is a frame or a loss with a reason', async () => {
    const random = randomFrom(seedFor('garbage at a tunnel’s port'));
    const bytes = (count: number) => Array.from({ length: count }, () => hex(random(256), 1)).join('');
    const count = async () => {
      const drops = await lost('bad-tunnel-header', 'unknown-vni', 'tunnel-option', 'bad-ecn');
      return drops + (await received('x')) + (await received('g'));
    };
    const before = await count();
    const frames = Array.from({ length: GARBAGE }, (_, k) => {
      const inner = bytes(random(GARBAGE_BYTES_MAX));
      // Half of it with a header that is right, so that the frame inside is looked at.
      const header = k % 2 === 0 ? vxlanHeader(VNI) : bytes(random(9));
      const port = k % 4 < 2 ? {} : { port: GENEVE_PORT, header: k % 2 === 0 ? geneveHeader(VNI) : bytes(random(9)) };
      return speaker.frame(inner, { header, ...port });
    });
    for (let at = 0; at < GARBAGE; at += 50) await speaker.raw(frames.slice(at, at + 50));
    const counted = await until(count, (sum) => sum >= before + GARBAGE);
    expect(counted).toBe(before + GARBAGE);
    expect((await daemon.workers()).map(({ state, restarts }) => [state, restarts])).toEqual([
      ['running', 0],
      ['running', 0],
    ]);
    expect(await hosts.a.ping(C)).toBe(3);
  });

  it('an inner packet that says it is longer than its datagram arrives as it is, and harms nobody', async () => {
    const packet = udpPacket({ source: A, destination: C, payload: MARKER.repeat(4) }, 7, 9);
    const lies = [
      packet.slice(0, 4) + hex(1400, 2) + packet.slice(8),
      `4f${packet.slice(2)}`,
      `60000000ffff1140${packet.slice(16)}`,
      `45000014000040004006${packet.slice(20)}`,
    ].map((text) => ipFrame(BROADCAST, mac(0xe2), text));
    for (const lie of lies) await speaker.say(lie);
    const whole = frame(BROADCAST, mac(0xe2), [], 'the last');
    await speaker.say(whole);
    const came = await until(
      async () => hosts.a.frames('eth0', lies.length + 1, 1),
      (frames) => frames.includes(whole),
    );
    expect(came).toContain(whole);
    for (const one of came) expect([...lies, whole]).toContain(one);
    expect((await daemon.workers()).every(({ restarts }) => restarts === 0)).toBe(true);
  });

  it('VXLAN in VXLAN: a frame like any other', async () => {
    const packet = { source: far.v4, destination: near.v4, payload: vxlanHeader(VNI) + INNER };
    const nested = ipFrame(BROADCAST, mac(0xe3), udpPacket(packet, 5000, 4789));
    await speaker.say(nested);
    expect(await hosts.a.frames('eth0')).toEqual([nested]);
    const again = ipFrame(mac(0xe3), mac(0xe4), udpPacket({ ...packet, payload: vxlanHeader(VNI) + nested }, 1, 4789));
    await hosts.a.send('eth0', [again]);
    expect(await speaker.heard()).toMatchObject([{ inner: again, vni: VNI, isGood: true }]);
  });

  it('a storm of remotes that claim one address: bounded, shown, and others don’t notice', async () => {
    await daemon.apply(document({ 'remote-limit': REMOTE_LIMIT }));
    const pinging = hosts.a.ping(C, { count: 60, interval: 0.02 });
    const inner = frame(BROADCAST, mac(0xe5), []);
    const frames = Array.from({ length: STORM }, (_, k) => speaker.frame(inner, { source: `192.0.2.${k + 20}` }));
    const learned = async () =>
      (await daemon.tunnels())[0]!.remotes.filter(({ origin }) => origin === 'learned').length;
    await until(
      async () => {
        await speaker.raw(frames);
        return learned();
      },
      (count) => count >= REMOTE_LIMIT,
      10_000,
    );
    await speaker.raw(frames, 5);
    expect(await pinging).toBe(60);
    expect(await learned()).toBe(REMOTE_LIMIT);
    const rows = (await daemon.fdb()).filter((one) => one.mac === colons(mac(0xe5)));
    expect(rows).toMatchObject([{ port: 'x' }]);
    expect((await daemon.workers()).every(({ restarts }) => restarts === 0)).toBe(true);
    expect((await daemon.cli('show', 'tunnels', 'x')).stdout).toContain(`${REMOTE_LIMIT}`);
    await hosts.a.frames('eth0', 5000, 0.2);
    const known = frame(BROADCAST, mac(0xe6), [], 'after it');
    await speaker.say(known);
    expect(await hosts.a.frames('eth0')).toContain(known);
  });

  it('fragments of outer packets come together', async () => {
    const inner = frame(BROADCAST, mac(0xe7), [], 'in pieces', 1400);
    const whole = udpPacket({ source: far.v4, destination: near.v4, payload: vxlanHeader(VNI) + inner }, 5000, 4789);
    const body = whole.slice(40);
    const piece = (from: number, to: number, more: boolean) => {
      const made = ipPacket({
        source: far.v4,
        destination: near.v4,
        protocol: 17,
        payload: body.slice(from * 2, to * 2),
      });
      return fragment(made, from, more);
    };
    const pieces = [piece(0, 800, true), piece(800, body.length / 2, false)];
    const [from, to] = [await far.mac(), await near.mac()];
    await speaker.raw(pieces.map((one) => ipFrame(to, from, one)));
    expect(await hosts.a.frames('eth0')).toEqual([inner]);
  });
});

/** An IPv4 packet as the fragment at this offset; its header's checksum is adjusted. */
function fragment(packet: string, offset: number, more: boolean): string {
  const word = (offset >> 3) | (more ? 0x2000 : 0);
  const old = Number.parseInt(packet.slice(20, 24), 16);
  let sum = (~old & 0xffff) + word;
  sum = (sum & 0xffff) + (sum >> 16);
  return `${packet.slice(0, 12)}${hex(word, 2)}${packet.slice(16, 20)}${hex(~sum & 0xffff, 2)}${packet.slice(24)}`;
}
