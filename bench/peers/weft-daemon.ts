// A running weft for a bench: its document, its process and its HTTP API on the unix socket. Started from dist/, as a user would.
// weft.ts makes a peer of it; the scenarios that only weft has (many TAPs, churn, a killed worker) call it directly.
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'undici';
import { stringify } from 'yaml';
import { projectRoot } from '../root.ts';
import { Daemon } from '../system/process.ts';
import type { Workplace } from '../system/site.ts';
import type { Idle } from './peer.ts';

export interface TapPort {
  readonly name: string;
  readonly kind: 'tap';
  readonly device: string;
  readonly netns?: string;
  readonly mtu?: number;
}

export interface NetdevPort {
  readonly name: string;
  readonly kind: 'netdev';
  readonly device: string;
}

/** A port of a guest. `vlan` is as in the document. */
export interface GuestPort {
  readonly name: string;
  readonly kind: 'vhost-user';
  readonly socket: string;
  readonly mode: 'client' | 'server';
  readonly mtu?: number;
  readonly vlan?:
    | { readonly mode: 'access'; readonly tag: number }
    | { readonly mode: 'trunk'; readonly trunks: readonly number[] };
}

/** A port of a guest without root. */
export interface SocketPort {
  readonly name: string;
  readonly kind: 'socket';
  readonly socket: string;
}

/** A port over several interfaces; what else it says is as in the document. */
export interface BondPort {
  readonly name: string;
  readonly kind: 'bond';
  readonly members: readonly NetdevPort[];
  readonly [key: string]: unknown;
}

/** A port to other machines; what else it says is as in the document. */
export interface TunnelPort {
  readonly name: string;
  readonly kind: 'vxlan';
  readonly [key: string]: unknown;
}

export interface WeftOptions {
  readonly ports: readonly (TapPort | NetdevPort | GuestPort | SocketPort | BondPort | TunnelPort)[];
  /** Where it runs; the root namespace without one. */
  readonly namespace?: string;
  readonly idle?: Idle | undefined;
  readonly workers?: number | undefined;
  /** A CPU for each worker; the workers are pinned then, and the process isn't. */
  readonly cpus?: readonly number[] | undefined;
  /** How long to wait for `ready`; default 20 s. */
  readonly seconds?: number;
}

export interface Weft {
  readonly pid: number;
  readonly daemon: Daemon;
  /** From exec to the line with `ready`. */
  readonly readySeconds: number;
  /** Sends one request; throws an Error with method, path and answer unless the status is 2xx. */
  request(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

export const BRIDGE = 'br0';

/** Path of the built command. */
export function weftCommand(): string {
  return join(projectRoot(), 'dist', 'control', 'cli', 'main.js');
}

/** A reason when weft isn't built, else null. */
export function weftMissing(): string | null {
  return existsSync(weftCommand()) ? null : 'weft is not built: npm run build makes dist/control/cli/main.js';
}

/** A TAP port; without a namespace its device stays where weft runs. */
export function tapPort(name: string, device: string, netns?: string): TapPort {
  return { name, kind: 'tap', device, ...(netns === undefined ? {} : { netns }) };
}

/** A port of an interface where weft runs. */
export function netdevPort(name: string, device: string): NetdevPort {
  return { name, kind: 'netdev', device };
}

/** The document; what isn't asked for is left to weft's defaults. The metrics' port is always our own, so that two can run at once. */
export function weftDocument(options: WeftOptions, metricsPort: number): object {
  const workers = {
    ...(options.workers === undefined ? {} : { count: options.workers }),
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.idle === undefined ? {} : { idle: options.idle }),
  };
  return {
    ...(Object.keys(workers).length === 0 ? {} : { workers }),
    metrics: { listen: `127.0.0.1:${metricsPort}` },
    bridges: [{ name: BRIDGE, ports: options.ports }],
  };
}

/** Writes the document, runs weft and waits for `ready`. Its end is registered with the workplace. */
export async function startWeft(place: Workplace, options: WeftOptions): Promise<Weft> {
  const file = join(place.folder, 'weft.yaml');
  const socket = join(place.folder, 'weft.sock');
  writeFileSync(file, stringify(weftDocument(options, await freePort())));
  const command = [process.execPath, weftCommand(), 'run', '-c', file, '--socket', socket];
  const start = process.hrtime.bigint();
  const daemon = new Daemon(command, place.cleanup, { cpus: place.switchCpus, namespace: options.namespace });
  await daemon.until(/\bready\b/, options.seconds ?? 20);
  const readySeconds = Number(process.hrtime.bigint() - start) / 1e9;
  const client = new Client('http://weft', { socketPath: socket });
  place.cleanup.defer('closing the API connection', () => client.destroy());
  return {
    pid: daemon.pid,
    daemon,
    readySeconds,
    request: (method, path, body) => request(client, method, path, body),
    stop: () => daemon.stop('SIGTERM', 30),
  };
}

async function request(
  client: Client,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body: unknown,
): Promise<unknown> {
  const content =
    body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await client.request({ method, path, ...content });
  const text = await answer.body.text();
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text.slice(0, 300)}`);
  }
  return text === '' ? null : JSON.parse(text);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
