/** Tunnels over HTTP: rows as they are described. */
import { describe, expect, it } from 'vitest';
import { mtuLine, tunnelRow } from '../../../control/api/tunnel-schemas.ts';
import type { TunnelRow } from '../../../control/tunnel-rows.ts';
import { apiRig, rawRequest } from './api-rig.ts';
import { fakeEcho } from './doctor/fake-echo.ts';
import { MAPPED, PLAIN, POD7 } from './tunnel-rows.ts';

const rig = apiRig();

describe('GET /v1/tunnels', () => {
  it('answers every row as it is described', async () => {
    expect(await rig.client.get('/v1/tunnels')).toEqual([]);
    rig.sw.tunnelRows = [POD7, MAPPED, PLAIN];
    const rows = await rig.client.get<TunnelRow[]>('/v1/tunnels');
    expect(rows).toEqual([POD7, MAPPED, PLAIN]);
    for (const row of rows) expect(tunnelRow.parse(row)).toEqual(row);
  });

  it('is in the description', async () => {
    const { paths } = await rig.client.get<{ paths: Record<string, unknown> }>('/v1/openapi.json');
    const text = JSON.stringify(paths['/v1/tunnels']);
    for (const word of ['mtuUnderlay', 'pathMtu', 'unreachable', 'remoteLimit', 'merged']) expect(text).toContain(word);
  });
});

describe('POST /v1/doctor/mtu', () => {
  const lines = async (body?: unknown) => {
    const stream = await rig.client.stream('/v1/doctor/mtu', 'POST', body);
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    return Buffer.concat(pieces)
      .toString()
      .trim()
      .split('\n')
      .map((line) => mtuLine.parse(JSON.parse(line)));
  };

  it('tells each pair as it is described, and the end', async () => {
    rig.sw.tunnelRows = [POD7, MAPPED];
    rig.openEcho = () => fakeEcho({ '192.0.2.2': { takes: 1400 }, '192.0.2.3': { silent: true } });
    const all = await lines();
    expect([all[0], all.at(-1), all.length]).toEqual([{ type: 'begin', pairs: 4 }, { type: 'end' }, 6]);
    expect(all).toContainEqual(expect.objectContaining({ remote: '192.0.2.2', verdict: 'lost', passed: 1400 }));
    expect(await lines({ bridge: 'br0', tunnel: 'trunk' })).toMatchObject([
      { pairs: 1 },
      { remote: '2001:db8::2', needed: 1570, route: 1500, verdict: 'short' },
      { type: 'end' },
    ]);
  });

  it('refuses what isn’t there', async () => {
    const post = async (body: string) =>
      (await rawRequest(rig, 'POST', '/v1/doctor/mtu', body, 'application/json')).body;
    expect((await post('{}')).error).toMatchObject({ code: 'no-tunnel', message: 'there is no tunnel' });
    rig.sw.tunnelRows = [POD7];
    expect((await post('{"bridge":"br0","tunnel":"x"}')).error.message).toBe('there is no tunnel "br0/x"');
    expect((await post('{"port":"x"}')).error.message).toBe('port: unknown key (the body knows bridge, tunnel)');
  });

  it('ends the asking when its client goes', async () => {
    rig.sw.tunnelRows = [
      { ...POD7, remotes: Array.from({ length: 2000 }, (_, k) => ({ ...POD7.remotes[0]!, address: `r${k}` })) },
    ];
    const echo = fakeEcho({});
    rig.openEcho = () => echo;
    const stream = await rig.client.stream('/v1/doctor/mtu', 'POST', {});
    stream.destroy();
    await expect.poll(() => echo.closed).toBe(true);
    expect(echo.asked.length).toBeLessThan(4000);
  });
});
