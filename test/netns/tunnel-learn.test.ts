/**
 * What a tunnel knows of its remotes: floods to all of them, learning, moves, ageing, static entries with remote and VNI, several tunnels of
 * one bridge. The remotes are hosts that speak VXLAN by hand, so that each datagram is seen. K, V and OX are scenarios of the kernel's, VPP's
 * and Open vSwitch's suites, by their names.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { FdbRow } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, colons, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { ipFrame, udpPacket } from './packets.ts';
import { Speaker } from './speaker.ts';
import { type Family, type Machine, machines, VNI, vxlan } from './underlay.ts';

const OTHER_VNI = 200;
const OTHER_PORT = 4790;
const REMOTE_LIMIT = 8;

describeNeeds({ ...REAL, tools: [...REAL.tools, 'ethtool'] }, 'remotes of a tunnel', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine[];
  let daemon: Daemon;
  let a: Host;
  let speakers: Speaker[];

  const document = (tunnels: readonly object[], more: object = {}) =>
    bridge([tap(lab, 'a'), ...tunnels], more, { workers: { count: 2 } });
  /** A tunnel to m2 and m3. */
  const tunnel = (more: object = {}, family: Family = 'v4') => vxlan(near, far.slice(0, 2), more, family);
  const apply = (more: object = {}, top: object = {}, family: Family = 'v4') =>
    daemon.apply(document([tunnel(more, family)], top));

  beforeAll(async () => {
    lab = new Lab();
    const made = await machines(lab, 4, { wire: true });
    near = made[0]!;
    far = made.slice(1);
    a = await lab.host('a', { ipv6: false });
    daemon = await lab.daemon(document([tunnel()]), { netns: near.netns });
    await a.sniff('eth0', MARKER);
    speakers = await Promise.all(far.map((machine) => Speaker.to(near, machine)));
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await apply();
    await daemon.client.send('POST', '/v1/fdb/flush', {});
    await Promise.all([a.drain('eth0'), ...speakers.map((one) => one.drain())]);
  });

  const rowOf = async (number: number): Promise<FdbRow | undefined> =>
    (await daemon.fdb()).find((row) => row.mac === colons(mac(number)));
  const at = (number: number, remote: string) =>
    until(
      () => rowOf(number),
      (row) => row?.remote === remote,
      3000,
    );
  const lost = async (reason: string) =>
    (await daemon.drops()).reduce((sum, row) => sum + (row.reason === reason ? row.frames : 0), 0);
  /**
   * Says something from `number` until it is known there: a sender that is nobody's remote takes its time. Answers how often it was said.
   */
  async function teach(speaker: Speaker, number: number, family: Family = 'v4'): Promise<number> {
    let said = 0;
    const known = await until(
      async () => {
        said += await speaker.say(frame(BROADCAST, mac(number), []), { family });
        return rowOf(number);
      },
      (row) => row?.remote === speaker.machine[family],
      3000,
    );
    expect(known).toMatchObject({ port: 'x', type: 'learned', remote: speaker.machine[family], vni: null });
    return said;
  }
  /** Which speakers hear a frame from a to `number`. Those that should are waited for, the others have a moment. */
  async function hearers(number: number, expected: readonly number[], text = 'where'): Promise<number[]> {
    const sent = frame(mac(number), mac(0xa), [], text);
    await Promise.all(speakers.map((one) => one.drain()));
    await a.send('eth0', [sent]);
    const heard = await Promise.all(speakers.map((one, k) => one.heard(1, expected.includes(k) ? 5 : 0.4)));
    return heard.flatMap((outers, k) => outers.filter(({ inner }) => inner === sent).map(() => k));
  }

  it.each(['v4', 'v6'] as const)(
    'K vxlan_bridge_1d test_flood; V ucast_flood: a copy to each, IP%s',
    async (family) => {
      await apply({}, {}, family);
      for (const to of [BROADCAST, '01005e010101', mac(0x99)]) {
        const sent = frame(to, mac(0xa), []);
        await a.send('eth0', [sent]);
        for (const speaker of speakers.slice(0, 2)) {
          const ends = { source: near[family], port: 4789, flags: 8, vni: VNI, isGood: true };
          expect(await speaker.heard()).toMatchObject([{ ...ends, inner: sent }]);
        }
      }
      expect(await speakers[2]!.silence()).toEqual([]);
    },
  );

  it.each(['v4', 'v6'] as const)('K test_learning, test_unicast: learned with its remote, IP%s', async (family) => {
    await apply({}, {}, family);
    const hello = frame(BROADCAST, mac(0xb1), []);
    await speakers[0]!.say(hello, { family });
    expect(await a.frames('eth0')).toEqual([hello]);
    expect(await at(0xb1, far[0]![family])).toMatchObject({ port: 'x', type: 'learned', vni: null });
    expect(await hearers(0xb1, [0])).toEqual([0]);
    expect(await speakers[1]!.silence()).toEqual([]);
  });

  it('an address moves from one remote to the other, and to a host here', async () => {
    for (const speaker of speakers.slice(0, 2)) {
      const said = await teach(speaker, 0xb2);
      // Two workers read what the two say. What has come out at a was learned, so that nothing of the first one's is left when the second speaks.
      expect(await a.frames('eth0', said)).toHaveLength(said);
    }
    expect(await hearers(0xb2, [1])).toEqual([1]);
    await a.send('eth0', [frame(BROADCAST, mac(0xb2), [])]);
    const row = await until(
      () => rowOf(0xb2),
      (one) => one?.port === 'a',
    );
    expect(row).toMatchObject({ port: 'a', remote: null });
  });

  it('a move between remotes is told as an event that names both', async () => {
    const stream = await daemon.client.stream('/v1/events');
    let told = '';
    stream.on('data', (data) => (told += data));
    await teach(speakers[0]!, 0xb7);
    await teach(speakers[1]!, 0xb7);
    const ends = `"from":"x","to":"x","fromRemote":"${far[0]!.v4}","toRemote":"${far[1]!.v4}"`;
    await until(
      async () => told,
      (text) => text.includes(ends),
    );
    stream.destroy();
    expect(told).toContain(ends);
  });

  it('a sender that is nobody’s remote is learned, and gets no floods', async () => {
    await teach(speakers[2]!, 0xb3);
    expect(await hearers(0xb3, [2])).toEqual([2]);
    expect(await hearers(0x98, [0, 1], 'unknown')).toEqual([0, 1]);
    const [row] = await daemon.tunnels();
    expect(row!.remotes.map(({ address, origin }) => [address, origin]).sort()).toEqual([
      [far[0]!.v4, 'configured'],
      [far[1]!.v4, 'configured'],
      [far[2]!.v4, 'learned'],
    ]);
  });

  it('remote-limit: beyond it senders are heard, and not learned', async () => {
    await apply({ 'remote-limit': REMOTE_LIMIT });
    const sources = Array.from({ length: 4 * REMOTE_LIMIT }, (_, k) => `203.0.113.${k + 1}`);
    await near.ip('route', 'replace', '203.0.113.0/24', 'via', far[0]!.v4);
    const frames = sources.map((source, k) => speakers[0]!.frame(frame(BROADCAST, mac(0x1000 + k), []), { source }));
    await until(
      async () => {
        await speakers[0]!.raw(frames);
        return daemon.tunnels();
      },
      ([row]) => row!.remotes.filter(({ origin }) => origin === 'learned').length >= REMOTE_LIMIT,
    );
    await speakers[0]!.raw(frames);
    expect(await a.frames('eth0', frames.length)).not.toEqual([]);
    const [row] = await daemon.tunnels();
    expect(row!.remotes.filter(({ origin }) => origin === 'learned')).toHaveLength(REMOTE_LIMIT);
  });

  it('K test_learning: nothing is learned with learning off', async () => {
    await apply({ learning: false });
    await speakers[0]!.say(frame(BROADCAST, mac(0xb4), []));
    expect(await a.frames('eth0')).toHaveLength(1);
    expect(await rowOf(0xb4)).toBeUndefined();
    expect(await hearers(0xb4, [0, 1])).toEqual([0, 1]);
  });

  it('K test_learning: ages out while frames are only sent to it', async () => {
    await apply({}, { ageing: 2 });
    await teach(speakers[0]!, 0xb5);
    const gone = await until(
      async () => {
        await a.send('eth0', [frame(mac(0xb5), mac(0xa), [])]);
        return rowOf(0xb5);
      },
      (row) => row === undefined,
      8000,
    );
    expect(gone).toBeUndefined();
    expect(await hearers(0xb5, [0, 1], 'aged')).toEqual([0, 1]);
  });

  it('static entries with a remote and a VNI of their own, by document and by command', async () => {
    const [own, other] = [colons(mac(0xb6)), colons(mac(0xb7))];
    const entry = { mac: own, remote: far[2]!.v4, vni: 77 };
    await apply({ fdb: [entry] });
    const row = { port: 'x', type: 'static', age: null };
    expect(await rowOf(0xb6)).toMatchObject({ ...row, remote: far[2]!.v4, vni: 77 });
    await a.send('eth0', [frame(mac(0xb6), mac(0xa), [])]);
    expect(await speakers[2]!.heard()).toMatchObject([{ vni: 77, destination: far[2]!.v4 }]);
    expect((await daemon.cli('fdb', 'add', 'x', other, '--remote', far[1]!.v4)).exitCode).toBe(0);
    expect(await rowOf(0xb7)).toMatchObject({ ...row, remote: far[1]!.v4, vni: null });
    expect(await hearers(0xb7, [1])).toEqual([1]);
    await speakers[0]!.say(frame(BROADCAST, mac(0xb7), []));
    await a.frames('eth0');
    expect(await rowOf(0xb7)).toMatchObject({ ...row, remote: far[1]!.v4 });
  });

  it('V test_vxlan decap: an unknown VNI is counted and goes nowhere', async () => {
    const before = await lost('unknown-vni');
    await speakers[0]!.raw([speakers[0]!.frame(frame(BROADCAST, mac(0xb8), []), { vni: VNI + 1 })], 5);
    const counted = await until(
      () => lost('unknown-vni'),
      (count) => count === before + 5,
    );
    expect(counted).toBe(before + 5);
    expect(await a.frames('eth0', 1, 0.1)).toEqual([]);
    expect(await rowOf(0xb8)).toBeUndefined();
  });

  it('what came by a tunnel goes not back to its other remotes', async () => {
    await speakers[0]!.say(frame(BROADCAST, mac(0xb9), []));
    expect(await a.frames('eth0')).toHaveLength(1);
    for (const speaker of speakers) expect(await speaker.silence()).toEqual([]);
  });

  it('split horizon between two tunnels of a bridge, and without it', async () => {
    for (const split of [true, false]) {
      const more = { 'split-horizon': split };
      const other = vxlan(near, [far[1]!], { name: 'y', vni: OTHER_VNI, ...more });
      await daemon.apply(document([vxlan(near, [far[0]!], more), other]));
      const hello = frame(BROADCAST, mac(0xba), [], String(split));
      await speakers[0]!.say(hello);
      expect(await a.frames('eth0')).toEqual([hello]);
      const heard = await speakers[1]!.heard(1, split ? 0.3 : 5);
      expect(heard.map(({ inner, vni }) => [inner, vni])).toEqual(split ? [] : [[hello, OTHER_VNI]]);
    }
    const known = frame(mac(0xba), mac(0xbb), [], 'to a known one');
    const before = await lost('split-horizon');
    await daemon.apply(document([tunnel(), vxlan(near, [far[2]!], { name: 'y', vni: OTHER_VNI })]));
    await teach(speakers[0]!, 0xba);
    await speakers[2]!.say(known, { vni: OTHER_VNI });
    expect(await speakers[0]!.silence()).toEqual([]);
    expect(await lost('split-horizon')).toBeGreaterThan(before);
  });

  it('OX "different VXLAN UDP port", beside the usual one', async () => {
    const other = vxlan(near, [far[1]!], { name: 'y', port: OTHER_PORT });
    await far[1]!.host.hold(far[1]!.v4, OTHER_PORT);
    await daemon.apply(document([vxlan(near, [far[0]!]), other]));
    await a.send('eth0', [frame(BROADCAST, mac(0xa), [])]);
    expect(await speakers[0]!.heard()).toMatchObject([{ port: 4789, vni: VNI }]);
    expect(await speakers[1]!.heard()).toMatchObject([{ port: OTHER_PORT, vni: VNI }]);
    await speakers[1]!.say(frame(BROADCAST, mac(0xbc), []), { port: OTHER_PORT });
    expect(await at(0xbc, far[1]!.v4)).toMatchObject({ port: 'y' });
  });

  it('a flow keeps its source port; flows differ in theirs', async () => {
    await teach(speakers[0]!, 0xbd);
    const flow = (n: number) => {
      const packet = { source: '10.51.0.1', destination: '10.51.0.2', payload: MARKER };
      return ipFrame(mac(0xbd), mac(0xa), udpPacket(packet, 1000 + n, 7));
    };
    const flows = Array.from({ length: 16 }, (_, n) => flow(n));
    await a.send('eth0', flows, { times: 3, pause: 0.02 });
    const ports = new Map<string, Set<number>>();
    for (const { inner, sourcePort } of await speakers[0]!.heard(48))
      ports.set(inner, (ports.get(inner) ?? new Set()).add(sourcePort));
    expect(ports.size).toBe(flows.length);
    for (const own of ports.values()) expect(own.size).toBe(1);
    expect(new Set([...ports.values()].flatMap((own) => [...own])).size).toBeGreaterThan(1);
  });
});
