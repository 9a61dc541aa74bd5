/**
 * Interfaces that come, go, are renamed and vanish under a live switch. Scenarios of Open vSwitch's suites and of the CNI plugins, by
 * their names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { SwitchEvent } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, devicesIn, Lab, REAL, tap, until } from './lab.ts';

describeNeeds(REAL, 'interfaces that come and go', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;
  let b: Host;
  let c: Host;
  const port = (name: string, n: number, more: object = {}) => tap(lab, name, { address: `10.6.0.${n}/24`, ...more });
  const document = () => bridge([port('a', 1), port('b', 2)]);
  const devices = ({ netns }: Host) => devicesIn(netns);

  beforeAll(async () => {
    lab = new Lab();
    ({ a, b, c } = await lab.hosts(['a', 'b', 'c']));
    daemon = await lab.daemon(document());
  });
  afterAll(() => lab.close());
  beforeEach(() => daemon.apply(document()));

  it('C tap_test "add, check and remove a tap device as a bridge port"', async () => {
    const mac = '02:00:5e:10:00:03';
    const result = await daemon.addPort('br0', port('c', 3, { mac, mtu: 1400 }));
    expect(result.applied).toBe(true);
    expect(result.steps).toMatchObject([{ verb: 'add', subject: 'br0/c' }]);
    expect(await devices(c)).toEqual(['eth0']);
    const [link] = JSON.parse(await c.run('ip', '-d', '-json', 'addr', 'show', 'dev', 'eth0'));
    expect(link).toMatchObject({
      address: mac,
      mtu: 1400,
      ifalias: expect.stringMatching(/^weft:br0\/c@/),
      linkinfo: { info_kind: 'tun' },
    });
    expect(link.flags).toContain('UP');
    expect(link.addr_info.map((one: { local: string }) => one.local)).toContain('10.6.0.3');
    expect(await daemon.port('c')).toMatchObject({ up: true, device: 'eth0', netns: c.netns, mtu: 1400 });
    expect(await c.ping('10.6.0.1')).toBe(3);
    await daemon.deletePort('br0', 'c');
    expect(await devices(c)).toEqual([]);
    expect((await daemon.ports()).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('OX "add delete add same interface"', async () => {
    for (let round = 0; round < 5; round++) {
      await daemon.addPort('br0', port('c', 3));
      expect(await c.ping('10.6.0.1', { count: 2 })).toBe(2);
      await daemon.deletePort('br0', 'c');
      expect(await devices(c)).toEqual([]);
    }
    expect(await a.ping('10.6.0.2')).toBe(3);
  });

  it('OX "datapath ports garbage collection": what a failed addition made is gone', async () => {
    const count = daemon.descriptors();
    const bad = port('c', 3, { gateway: '10.6.0.254', netns: lab.name('nowhere') });
    await expect(daemon.addPort('br0', bad)).rejects.toThrow(/namespace|netns/i);
    const left = await until(
      async () => daemon.descriptors(),
      (now) => now <= count,
    );
    expect(left).toBeLessThanOrEqual(count);
    expect((await daemon.ports()).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(await a.ping('10.6.0.2')).toBe(3);
  });

  it('a device that is there already is refused and left alone', async () => {
    await c.run('ip', 'tuntap', 'add', 'eth0', 'mode', 'tap');
    await c.run('ip', 'link', 'set', 'eth0', 'alias', 'somebody else’s');
    await expect(daemon.addPort('br0', port('c', 3))).rejects.toThrow(/eth0.*not made by weft/);
    expect(await devices(c)).toEqual(['eth0']);
    await c.run('ip', 'link', 'del', 'eth0');
    await daemon.addPort('br0', port('c', 3));
    expect(await c.ping('10.6.0.1')).toBe(3);
    await daemon.deletePort('br0', 'c');
  });

  it('OX "datapath port rename": a renamed device goes on working or its port is down with a reason', async () => {
    await daemon.addPort('br0', port('c', 3));
    await c.run('ip', 'link', 'set', 'eth0', 'down');
    await c.run('ip', 'link', 'set', 'eth0', 'name', 'eth7');
    await c.run('ip', 'link', 'set', 'eth7', 'up');
    await sleep(300);
    const answered = await c.ping('10.6.0.1', { count: 2 });
    const { up, reason } = await daemon.port('c');
    if (up) expect(answered).toBe(2);
    else expect(reason).toMatch(/eth0|eth7|renamed|gone|vanish/i);
    await c.run('ip', 'link', 'set', 'eth7', 'down');
    await c.run('ip', 'link', 'set', 'eth7', 'name', 'eth0');
    await c.run('ip', 'link', 'set', 'eth0', 'up');
    await until(
      () => daemon.port('c'),
      (row) => row.up,
    );
    expect(await c.ping('10.6.0.1')).toBe(3);
    await daemon.deletePort('br0', 'c');
    expect(await devices(c)).toEqual([]);
  });

  it('a link that goes down takes its port down with a reason, and up again', async () => {
    await b.run('ip', 'link', 'set', 'eth0', 'down');
    const down = await until(
      () => daemon.port('b'),
      (row) => !row.up,
    );
    expect(down.up).toBe(false);
    expect(down.reason).not.toBeNull();
    await b.run('ip', 'link', 'set', 'eth0', 'up');
    const up = await until(
      () => daemon.port('b'),
      (row) => row.up,
    );
    expect(up).toMatchObject({ up: true, reason: null });
    expect(await a.ping('10.6.0.2')).toBe(3);
  });

  it('OX "ports that disappear get added back"', async () => {
    await daemon.addPort('br0', port('c', 3));
    const index = await c.number('eth0', 'ifindex');
    const stream = await daemon.client.stream('/v1/events');
    let told = '';
    stream.on('data', (data) => (told += data));
    const eventsOfC = () => {
      const events = told
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as SwitchEvent);
      return events.filter((event) => 'port' in event && event.port === 'c');
    };
    await c.run('ip', 'link', 'del', 'eth0');
    // For a second the port has no device. The kernel sets it down first, and may be heard before it says that it is gone: then the row tells.
    const gone = await until(
      () => daemon.port('c'),
      ({ up, reason }) => !up && reason === 'device eth0 is gone',
    );
    expect(gone).toMatchObject({ up: false, reason: 'device eth0 is gone' });
    const events = await until(
      async () => eventsOfC(),
      (list) => list.length >= 2,
      15_000,
    );
    stream.destroy();
    expect(events).toMatchObject([
      { type: 'port-down', reason: expect.stringMatching(/^(device eth0 is gone|its link was set down)$/) },
      { type: 'port-up' },
    ]);
    expect(await daemon.port('c')).toMatchObject({ up: true, reason: null });
    expect(await c.number('eth0', 'ifindex')).not.toBe(index);
    expect(await c.ping('10.6.0.1')).toBe(3);
    expect(await a.ping('10.6.0.2')).toBe(3);
  });

  it('OX "infinite re-addition of failed ports": a port that can’t be had says why and costs nothing', async () => {
    await daemon.addPort('br0', port('c', 3));
    await c.run('ip', 'link', 'del', 'eth0');
    await c.run('ip', 'tuntap', 'add', 'eth0', 'mode', 'tap');
    const failed = await until(
      () => daemon.port('c'),
      (row) => /not made by weft/.test(row.reason ?? ''),
    );
    expect(failed).toMatchObject({ up: false, reason: expect.stringMatching(/eth0.*not made by weft/) });
    const [cpu, descriptors] = [daemon.cpuSeconds(), daemon.descriptors()];
    await sleep(3000);
    expect(daemon.cpuSeconds() - cpu).toBeLessThan(0.6);
    expect(daemon.descriptors()).toBeLessThanOrEqual(descriptors + 2);
    expect(await a.ping('10.6.0.2')).toBe(3);
    await c.run('ip', 'link', 'del', 'eth0');
    const back = await until(
      () => daemon.port('c'),
      (row) => row.up,
      15_000,
    );
    expect(back).toMatchObject({ up: true, reason: null });
    expect(await c.ping('10.6.0.1')).toBe(3);
  }, 40_000);

  it('a namespace deleted under a live port: down with a reason, up again when it is back', async () => {
    await daemon.addPort('br0', port('c', 3));
    expect(await a.ping('10.6.0.3')).toBe(3);
    await lab.deleteNetns('c');
    // The kernel takes namespaces away one after another, when it comes to it.
    const down = await until(
      () => daemon.port('c'),
      (row) => !row.up,
      15_000,
    );
    expect(down.up).toBe(false);
    expect(down.reason).toMatch(/namespace|gone|vanish/i);
    const before = daemon.cpuSeconds();
    await sleep(1500);
    expect(daemon.cpuSeconds() - before).toBeLessThan(0.5);
    expect(await a.ping('10.6.0.2')).toBe(3);
    c = await lab.host('c');
    const back = await until(
      () => daemon.port('c'),
      (row) => row.up,
      10_000,
    );
    expect(back).toMatchObject({ up: true, reason: null });
    expect(await c.ping('10.6.0.1')).toBe(3);
  });
});
