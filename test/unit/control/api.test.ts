import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { BODY_BYTES_MAX } from '../../../control/api/app.ts';
import type { Document } from '../../../control/config/document.ts';
import { DeviceError } from '../../../control/errors.ts';
import type { ApplyResult, FdbRow } from '../../../control/switch.ts';
import { apiRig, rawRequest } from './api-rig.ts';
import { FakeSwitch, TWO_TENANTS } from './fake-switch.ts';

const MAC = '02:00:00:00:00:01';
const rig = apiRig();
const raw = (method: string, url: string, body: string, type = 'application/json') =>
  rawRequest(rig, method, url, body, type);

describe('reading', () => {
  it.each(['config', 'bridges', 'ports', 'vlans', 'workers', 'drops', 'fdb'] as const)(
    'GET /v1/%s is what the switch says',
    async (what) => {
      rig.sw.fdbRows = [
        { bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'learned', age: 3, remote: null, vni: null },
      ];
      const expected = what === 'fdb' ? rig.sw.fdb({}) : rig.sw[what]();
      expect(await rig.client.get(`/v1/${what}`)).toEqual(expected);
    },
  );

  it('GET /v1/bridges/B/ports/P is one port with its other side', async () => {
    rig.sw.details = { driver: 'virtio 1.0' };
    expect(await rig.client.get('/v1/bridges/br0/ports/web')).toEqual(rig.sw.port('br0', 'web'));
    expect(await raw('GET', '/v1/bridges/br0/ports/nobody', '')).toMatchObject({ status: 404 });
  });

  it('GET /v1/fdb filters, also by a MAC in another spelling', async () => {
    rig.sw.fdbRows = Array.from(
      { length: 5000 },
      (_, i): FdbRow => ({
        bridge: 'br0',
        vlan: i % 2,
        mac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
        port: 'web',
        type: 'learned',
        age: 0,
        remote: null,
        vni: null,
      }),
    );
    expect(await rig.client.get('/v1/fdb')).toHaveLength(5000);
    expect(await rig.client.get('/v1/fdb?vlan=1')).toHaveLength(2500);
    expect(await rig.client.get('/v1/fdb?mac=02-00-00-00-01-0A')).toEqual([rig.sw.fdbRows[266]]);
  });

  it('GET /v1/version and /v1/health', async () => {
    expect(await rig.client.get('/v1/version')).toEqual({ version: '0.1.0', node: process.version, pid: process.pid });
    const down = [{ bridge: 'br0', port: 'db', reason: 'the namespace is gone' }];
    expect(await rig.client.get('/v1/health')).toEqual({ status: 'ok', workersNotRunning: [], portsDown: down });
    rig.sw.workers = () =>
      new FakeSwitch().workers().map((row) => ({ ...row, index: 3, state: 'restarting' as never }));
    const sick = await raw('GET', '/v1/health', '');
    expect([sick.status, sick.body]).toEqual([503, { status: 'degraded', workersNotRunning: [3], portsDown: down }]);
  });

  it('GET /v1/openapi.json describes every route, with bodies and answers', async () => {
    const openapi = await rig.client.get<{ openapi: string; paths: Record<string, Record<string, never>> }>(
      '/v1/openapi.json',
    );
    expect(openapi.openapi).toBe('3.1.0');
    const routes = Object.entries(openapi.paths).flatMap(([at, methods]) =>
      Object.keys(methods).map((m) => `${m} ${at}`),
    );
    expect(routes.sort()).toEqual(
      [
        ...[
          'bonds',
          'bridges',
          'bridges/{bridge}/ports/{port}',
          'capture',
          'config',
          'drops',
          'events',
          'fdb',
          'health',
          'ports',
          'tunnels',
          'version',
          'vlans',
          'workers',
        ].map((r) => `get /v1/${r}`),
        ...[
          'apply',
          'bonds/{bridge}/{port}/members/{member}',
          'bridges/{bridge}/fdb',
          'bridges/{bridge}/ports',
          'doctor/mtu',
          'fdb/flush',
          'save',
          'workers/{index}/restart',
        ].map((r) => `post /v1/${r}`),
        ...['bridges/{bridge}/fdb', 'bridges/{bridge}/ports/{port}'].map((r) => `delete /v1/${r}`),
      ].sort(),
    );
    const text = JSON.stringify(openapi);
    for (const word of ['dot1q-tunnel', 'vhost-user', 'take-over', 'io_uring', 'undoes', 'snapLength', 'problems'])
      expect(text).toContain(word);
  });
});

