/**
 * 802.3ad with a foreign partner: Open vSwitch's userspace datapath over veths. Both sides are asked what they think of each other, and
 * what the links carry is measured. OX, O, OD, B and V are scenarios of Open vSwitch's, the kernel's and VPP's suites, by their names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BondRow } from '../../control/switch.ts';
import { describeNeeds, isLong } from '../needs.ts';
import { bondRow, carrying, commandMember, ip, member, memberRow, untilBond } from '../netns/bond-rig.ts';
import { REAL, until } from '../netns/lab.ts';
import {
  APART_SYSTEMS,
  aggregate,
  FAR,
  FAST,
  identity,
  LacpStand,
  lacpOf,
  MEMBERS,
  type Mode,
  OUR_ADDRESS,
  OVS_ADDRESS,
  partnerSettings,
  type Rate,
  VLAN_ADDRESS,
} from './lacp-stand.ts';
import { OVS_TOOLS } from './ovs.ts';

const TOOLS = [...REAL.tools, ...OVS_TOOLS, 'ethtool', 'iperf3', 'nft'];
/** IEEE 802.1AX 6.4.4: Short_Timeout_Time. */
const SHORT_TIMEOUT_MS = 3000;
const IPERF_PORT = 5201;
const PORT = 7000;

/** Left out of the short run. */
const itLong = (title: string, run: Parameters<typeof it>[2]) => isLong() && it(title, run);

