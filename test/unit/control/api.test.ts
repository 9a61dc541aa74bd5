import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BODY_BYTES_MAX } from '../../../control/api/app.ts';
import { type ApiServer, startApi } from '../../../control/api/server.ts';
import { claimSocket, isAlive, socketPath } from '../../../control/api/socket.ts';
import { PcapngReader } from '../../../control/capture/reader.ts';
import { type Client, makeClient } from '../../../control/cli/client.ts';
import type { Document } from '../../../control/config/document.ts';
import type { Log } from '../../../control/log.ts';
import type { ApplyResult, FdbRow, SwitchEvent } from '../../../control/switch.ts';
import { FakeSwitch, TWO_TENANTS } from './fake-switch.ts';

const MAC = '02:00:00:00:00:01';
const errors: string[] = [];
const note = (_: object, message: string) => void errors.push(message);
const log: Log = { debug: () => undefined, info: () => undefined, warn: note, error: note };

let folder: string;
let path: string;
let sw: FakeSwitch;
let api: ApiServer;
let client: Client;

beforeEach(async () => {
  errors.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'weft-api-'));
  path = join(folder, 'weft.sock');
  sw = new FakeSwitch();
  api = await startApi(path, { version: '0.1.0', log });
  api.attach(sw);
  client = makeClient(path);
});

afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

interface RawAnswer {
  readonly status: number;
  readonly body: { error: { code: string; message: string; hint: string | null; problems: { place: string }[] } };
}

async function raw(method: string, url: string, body: string, type = 'application/json'): Promise<RawAnswer> {
  const sent = httpRequest({ socketPath: path, method, path: url, headers: { 'content-type': type } });
  sent.on('error', () => undefined);
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const text = (await response.toArray()).join('');
  return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) };
}

describe('reading', () => {
  it.each(['config', 'bridges', 'ports', 'vlans', 'workers', 'drops', 'fdb'] as const)(
    'GET /v1/%s is what the switch says',
    async (what) => {
      sw.fdbRows = [{ bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'learned', age: 3 }];
      const expected = what === 'fdb' ? sw.fdb({}) : sw[what]();
      expect(await client.get(`/v1/${what}`)).toEqual(expected);
    },
  );

  it('GET /v1/fdb filters, also by a MAC in another spelling', async () => {
    sw.fdbRows = Array.from(
      { length: 5000 },
      (_, i): FdbRow => ({
        bridge: 'br0',
        vlan: i % 2,
        mac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
        port: 'web',
        type: 'learned',
        age: 0,
      }),
    );
    expect(await client.get('/v1/fdb')).toHaveLength(5000);
    expect(await client.get('/v1/fdb?vlan=1')).toHaveLength(2500);
    expect(await client.get('/v1/fdb?mac=02-00-00-00-01-0A')).toEqual([sw.fdbRows[266]]);
  });

  it('GET /v1/version and /v1/health', async () => {
    expect(await client.get('/v1/version')).toEqual({ version: '0.1.0', node: process.version, pid: process.pid });
    const down = [{ bridge: 'br0', port: 'db', reason: 'the namespace is gone' }];
    expect(await client.get('/v1/health')).toEqual({ status: 'ok', workersNotRunning: [], portsDown: down });
    sw.workers = () => new FakeSwitch().workers().map((row) => ({ ...row, index: 3, state: 'restarting' as never }));
    const sick = await raw('GET', '/v1/health', '');
    expect([sick.status, sick.body]).toEqual([503, { status: 'degraded', workersNotRunning: [3], portsDown: down }]);
  });

  it('GET /v1/openapi.json describes every route, with bodies and answers', async () => {
    const openapi = await client.get<{ openapi: string; paths: Record<string, Record<string, never>> }>(
      '/v1/openapi.json',
    );
    expect(openapi.openapi).toBe('3.1.0');
    const routes = Object.entries(openapi.paths).flatMap(([at, methods]) =>
      Object.keys(methods).map((m) => `${m} ${at}`),
    );
    expect(routes.sort()).toEqual(
      [
        ...[
          'bridges',
          'capture',
          'config',
          'drops',
          'events',
          'fdb',
          'health',
          'ports',
          'version',
          'vlans',
          'workers',
        ].map((r) => `get /v1/${r}`),
        ...[
          'apply',
          'bridges/{bridge}/fdb',
          'bridges/{bridge}/ports',
          'fdb/flush',
          'save',
          'workers/{index}/restart',
        ].map((r) => `post /v1/${r}`),
        ...['bridges/{bridge}/fdb', 'bridges/{bridge}/ports/{port}'].map((r) => `delete /v1/${r}`),
      ].sort(),
    );
    const text = JSON.stringify(openapi);
    for (const word of ['dot1q-tunnel', 'io_uring', 'undoes', 'snapLength', 'problems']) expect(text).toContain(word);
  });
});

