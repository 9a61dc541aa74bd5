/**
 * What the switch remembers of addresses, on real devices: learning, ageing, flushing, limits and their fairness, static and sticky
 * entries, flooding per port. Scenarios of the kernel's selftests, Open vSwitch and VPP, by their names.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { FdbRow } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, colons, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';

const NAMES = ['a', 'b', 'c'] as const;

describeNeeds(REAL, 'addresses', () => {
  let lab: Lab;
  let daemon: Daemon;
  let hosts: Record<(typeof NAMES)[number], Host>;

  const document = (ports: Record<string, object> = {}, more: object = {}) =>
    bridge(
      NAMES.map((name) => tap(lab, name, ports[name] ?? {})),
      more,
    );

  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(NAMES, { ipv6: false });
    daemon = await lab.daemon(document());
    await Promise.all(NAMES.map((name) => hosts[name].sniff('eth0', MARKER)));
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    await daemon.apply(document());
    await daemon.client.send('POST', '/v1/fdb/flush', {});
    await Promise.all(NAMES.map((name) => hosts[name].drain('eth0')));
  });

  const hello = (host: Host, numbers: readonly number[]) =>
    host.send(
      'eth0',
      numbers.map((n) => frame(BROADCAST, mac(n), [])),
    );
  const learned = async (port: string) => (await daemon.fdb()).filter((row) => row.port === port);
  const learnedSoon = (port: string, count: number) =>
    until(
      () => learned(port),
      (rows) => rows.length === count,
      3000,
    );
  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, k) => from + k);
  const macs = (rows: readonly FdbRow[]) => rows.map((row) => row.mac).sort();
  /**
   * Whether a unicast frame from a to `number` shows up at c, where it does not live: flooded. If that is what the test expects, it is waited
   * for.
   */
  async function isFlooded(number: number, expected: boolean): Promise<boolean> {
    await hosts.c.drain('eth0');
    await hosts.a.send('eth0', [frame(mac(number), mac(0xa0), [])]);
    return (await hosts.c.frames('eth0', 1, expected ? 5 : 0.3)).length > 0;
  }

  it('K bridge_vlan_aware learning_test; OD "MAC learning": learned, and not flooded any more', async () => {
    expect(await isFlooded(0xb0, true)).toBe(true);
    await hello(hosts.b, [0xb0]);
    expect(macs(await learnedSoon('b', 1))).toEqual([colons(mac(0xb0))]);
    await hosts.c.drain('eth0', 0.2);
    expect(await isFlooded(0xb0, false)).toBe(false);
    expect(await hosts.b.frames('eth0', 1)).not.toEqual([]);
  });

  it('K learning_test: ages out with ageing 2 s, and is flooded again', async () => {
    await daemon.apply(document({}, { ageing: 2 }));
    await hello(hosts.b, [0xb1]);
    expect(await learnedSoon('b', 1)).toHaveLength(1);
    const start = performance.now();
    await until(
      () => learned('b'),
      (rows) => rows.length === 0,
      8000,
    );
    const seconds = (performance.now() - start) / 1000;
    expect(await learned('b')).toEqual([]);
    expect(seconds).toBeGreaterThan(1);
    expect(await isFlooded(0xb1, true)).toBe(true);
  }, 20_000);

  it('K learning_test: an address that goes on talking does not age', async () => {
    await daemon.apply(document({}, { ageing: 2 }));
    await hosts.b.send('eth0', [frame(BROADCAST, mac(0xb2), [])], { times: 25, pause: 0.2 });
    expect(await learned('b')).toHaveLength(1);
  }, 20_000);

  it('K learning_test: a port with learning off learns nothing', async () => {
    await daemon.apply(document({ b: { learning: false } }));
    await hello(hosts.b, [0xb3]);
    await hosts.c.frames('eth0', 1);
    expect(await learned('b')).toEqual([]);
  });

  it('V test_l2_fib: flush by port, by VLAN, by bridge and all', async () => {
    const flush = (filter: object) => daemon.client.send<{ flushed: number }>('POST', '/v1/fdb/flush', filter);
    await hello(hosts.b, numbers(0x100, 10));
    await hello(hosts.c, numbers(0x200, 5));
    await learnedSoon('b', 10);
    await learnedSoon('c', 5);
    expect(await flush({ bridge: 'br0', port: 'b' })).toEqual({ flushed: 10 });
    expect(await learned('b')).toEqual([]);
    expect(await learned('c')).toHaveLength(5);
    expect(await flush({ vlan: 7 })).toEqual({ flushed: 0 });
    expect(await flush({ vlan: 0 })).toEqual({ flushed: 5 });
    await hello(hosts.b, [0x101]);
    await learnedSoon('b', 1);
    expect(await flush({ bridge: 'br0' })).toEqual({ flushed: 1 });
    await hello(hosts.b, [0x102]);
    await learnedSoon('b', 1);
    expect(await flush({})).toEqual({ flushed: 1 });
  });

  it('K flood_test: unknown unicast, multicast and broadcast, each off and on per port', async () => {
    const frames = [
      frame(mac(0x999), mac(1), [], 'unknown'),
      frame('01005e010101', mac(1), [], 'multicast'),
      frame(BROADCAST, mac(1), [], 'broadcast'),
    ];
    const kinds = ['unknown', 'multicast', 'broadcast'];
    for (const off of [['unknown'], ['multicast'], ['broadcast'], kinds, []]) {
      const flood = Object.fromEntries(kinds.map((kind) => [kind, !off.includes(kind)]));
      await daemon.apply(document({ b: { flood } }));
      await hosts.a.send('eth0', frames);
      const wanted = frames.filter((_, k) => !off.includes(kinds[k]!));
      expect((await hosts.c.frames('eth0', 3)).sort()).toEqual([...frames].sort());
      const atB = [...(await hosts.b.frames('eth0', wanted.length)), ...(await hosts.b.frames('eth0', 1, 0.1))];
      expect(atB.sort(), `without ${off.join(', ') || 'nothing'}`).toEqual([...wanted].sort());
    }
  });

  it('OD "MAC table overflow": a full bridge keeps to its limit and goes on learning', async () => {
    await daemon.apply(document({}, { 'fdb-limit': 16 }));
    await hello(hosts.b, numbers(0x300, 60));
    await hosts.c.frames('eth0', 60);
    const rows = await daemon.fdb();
    expect(rows.length).toBeLessThanOrEqual(16);
    expect(macs(rows)).toContain(colons(mac(0x300 + 59)));
  });

  it('OD "MAC table overflow fairness": one flooding port evicts only its own', async () => {
    await daemon.apply(document({}, { 'fdb-limit': 32 }));
    const quiet = numbers(0x400, 8);
    await hello(hosts.c, quiet);
    await learnedSoon('c', quiet.length);
    await hello(hosts.b, numbers(0x1000, 500));
    await hosts.c.frames('eth0', 500);
    expect(macs(await learned('c'))).toEqual(quiet.map((n) => colons(mac(n))));
    expect(await learned('b')).toHaveLength(32 - quiet.length);
  });

  it('K bridge_fdb_learning_limit check_limit, check_accounting', async () => {
    await daemon.apply(document({ b: { 'fdb-limit': 5 } }, { ageing: 2 }));
    await hello(hosts.b, numbers(0x500, 20));
    await hosts.c.frames('eth0', 20);
    expect(await learned('b')).toHaveLength(5);
    expect((await daemon.port('b')).fdbEntries).toBe(5);
    await until(
      () => learned('b'),
      (rows) => rows.length === 0,
      8000,
    );
    expect(
      (
        await until(
          () => daemon.port('b'),
          (port) => port.fdbEntries === 0,
          3000,
        )
      ).fdbEntries,
    ).toBe(0);
    await hello(hosts.b, numbers(0x600, 3));
    expect(await learnedSoon('b', 3)).toHaveLength(3);
    const [br0] = await daemon.client.get<{ fdbEntries: number }[]>('/v1/bridges');
    expect(br0!.fdbEntries).toBe((await daemon.fdb()).length);
  }, 20_000);

  it('OD "static-mac add/del/flush", "static-mac mac moves": learned does not override static', async () => {
    const address = colons(mac(0x700));
    const entry = { mac: address, vlan: 0, port: 'b', type: 'static' };
    await daemon.client.send('POST', '/v1/bridges/br0/fdb', entry);
    expect(await daemon.fdb()).toMatchObject([{ mac: address, port: 'b', type: 'static', age: null }]);
    await hello(hosts.c, [0x700]);
    await hosts.b.frames('eth0', 1);
    expect(await daemon.fdb()).toMatchObject([{ mac: address, port: 'b', type: 'static' }]);
    await daemon.client.send('POST', '/v1/fdb/flush', {});
    expect(await daemon.fdb()).toHaveLength(1);
    await daemon.client.send('DELETE', `/v1/bridges/br0/fdb?mac=${address}&vlan=0`);
    expect(await daemon.fdb()).toEqual([]);
    await hello(hosts.c, [0x700]);
    expect(macs(await learnedSoon('c', 1))).toEqual([address]);
  });

  it('OD "static-mac learned mac age out": a static entry does not age, a learned one beside it does', async () => {
    await daemon.apply(document({ b: { fdb: [{ mac: colons(mac(0x701)) }] } }, { ageing: 2 }));
    await hello(hosts.c, [0x702]);
    await learnedSoon('c', 1);
    await until(
      () => learned('c'),
      (rows) => rows.length === 0,
      8000,
    );
    expect(await daemon.fdb()).toMatchObject([{ mac: colons(mac(0x701)), type: 'static' }]);
  }, 20_000);

  it('a sticky port keeps what it learned: the address does not move', async () => {
    await daemon.apply(document({ b: { sticky: true } }));
    await hello(hosts.b, [0x800]);
    expect(await learnedSoon('b', 1)).toMatchObject([{ type: 'sticky' }]);
    await hello(hosts.c, [0x800]);
    await hosts.b.frames('eth0', 1);
    expect(await learned('b')).toHaveLength(1);
    expect(await learned('c')).toEqual([]);
  });

  it('an address that moves is learned at its new port at once, and told as an event', async () => {
    const stream = await daemon.client.stream('/v1/events');
    let told = '';
    stream.on('data', (data) => (told += data));
    await hello(hosts.b, [0x801]);
    await learnedSoon('b', 1);
    await hello(hosts.c, [0x801]);
    expect(await learnedSoon('c', 1)).toHaveLength(1);
    expect(await learned('b')).toEqual([]);
    await until(
      async () => told,
      (text) => text.includes('address-moved'),
      3000,
    );
    stream.destroy();
    expect(told).toContain('"from":"b"');
    expect(told).toContain('"to":"c"');
  });

  it('IEEE 802.1Q table 8-1: reserved addresses stop here, unless a port lets one pass', async () => {
    const reserved = numbers(0, 16).map((n) => frame(`0180c20000${n.toString(16).padStart(2, '0')}`, mac(1), []));
    const dropped = async () => (await daemon.port('a')).dropped['reserved-address'] ?? 0;
    const before = await dropped();
    await hosts.a.send('eth0', [...reserved, frame('0180c2000010', mac(1), [], 'not reserved')]);
    expect(await hosts.b.frames('eth0', 1)).toHaveLength(1);
    expect(await until(dropped, (count) => count >= before + 16)).toBe(before + 16);
    await daemon.apply(document({ a: { 'forward-reserved': ['01:80:c2:00:00:0e'] } }));
    await hosts.b.drain('eth0', 0.1);
    await hosts.a.send('eth0', reserved);
    expect(await hosts.b.frames('eth0', 1)).toEqual([reserved[14]]);
    expect(await until(dropped, (count) => count >= before + 31)).toBe(before + 31);
  });
});
