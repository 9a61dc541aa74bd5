/**
 * Traffic between hosts through a bridge without VLANs. Scenarios of Open vSwitch's system tests and the kernel's selftests, by their
 * names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';

const MEGABYTE = 1 << 20;

describeNeeds(REAL, 'traffic between TAPs in namespaces', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;
  let b: Host;
  let c: Host;
  const port = (name: string, n: number) => tap(lab, name, { address: [`10.9.0.${n}/24`, `fd00:9::${n}/64`] });
  const document = () => bridge([port('a', 1), port('b', 2), port('c', 3)]);

  beforeAll(async () => {
    lab = new Lab();
    ({ a, b, c } = await lab.hosts(['a', 'b', 'c']));
    daemon = await lab.daemon(document());
  });
  afterAll(() => lab.close());

  it('O "datapath - ping between two ports"; K bridge_vlan_unaware ping_ipv4', async () => {
    expect(await a.ping('10.9.0.2', { count: 10 })).toBe(10);
    expect(await b.ping('10.9.0.1', { size: 1400 })).toBe(3);
    expect(await a.ping('10.9.0.2', { size: 3200 })).toBe(3);
  });

  it('O "datapath - ping6 between two ports"; K bridge_vlan_unaware ping_ipv6', async () => {
    expect(await a.ping('fd00:9::2', { count: 10 })).toBe(10);
    expect(await b.ping('fd00:9::1', { size: 1400 })).toBe(3);
  });

  it('O "datapath - ping6 between two ports IPv6 later fragments"', async () => {
    expect(await a.ping('fd00:9::2', { count: 5, size: 3000 })).toBe(5);
    expect(await b.ping('fd00:9::1', { count: 5, size: 8000 })).toBe(5);
  });

  it.each([
    ['IPv4', '10.9.0.2'],
    ['IPv6', 'fd00:9::2'],
  ])('O "datapath - http between two ports" over %s: 20 MB arrive with their SHA-256', async (family, address) => {
    const number = family === 'IPv4' ? 8004 : 8006;
    await b.serve(address, number);
    const { sent, received } = await a.transfer(address, number, 20 * MEGABYTE);
    expect(received).toBe(sent);
  });

  it('OX system-tap "traffic between namespaces using tap": counted on both ports, nothing dropped on the way', async () => {
    const before = await daemon.port('a');
    expect(await a.ping('10.9.0.2', { count: 20, interval: 0.01 })).toBe(20);
    const after = await daemon.port('a');
    expect(after.receive.frames - before.receive.frames).toBeGreaterThanOrEqual(20);
    expect(after.transmit.frames - before.transmit.frames).toBeGreaterThanOrEqual(20);
    expect(after.receive.bytes - before.receive.bytes).toBeGreaterThanOrEqual(20 * 98);
    expect(after.kind).toBe('tap');
    expect(after.missed).toEqual({});
  });

  it('K bridge_vlan_unaware learning: a known address is not flooded any more', async () => {
    await c.sniff('eth0', MARKER);
    await b.send('eth0', [frame(BROADCAST, mac(2), [], 'here I am')]);
    expect(await c.frames('eth0', 1)).toHaveLength(1);
    await until(
      () => daemon.fdb(),
      (rows) => rows.some(({ mac, port }) => mac === '02:77:74:00:00:02' && port === 'b'),
    );
    await a.send('eth0', [frame(mac(2), mac(1), [], 'to b')], { times: 20 });
    expect(await c.frames('eth0', 1, 0.3)).toEqual([]);
  });

  it('K bridge_vlan_unaware flooding: unknown unicast and multicast reach every other port and not their own', async () => {
    await Promise.all([a, b, c].map((host) => host.sniff('eth0', MARKER)));
    const unknown = frame(mac(0x7777), mac(1), [], 'anybody?');
    const multicast = frame('01005e000101', mac(1), [], 'all of you');
    await a.send('eth0', [unknown, multicast]);
    expect((await b.frames('eth0', 2)).sort()).toEqual([unknown, multicast].sort());
    expect((await c.frames('eth0', 2)).sort()).toEqual([unknown, multicast].sort());
    expect(await a.frames('eth0', 1, 0.2)).toEqual([]);
  });

  it('K bridge_vlan_unaware pvid_change: a VLAN that comes and goes cuts off and joins again', async () => {
    const cut = bridge([{ ...port('a', 1), vlan: { tag: 10 } }, port('b', 2), port('c', 3)]);
    const joined = bridge([port('a', 1), port('b', 2), port('c', 3)].map((one) => ({ ...one, vlan: { tag: 10 } })));
    await daemon.apply(cut);
    expect(await a.ping('10.9.0.2', { count: 2, wait: 1 })).toBe(0);
    await daemon.apply(joined);
    expect(await a.ping('10.9.0.2')).toBe(3);
    await daemon.apply(document());
    expect(await a.ping('10.9.0.2')).toBe(3);
    expect(await a.ping('fd00:9::2')).toBe(3);
  });

  it('an idle switch sleeps', async () => {
    await sleep(500);
    const before = daemon.cpuSeconds();
    await sleep(2000);
    expect(daemon.cpuSeconds() - before).toBeLessThan(0.3);
  });
});
