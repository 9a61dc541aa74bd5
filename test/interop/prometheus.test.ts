/**
 * Debian's Prometheus with the configuration of deploy/: every query of the dashboard has an answer and every alert can be evaluated,
 * over counters that a test moves (no root needed) and over a live switch under traffic.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MetricsServer, startMetrics } from '../../control/metrics/server.ts';
import type { MetricsSource } from '../../control/metrics/source.ts';
import { describeNeeds } from '../needs.ts';
import { bondSample, LAG } from '../unit/control/bond-rows.ts';
import { fakeSource, portSample } from '../unit/control/fake-switch.ts';
import { POD7 } from '../unit/control/tunnel-rows.ts';
import { alerts, panelQueries, variableQueries } from '../unit/deploy/questions.ts';
import { type LiveSwitch, MAIN, startLiveSwitch } from './live-switch.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';

const TOOLS = ['prometheus', 'promtool'];
const LIVE = {
  ...{ root: true, tun: true, addon: true, tools: [...TOOLS, 'ip', 'ping', 'iperf3', 'setpriv'] },
  because: existsSync(MAIN) ? null : 'needs the build: npm run build',
};
/** Scraped once a second. */
const RATE_INTERVAL = '5s';
const ANSWER_MS_MAX = 30_000;

/** As Grafana fills it in with "All" chosen. A fallback to zero would be an answer to everything, so it goes. */
function filled(expression: string, target: string): string {
  return expression
    .replaceAll('$instance', target)
    .replaceAll(/\$(?:bridge|port)\b/g, '.*')
    .replaceAll('$__rate_interval', RATE_INTERVAL)
    .replace(/ or vector\(0\)$/, '');
}

async function hasAnswer(prometheus: Prometheus, expression: string): Promise<boolean> {
  return (await prometheus.query(expression)).some(({ value }) => Number.isFinite(value));
}

/** Queries of panels and variables that give nothing, or nothing but NaN. */
async function unanswered(prometheus: Prometheus, target: string): Promise<string[]> {
  const silent: string[] = [];
  for (const { where, expression } of panelQueries()) {
    if (!(await hasAnswer(prometheus, filled(expression, target)))) silent.push(where);
  }
  for (const { where, selector, label } of variableQueries()) {
    if ((await prometheus.labelValues(filled(selector, target), label)).length === 0) silent.push(where);
  }
  return silent;
}

/** Alerts that Prometheus has not evaluated, or not without an error. */
async function unwell(prometheus: Prometheus): Promise<string[]> {
  const rules = new Map((await prometheus.rules()).map((rule) => [rule.name, rule]));
  return alerts().flatMap(({ alert }) => {
    const rule = rules.get(alert);
    if (rule === undefined) return [`${alert} is not loaded`];
    if (rule.health === 'ok' && !rule.lastEvaluation.startsWith('0001')) return [];
    return [`${alert} is ${rule.health} ${rule.lastError ?? ''}`];
  });
}

function waitFor(what: () => Promise<unknown>) {
  return expect.poll(what, { timeout: ANSWER_MS_MAX, interval: 1000 });
}

/** Counters that grow with the clock, a thousand frames a second and some of them lost. */
function movingSource(): MetricsSource {
  const started = Date.now();
  const grown = (perSecond: number) => Math.floor(((Date.now() - started) / 1000 + 1) * perSecond);
  const port = (name: string) =>
    portSample('br0', name, {
      ...{ speed: 1e9, receiveFrames: grown(1000), receiveBytes: grown(1e6), receiveSegments: grown(3000) },
      ...{ transmitFrames: grown(900), transmitBytes: grown(9e5), transmitSegments: grown(2700) },
      residence: Float64Array.from({ length: 18 }, (_, k) => (k === 3 ? grown(900) : k === 6 ? grown(100) : 0)),
      residenceSum: grown(1000) * 1e-5,
      kind: 'vhost-user',
      guests: { connections: grown(2), refusedClients: grown(1), refusedMessages: grown(3) },
    });
  const loss = (reason: string) => [{ bridge: 'br0', port: 'web', reason, frames: grown(10) }];
  const unknown = { bridge: '', port: POD7.endpoint!.name, reason: 'unknown-vni', frames: grown(10) };
  return fakeSource({
    ports: () => [port('web'), port('db')],
    bonds: () => [bondSample({ ...LAG, name: 'web' })],
    tunnels: () => [{ ...POD7, name: 'web' }],
    tunnelEndpoints: () => [{ ...POD7.endpoint!, datagrams: grown(900), messages: grown(30), merged: grown(500) }],
    tunnelSenders: () => [{ ...POD7.sender!, datagrams: grown(800), messages: grown(40) }],
    workers: () => [
      { worker: 0, turns: grown(5000), busySeconds: grown(100) / 1000, restarts: 0, activeFlows: 7, tornReads: 0 },
    ],
    drops: () => [...loss('egress-full'), unknown],
    missed: () => loss('queue-full'),
  });
}

