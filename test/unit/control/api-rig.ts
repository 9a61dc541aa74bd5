/**
 * An API over a FakeSwitch on a real unix socket in a folder of its own, made before each test and removed after it.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type ApiServer, startApi } from '../../../control/api/server.ts';
import { type Client, makeClient } from '../../../control/cli/client.ts';
import type { OpenEcho } from '../../../control/doctor/echo.ts';
import type { Log } from '../../../control/log.ts';
import { fakeEcho } from './doctor/fake-echo.ts';
import { FakeSwitch } from './fake-switch.ts';

export interface ApiRig {
  folder: string;
  path: string;
  sw: FakeSwitch;
  api: ApiServer;
  client: Client;
  /** What the doctor asks paths with. */
  openEcho: OpenEcho;
  readonly log: Log;
  /** Warnings and errors that were logged. */
  readonly logged: string[];
}

export function apiRig(): ApiRig {
  const logged: string[] = [];
  const note = (_: object, message: string) => void logged.push(message);
  const log: Log = { debug: () => undefined, info: () => undefined, warn: note, error: note };
  const rig = { log, logged } as ApiRig;
  beforeEach(async () => {
    logged.length = 0;
    rig.folder = mkdtempSync(join(tmpdir(), 'weft-api-'));
    rig.path = join(rig.folder, 'weft.sock');
    rig.sw = new FakeSwitch();
    rig.openEcho = () => fakeEcho({});
    rig.api = await startApi(rig.path, { version: '0.1.0', log, openEcho: (local) => rig.openEcho(local) });
    rig.api.attach(rig.sw);
    rig.client = makeClient(rig.path);
    await rig.api.warm();
  });
  afterEach(async () => {
    await rig.api.close();
    rmSync(rig.folder, { recursive: true });
  });
  return rig;
}

export interface RawAnswer {
  readonly status: number;
  readonly body: { error: { code: string; message: string; hint: string | null; problems: { place: string }[] } };
}

/** A request whose body and status are looked at as they are. */
export async function rawRequest(
  rig: ApiRig,
  method: string,
  url: string,
  body: string,
  type: string,
): Promise<RawAnswer> {
  const sent = httpRequest({ socketPath: rig.path, method, path: url, headers: { 'content-type': type } });
  sent.on('error', () => undefined);
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const text = (await response.toArray()).join('');
  return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) };
}
