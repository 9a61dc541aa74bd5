import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseHugePages, takeHugePages } from '../../../bench/guests/huge-pages.ts';
import { ownWork, pingPongText } from '../../../bench/guests/ping-pong.ts';
import { parseSamples, splitByWork } from '../../../bench/guests/profile.ts';
import { chooseGuestScenarios, GUEST_SCENARIOS, GUEST_SWITCHES } from '../../../bench/guests/run.ts';
import { parseLinks, parseReceiveRate, segments, testpmdCommand } from '../../../bench/guests/testpmd.ts';
import { mtuFor } from '../../../bench/peers/guest-switch.ts';
import { guestPort } from '../../../bench/peers/weft-guests.ts';
import { Cleanup } from '../../../bench/system/cleanup.ts';

describe('the guests', () => {
  test('a frame goes in one buffer, or in equal ones that it fills exactly', () => {
    expect(segments(64)).toEqual([64]);
    expect(segments(2048)).toEqual([2048]);
    expect(segments(9000)).toEqual([1800, 1800, 1800, 1800, 1800]);
    expect(segments(4097)).toEqual([1366, 1366, 1365]);
  });

  test('each guest sends to its neighbour, and listens unless the switch does', () => {
    const text = testpmdCommand('p', ['/a', '/b'], { count: 2, frameBytes: 64 }).join(' ');
    expect(text).toContain('net_virtio_user0,mac=02:00:00:00:00:01,path=/a,server=1,');
    expect(text).toContain('--eth-peer=0,02:00:00:00:00:02 --eth-peer=1,02:00:00:00:00:01');
    expect(text).toContain('--port-topology=paired');
    expect(text).not.toContain('--enable-scatter');
    const other = { count: 2, frameBytes: 9000, topology: 'loop', listening: 'switch' } as const;
    expect(testpmdCommand('p', ['/a', '/b'], other).join(' ')).toMatch(
      /server=0.*--port-topology=loop.*--enable-scatter/,
    );
  });

  test('what both received, from the counters of the last showing', () => {
    const text =
      '  Rx-pps:      1200000          Rx-bps:  1\n  Tx-pps: 7 Tx-bps: 1\n  Rx-pps:       800000  Rx-bps: 1\n';
    expect(parseReceiveRate(text)).toBe(2_000_000);
    expect(() => parseReceiveRate('Bye...')).toThrow(/no Rx-pps/);
  });

  test('links that are up are counted, others are not', () => {
    const head = 'Number of available ports: 2\nPort MAC Address       Name         Driver         Status   Link\n';
    const row = (index: number, state: string) =>
      `${index}    02:00:00:00:00:0A net_virtio_user${index} net_virtio_user ${state}       Unknown\n`;
    expect(parseLinks(head + row(0, 'up') + row(1, 'up'))).toBe(2);
    expect(parseLinks(head + row(0, 'up') + row(1, 'down'))).toBe(1);
  });

  test('a jumbo frame asks for a larger MTU, at every port', () => {
    expect([64, 1514, 1515, 1518, 1519, 9000].map(mtuFor)).toEqual([1500, 1500, 1504, 1504, 9000, 9000]);
    expect(guestPort(1, '/s', 9000)).toEqual({
      name: 'g1',
      kind: 'vhost-user',
      socket: '/s',
      mode: 'client',
      mtu: 9000,
    });
  });
});

