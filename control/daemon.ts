/**
 * One daemon: document, socket, switch, metrics, in the order in which a failure leaves nothing half made. Called by `weft run` and by
 * tests, on the main thread; signals and the terminal are the caller's. What the switch is made of comes in as `openSwitch`.
 */
import type { ApiServer } from './api/server.ts';
import type { Document } from './config/document.ts';
import { DocumentError, WeftError } from './errors.ts';
import type { Log } from './log.ts';
import type { MetricsServer } from './metrics/server.ts';
import type { MetricsSource } from './metrics/source.ts';
import type { ApplyResult, Switch } from './switch.ts';

export interface OpenOptions {
  /** The file that the document came from: `save` writes to it. */
  readonly file: string;
  readonly log: Log;
  /** Leave devices that weft made in place when the switch closes. */
  readonly keepDevices: boolean;
  /** Where the daemon answers. */
  readonly socket: string;
}

export interface OpenedSwitch {
  readonly switch: Switch;
  readonly metrics: MetricsSource;
}

/** Makes everything that the document names and starts to forward; a failure undoes what it made and rejects with a WeftError. */
export type OpenSwitch = (document: Document, options: OpenOptions) => Promise<OpenedSwitch>;

export interface DaemonOptions extends Omit<OpenOptions, 'socket'> {
  /** `--socket`. */
  readonly socket?: string | undefined;
  readonly version: string;
  readonly openSwitch: OpenSwitch;
}

export interface Daemon {
  readonly switch: Switch;
  readonly socket: string;
  /** Where Prometheus scrapes, null with `metrics: false`. */
  readonly metricsUrl: string | null;
  /** Loads what the first request and the first scrape would wait for. */
  warm(): Promise<void>;
  /** Applies the file again. A bad file is logged and changes nothing. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

const METRICS_LISTEN = '127.0.0.1:9475';

async function openMetrics(
  document: Document,
  source: Promise<MetricsSource>,
  options: DaemonOptions,
): Promise<MetricsServer | null> {
  if (document.metrics === false) return null;
  const [{ startMetrics }, { parseListen }] = await Promise.all([
    import('./metrics/server.ts'),
    import('./config/values.ts'),
  ]);
  const { host, port } = parseListen(document.metrics?.listen ?? METRICS_LISTEN)!;
  const onError = (error: Error) => options.log.error({ err: error }, 'a scrape failed');
  return startMetrics(source, { host, port, version: options.version, onError });
}

function logSteps(log: Log, result: ApplyResult): void {
  for (const undone of result.undoes) log.warn({ change: undone }, 'an unsaved change was undone');
  for (const warning of result.warnings) log.warn({}, warning);
  log.info({ steps: result.steps.length }, 'the file was applied');
}

/** A line for each problem of a file, as `weft check` would show it; a stack only for what is a mistake of ours. */
function reasonsOf(error: unknown, file: string): Record<string, unknown>[] {
  if (error instanceof DocumentError) {
    return error.problems.map(({ place, message, line }) => ({
      file: line === undefined ? file : `${file}:${line}`,
      reason: `${place}: ${message}`,
    }));
  }
  if (!(error instanceof WeftError)) return [{ file, err: error }];
  return [{ file, reason: error.message, ...(error.hint === null ? {} : { hint: error.hint }) }];
}

async function reload(sw: Switch, before: Document, options: DaemonOptions): Promise<void> {
  const { log, file } = options;
  try {
    const { loadFile } = await import('./config/load.ts');
    const document = loadFile(file);
    for (const key of ['api', 'metrics'] as const) {
      if (JSON.stringify(document[key]) !== JSON.stringify(before[key]))
        log.warn({ key }, 'a change here needs a restart');
    }
    logSteps(log, await sw.apply(document, { dryRun: false }));
  } catch (error) {
    for (const fields of reasonsOf(error, file))
      log.error(fields, 'the file was not applied; the running configuration stays');
  }
}

/** Undoes in reverse order, whatever fails on the way; the first failure is thrown at the end. */
async function closeAll(parts: readonly ({ close(): Promise<void> } | null)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts) await part?.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Starts a daemon. Rejects with a WeftError and leaves nothing behind when any part can't be had. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { log, file, version } = options;
  const [{ loadFile }, { startApi }, { socketPath }] = await Promise.all([
    import('./config/load.ts'),
    import('./api/server.ts'),
    import('./api/socket.ts'),
  ]);
  const document = loadFile(file);
  let give: (source: MetricsSource) => void = () => undefined;
  const source = new Promise<MetricsSource>((resolve) => (give = resolve));
  let api: ApiServer | null = null;
  let metrics: MetricsServer | null = null;
  try {
    const socket = socketPath({ option: options.socket, document: document.api?.socket });
    api = await startApi(socket, { version, log });
    process.on('exit', api.unlink);
    metrics = await openMetrics(document, source, options);
    const opened = await options.openSwitch(document, { ...options, socket });
    give(opened.metrics);
    api.attach(opened.switch);
    return daemonOf(document, opened.switch, api, metrics, options);
  } catch (error) {
    await closeAll([metrics, api]).catch(() => undefined);
    if (api !== null) process.off('exit', api.unlink);
    throw error;
  }
}

function daemonOf(
  document: Document,
  sw: Switch,
  api: ApiServer,
  metrics: MetricsServer | null,
  options: DaemonOptions,
): Daemon {
  let closing: Promise<void> | null = null;
  return {
    switch: sw,
    socket: api.path,
    metricsUrl: metrics?.url ?? null,
    async warm() {
      await api.warm();
      await metrics?.warm();
    },
    reload: () => reload(sw, document, options),
    close: () => (closing ??= closeAll([api, metrics, sw]).finally(() => process.off('exit', api.unlink))),
  };
}
