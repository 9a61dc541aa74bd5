import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findPeer, PEERS } from '../../../bench/peers/all.ts';
import { tapPort, weftDocument } from '../../../bench/peers/weft-daemon.ts';
import {
  boundThread,
  cpuSeconds,
  parseMemory,
  parseOnlyCpu,
  parseSchedstat,
  parseStatTicks,
} from '../../../bench/system/accounting.ts';
import { Cleanup } from '../../../bench/system/cleanup.ts';
import { interleave } from '../../../bench/system/context.ts';
import { joinFlows, splitByOutage } from '../../../bench/system/flows.ts';
import { Daemon, hasCommand, missingCommand, placed, run } from '../../../bench/system/process.ts';
import { chooseScenarios, SCENARIOS } from '../../../bench/system/run.ts';
import { pidOfPrefix, sitePrefix } from '../../../bench/system/site.ts';
import { lastJson, parseIperf, trafgenFrame } from '../../../bench/system/tools.ts';

/** A process's state, as in proc(5); empty: it is gone. */
function stateOf(pid: string): string {
  try {
    return /^State:\s(.)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

describe('what the tools print', () => {
  test('iperf3: what arrived, in Gb/s', () => {
    const text = JSON.stringify({
      end: { sum_sent: { bits_per_second: 2e10 }, sum_received: { bits_per_second: 1.25e10 } },
    });
    expect(parseIperf(text)).toBe(12.5);
  });

  test('iperf3: its error is ours, and nothing received is no result', () => {
    expect(() => parseIperf('{"error":"unable to connect"}')).toThrow('iperf3: unable to connect');
    expect(() => parseIperf('{"end":{"sum_received":{"bits_per_second":0}}}')).toThrow(/no received/);
  });

  test('trafgen: 60 bytes, destination first', () => {
    const text = trafgenFrame('02:00:00:00:00:0b', '02:00:00:00:00:0a');
    expect(text).toBe('{ 0x02,0x00,0x00,0x00,0x00,0x0b, 0x02,0x00,0x00,0x00,0x00,0x0a, 0x88, 0xb5, fill(0x55, 46) }\n');
    const single = text.match(/0x[0-9a-f]{2}(?=[, ])/g)!.filter((byte) => byte !== '0x55').length;
    expect(single + 46).toBe(60);
    expect(() => trafgenFrame('02:00', '02:00:00:00:00:0a')).toThrow(/not a MAC/);
  });

  test('the result is the last JSON line, whatever was said before', () => {
    expect(lastJson('listening\n{"a":1}\n{"a":2}\n')).toEqual({ a: 2 });
    expect(() => lastJson('Traceback: no')).toThrow(/Traceback/);
  });
});

describe('accounting', () => {
  test('schedstat: nanoseconds on the CPU', () => {
    expect(parseSchedstat('629091 98296 3\n')).toBe(629091);
    expect(() => parseSchedstat('what')).toThrow(/schedstat/);
  });

  test('stat: user and system ticks, with a name that holds spaces and parentheses', () => {
    const rest = ['S', 1, 1, 1, 0, -1, 4194560, 10, 0, 0, 0, 123, 45, 0, 0, 20, 0, 1];
    expect(parseStatTicks(`42 (a) (b c) ${rest.join(' ')}\n`)).toBe(168);
  });

  test('memory: Pss and both kinds of huge pages, in 10^6 bytes', () => {
    const text = 'Rss:  9 kB\nPss:     1000 kB\nPss_Dirty: 7 kB\nShared_Hugetlb:  2048 kB\nPrivate_Hugetlb: 1024 kB\n';
    expect(parseMemory(text)).toEqual({ pssMB: 1.024, hugeMB: 3.145728 });
    expect(() => parseMemory('Pss: 1 kB\n')).toThrow(/Shared_Hugetlb/);
  });

  test('a thread that is bound to one CPU is told from those that are not', () => {
    expect(parseOnlyCpu('Name: x\nCpus_allowed:\t2\nCpus_allowed_list:\t1\n')).toBe(1);
    expect(parseOnlyCpu('Cpus_allowed_list:\t0-1\n')).toBeNull();
    expect(() => boundThread(process.pid, 9999)).toThrow(/0 threads of process \d+ are bound to CPU 9999/);
  });

  test('the CPU time of this process grows with work', () => {
    const before = cpuSeconds(process.pid);
    const end = process.cpuUsage().user + 50_000;
    while (process.cpuUsage().user < end) Math.sqrt(2);
    expect(cpuSeconds(process.pid) - before).toBeGreaterThan(0.02);
  });
});

describe('flows', () => {
  const sent = { sent: [100, 100], refused: 0, seconds: 2, senderPauseMs: 1.5 };

  test('loss is exact, per flow and in total', () => {
    const report = joinFlows(sent, { received: [100, 97], outageMs: [1.1, 30], disorder: [0, 2] }, 1);
    expect(report).toMatchObject({ sent: 200, lost: 3, disorder: 2, droppedAtDevice: 1, framesPerSecond: 100 });
    expect(report.flows[1]).toEqual({ sent: 100, lost: 3, outageMs: 30 });
  });

  test('more frames than were sent is an error, not less loss', () => {
    expect(() => joinFlows(sent, { received: [100, 101], outageMs: [], disorder: [] }, 0)).toThrow(/flow 1/);
  });

  test('flows without an outage are the others, and their loss counts apart', () => {
    const flows = [
      { sent: 10, lost: 4, outageMs: 42 },
      { sent: 10, lost: 0, outageMs: 1 },
      { sent: 10, lost: 1, outageMs: 2 },
    ];
    expect(splitByOutage(flows, 5)).toEqual({ flows: 1, outageMs: 42, lostOnAffected: 4, lostOnOthers: 1 });
  });
});

describe('sites and processes', () => {
  test('the longest pid leaves five characters of a device name', () => {
    expect(sitePrefix(4_194_304, 1295).length).toBeLessThanOrEqual(10);
    expect(pidOfPrefix(`${sitePrefix(4_194_304, 7)}-a`)).toBe(4_194_304);
    expect(pidOfPrefix('wb0')).toBeNull();
    expect(pidOfPrefix('eth0')).toBeNull();
  });

  test('a namespace and CPUs wrap the command', () => {
    expect(placed(['x', 'y'])).toEqual(['x', 'y']);
    expect(placed(['x'], { namespace: 'n', cpus: '1' })).toEqual([
      'ip',
      'netns',
      'exec',
      'n',
      'taskset',
      '-c',
      '1',
      'x',
    ]);
  });

  test('an absent command is named with its package', () => {
    expect(hasCommand('node') && hasCommand(process.execPath)).toBe(true);
    expect(missingCommand(['no-such-tool'], 'package x')).toBe('no-such-tool not installed (package x)');
    expect(missingCommand([process.execPath], 'node')).toBeNull();
  });

  test('undo steps run newest first, all of them, and failures are reported', async () => {
    const cleanup = new Cleanup();
    const order: number[] = [];
    cleanup.defer('one', () => order.push(1));
    cleanup.defer('two', () => Promise.reject(new Error('stuck')));
    cleanup.defer('three', () => order.push(3));
    expect(await cleanup.run()).toEqual(['two: stuck']);
    expect(order).toEqual([3, 1]);
    expect(await cleanup.run()).toEqual([]);
  });

  test('a failed command throws with its words', async () => {
    await expect(run([process.execPath, '-e', 'console.error("no way");process.exit(3)'])).rejects.toThrow(/no way/);
  });

  test('steps run one after the other, newest first, also when two want them run', async () => {
    const cleanup = new Cleanup();
    const done: string[] = [];
    cleanup.defer('last', () => void done.push('last'));
    cleanup.defer('first', async () => {
      await new Promise(setImmediate);
      done.push('first');
    });
    const all = await Promise.all([cleanup.run(), cleanup.run().then(() => done.push('second caller'))]);
    expect([all[0], done]).toEqual([[], ['first', 'last', 'second caller']]);
    expect(await cleanup.run()).toEqual([]);
    expect(done).toHaveLength(3);
  });

  test('a daemon is waited for by its output and ended with what it started', async () => {
    const cleanup = new Cleanup();
    const daemon = new Daemon(['sh', '-c', 'sleep 60 & echo ready $!; wait'], cleanup);
    await daemon.until(/\bready \d+/, 5);
    const child = /ready (\d+)/.exec(daemon.output)![1]!;
    expect(stateOf(child)).toMatch(/[SRD]/);
    expect(daemon.running).toBe(true);
    expect(await cleanup.run()).toEqual([]);
    expect(daemon.running).toBe(false);
    // An orphan that has ended stays until init, which takes its time, has reaped it.
    await expect.poll(() => stateOf(child), { timeout: 30_000 }).toMatch(/^[ZX]?$/);
  });

  test('a daemon that ends early says so with its output', async () => {
    const cleanup = new Cleanup();
    const daemon = new Daemon(['sh', '-c', 'echo broken; exit 1'], cleanup);
    await expect(daemon.until(/ready/, 5)).rejects.toThrow(/ended early: broken/);
    await cleanup.run();
  });
});

describe('choice', () => {
  test('pairs alternate A B A B', async () => {
    const order: string[] = [];
    const step = (name: string) => async () => order.push(name);
    const pairs = await interleave(3, step('A'), step('B'), () => {});
    expect(order.join('')).toBe('ABABAB');
    expect(pairs).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
  });

  test('scenarios and switches by name; a wrong name lists the right ones', () => {
    expect(chooseScenarios([])).toHaveLength(SCENARIOS.length);
    expect(chooseScenarios(['memory', 'tcp']).map((s) => s.name)).toEqual(['tcp', 'memory']);
    expect(() => chooseScenarios(['tpc'])).toThrow(/tpc; there are: tcp, /);
    expect(() => findPeer('brigde')).toThrow(/linux-bridge/);
    expect(new Set(PEERS.map((peer) => peer.name)).size).toBe(PEERS.length);
  });

  test("weft's document leaves out what was not asked for", () => {
    const ports = [tapPort('a', 'tap-a', 'ns'), tapPort('b', 'tap-b')];
    expect(weftDocument({ ports }, 1234)).toEqual({
      metrics: { listen: '127.0.0.1:1234' },
      bridges: [
        {
          name: 'br0',
          ports: [
            { name: 'a', kind: 'tap', device: 'tap-a', netns: 'ns' },
            { name: 'b', kind: 'tap', device: 'tap-b' },
          ],
        },
      ],
    });
    expect(weftDocument({ ports, workers: 2, idle: 'busy' }, 1)).toMatchObject({ workers: { count: 2, idle: 'busy' } });
  });
});