describe('changing', () => {
  it('POST /v1/apply takes a document, YAML in JSON, or YAML itself; a dry run changes nothing', async () => {
    const wanted: Document = { bridges: [{ name: 'br0', ports: [{ name: 'new', kind: 'null' }] }] };
    const dry = await client.send<ApplyResult>('POST', '/v1/apply', { document: wanted, dryRun: true });
    expect([dry.applied, dry.steps.length, sw.document]).toEqual([false, 4, TWO_TENANTS]);
    const yaml = 'bridges: [{ name: br0, ports: [{ name: new, kind: "null" }] }]\n';
    const dryText = await raw('POST', '/v1/apply?dryRun=true', yaml, 'application/yaml');
    expect([dryText.status, sw.document]).toEqual([200, TWO_TENANTS]);
    expect((await client.send<ApplyResult>('POST', '/v1/apply', { yaml })).applied).toBe(true);
    expect(sw.document).toEqual(wanted);
  });

  it('a bad document is refused with every problem, its place and its line, and the running one stays', async () => {
    const yaml =
      'bridges:\n  - name: br0\n    ports:\n      - { name: a, kind: tap, vlan: { tag: 4095 } }\n      - { name: a, knid: tap }\n';
    const { status, body } = await raw('POST', '/v1/apply', JSON.stringify({ yaml }));
    expect([status, body.error.code]).toEqual([400, 'bad-document']);
    expect(body.error.problems).toContainEqual(
      expect.objectContaining({ place: 'bridges[0].ports[0].vlan.tag', line: 4 }),
    );
    expect(body.error.problems.length).toBeGreaterThan(1);
    expect(sw.document).toEqual(TWO_TENANTS);
    const neither = await raw('POST', '/v1/apply', '{}');
    expect([neither.status, neither.body.error.message]).toEqual([400, 'body: expected either document or yaml']);
  });

  it('ports come and go', async () => {
    await client.send('POST', '/v1/bridges/br0/ports', {
      name: 'vm',
      kind: 'tap',
      vlan: { mode: 'trunk', trunks: [10, '20-29'] },
    });
    expect(sw.ports().map((port) => port.name)).toEqual(['web', 'db', 'vm', 'up']);
    await client.send('DELETE', '/v1/bridges/br0/ports/vm');
    expect(sw.ports().map((port) => port.name)).toEqual(['web', 'db', 'up']);
    const gone = await raw('DELETE', '/v1/bridges/br0/ports/vm', '');
    expect(gone).toEqual({
      status: 404,
      body: {
        error: {
          code: 'no-port',
          message: 'bridge "br0" has no port "vm"',
          hint: 'weft show ports lists them',
          problems: [],
        },
      },
    });
    const wrong = await raw('POST', '/v1/bridges/br0/ports', '{"name":"x","kind":"tap","vlan":{"tag":0},"mtuu":9}');
    expect(wrong.body.error.problems.map((problem) => problem.place).sort()).toEqual(['mtuu', 'vlan.tag']);
  });

  it('FDB entries are added, deleted and flushed', async () => {
    await client.send('POST', '/v1/bridges/br0/fdb', {
      mac: '02-00-00-00-00-0A',
      vlan: 10,
      port: 'web',
      type: 'sticky',
    });
    expect(sw.fdbRows).toEqual([
      { bridge: 'br0', vlan: 10, mac: '02:00:00:00:00:0a', port: 'web', type: 'sticky', age: null },
    ]);
    await client.send('DELETE', '/v1/bridges/br0/fdb?vlan=10&mac=02:00:00:00:00:0a');
    expect(sw.fdbRows).toEqual([]);
    sw.fdbRows = [{ bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'learned', age: 3 }];
    expect(await client.send('POST', '/v1/fdb/flush', { bridge: 'br1' })).toEqual({ flushed: 0 });
    expect(await client.send('POST', '/v1/fdb/flush', { port: 'web' })).toEqual({ flushed: 1 });
    const group = await raw('POST', '/v1/bridges/br0/fdb', '{"mac":"01:00:5e:00:00:01","port":"web"}');
    expect(group.body.error.message).toMatch(/mac: .*group address/);
  });

  it('a worker is restarted, an unknown one refused; the document is saved', async () => {
    await client.send('POST', '/v1/workers/0/restart');
    expect(sw.restarted).toEqual([0]);
    expect((await raw('POST', '/v1/workers/7/restart', '')).status).toBe(404);
    expect((await raw('POST', '/v1/workers/x/restart', '')).status).toBe(400);
    expect(await client.send('POST', '/v1/save')).toEqual({ file: '/etc/weft/weft.yaml' });
  });
});

