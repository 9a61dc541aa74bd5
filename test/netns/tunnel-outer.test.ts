/**
 * The outer packets of a tunnel, field by field on the underlay: TTL, TOS, ECN both ways (RFC 6040), DF, UDP checksum, source; and what their
 * ECN does to inner packets. The other machine speaks VXLAN by hand. K and OX are scenarios of the kernel's and Open vSwitch's suites.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import type { Outer } from './outer.ts';
import { checksum, ipFrame, ipPacket, readPacket } from './packets.ts';
import { Speaker } from './speaker.ts';
import { DEVICE, type Family, type Machine, machines, vxlan } from './underlay.ts';

const FAMILIES = ['v4', 'v6'] as const;
const NOT_ECT = 0;
const ECT1 = 1;
const ECT0 = 2;
const CE = 3;
const NAMES = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'];
const DSCP = 0xb8;
/** RFC 6040 figure 4: what leaves the tunnel, by the inner codepoint and then the outer one, in the order above; null: dropped. */
const LEAVES = [
  [NOT_ECT, NOT_ECT, NOT_ECT, null],
  [ECT1, ECT1, ECT1, CE],
  [ECT0, ECT1, ECT0, CE],
  [CE, CE, CE, CE],
] as const;

const INSIDE = {
  v4: { source: '10.52.0.1', destination: '10.52.0.2' },
  v6: { source: 'fd00:52::1', destination: 'fd00:52::2' },
};