describe('changing', () => {
  it('POST /v1/apply takes a document, YAML in JSON, or YAML itself; a dry run changes nothing', async () => {
    const wanted: Document = { bridges: [{ name: 'br0', ports: [{ name: 'new', kind: 'null' }] }] };
    const dry = await rig.client.send<ApplyResult>('POST', '/v1/apply', { document: wanted, dryRun: true });
    expect([dry.applied, dry.steps.length, rig.sw.document]).toEqual([false, 4, TWO_TENANTS]);
    const yaml = 'bridges: [{ name: br0, ports: [{ name: new, kind: "null" }] }]\n';
    const dryText = await raw('POST', '/v1/apply?dryRun=true', yaml, 'application/yaml');
    expect([dryText.status, rig.sw.document]).toEqual([200, TWO_TENANTS]);
    expect((await rig.client.send<ApplyResult>('POST', '/v1/apply', { yaml })).applied).toBe(true);
    expect(rig.sw.document).toEqual(wanted);
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
    expect(rig.sw.document).toEqual(TWO_TENANTS);
    const neither = await raw('POST', '/v1/apply', '{}');
    expect([neither.status, neither.body.error.message]).toEqual([400, 'body: expected either document or yaml']);
  });

  it('ports come and go', async () => {
    await rig.client.send('POST', '/v1/bridges/br0/ports', {
      name: 'vm',
      kind: 'tap',
      vlan: { mode: 'trunk', trunks: [10, '20-29'] },
    });
    expect(rig.sw.ports().map((port) => port.name)).toEqual(['web', 'db', 'vm', 'up']);
    await rig.client.send('DELETE', '/v1/bridges/br0/ports/vm');
    expect(rig.sw.ports().map((port) => port.name)).toEqual(['web', 'db', 'up']);
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
    await rig.client.send('POST', '/v1/bridges/br0/fdb', {
      mac: '02-00-00-00-00-0A',
      vlan: 10,
      port: 'web',
      type: 'sticky',
    });
    expect(rig.sw.fdbRows).toEqual([
      {
        bridge: 'br0',
        vlan: 10,
        mac: '02:00:00:00:00:0a',
        port: 'web',
        type: 'sticky',
        age: null,
        remote: null,
        vni: null,
      },
    ]);
    await rig.client.send('DELETE', '/v1/bridges/br0/fdb?vlan=10&mac=02:00:00:00:00:0a');
    expect(rig.sw.fdbRows).toEqual([]);
    rig.sw.fdbRows = [
      { bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'learned', age: 3, remote: null, vni: null },
    ];
    expect(await rig.client.send('POST', '/v1/fdb/flush', { bridge: 'br1' })).toEqual({ flushed: 0 });
    expect(await rig.client.send('POST', '/v1/fdb/flush', { port: 'web' })).toEqual({ flushed: 1 });
    const group = await raw('POST', '/v1/bridges/br0/fdb', '{"mac":"01:00:5e:00:00:01","port":"web"}');
    expect(group.body.error.message).toMatch(/mac: .*group address/);
  });

  it('a worker is restarted, an unknown one refused; the document is saved', async () => {
    await rig.client.send('POST', '/v1/workers/0/restart');
    expect(rig.sw.restarted).toEqual([0]);
    expect((await raw('POST', '/v1/workers/7/restart', '')).status).toBe(404);
    expect((await raw('POST', '/v1/workers/x/restart', '')).status).toBe(400);
    expect(await rig.client.send('POST', '/v1/save')).toEqual({ file: '/etc/weft/weft.yaml' });
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
      socketPath: rig.path,
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
    rig.sw.bridges = () => {
      throw new TypeError('undefined is not a bridge');
    };
    const { status, body } = await raw('GET', '/v1/bridges', '');
    expect([status, body.error.code, body.error.hint]).toEqual([500, 'internal', 'the daemon’s log says more']);
    expect(rig.logged).toEqual(['a request failed']);
    expect(await rig.client.get('/v1/ports')).toHaveLength(3);
  });

  it('what the machine refused is a 500 with its sentence, and no mistake of ours in the log', async () => {
    rig.sw.addPort = () =>
      Promise.reject(new DeviceError('socket-in-use', 'br0/x: somebody listens at /x', 'Is it you?'));
    const { status, body } = await raw('POST', '/v1/bridges/br0/ports', '{"name":"x","kind":"null"}');
    expect([status, body.error.code, body.error.hint]).toEqual([500, 'socket-in-use', 'Is it you?']);
    expect(rig.logged).toEqual(['a request was refused by the machine']);
  });
});
