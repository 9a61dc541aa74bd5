import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { type MetricsServer, startMetrics } from '../../../control/metrics/server.ts';
import type { MetricsSource } from '../../../control/metrics/source.ts';
import { renderSwitch, residenceBounds } from '../../../control/metrics/text.ts';
import { itNeeds } from '../../needs.ts';
import { fakeSource, portSample } from './fake-switch.ts';

let server: MetricsServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function start(source: MetricsSource, options: { port?: number; errors?: Error[] } = {}): Promise<MetricsServer> {
  const onError = (error: Error) => void options.errors?.push(error);
  server = await startMetrics(source, { host: '127.0.0.1', port: options.port ?? 0, version: '0.1.0', onError });
  return server;
}

async function rendered(change: Partial<MetricsSource> = {}): Promise<string[]> {
  return (await renderSwitch(fakeSource(change))).toString().split('\n');
}

describe('the switch’s metrics', () => {
  it('have the names, labels and units of the contract', async () => {
    const lines = await rendered();
    const labels = 'bridge="br0",port="web"';
    for (const line of [
      `weft_port_receive_frames_total{${labels}} 3`,
      `weft_port_receive_bytes_total{${labels}} 180`,
      `weft_port_receive_segments_total{${labels}} 3`,
      `weft_port_transmit_frames_total{${labels}} 2`,
      `weft_port_transmit_bytes_total{${labels}} 120`,
      `weft_port_transmit_segments_total{${labels}} 2`,
      `weft_port_receive_missed_frames_total{${labels},reason="tx-dropped"} 2`,
      `weft_dropped_frames_total{${labels},reason="egress-full"} 4`,
      `weft_port_up{${labels}} 1`,
      'weft_port_up{bridge="br0",port="db"} 0',
      `weft_port_speed_bytes{${labels}} 1250000000`,
      `weft_flood_frames_total{${labels}} 1`,
      `weft_fdb_moves_total{${labels}} 0`,
      `weft_fdb_learn_limited_total{${labels}} 0`,
      'weft_fdb_entries{bridge="br0"} 2',
      'weft_fdb_limit{bridge="br0"} 1024',
      'weft_fdb_evictions_total 5',
      'weft_worker_restarts_total{worker="0"} 3',
      'weft_worker_busy_seconds_total{worker="0"} 0.5',
      'weft_worker_turns_total{worker="0"} 10',
      'weft_active_flows{worker="0"} 1',
      'weft_fdb_torn_reads_total{worker="0"} 6',
      `weft_port_info{${labels},kind="tap"} 1`,
      'weft_port_info{bridge="br0",port="vm",kind="vhost-user"} 1',
      'weft_guest_connections_total{bridge="br0",port="vm"} 4',
      'weft_guest_refused_clients_total{bridge="br0",port="vm"} 2',
      'weft_guest_refused_messages_total{bridge="br0",port="vm"} 1',
    ]) {
      expect(lines).toContain(line);
    }
  });

  it('leave out zero drops, unknown speeds, and connections where nobody connects', async () => {
    const lines = await rendered();
    expect(lines.filter((line) => /^weft_guest_.*port="web"/.test(line))).toEqual([]);
    expect(lines.some((line) => line.includes('runt'))).toBe(false);
    expect(lines.some((line) => line.startsWith('weft_port_speed_bytes{bridge="br0",port="db"'))).toBe(false);
  });

  it('give residence as a cumulative histogram in seconds', async () => {
    const residence = Float64Array.from({ length: 18 }, (_, k) => (k === 0 ? 5 : k === 2 ? 2 : k === 17 ? 1 : 0));
    const lines = await rendered({ ports: () => [portSample('br0', 'web', { residence, residenceSum: 0.25 })] });
    const buckets = lines.filter((line) => line.startsWith('weft_residence_seconds_bucket'));
    expect(buckets).toHaveLength(18);
    expect(buckets[0]).toBe('weft_residence_seconds_bucket{bridge="br0",port="web",le="0.000001"} 5');
    expect(buckets[1]).toMatch(/le="0\.000002"} 5$/);
    expect(buckets[2]).toMatch(/le="0\.000004"} 7$/);
    expect(buckets[16]).toMatch(/le="0\.065536"} 7$/);
    expect(buckets[17]).toMatch(/le="\+Inf"} 8$/);
    expect(lines).toContain('weft_residence_seconds_count{bridge="br0",port="web"} 8');
    expect(lines).toContain('weft_residence_seconds_sum{bridge="br0",port="web"} 0.25');
    expect(residenceBounds(18).map(Number)).toEqual(Array.from({ length: 17 }, (_, k) => 2 ** k / 1e6));
  });

  it('stay text format whatever a name contains', async () => {
    const lines = await rendered({ bridges: () => [{ bridge: 'a"b\\c\nd', fdbEntries: 1, fdbLimit: 2 }] });
    expect(lines).toContain('weft_fdb_entries{bridge="a\\"b\\\\c\\nd"} 1');
  });

  it('are there without a port', async () => {
    const lines = await rendered({
      ports: () => [],
      bridges: () => [],
      workers: () => [],
      drops: () => [],
      missed: () => [],
    });
    const samples = lines.filter((line) => line !== '' && !line.startsWith('#'));
    expect(samples).toEqual(['weft_fdb_evictions_total 5']);
  });
});

describe('/metrics', () => {
  it('answers with the content type of the format, the switch’s, Node’s and the build’s metrics', async () => {
    const { url } = await start(fakeSource());
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toMatch(/^weft_build_info\{version="0\.1\.0",node="v\d+.*"} 1$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
    expect(text).toMatch(/^process_resident_memory_bytes /m);
    expect(text).toMatch(/^weft_port_up\{/m);
  });

  it('answers 404, 405 and HEAD', async () => {
    const { url } = await start(fakeSource());
    expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('a scrape that fails is an answer and an error for the log, not a crash', async () => {
    const errors: Error[] = [];
    const ports = () => {
      throw new Error('counters are gone');
    };
    const { url } = await start(fakeSource({ ports }), { errors });
    expect((await fetch(url)).status).toBe(500);
    expect(errors.map((error) => error.message)).toEqual(['counters are gone']);
  });

  it('an address in use is named, with the remedy', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(start(fakeSource(), { port })).rejects.toMatchObject({
      code: 'metrics-listen',
      message: `metrics.listen: 127.0.0.1:${port} is in use`,
      hint: expect.stringContaining('metrics.listen'),
    });
  });

  itNeeds({ tools: ['promtool'] }, '`promtool check metrics` has nothing to say', async () => {
    const { url } = await start(fakeSource());
    const text = await (await fetch(url)).text();
    const done = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect(done.stderr + done.stdout).toBe('');
    expect(done.status).toBe(0);
  });
});