describeNeeds({ tools: TOOLS }, 'Prometheus over counters that move', () => {
  let server: MetricsServer;
  let prometheus: Prometheus;
  let target = '';

  beforeAll(async () => {
    const fail = (error: Error) => {
      throw error;
    };
    server = await startMetrics(movingSource(), { host: '127.0.0.1', port: 0, version: '0.0.0', onError: fail });
    target = `127.0.0.1:${server.port}`;
    prometheus = await startPrometheus(target);
  });
  afterAll(async () => {
    await prometheus?.stop();
    await server?.close();
  });

  it('answers every query of every panel and variable', async () => {
    await waitFor(() => unanswered(prometheus, target)).toEqual([]);
  });

  it('evaluates every alert', async () => {
    await waitFor(() => unwell(prometheus)).toEqual([]);
    for (const { expr } of alerts()) await prometheus.query(expr);
  });

  it('would show a query without an answer and an expression that can’t be evaluated', async () => {
    expect(await hasAnswer(prometheus, 'weft_gone_total')).toBe(false);
    expect(await hasAnswer(prometheus, 'weft_port_up * NaN')).toBe(false);
    await expect(prometheus.query('rate(weft_port_up)')).rejects.toThrow('expected type range vector');
  });
});

describeNeeds(LIVE, 'Prometheus over a live switch', () => {
  let live: LiveSwitch | undefined;
  let ended: ReturnType<LiveSwitch['stop']> | undefined;
  let prometheus: Prometheus | undefined;

  beforeAll(async () => {
    live = await startLiveSwitch();
    prometheus = await startPrometheus(live.target);
    await live.startTraffic();
  });
  afterAll(async () => {
    await prometheus?.stop();
    await (ended ?? live?.stop());
  });

  it('counts what the kernel lost while the switch was kept from reading', async () => {
    const lost = await live!.overload();
    expect(lost).toBeGreaterThan(0);
    const counted = async () =>
      (await prometheus!.query('weft_port_receive_missed_frames_total{port="b"}')).map(({ value }) => value);
    await waitFor(counted).toEqual([lost]);
  });

  it('answers every query of every panel and variable', async () => {
    await waitFor(() => unanswered(prometheus!, live!.target)).toEqual([]);
  });

  it('sees the traffic: its rate, its utilisation, and what no port took', async () => {
    const value = async (expression: string) => (await prometheus!.query(expression))[0]?.value ?? Number.NaN;
    await waitFor(() => value('8 * rate(weft_port_receive_bytes_total{port="a"}[5s])')).toBeGreaterThan(1e6);
    await waitFor(() => value('weft_port_speed_bytes{port="a"}')).toBe(1.25e9);
    const alone = 'weft_dropped_frames_total{port="alone",reason="no-egress"}';
    await waitFor(() => value(`increase(${alone}[10s])`)).toBeGreaterThan(0);
    expect(await prometheus!.labelValues('weft_port_up', 'port')).toEqual([
      ...['a', 'alone', 'b', 'far', 'guest', 'lag', 't', 'tunnel'],
    ]);
    await waitFor(() => value('weft_fdb_entries{bridge="br0"}')).toBeGreaterThanOrEqual(2);
  });

  it('evaluates every alert, and none that is critical fires', async () => {
    await waitFor(() => unwell(prometheus!)).toEqual([]);
    for (const { expr } of alerts()) await prometheus!.query(expr);
    expect(await prometheus!.query('ALERTS{alertstate="firing",severity="critical"}')).toEqual([]);
  });

  it('`promtool check metrics` has nothing to say', async () => {
    const input = await (await fetch(`http://${live!.target}/metrics`)).text();
    const done = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    expect(done.stdout + done.stderr).toBe('');
    expect(done.status).toBe(0);
  });

  it('ends cleanly, and needed no more than the systemd unit gives', async () => {
    ended ??= live!.stop();
    const { code, log } = await ended;
    const complaints = log
      .split('\n')
      .filter((line) => /"level":[456]0/.test(line) && /EPERM|EACCES|not permitted|denied|started again/.test(line));
    expect(complaints).toEqual([]);
    expect(code).toBe(0);
  });
});
