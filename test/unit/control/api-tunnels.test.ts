/** Tunnels over HTTP: rows as they are described. */
import { describe, expect, it } from 'vitest';
import { tunnelRow } from '../../../control/api/tunnel-schemas.ts';
import type { TunnelRow } from '../../../control/tunnel-rows.ts';
import { apiRig } from './api-rig.ts';
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
