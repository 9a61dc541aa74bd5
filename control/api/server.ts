/**
 * The API's unix socket: claimed before anything is made, answering once a Switch is attached. Made by daemon.ts on the main thread.
 * fastify is loaded by the first request or by `warm`, whichever comes first: it takes 100–200 ms that a start need not wait for.
 */

import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { OpenEcho } from '../doctor/echo.ts';
import type { Log } from '../log.ts';
import type { Switch } from '../switch.ts';
import { claimSocket } from './socket.ts';

export interface ApiOptions {
  readonly version: string;
  readonly log: Log;
  /** What the doctor asks paths with, in place of real echo requests. */
  readonly openEcho?: OpenEcho;
}

export interface ApiServer {
  readonly path: string;
  /** Requests that came earlier are answered from now on. */
  attach(sw: Switch): void;
  /** Loads what the first request would wait for. Needs a Switch. */
  warm(): Promise<void>;
  /** Ends streams and connections and removes the socket. */
  close(): Promise<void>;
  /** Removes the socket, and nothing else: the last resort of a process that ends now. */
  unlink(): void;
}

const CONNECTIONS_MAX = 256;

type Dispatch = (request: IncomingMessage, response: ServerResponse) => void;

function refuse(response: ServerResponse, code: string, message: string): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(503, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { code, message, hint: null, problems: [] } }));
}

/** Claims the socket. Throws a WeftError when a live daemon has it. */
export async function startApi(path: string, options: ApiOptions): Promise<ApiServer> {
  const streams = new Set<() => void>();
  let attach: (sw: Switch) => void = () => undefined;
  let closing = false;
  const attached = new Promise<Switch>((resolve) => (attach = resolve));
  let loading: Promise<Dispatch> | null = null;

  const load = async (): Promise<Dispatch> => {
    const [sw, { buildApp }] = await Promise.all([attached, import('./app.ts')]);
    const { version, log, openEcho } = options;
    const loadEcho = async () => openEcho ?? (await import('../doctor/echo.ts')).openEcho;
    const app = await buildApp(server, { switch: sw, streams, version, log, loadEcho });
    return app.routing as Dispatch;
  };
  const dispatch = () => (loading ??= load());
  const server = createServer((request, response) => {
    if (closing) return refuse(response, 'closing', 'weft is ending');
    dispatch()
      .then((go) => go(request, response))
      .catch((error: Error) => {
        options.log.error({ err: error }, 'the API can’t answer');
        refuse(response, 'internal', `the API can’t answer: ${error.message}`);
      });
  });
  server.maxConnections = CONNECTIONS_MAX;
  await claimSocket(server, path);
  server.on('error', (error) => options.log.error({ err: error }, 'the API’s socket failed'));

  return {
    path,
    attach,
    async warm() {
      await dispatch();
    },
    async close() {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const end of streams) end();
      await new Promise(setImmediate);
      server.closeAllConnections();
      await closed;
    },
    unlink() {
      rmSync(path, { force: true });
    },
  };
}
