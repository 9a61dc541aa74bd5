/**
 * Serves /metrics to Prometheus: the switch's samples (text.ts) and, from prom-client's registry, Node's own and weft_build_info.
 * Made by daemon.ts on the main thread. Listens at once and loads prom-client when it is first needed or when `warm` says so,
 * because a start that waits for it takes 70–120 ms longer. Never touches a frame.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DeviceError } from '../errors.ts';
import type { MetricsSource } from './source.ts';
import { renderSwitch } from './text.ts';

export interface MetricsOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly version: string;
  readonly onError: (error: Error) => void;
}

export interface MetricsServer {
  /** As Prometheus is to be told: `http://127.0.0.1:9475/metrics`. */
  readonly url: string;
  readonly port: number;
  /** Loads what the first scrape would wait for. */
  warm(): Promise<void>;
  close(): Promise<void>;
}

interface NodeMetrics {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** Event-loop delay is sampled ten times a second: prom-client's default of 10 ms would wake an idle switch a hundred times. */
const LAG_RESOLUTION_MS = 100;
/** Gauges of prom-client that call themselves totals, which `promtool check metrics` refuses; the same numbers are there by type. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

async function loadNodeMetrics(version: string): Promise<NodeMetrics> {
  const { Registry, collectDefaultMetrics, Gauge } = await import('prom-client');
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_RESOLUTION_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const build = new Gauge({
    name: 'weft_build_info',
    help: 'Always 1; what runs is in the labels.',
    labelNames: ['version', 'node'],
    registers: [registry],
  });
  build.set({ version, node: process.version }, 1);
  return registry;
}

async function listen(server: Server, options: MetricsOptions): Promise<AddressInfo> {
  try {
    server.listen(options.port, options.host);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const where = `${options.host}:${options.port}`;
    const what =
      code === 'EADDRINUSE' ? `${where} is in use` : code === 'EACCES' ? `no permission for ${where}` : message;
    throw new DeviceError(
      'metrics-listen',
      `metrics.listen: ${what}`,
      'set metrics.listen to a free address, or `metrics: false`',
      error,
    );
  }
  return server.address() as AddressInfo;
}

function answer(response: ServerResponse, status: number, type: string, body: Buffer | string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** Starts the server; scrapes wait for the source. Throws a DeviceError that names the address when it can't be had. */
export async function startMetrics(
  source: MetricsSource | Promise<MetricsSource>,
  options: MetricsOptions,
): Promise<MetricsServer> {
  let loading: Promise<NodeMetrics> | null = null;
  const node = () => (loading ??= loadNodeMetrics(options.version));
  let scraping: Promise<Buffer> | null = null;

  /** Scrapes at the same time share one rendering. */
  const scrape = (ready: MetricsSource) =>
    (scraping ??= renderSwitch(ready).finally(() => {
      scraping = null;
    }));

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname !== '/metrics') return answer(response, 404, 'text/plain; charset=utf-8', 'metrics are at /metrics\n');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, 'text/plain; charset=utf-8', 'only GET\n');
    const registry = await node();
    const own = await scrape(await source);
    answer(response, 200, registry.contentType, Buffer.concat([own, Buffer.from(await registry.metrics())]));
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: Error) => {
      options.onError(error);
      if (!response.headersSent)
        answer(response, 500, 'text/plain; charset=utf-8', 'the scrape failed; the log says why\n');
    });
  });
  const { port } = await listen(server, options);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}/metrics`,
    port,
    async warm() {
      await node();
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
