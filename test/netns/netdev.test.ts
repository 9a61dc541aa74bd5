/**
 * Interfaces that exist already, as ports: veth pairs whose far ends are hosts. What they carry, what the host's own stack sees of it, what
 * is lost and how it is counted, and what becomes of a port whose interface goes, comes back, or is called something else.
 */
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PortRow } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, mac, type Tag } from './frames.ts';
import type { Host } from './host.ts';
import { beforeRetry, bridge, devicesIn, Lab, REAL, until } from './lab.ts';
import { netdev, wire } from './veth.ts';

const BYTES = 8 << 20;
const MTU_MAX = 65_500;
/** What host a has when its cable is laid again. */
const AGAIN = { address: ['10.11.0.1/24', 'fd00:11::1/64'], mtu: 1500 };
const GSO = [
  ['on', 'on'],
  ['on', 'off'],
  ['off', 'on'],
  ['off', 'off'],
] as const;
const TAGS: Readonly<Record<string, readonly Tag[]>> = {
  none: [],
  'a VLAN': [{ vlan: 10, priority: 3 }],
  'a service tag': [{ vlan: 20, tpid: 0x88a8 }],
  'two tags': [{ vlan: 20, tpid: 0x88a8 }, { vlan: 30 }],
};

function sum(record: Readonly<Record<string, number>>): number {
  return Object.values(record).reduce((total, one) => total + one, 0);
}