describe('errors', () => {
  it.each([
    ['GET', '/v1/nothing', '', 'application/json', 404, 'no-route'],
    ['POST', '/v1/apply', '{', 'application/json', 400, 'not-json'],
    ['POST', '/v1/apply', 'x', 'image/png', 415, 'wrong-media-type'],
    ['GET', '/v1/fdb?vlan=4095', '', 'application/json', 400, 'bad-request'],
    ['GET', '/v1/fdb?vlna=1', '', 'application/json', 400, 'bad-request'],
    ['GET', '/v1/capture?port=nope', '', 'application/json', 404, 'no-port'],
    ['GET', '/v1/capture?port=web&etherType=70000', '', 'application/json', 400, 'bad-request'],
    ['GET', '/v1/capture', '', 'application/json', 400, 'bad-request'],
  ])('%s %s with %j as %s: %i %s', async (method, url, body, type, status, code) => {
    const answer = await raw(method, url, body, type);
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(answer.body.error.problems).toBeInstanceOf(Array);
  });

  it('a body over the limit is refused', async () => {
    const sent = httpRequest({
      socketPath: path,
      method: 'POST',
      path: '/v1/apply',
      headers: { 'content-type': 'application/json', 'content-length': BODY_BYTES_MAX + 1 },
    });
    sent.on('error', () => undefined);
    sent.flushHeaders();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    sent.destroy();
  });

  it('what the switch did not expect is a 500, told to the log, and the next request works', async () => {
    sw.bridges = () => {
      throw new TypeError('undefined is not a bridge');
    };
    const { status, body } = await raw('GET', '/v1/bridges', '');
    expect([status, body.error.code, body.error.hint]).toEqual([500, 'internal', 'the daemon’s log says more']);
    expect(errors).toEqual(['a request failed']);
    expect(await client.get('/v1/ports')).toHaveLength(3);
  });
});

