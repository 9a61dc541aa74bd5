/**
 * Every frame in is counted out, or dropped with a reason, or counted as lost by the kernel before the switch could read it. Frames are
 * sent faster than the switch forwards; the sums must agree to the frame.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { PortRow } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, mac } from './frames.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';
import { uringReason } from './uring.ts';

const RECEIVERS = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8'] as const;

function sum(record: Readonly<Record<string, number>>): number {
  return Object.values(record).reduce((total, one) => total + one, 0);
}

for (const { io, count } of [
  { io: 'io_uring', count: 1 },
  { io: 'read-write', count: 2 },
]) {
  const required = { ...REAL, because: io === 'io_uring' ? uringReason() : null };
  describeNeeds(required, `counting, ${io}, workers: ${count}`, () => {
    let lab: Lab;
    let daemon: Daemon;
    let sender: Host;
    let receivers: Record<(typeof RECEIVERS)[number], Host>;

    beforeEach(async () => {
      lab = new Lab();
      sender = await lab.host('s', { ipv6: false });
      receivers = await lab.hosts(RECEIVERS, { ipv6: false });
      const ports = [tap(lab, 's'), ...RECEIVERS.map((name) => tap(lab, name))];
      daemon = await lab.daemon(bridge(ports, {}, { workers: { io, count } }));
    });
    afterEach(() => lab.close());

    /** Ports when their counters no longer change. */
    async function settled(): Promise<Map<string, PortRow>> {
      let before = '';
      const rows = await until(
        async () => {
          const ports = await daemon.ports();
          return { ports, text: JSON.stringify(ports) };
        },
        ({ text }) => {
          const same = text === before;
          before = text;
          return same;
        },
        10_000,
      );
      return new Map(rows.ports.map((row) => [row.name, row]));
    }

    it('an overloaded switch: sent = received + lost before our receive, and each copy sent or dropped', async () => {
      const sent = await sender.send('eth0', [frame(BROADCAST, mac(1), [])], { times: 300_000 });
      const ports = await settled();
      const from = ports.get('s')!;
      const taken = await sender.number('eth0', 'statistics/tx_packets');
      const lost = await sender.number('eth0', 'statistics/tx_dropped');
      expect(taken + lost).toBe(sent);
      expect(from.receive.frames).toBe(taken);
      expect(sum(from.missed)).toBe(lost);
      expect(from.receive.frames + sum(from.missed)).toBe(sent);
      expect(from.receive.frames).toBeGreaterThan(0);
      for (const name of RECEIVERS) {
        const to = ports.get(name)!;
        expect(to.transmit.frames + sum(to.dropped), name).toBe(from.receive.frames);
        expect(await receivers[name].number('eth0', 'statistics/rx_packets'), name).toBe(to.transmit.frames);
        expect(to.transmit.bytes, name).toBe(to.transmit.frames * 64);
      }
      expect(sum(from.dropped)).toBe(0);
    });

    it('K ethtool_rmon, OX drop-stats: every reason counts the frames that were sent for it', async () => {
      const times = 50;
      const cases: Record<string, string> = {
        'bad-source': frame(BROADCAST, '010000000001', []),
        'reserved-address': frame('0180c2000000', mac(1), []),
        'same-port': frame(mac(1), mac(1), []),
        'bad-tag': frame(BROADCAST, mac(1), [{ vlan: 4095 }]),
      };
      await sender.send('eth0', [frame(BROADCAST, mac(1), [])]);
      await sender.send('eth0', Object.values(cases), { times });
      await settled();
      const { dropped, receive } = await daemon.port('s');
      for (const reason of Object.keys(cases)) expect(dropped[reason], reason).toBe(times);
      expect(sum(dropped)).toBe(times * Object.keys(cases).length);
      expect(receive.frames).toBe(1 + times * Object.keys(cases).length);
      const rows = (await daemon.drops()).filter((row) => row.port === 's');
      expect(rows.map(({ reason, frames }) => [reason, frames]).sort()).toEqual(Object.entries(dropped).sort());
      for (const { meaning } of rows) expect(meaning).toMatch(/\.$/);
    });

    it('sizes add up: bytes are counted as they were sent, in and out', async () => {
      const sizes = [60, 64, 65, 127, 128, 255, 256, 511, 512, 1023, 1024, 1514];
      const frames = sizes.map((size) => frame(BROADCAST, mac(1), [], '', size));
      await sender.send('eth0', frames, { times: 20 });
      const ports = await settled();
      const bytes = 20 * sizes.reduce((total, one) => total + one, 0);
      expect(ports.get('s')!.receive).toEqual({ frames: 240, bytes, segments: 240 });
      expect(ports.get('r1')!.transmit).toEqual({ frames: 240, bytes, segments: 240 });
    });
  });
}