for (const count of [1, 2]) {
  describeNeeds({ ...REAL, tools: [...REAL.tools, 'ethtool'] }, `netdev ports, workers: ${count}`, () => {
    let lab: Lab;
    let daemon: Daemon;
    let a: Host;
    let b: Host;
    let number = 6000;

    const document = () => {
      const ports = ['a', 'b'].map((name) => netdev(name, { mtu: MTU_MAX }));
      return bridge(ports, {}, { workers: { count } });
    };

    beforeAll(async () => {
      lab = new Lab();
      await lab.netns('hub', { ipv6: false });
      ({ a, b } = await lab.hosts(['a', 'b']));
      await wire(lab, 'a', { address: ['10.11.0.1/24', 'fd00:11::1/64'], mtu: MTU_MAX });
      await wire(lab, 'b', { address: ['10.11.0.2/24', 'fd00:11::2/64'], mtu: MTU_MAX });
      daemon = await lab.daemon(document());
    });
    afterAll(() => lab.close());
    beforeRetry(async () => {
      const steps = [
        ['link', 'del', 'used'],
        ['link', 'del', 'kbr'],
        ['link', 'set', 'other', 'down'],
        ['link', 'set', 'other', 'name', 'v-a'],
        ['link', 'set', 'v-a', 'up'],
      ];
      for (const step of steps) await inHub(...step).catch(() => undefined);
      if (!(await devicesIn(lab.name('hub'))).includes('v-a')) await wire(lab, 'a', AGAIN);
      await a.run('ip', 'link', 'set', 'eth0', 'up');
      await daemon.apply(document());
      await isUp('a', true);
    });

    async function moves(from: Host, to: Host, address: string): Promise<void> {
      number++;
      await to.serve(address, number);
      const { sent, received } = await from.transfer(address, number, BYTES);
      expect(received).toBe(sent);
    }
    const setMtu = async (mtu: number) => {
      for (const host of [a, b]) await host.run('ip', 'link', 'set', 'eth0', 'mtu', String(mtu));
    };
    const isUp = (name: string, up: boolean) =>
      until(
        () => daemon.port(name),
        (port) => port.up === up,
      );
    const inHub = (...args: string[]) => execa('ip', ['-n', lab.name('hub'), ...args]);

    /** Ports when their counters no longer change. */
    async function settled(): Promise<Record<string, PortRow>> {
      let before = '';
      const { ports } = await until(
        async () => {
          const rows = await daemon.ports();
          return { ports: rows, text: JSON.stringify(rows) };
        },
        ({ text }) => {
          const same = text === before;
          before = text;
          return same;
        },
        10_000,
      );
      return Object.fromEntries(ports.map((row) => [row.name, row]));
    }

    it.each(GSO)('pings of every size, and files over TCP, IPv4 and IPv6: offloads %s and %s', async (left, right) => {
      for (const [host, state] of [
        [a, left],
        [b, right],
      ] as const)
        await host.run('ethtool', '-K', 'eth0', 'tx', state, 'sg', state, 'tso', state, 'gso', state, 'gro', state);
      for (const mtu of [9000, 1500]) {
        await setMtu(mtu);
        for (const size of [0, 56, 1472, 1944, 1945, 5000, 60_000])
          for (const address of ['10.11.0.2', 'fd00:11::2'])
            expect(await a.ping(address, { size, interval: 0.01 }), `${size} to ${address}`).toBe(3);
        for (const address of ['10.11.0.2', 'fd00:11::2']) await moves(a, b, address);
        await moves(b, a, '10.11.0.1');
      }
    });

    it.each(Object.keys(TAGS))('%s: kept byte for byte, both ways, whatever the length', async (name) => {
      await setMtu(9000);
      for (const [from, to, source, target] of [
        [a, b, mac(1), mac(2)],
        [b, a, mac(2), mac(1)],
      ] as const) {
        await to.sniff('eth0', '77656674');
        await to.frames('eth0', 1000, 0.1);
        const frames = [64, 252, 256, 1500, 1514, 1990, 9000].map((size) =>
          frame(target, source, TAGS[name]!, `${size}`, size),
        );
        await from.send('eth0', frames);
        expect((await to.frames('eth0', frames.length)).sort()).toEqual([...frames].sort());
      }
    });

    it('the host’s own stack sees none of it', async () => {
      const received = async () =>
        Number(
          /^Ip: \d+ \d+ (\d+)/m.exec(
            (await execa('ip', ['netns', 'exec', lab.name('hub'), 'cat', '/proc/net/snmp'])).stdout,
          )![1],
        );
      const packet = `${BROADCAST}${mac(1)}0800${'4500001c0000000040110000'}0a0b0001ffffffff0001000200080000`;
      const before = await received();
      await a.send('eth0', [packet.padEnd(128, '0')], { times: 20 });
      await a.ping('10.11.0.2', { count: 2 });
      expect(await received()).toBe(before);
    });

    it('counts to the frame: sent = received + lost before our receive, while the switch stands still', async () => {
      const before = await settled();
      daemon.signal('SIGSTOP');
      const sent = await a.send('eth0', [frame(mac(2), mac(1), [])], { times: 5000 });
      daemon.signal('SIGCONT');
      const after = await settled();
      const received = after.a!.receive.frames - before.a!.receive.frames;
      const missed = sum(after.a!.missed) - sum(before.a!.missed);
      expect(missed).toBeGreaterThan(0);
      expect(received + missed).toBeGreaterThanOrEqual(sent);
      // Besides, kernels talk.
      expect(received + missed).toBeLessThan(sent + 50);
    });

    it('counts frames that the kernel cut short, and none of them goes on', async () => {
      await setMtu(MTU_MAX);
      const before = await settled();
      daemon.signal('SIGSTOP');
      const sent = await a.send('eth0', [frame(mac(2), mac(1), [], 'long', 60_000)], { times: 400 });
      daemon.signal('SIGCONT');
      const after = await settled();
      const cut = (after.a!.dropped.truncated ?? 0) - (before.a!.dropped.truncated ?? 0);
      const whole = after.b!.transmit.frames - before.b!.transmit.frames;
      const missed = sum(after.a!.missed) - sum(before.a!.missed);
      expect(cut).toBeGreaterThan(0);
      expect(whole).toBeGreaterThan(0);
      expect(cut + whole + missed).toBeGreaterThanOrEqual(sent);
      expect(cut + whole + missed).toBeLessThan(sent + 50);
      await setMtu(1500);
    });

    it('an interface that goes down and up, loses its carrier and has it again', async () => {
      await inHub('link', 'set', 'v-a', 'down');
      expect((await isUp('a', false)).reason).toBe('the link of v-a was set down');
      await inHub('link', 'set', 'v-a', 'up');
      expect((await isUp('a', true)).up).toBe(true);
      await a.run('ip', 'link', 'set', 'eth0', 'down');
      expect((await isUp('a', false)).reason).toBe('v-a has no carrier');
      await a.run('ip', 'link', 'set', 'eth0', 'up');
      expect((await isUp('a', true)).up).toBe(true);
      expect(await a.ping('10.11.0.2')).toBe(3);
    });

    it('an interface that is renamed stays its port’s', async () => {
      await inHub('link', 'set', 'v-a', 'down');
      expect((await isUp('a', false)).up).toBe(false);
      await inHub('link', 'set', 'v-a', 'name', 'other');
      await inHub('link', 'set', 'other', 'up');
      expect((await isUp('a', true)).up).toBe(true);
      expect(await a.ping('10.11.0.2')).toBe(3);
      expect(daemon.stderr).toContain('an interface was renamed');
      await inHub('link', 'set', 'other', 'down');
      expect((await isUp('a', false)).up).toBe(false);
      await inHub('link', 'set', 'other', 'name', 'v-a');
      await inHub('link', 'set', 'v-a', 'up');
      expect((await isUp('a', true)).up).toBe(true);
    });

    it('an interface that vanishes, and another one of its name', async () => {
      await inHub('link', 'del', 'v-a');
      const gone = await until(
        () => daemon.port('a'),
        ({ reason }) => reason?.includes('gone') === true,
      );
      expect(gone).toMatchObject({ up: false, reason: 'interface v-a is gone' });
      await wire(lab, 'a', AGAIN);
      expect((await isUp('a', true)).reason).toBe(null);
      expect(await a.ping('10.11.0.2')).toBe(3);
      await moves(b, a, '10.11.0.1');
    });

    it('what can’t be a port says why, and how it could', async () => {
      await inHub('link', 'add', 'used', 'type', 'veth', 'peer', 'name', 'peer');
      await inHub('addr', 'add', '192.0.2.7/24', 'dev', 'used');
      const added = (device: string) =>
        daemon.addPort('br0', { name: 'x', kind: 'netdev', device }).then(
          () => 'added',
          (error: Error & { hint?: string }) => `${error.message} (${error.hint})`,
        );
      expect(await added('used')).toMatch(
        /used has 192\.0\.2\.7\/24: this machine would be unreachable.*take-over: true/,
      );
      await inHub('addr', 'flush', 'dev', 'used');
      await inHub('link', 'add', 'kbr', 'type', 'bridge');
      await inHub('link', 'set', 'used', 'master', 'kbr');
      expect(await added('used')).toMatch(/used belongs to kbr.*ip link set dev used nomaster/);
      expect(await added('lo')).toMatch(/no Ethernet interface|has 127/);
      await daemon.addPort('br0', { name: 'y', kind: 'netdev', device: 'nowhere' });
      expect((await daemon.port('y')).reason).toBe('there is no interface nowhere');
      await inHub('link', 'set', 'peer', 'name', 'nowhere');
      await inHub('link', 'set', 'nowhere', 'up');
      await inHub('link', 'set', 'used', 'up');
      expect((await isUp('y', true)).up).toBe(true);
      await daemon.deletePort('br0', 'y');
    });

    it('leaves interfaces as they were', async () => {
      const { code, stderr } = await daemon.stop();
      expect(code, stderr).toBe(0);
      const { stdout } = await inHub('-d', '-json', 'link', 'show', 'dev', 'v-a');
      const [link] = JSON.parse(stdout) as [{ promiscuity: number; flags: string[]; ifalias?: string }];
      expect([link.promiscuity, link.flags.includes('UP'), link.ifalias]).toEqual([0, true, undefined]);
    });
  });
}