describe('events', () => {
  const event = (worker: number): SwitchEvent => ({
    type: 'worker-restarted',
    time: 'now',
    worker,
    reason: 'x'.repeat(1000),
  });

  it('are lines of JSON, in order, to every listener', async () => {
    const streams = await Promise.all([client.stream('/v1/events'), client.stream('/v1/events')]);
    sw.emit(event(1));
    sw.emit(event(2));
    for (const stream of streams) {
      let text = '';
      stream.on('data', (piece) => (text += piece));
      await expect.poll(() => text.split('\n').length).toBe(3);
      expect(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).toEqual([event(1), event(2)]);
      stream.destroy();
    }
    await expect.poll(() => sw.events.listenerCount('event')).toBe(0);
  });

  it('a client that never reads costs bounded memory; what it missed is counted and told', async () => {
    const stream = await client.stream('/v1/events');
    const before = process.memoryUsage().heapUsed + process.memoryUsage().external;
    const total = 20_000;
    for (let i = 0; i < total; i++) {
      sw.emit(event(i));
      if (i % 500 === 0) await new Promise(setImmediate);
    }
    const grown = process.memoryUsage().heapUsed + process.memoryUsage().external - before;
    expect(grown).toBeLessThan(total * 1000);
    expect(await client.get('/v1/bridges')).toHaveLength(2);
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (piece) => (text += piece));
    const lines = () =>
      text
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as { type: string; count?: number });
    await expect.poll(() => lines().some((line) => line.type === 'events-lost'), { timeout: 5000 }).toBe(true);
    const lost = lines().reduce((sum, line) => sum + (line.count ?? 0), 0);
    expect(lost).toBeGreaterThan(total / 2);
    expect(lines().filter((line) => line.type === 'worker-restarted').length + lost).toBe(total);
    stream.destroy();
  });
});