describe('huge pages', () => {
  const info = (total: number, free: number, reserved: number) =>
    `HugePages_Total: ${total}\nHugePages_Free: ${free}\nHugePages_Rsvd: ${reserved}\nHugepagesize: 2048 kB\n`;

  test('what is promised to somebody is not free', () => {
    expect(parseHugePages(info(100, 60, 20))).toEqual({ total: 100, free: 40, kilobytes: 2048 });
    expect(() => parseHugePages('MemTotal: 1 kB\n')).toThrow(/no huge pages/);
  });

  test('missing ones are taken and given back; somebody else’s number is left alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-pages-'));
    const file = join(folder, 'nr');
    const set = (count: number) => writeFileSync(file, String(count));
    const count = () => Number(readFileSync(file, 'utf8'));
    const read = () => parseHugePages(info(count(), count() - 10, 0));
    try {
      set(100);
      const cleanup = new Cleanup();
      takeHugePages(50, cleanup, file, read);
      expect(count()).toBe(100);
      takeHugePages(512, cleanup, file, read);
      expect(count()).toBe(522);
      expect(await cleanup.run()).toEqual([]);
      expect(count()).toBe(100);
      const again = new Cleanup();
      takeHugePages(512, again, file, read);
      set(1024);
      await again.run();
      expect(count()).toBe(1024);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('who may not take them is told what to type', () => {
    const read = () => parseHugePages(info(100, 90, 0));
    const take = () => takeHugePages(512, new Cleanup(), '/proc/no-such-file', read);
    expect(take).toThrow('needs 512 free huge pages of 2 MiB, 90 are: echo 522 > /proc/sys/vm/nr_hugepages');
  });
});

describe('what the switch says of itself', () => {
  const before = { busySeconds: 1, frames: 100, dropped: 512 };

  test('nanoseconds of busy turns per frame, of the difference', () => {
    const work = ownWork(before, { busySeconds: 2, frames: 20_000_100, dropped: 513 }, 2);
    expect(work).toEqual({ busyNs: 50, busyShare: 0.5, dropped: 1 });
    expect(pingPongText({ rate: 10, own: work })).toBe(
      '10.0 Mframes/s (busy 50 % of the time, 50.0 ns a frame, 1 frames dropped)',
    );
    expect(() => ownWork(before, before, 1)).toThrow(/no frame/);
  });

  test('samples belong to whose code it was', () => {
    const lines = [
      '     7f0000000001 [unknown] (/somewhere/perf-1.map)',
      '     7f0000000002 [unknown] ([JIT] tid 77)',
      '          1234567 Builtins_InterpreterEntryTrampoline (/usr/bin/node)',
      '          1234568 napi_call_function (/usr/bin/node)',
      '     7f0000000003 weft::transmit(int) (/x/build/Release/weft.node)',
      '     7f0000000004 __memmove_avx_unaligned (/usr/lib/x86_64-linux-gnu/libc.so.6)',
      ' ffffffff81000000 do_syscall_64 ([kernel.kallsyms])',
      '     7f0000000005 [unknown] (//anon)',
      '',
    ];
    const shares = parseSamples(lines.join('\n'));
    expect(shares).toEqual({ typescript: 4 / 8, native: 2 / 8, node: 1 / 8, kernel: 1 / 8 });
    expect(() => parseSamples('')).toThrow(/no sample/);
  });

  test('waiting is subtracted as an idle switch is made up, and all shares make one', () => {
    const loaded = { typescript: 0.3, native: 0.6, node: 0.04, kernel: 0.06 };
    const empty = { typescript: 0.25, native: 0.5, node: 0.05, kernel: 0.2 };
    const split = splitByWork(loaded, 0.7, empty);
    expect(split.waiting).toBeCloseTo(0.3);
    expect(split.typescript).toBeCloseTo(0.3 - 0.24 * (0.25 / 0.8));
    expect(split.typescript + split.native + split.node + split.waiting).toBeCloseTo(1);
  });
});

describe('choice', () => {
  test('by name, in the order of the table; a wrong name lists the right ones', () => {
    expect(chooseGuestScenarios([])).toEqual(GUEST_SCENARIOS);
    const names = chooseGuestScenarios(['guests-idle', 'guests-64']).map((scenario) => scenario.name);
    expect(names).toEqual(['guests-64', 'guests-idle']);
    expect(() => chooseGuestScenarios(['guests-65'])).toThrow(/guests-65; there are: guests-64, /);
    expect(GUEST_SWITCHES.map((one) => one.name)).toEqual(['weft', 'ovs-dpdk', 'dpdk-patch']);
  });
});
