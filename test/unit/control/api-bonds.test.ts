/** Bonds over HTTP: rows as they are described, orders to members, and members of bonds where one port is looked at. */
import { describe, expect, it } from 'vitest';
import { bondRow } from '../../../control/api/bond-schemas.ts';
import type { BondRow, PortDetail } from '../../../control/switch.ts';
import { apiRig, rawRequest } from './api-rig.ts';
import { BACKUP, LAG } from './bond-rows.ts';

const rig = apiRig();

describe('GET /v1/bonds', () => {
  it('answers every row as it is described', async () => {
    expect(await rig.client.get('/v1/bonds')).toEqual([]);
    rig.sw.bondRows = [LAG, BACKUP];
    const rows = await rig.client.get<BondRow[]>('/v1/bonds');
    expect(rows).toEqual([LAG, BACKUP]);
    for (const row of rows) expect(bondRow.parse(row)).toEqual(row);
  });

  it('is in the description, with what LACP knows', async () => {
    const text = JSON.stringify(await rig.client.get('/v1/openapi.json'));
    for (const word of ['negotiated', 'partnerChurn', 'balance-slb', 'rebalance-interval', 'enable', 'standby'])
      expect(text).toContain(word);
  });
});

describe('POST /v1/bonds/{bridge}/{port}/members/{member}', () => {
  const post = (path: string, body: string) => rawRequest(rig, 'POST', `/v1/bonds/${path}`, body, 'application/json');

  it('gives an order to a member', async () => {
    rig.sw.bondRows = [LAG];
    for (const command of ['disable', 'enable', 'activate'])
      await rig.client.send('POST', '/v1/bonds/br0/lag/members/eth1', { command });
    expect(rig.sw.commands).toEqual(
      ['disable', 'enable', 'activate'].map((command) => ({ bridge: 'br0', port: 'lag', member: 'eth1', command })),
    );
  });

  it('refuses what makes no sense', async () => {
    rig.sw.bondRows = [LAG];
    expect((await post('br0/lag/members/eth9', '{"command":"disable"}')).body.error.code).toBe('unknown-member');
    const wrong = await post('br0/lag/members/eth1', '{"command":"remove"}');
    expect([wrong.status, wrong.body.error.message]).toEqual([
      400,
      'command: found "remove", expected enable, disable, activate',
    ]);
    expect((await post('br0/lag/members/eth1', '{"command":"disable","force":1}')).body.error.message).toBe(
      'force: unknown key (the body knows command)',
    );
    expect((await post('br0/la%2Fg/members/eth1', '{"command":"disable"}')).status).toBe(400);
    expect(rig.sw.commands).toEqual([]);
  });
});

describe('a bond’s member as a port', () => {
  it('can be looked at and captured, but is no name for a new port', async () => {
    rig.sw.document = { bridges: [{ name: 'br0', ports: [{ name: 'up/a', kind: 'memory' }] }] };
    expect((await rig.client.get<PortDetail>('/v1/bridges/br0/ports/up%2Fa')).name).toBe('up/a');
    const stream = await rig.client.stream('/v1/capture?bridge=br0&port=up%2Fa&count=1');
    stream.destroy();
    expect(rig.sw.captures[0]!.options).toMatchObject({ bridge: 'br0', port: 'up/a' });
    for (const name of ['up%2Fa%2Fb', 'up%2F', '%2Fa']) {
      const { status, body } = await rawRequest(rig, 'GET', `/v1/bridges/br0/ports/${name}`, '', 'application/json');
      expect([status, body.error.problems[0]?.place]).toEqual([400, 'port']);
    }
    const named = await rawRequest(
      rig,
      'POST',
      '/v1/bridges/br0/ports',
      JSON.stringify({ name: 'up/b', kind: 'memory' }),
      'application/json',
    );
    expect([named.status, named.body.error.problems[0]?.place]).toEqual([400, 'name']);
  });
});