describe('captures', () => {
  const frame = (i: number, bytes = 60) => ({
    direction: i % 2 === 0 ? ('in' as const) : ('out' as const),
    time: BigInt(i),
    originalBytes: bytes,
    bytes: new Uint8Array(bytes).fill(i),
  });

  it('pass the options on and end after count frames', async () => {
    const stream = await client.stream(
      '/v1/capture?port=web&direction=in&vlan=10&mac=02-00-00-00-00-0A&etherType=ARP&snapLength=96&count=2',
    );
    await expect.poll(() => sw.captures.length).toBe(1);
    const { options, capture } = sw.captures[0]!;
    expect(options).toEqual({
      bridge: 'br0',
      port: 'web',
      direction: 'in',
      vlan: 10,
      mac: '02:00:00:00:00:0a',
      etherType: 0x0806,
      snapLength: 96,
    });
    for (let i = 0; i < 4; i++) capture.give(frame(i));
    const reader = new PcapngReader(() => undefined);
    for await (const piece of stream) reader.push(piece as Buffer);
    expect([reader.frames, capture.closed, stream.headers['content-type']]).toEqual([2, true, 'application/x-pcapng']);
  });

  it('are closed when the client goes', async () => {
    const stream = await client.stream('/v1/capture?port=web');
    await expect.poll(() => sw.captures.length).toBe(1);
    stream.destroy();
    await expect.poll(() => sw.captures[0]!.capture.closed).toBe(true);
  });

  it('a client that never reads makes the capture lose frames, counted, and holds nobody up', async () => {
    const stream = await client.stream('/v1/capture?port=web');
    await expect.poll(() => sw.captures.length).toBe(1);
    const { capture } = sw.captures[0]!;
    const total = 5000;
    for (let i = 0; i < total; i++) {
      capture.give(frame(i, 1500));
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    expect(capture.lost).toBeGreaterThan(1000);
    expect(await client.get('/v1/bridges')).toHaveLength(2);
    const reader = new PcapngReader(() => undefined);
    stream.on('data', (piece: Buffer) => reader.push(piece));
    await expect.poll(() => reader.frames + capture.lost, { timeout: 5000 }).toBe(total);
    capture.close();
    await once(stream, 'end');
    expect(reader.lost).toBe(capture.lost);
  });

  it('a port name of two bridges has to be told apart', async () => {
    sw.document = {
      bridges: [
        { name: 'a', ports: [{ name: 'p', kind: 'null' }] },
        { name: 'b', ports: [{ name: 'p', kind: 'null' }] },
      ],
    };
    const { body } = await raw('GET', '/v1/capture?port=p', '');
    expect(body.error).toMatchObject({ code: 'ambiguous-port', hint: 'name one of a/p, b/p' });
    (await client.stream('/v1/capture?port=p&bridge=b')).destroy();
    expect(sw.captures[0]?.options.bridge).toBe('b');
  });
});

describe('the socket', () => {
  it('has a place for root and for others, and names win in order', () => {
    const choose = (uid: number, environment: NodeJS.ProcessEnv, option?: string, document?: string) =>
      socketPath({ uid, environment, option, document });
    expect(choose(0, {})).toBe('/run/weft/weft.sock');
    expect(choose(1000, { XDG_RUNTIME_DIR: '/run/user/1000' })).toBe('/run/user/1000/weft/weft.sock');
    expect(choose(0, {}, undefined, '/d')).toBe('/d');
    expect(choose(0, { WEFT_SOCKET: '/e' }, undefined, '/d')).toBe('/e');
    expect(choose(0, { WEFT_SOCKET: '/e' }, '/o', '/d')).toBe('/o');
    expect(() => choose(1000, {})).toThrow(/XDG_RUNTIME_DIR is not set/);
    expect(() => choose(0, {}, `/${'x'.repeat(107)}`)).toThrow(/108 bytes/);
  });

  it('is its owner’s alone, or the group weft’s', () => {
    expect([0o600, 0o660]).toContain(statSync(path).mode & 0o777);
  });

  it('of a live daemon is refused and stays', async () => {
    await expect(startApi(path, { version: '0.1.0', log })).rejects.toMatchObject({
      code: 'socket-in-use',
      message: expect.stringContaining(path),
    });
    expect(await client.get('/v1/bridges')).toHaveLength(2);
  });

  it('of a dead daemon is taken over, and only one of two takes it', async () => {
    const dead = join(folder, 'dead.sock');
    const child = createServer().listen(dead);
    await once(child, 'listening');
    // A socket file whose listener is gone, as kill -9 leaves it: closing would remove it, so it is moved away before.
    const kept = join(folder, 'kept.sock');
    const { linkSync } = await import('node:fs');
    linkSync(dead, kept);
    child.close();
    expect([existsSync(kept), await isAlive(kept)]).toEqual([true, false]);
    const results = await Promise.allSettled([
      startApi(kept, { version: '1', log }),
      startApi(kept, { version: '2', log }),
    ]);
    const taken = results.filter((result) => result.status === 'fulfilled');
    expect(taken).toHaveLength(1);
    expect(await isAlive(kept)).toBe(true);
    await taken[0]!.value.close();
    expect(existsSync(kept)).toBe(false);
  });

  it('is not made over a file, nor where there is no permission', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await expect(claimSocket(createServer(), file)).rejects.toMatchObject({
      code: 'socket-in-use',
      message: `${file} is there and is not a socket`,
    });
    await expect(claimSocket(createServer(), join(file, 'weft.sock'))).rejects.toMatchObject({ code: 'socket' });
    chmodSync(file, 0o600);
  });

  it('answers early requests once the switch is there, and closing ends streams', async () => {
    const early = join(folder, 'early.sock');
    const server = await startApi(early, { version: '0.1.0', log });
    const answer = makeClient(early).get('/v1/bridges');
    await new Promise((resolve) => setTimeout(resolve, 20));
    server.attach(sw);
    expect(await answer).toHaveLength(2);
    const events = await makeClient(early).stream('/v1/events');
    const idle = createConnection(early);
    await once(idle, 'connect');
    events.resume();
    const ended = once(events, 'end');
    await server.close();
    await ended;
    idle.destroy();
    await expect(makeClient(early).get('/v1/bridges')).rejects.toMatchObject({ code: 'not-running', exitCode: 1 });
  });
});