describeNeeds({ ...REAL, tools: TOOLS }, '802.3ad with Open vSwitch', () => {
  const stand = new LacpStand();

  beforeAll(() => stand.open({ mode: 'passive', rate: 'fast' }, 'passive'));
  afterAll(() => stand.close());

  /** What each side calls partner is what the other says of itself. */
  async function agree(): Promise<void> {
    const row = await bondRow(stand.daemon);
    for (const [index, name] of MEMBERS.entries()) {
      const ours = lacpOf(row, name);
      const { actor, partner } = await stand.theirs(FAR[index]!);
      expect(identity(ours.actor)).toEqual(identity(partner));
      expect(identity(ours.partner!)).toEqual(identity(actor));
    }
  }

  it('OX lacp "negotiation": two that are passive never begin', async () => {
    const before = await bondRow(stand.daemon);
    await sleep(2500);
    const row = await bondRow(stand.daemon);
    expect(row).toMatchObject({ lacp: 'configured', up: false });
    expect(carrying(row)).toEqual([]);
    const counts = (of: BondRow) => MEMBERS.map((name) => [lacpOf(of, name).received, lacpOf(of, name).sent]);
    expect(counts(row)).toEqual(counts(before));
    expect(MEMBERS.map((name) => lacpOf(row, name).partner)).toEqual([null, null]);
    expect((await stand.ovs.lacp()).map(({ enabled }) => enabled)).toEqual([false, false]);
  });

  it('OX lacp "config": both sides tell the same about each other; O "datapath - ping over bond"', async () => {
    await stand.configure(FAST);
    const row = await stand.together();
    expect(row).toMatchObject({ mode: '802.3ad', up: true, lacp: 'negotiated' });
    await agree();
    for (const name of MEMBERS) {
      const { partner, receive, aggregator } = lacpOf(row, name);
      const first = lacpOf(row, 'm0').aggregator;
      expect(partner!.state).toEqual(expect.arrayContaining(['synchronization', 'collecting', 'distributing']));
      expect([receive, aggregator]).toEqual(['CURRENT', first]);
    }
    expect(await stand.h.ping(OVS_ADDRESS, { count: 20 })).toBe(20);
    expect(await stand.far.ping(OUR_ADDRESS, { count: 20 })).toBe(20);
  });

  it('OX lacp "multi port config"; B bond_lacp_prio.sh: priorities and keys arrive on the other side', async () => {
    const devices = [member('m0', { priority: 7 }), member('m1', { priority: 9 })];
    const lacp = { ...FAST, 'system-priority': 4711, 'system-mac': '02:00:5e:00:53:01', key: 21 };
    await stand.apply(aggregate({ lacp }, devices));
    await stand.partner([
      ...partnerSettings('active', 'fast'),
      ...['other_config:lacp-system-id=02:00:5e:00:53:02', 'other_config:lacp-system-priority=815'],
    ]);
    for (const [index, device] of FAR.entries())
      await stand.ovs.setInterface(
        device,
        ...[`other_config:lacp-port-id=${11 + index}`, `other_config:lacp-port-priority=${101 + index}`],
        'other_config:lacp-aggregation-key=33',
      );
    await until(
      () => stand.theirs('f1'),
      ({ partner }) => partner.key === 21 && partner.portPriority === 9,
    );
    const row = await stand.together();
    await agree();
    expect(lacpOf(row, 'm1').actor).toMatchObject({
      ...{ systemPriority: 4711, system: '02:00:5e:00:53:01', key: 21, portPriority: 9 },
    });
    expect(lacpOf(row, 'm1').partner).toMatchObject({
      ...{ systemPriority: 815, system: '02:00:5e:00:53:02', key: 33, portPriority: 102, port: 12 },
    });
  });

  const partners = (row: BondRow) => new Set(MEMBERS.map((name) => lacpOf(row, name).partner?.system));

  const modes: readonly Mode[] = ['active', 'passive'];
  const rates: readonly Rate[] = ['fast', 'slow'];
  const matrix = modes
    .flatMap((ours) => modes.map((other) => ({ ours, other })))
    .filter(({ ours, other }) => ours === 'active' || other === 'active')
    .flatMap((pair) => rates.flatMap((rate) => rates.map((partnerRate) => ({ ...pair, rate, partnerRate }))));
  const short = matrix.filter(
    ({ ours, other, rate, partnerRate }) => ours !== other && rate === 'fast' && partnerRate === 'slow',
  );
  it.each(isLong() ? matrix : short)(
    'OX lacp "negotiation": weft $ours $rate, Open vSwitch $other $partnerRate',
    async ({ ours, other, rate, partnerRate }) => {
      await stand.configure({ mode: ours, rate }, other, partnerRate);
      await stand.together(MEMBERS, 70_000);
      await agree();
      const { actor, partner } = lacpOf(await bondRow(stand.daemon), 'm0');
      expect([actor.state.includes('timeout'), partner!.state.includes('timeout')]).toEqual([
        rate === 'fast',
        partnerRate === 'fast',
      ]);
      expect([actor.state.includes('activity'), partner!.state.includes('activity')]).toEqual([
        ours === 'active',
        other === 'active',
      ]);
      expect(await stand.h.ping(OVS_ADDRESS)).toBe(3);
    },
    120_000,
  );

  itLong('how often the other side sends is what we asked for: every second, or every 30', async () => {
    await stand.configure(FAST, 'active', 'slow');
    await stand.together();
    const counts = async () => {
      const { received, sent } = lacpOf(await bondRow(stand.daemon), 'm0');
      return { received, sent };
    };
    await sleep(1000);
    const before = await counts();
    await sleep(3000);
    const after = await counts();
    expect(after.received - before.received).toBeGreaterThanOrEqual(2);
    expect(after.received - before.received).toBeLessThanOrEqual(4);
    // Theirs is slow: they want one in 30 s, and what changed is told at once.
    expect(after.sent - before.sent).toBeLessThanOrEqual(1);
  });

  for (const [where, end] of [
    ['Open vSwitch’s', 'f0'],
    ['our', 'm0'],
  ] as const) {
    it(`OX lacp "liveness propagation": a member cut on ${where} side, and restored`, async () => {
      await stand.configure(FAST);
      await stand.together();
      const space = end === 'f0' ? 'far' : 'hub';
      const pinging = stand.h.ping(OVS_ADDRESS, { count: 100, interval: 0.02 });
      await sleep(300);
      await ip(stand.lab, space, 'link', 'set', end, 'down');
      try {
        const cut = await stand.together(['m1']);
        expect(memberRow(cut, 'm0')).toMatchObject({ state: 'down', link: false });
        expect(memberRow(cut, 'm0').reason).not.toBe(null);
        // Each side heeds its own end of the cable at once; Open vSwitch looks every now and then.
        expect(await pinging).toBeGreaterThanOrEqual(70);
        expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
      } finally {
        await ip(stand.lab, space, 'link', 'set', end, 'up');
      }
      await stand.together();
      expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
    });
  }

  it('OX lacp "liveness propagation": a member taken out by command is told to the partner while its carrier stays', async () => {
    await stand.configure(FAST);
    await stand.together();
    const pinging = stand.h.ping(OVS_ADDRESS, { count: 100, interval: 0.02 });
    await commandMember(stand.daemon, 'disable', 'm0');
    try {
      const alone = await stand.together(['m1']);
      expect(memberRow(alone, 'm0').state).toBe('disabled');
      expect((await stand.theirs('f0')).partner.state).not.toContain('synchronized');
      expect(await pinging).toBe(100);
    } finally {
      await commandMember(stand.daemon, 'enable', 'm0');
    }
    await stand.together();
  });

  it('a partner that falls silent is out after three seconds, and back when it speaks', async () => {
    await stand.configure(FAST);
    await stand.together();
    const heard = async () => lacpOf(await bondRow(stand.daemon), 'm0').received;
    // When its last word came at the earliest.
    let earliest = performance.now();
    const before = await heard();
    for (let asked = earliest; (await heard()) === before; asked = performance.now()) {
      earliest = asked;
      await sleep(5);
    }
    stand.ovs.freeze();
    const from = performance.now();
    let silent: BondRow;
    let end: number;
    try {
      silent = await untilBond(stand.daemon, (row) => carrying(row).length === 0, 6000);
      end = performance.now();
    } finally {
      stand.ovs.thaw();
    }
    expect(carrying(silent)).toEqual([]);
    expect(lacpOf(silent, 'm0').receive).toBe('EXPIRED');
    expect(end - earliest).toBeGreaterThan(SHORT_TIMEOUT_MS - 200);
    expect(end - from).toBeLessThan(SHORT_TIMEOUT_MS + 1200);
    expect(memberRow(silent, 'm0').link).toBe(true);
    await stand.together();
    expect(await stand.h.ping(OVS_ADDRESS)).toBe(3);
  });

  itLong(
    'one link whose LACPDUs are lost, with its carrier: that member is out, the other carries all',
    async (ctx) => {
      await stand.configure(FAST);
      await stand.together();
      await stand.mute('f0').catch(() => ctx.skip('this kernel has no netfilter hook on egress'));
      try {
        const row = await stand.together(['m1']);
        expect(memberRow(row, 'm0').link).toBe(true);
        expect(row).toMatchObject({ up: true, lacp: 'negotiated' });
        expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
      } finally {
        await stand.unmute();
      }
      await stand.together();
    },
  );

  it('a key that the partner changes: the links leave their aggregator, and meet again in another', async () => {
    await stand.configure(FAST);
    await stand.together();
    for (const device of FAR) await stand.ovs.setInterface(device, 'other_config:lacp-aggregation-key=77');
    const told = (row: BondRow) => MEMBERS.every((name) => lacpOf(row, name).partner?.key === 77);
    expect(told(await untilBond(stand.daemon, told))).toBe(true);
    await stand.together();
    await agree();
    expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
  });

  it('links to two partners: one aggregator carries, the other stands by until that is lost', async () => {
    await stand.configure(FAST);
    await stand.together();
    await stand.apart();
    // Not the one partner that both had till now.
    const isApart = (found: BondRow) => [...partners(found)].sort().join() === APART_SYSTEMS.join();
    const row = await untilBond(stand.daemon, (found) => carrying(found).length === 1 && isApart(found));
    const [first] = carrying(row);
    const [near, other] = first === 'm0' ? ['f0', 'm1'] : ['f1', 'm0'];
    expect(memberRow(row, other)).toMatchObject({ state: 'standby', link: true });
    expect(lacpOf(row, other).aggregator).not.toBe(lacpOf(row, first!).aggregator);
    await stand.answers();
    expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
    await ip(stand.lab, 'far', 'link', 'set', near, 'down');
    try {
      expect(carrying(await untilBond(stand.daemon, (found) => carrying(found).join() === other))).toEqual([other]);
      await stand.answers();
      expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
    } finally {
      await ip(stand.lab, 'far', 'link', 'set', near, 'up');
    }
  });

  it('OD "balance-tcp bonding"; iperf3 over the bond, and over a VLAN of it as a trunk', async () => {
    await stand.configure(FAST);
    await stand.together();
    for (const [space, address] of [
      ['h', OVS_ADDRESS],
      ['v', VLAN_ADDRESS],
    ] as const) {
      const words = ['netns', 'exec', stand.far.netns, 'iperf3', '-s', '-1', '-B', address];
      const server = execa('ip', words, { reject: false });
      try {
        const listening = () => stand.far.run('ss', '-Hltn');
        expect(await until(listening, (text) => text.includes(`${address}:${IPERF_PORT} `))).toContain(address);
        const run = ['iperf3', '-c', address, '-t', '1', '-P', '4', '-J'];
        const report = JSON.parse(await stand.h.run('ip', 'netns', 'exec', stand.lab.name(space), ...run)) as {
          end: { sum_received: { bits_per_second: number } };
        };
        expect(report.end.sum_received.bits_per_second).toBeGreaterThan(10e6);
        expect((await server).exitCode).toBe(0);
      } finally {
        // It waits for a client until it had one.
        server.kill('SIGKILL');
        await server;
      }
    }
  });

  it('files through the bond arrive with their SHA-256, both ways, four connections each', async () => {
    await stand.far.serve(OVS_ADDRESS, PORT);
    await stand.h.serve(OUR_ADDRESS, PORT);
    const many = [
      ...[1, 2, 3, 4].map(() => stand.h.transfer(OVS_ADDRESS, PORT, 2 << 20)),
      ...[1, 2, 3, 4].map(() => stand.far.transfer(OUR_ADDRESS, PORT, 2 << 20)),
    ];
    for (const { sent, received } of await Promise.all(many)) expect(received).toBe(sent);
  });

  it('V test_lacp marker request: answered with what it asked, by the member that got it', async () => {
    await stand.configure(FAST);
    const before = lacpOf(await stand.together(), 'm0');
    // IEEE 802.1AX 6.5.3.3: subtype 2, version 1, TLV 1 of 16 bytes: port, system, transaction; terminator; padded to 110 bytes.
    const body = `0201${'0110'}0001${'02005e005301'}${'deadbeef'}0000`;
    const request = `0180c2000002${'02005e005301'}8809${body}`.padEnd(124 * 2, '0');
    await stand.far.sniff('f0', 'deadbeef');
    await stand.far.send('f0', [request]);
    const [answer] = await stand.far.frames('f0', 1);
    expect(answer).toBeDefined();
    expect(answer!.slice(0, 12)).toBe('0180c2000002');
    expect(answer!.slice(24, 28)).toBe('8809');
    expect(answer!.slice(28)).toBe(`0201${'0210'}${body.slice(8)}`.padEnd(110 * 2, '0'));
    const after = lacpOf(await bondRow(stand.daemon), 'm0');
    expect(after.markers - before.markers).toBe(1);
    expect(carrying(await bondRow(stand.daemon))).toEqual(MEMBERS);
  });

  itLong('B bond-break-lacpdu-tx.sh: LACPDUs go on after the bond’s address is set', async () => {
    await stand.configure(FAST, 'active', 'fast');
    await stand.together();
    await stand.apply(aggregate({ lacp: FAST, mac: '02:00:5e:00:53:99' }));
    await until(
      () => stand.theirs('f0'),
      ({ partner }) => partner.system === '02:00:5e:00:53:99',
    );
    await stand.together();
    const before = lacpOf(await bondRow(stand.daemon), 'm0').sent;
    const goesOn = (row: BondRow) => lacpOf(row, 'm0').sent - before >= 3;
    expect(goesOn(await untilBond(stand.daemon, goesOn))).toBe(true);
    await agree();
    expect(await stand.h.ping(OVS_ADDRESS)).toBe(3);
  });

  it('nonsense and floods of slow frames are counted, and the other traffic goes on', async () => {
    await stand.configure(FAST);
    const before = lacpOf(await stand.together(), 'm0');
    const start = `0180c2000002${'02005e005301'}8809`;
    const bad = [`${start}0101`, `${start}01010113`, `${start}01ff`, `${start}07`, `${start}01010114`.padEnd(60, 'f')];
    await stand.far.send(
      'f0',
      bad.map((text) => text.padEnd(124 * 2, 'f')),
      { times: 4 },
    );
    const counted = await untilBond(stand.daemon, (row) => lacpOf(row, 'm0').bad > before.bad);
    expect(lacpOf(counted, 'm0').bad - before.bad).toBeGreaterThan(0);
    const flood = `${start}0101`.padEnd(124 * 2, '0');
    let best = 0;
    // The flood takes CPU from everybody.
    for (let round = 0; round < 3 && best < 48; round++) {
      const pinging = stand.h.ping(OVS_ADDRESS, { count: 50, interval: 0.02 });
      await stand.far.send('f0', [flood], { times: 20_000 });
      best = Math.max(best, await pinging);
    }
    expect(best).toBeGreaterThanOrEqual(48);
    const after = await bondRow(stand.daemon);
    expect(memberRow(after, 'm0').dropped['punt-limited'] ?? 0).toBeGreaterThan(0);
    await stand.together();
    expect(await stand.h.ping(OVS_ADDRESS, { count: 10 })).toBe(10);
    expect(stand.daemon.running).toBe(true);
  });
});