describeNeeds({ ...REAL, tools: [...REAL.tools, 'ethtool'] }, 'outer packets', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemon: Daemon;
  let a: Host;
  let speaker: Speaker;
  let told = '';

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2, { wire: true })) as [Machine, Machine];
    a = await lab.host('a', { ipv6: false });
    daemon = await lab.daemon(bridge([tap(lab, 'a'), vxlan(near, [far])]), { netns: near.netns });
    await a.sniff('eth0', MARKER);
    speaker = await Speaker.to(near, far);
  });
  afterAll(() => lab.close());

  async function apply(more: object = {}, family: Family = 'v4'): Promise<void> {
    const wanted = JSON.stringify([more, family]);
    if (wanted === told) return;
    await daemon.apply(bridge([tap(lab, 'a'), vxlan(near, [far], more, family)]));
    told = wanted;
  }
  const inner = (family: Family, more: object = {}, tags: string[] = []) => {
    const made = ipFrame(BROADCAST, mac(0xa), ipPacket({ ...INSIDE[family], payload: MARKER, ...more }));
    return made.slice(0, 24) + tags.join('') + made.slice(24);
  };
  /** How a frame of host a looks on the underlay. */
  async function outer(sent: string): Promise<Outer> {
    await speaker.silence(0.02);
    await a.send('eth0', [sent]);
    const [found] = await speaker.heard();
    expect(found!.inner).toBe(sent);
    return found!;
  }

  it.each(FAMILIES)('is what it was told to be by default, IP%s', async (family) => {
    await apply({}, family);
    const ends = { source: near[family], port: 4789, isGood: true, df: true, tos: 0, ttl: 64 };
    expect(await outer(frame(BROADCAST, mac(0xa), []))).toMatchObject(ends);
    expect(await outer(inner('v4', { tos: DSCP, ttl: 3 }))).toMatchObject(ends);
  });

  it.each(FAMILIES)('K test_ttl, test_tos: fixed, IP%s', async (family) => {
    await apply({ ttl: 9, tos: 0x48 }, family);
    for (const sent of [inner('v4', { tos: DSCP, ttl: 3 }), inner('v6', { tos: 4, ttl: 255 })])
      expect(await outer(sent)).toMatchObject({ ttl: 9, tos: 0x48, isGood: true });
  });

  it.each(FAMILIES)('OX "ToS and TTL inheritance", IP%s', async (family) => {
    await apply({ ttl: 'inherit', tos: 'inherit' }, family);
    for (const own of FAMILIES) {
      expect(await outer(inner(own, { tos: DSCP, ttl: 33 }))).toMatchObject({ ttl: 33, tos: DSCP });
      expect(await outer(inner(own, { tos: 4, ttl: 200 }))).toMatchObject({ ttl: 200, tos: 4 });
    }
    expect(await outer(frame(BROADCAST, mac(0xa), []))).toMatchObject({ ttl: 64, tos: 0 });
  });

  it('OX "ToS and TTL inheritance": from behind a tag', async () => {
    await daemon.apply(
      bridge([
        tap(lab, 'a', { vlan: { mode: 'trunk' } }),
        vxlan(near, [far], { ttl: 'inherit', tos: 'inherit', vlan: { mode: 'trunk' } }),
      ]),
    );
    told = '';
    expect(await outer(inner('v4', { tos: DSCP, ttl: 33 }, ['8100000a']))).toMatchObject({ ttl: 33, tos: DSCP });
  });

  it.each(FAMILIES)('RFC 6040 4.1: copies ECN, whatever TOS it was told, IP%s', async (family) => {
    for (const tos of [0x48, 'inherit'] as const) {
      await apply({ tos }, family);
      for (const own of FAMILIES) {
        for (const ecn of [NOT_ECT, ECT1, ECT0, CE]) {
          const expected = (tos === 'inherit' ? DSCP : tos) | ecn;
          expect((await outer(inner(own, { tos: DSCP | ecn }))).tos, `${NAMES[ecn]} in IP${own}`).toBe(expected);
        }
      }
    }
  });

  it.each(FAMILIES)('RFC 6040 4.2, OX "ECN decapsulation": what leaves the tunnel, IP%s outside', async (family) => {
    await apply({}, family);
    const before = (await daemon.drops()).find(({ reason }) => reason === 'bad-ecn')?.frames ?? 0;
    let dropped = 0;
    for (const own of FAMILIES) {
      await a.drain('eth0', 0.02);
      const cases = LEAVES.flatMap((row, inside) => row.map((leaves, outside) => ({ leaves, inside, outside })));
      for (const { inside, outside } of cases)
        await speaker.say(inner(own, { tos: DSCP | inside, ttl: 10 + outside }), { family, tos: outside });
      const expected = cases.flatMap(({ leaves, outside }) =>
        leaves === null ? [] : [inner(own, { tos: DSCP | leaves, ttl: 10 + outside })],
      );
      dropped += cases.length - expected.length;
      const came = await a.frames('eth0', expected.length);
      expect(came.map(readable).sort()).toEqual(expected.map(readable).sort());
      // Its header's checksum was mended as well.
      if (own === 'v4') for (const one of came) expect(checksum(one.slice(28, 68))).toBe(0);
    }
    const counted = await until(
      async () => (await daemon.drops()).find(({ reason }) => reason === 'bad-ecn')?.frames ?? 0,
      (count) => count >= before + dropped,
    );
    expect(counted).toBe(before + dropped);
  });
  const readable = (text: string) => {
    const { tos, ttl } = readPacket(text);
    return `TTL ${ttl}, ${NAMES[tos & 3]}, DSCP ${tos >> 2}: ${text}`;
  };

  it('df off: outer packets are fragmented, and arrive', async () => {
    await apply({ df: false, mtu: 1500 });
    const mtuOfTap = () => a.number('eth0', 'mtu');
    expect(await until(mtuOfTap, (mtu) => mtu === 1500)).toBe(1500);
    expect(await outer(frame(BROADCAST, mac(0xa), []))).toMatchObject({ df: false, isGood: true });
    const fragments = () => far.host.number(DEVICE, 'statistics/rx_packets');
    const before = await fragments();
    await a.send('eth0', [frame(BROADCAST, mac(0xa), [], 'long', 1514)]);
    expect(await until(fragments, (count) => count >= before + 2, 2000)).toBeGreaterThanOrEqual(before + 2);
  });

  it.each(FAMILIES)('checksum off: none, and it is taken as none, IP%s', async (family) => {
    await apply({ checksum: false }, family);
    expect((await outer(frame(BROADCAST, mac(0xa), []))).checksum).toBe(0);
    const hello = frame(BROADCAST, mac(0xd1), [], family);
    await speaker.say(hello, { family, finish: false });
    expect(await a.frames('eth0')).toEqual([hello]);
  });
});
