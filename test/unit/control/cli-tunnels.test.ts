/** Tunnels on the command line: tables, one in full, where addresses live, completion, events. */
import { describe, expect, it } from 'vitest';
import { eventLine } from '../../../control/cli/commands/watch.ts';
import { apiRig } from './api-rig.ts';
import { startWeft, weft } from './cli-rig.ts';
import { MAPPED, PLAIN, POD7 } from './tunnel-rows.ts';

const rig = apiRig();

function cellsOf(out: string): string[][] {
  return out.split('\n').map((line) => line.split(/ {2,}/).filter(Boolean));
}

describe('weft show tunnels', () => {
  it('has a line for each tunnel and each remote', async () => {
    expect((await weft(rig, 'show tunnels')).out).toBe('no tunnels\n');
    rig.sw.tunnelRows = [POD7, MAPPED, PLAIN];
    expect(cellsOf((await weft(rig, 'show tunnels')).out)).toEqual([
      ['TUNNEL', 'STATE', 'KIND', 'VNI', 'LOCAL', 'MTU', 'PATH MTU', 'VIA', 'FROM', 'ADDRESSES', 'WHY'],
      ['br0/pod7', 'up', 'vxlan', '5007', '192.0.2.1:4789', '1450'],
      ['192.0.2.2', 'up', '1450', '1500', 'eth0', 'configured', '12'],
      ['192.0.2.3', 'unreachable', 'configured', 'there is no route'],
      ['192.0.2.4', 'up', '1450', '1500', 'eth0', 'learned', '1'],
      [
        ...['br0/trunk', 'up', 'geneve', '10↔5010 20↔5020 30↔5030 … (4 VLANs)', '[2001:db8::1]:6081', '1500'],
        ...['eth1 to ff05::1', 'the underlay takes an MTU of 1430 only'],
      ],
      ['ff05::1', 'up', '1430', '1500', 'eth1', 'group'],
      ['2001:db8::2', 'refused', '77', '1430', '1500', 'eth0', 'static', 'nobody listens there'],
      ['br1/pod7', 'down', 'gre', '192.0.2.9', '192.0.2.9 is not an address of this machine'],
      [],
    ]);
  });

  it('leaves out columns that say nothing, and fits a terminal', async () => {
    rig.sw.tunnelRows = [PLAIN];
    expect((await weft(rig, 'show tunnels')).out.split('\n')[0]).not.toMatch(/VNI|MTU|FROM|ADDRESSES/);
    rig.sw.tunnelRows = [POD7, MAPPED, PLAIN];
    for (const width of [40, 60, 80, 120]) {
      const { out } = await weft(rig, 'show tunnels', { width });
      for (const line of out.split('\n')) expect([...line].length).toBeLessThanOrEqual(width);
      expect(out).toMatch(/ {2}192\.\S+ +unreachab/);
    }
  });

  it('shows one with its sockets, its remotes and where its MTU comes from', async () => {
    rig.sw.tunnelRows = [POD7, MAPPED];
    expect((await weft(rig, 'show tunnels pod7')).out.split('\n')).toEqual([
      'br0/pod7 is up',
      '  kind       vxlan',
      '  vni        5007',
      '  local      192.0.2.1:4789',
      '  mtu        1450, what the underlay takes; outer packets have 50 bytes more',
      '  learned    1 of 1024 remotes',
      '  endpoint   vxlan 192.0.2.1:4789',
      '  received   1.23 M datagrams in 30.0 k messages, 900 k segments merged, 3 missed',
      '  sent       2.00 M datagrams in 50.0 k messages, 2 errors',
      'remote 192.0.2.2 is up',
      '  configured, by eth0, path MTU 1500, so 1450 inside, 12 addresses',
      'remote 192.0.2.3 is unreachable: there is no route',
      '  configured',
      'remote 192.0.2.4 is up',
      '  learned, by eth0, path MTU 1500, so 1450 inside, 1 address',
      '',
    ]);
    expect((await weft(rig, 'show tunnels trunk')).out.split('\n')).toEqual([
      'br0/trunk is up',
      '  kind       geneve',
      '  vlans      10↔5010 20↔5020 30↔5030 40↔5040',
      '  local      [2001:db8::1]:6081',
      '  group      ff05::1 by eth1',
      '  mtu        1500, as the document says; outer packets have 70 bytes more',
      '  underlay   takes an MTU of 1430',
      '  too large  web, db: give them an MTU of 1430',
      '  learned    0 of 1024 remotes',
      'remote ff05::1 is up',
      '  group, by eth1, path MTU 1500, so 1430 inside',
      'remote 2001:db8::2 is refused: nobody listens there',
      '  static, VNI 77, by eth0, path MTU 1500, so 1430 inside',
      '',
    ]);
    expect(JSON.parse((await weft(rig, 'show tunnels br0/trunk --json')).out)).toEqual(MAPPED);
    expect(JSON.parse((await weft(rig, 'show tunnels --json')).out)).toEqual([POD7, MAPPED]);
  });

  it('says what is wrong with a name', async () => {
    rig.sw.tunnelRows = [POD7, PLAIN];
    expect(await weft(rig, 'show tunnels nobody')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/there is no tunnel "nobody"\n.*`weft show tunnels` lists them/),
    });
    expect((await weft(rig, 'show tunnels pod7')).err).toContain('name one of br0/pod7, br1/pod7');
    expect((await weft(rig, 'show tunnels br1/pod7')).out).toMatch(
      /^br1\/pod7 is down: 192\.0\.2\.9 is not an address/,
    );
  });

  it('is part of the overview where there are tunnels', async () => {
    expect((await weft(rig, 'show')).out).not.toContain('TUNNEL');
    rig.sw.tunnelRows = [POD7];
    expect((await weft(rig, 'show')).out).toMatch(/\n\nTUNNEL .*\nbr0\/pod7 /);
    expect(JSON.parse((await weft(rig, 'show --json')).out)).toMatchObject({ tunnels: [{ name: 'pod7' }] });
  });
});

describe('weft show fdb', () => {
  const row = { bridge: 'br0', vlan: 0, mac: '02:00:00:00:00:01', port: 'web', type: 'learned', age: 5 } as const;
  it('names remotes where there are some', async () => {
    rig.sw.fdbRows = [{ ...row, remote: null, vni: null }];
    expect((await weft(rig, 'show fdb')).out).not.toContain('REMOTE');
    rig.sw.fdbRows = [
      { ...row, remote: null, vni: null },
      { ...row, port: 'pod7', remote: '192.0.2.2', vni: null },
      { ...row, port: 'pod7', type: 'static', age: null, remote: '192.0.2.3', vni: 7 },
    ];
    expect(cellsOf((await weft(rig, 'show fdb')).out)).toEqual([
      ['BRIDGE', 'VLAN', 'ADDRESS', 'PORT', 'REMOTE', 'TYPE', 'SEEN'],
      ['br0', '0', row.mac, 'web', 'learned', '5 s ago'],
      ['br0', '0', row.mac, 'pod7', '192.0.2.2', 'learned', '5 s ago'],
      ['br0', '0', row.mac, 'pod7', '192.0.2.3 VNI 7', 'static'],
      [],
    ]);
  });
});

describe('weft show drops', () => {
  it('names an endpoint without a bridge', async () => {
    const meaning = 'No tunnel port has it.';
    rig.sw.dropRows = [{ bridge: '', port: 'vxlan 192.0.2.1:4789', reason: 'unknown-vni', meaning, frames: 4 }];
    expect(cellsOf((await weft(rig, 'show drops')).out)[1]).toEqual([
      'vxlan 192.0.2.1:4789',
      'unknown-vni',
      '4',
      meaning,
    ]);
  });
});

describe('completion of tunnels', () => {
  const candidates = async (...words: readonly string[]) =>
    (await startWeft({ WEFT_SOCKET: rig.path }, ['__complete', '--', ...words]).done).out.split('\n').filter(Boolean);

  it('knows their names', async () => {
    rig.sw.tunnelRows = [POD7, MAPPED, PLAIN];
    expect(await candidates('show', 'tun')).toEqual(['tunnels']);
    expect(await candidates('show', 'tunnels', '')).toEqual(['trunk', 'br0/pod7', 'br0/trunk', 'br1/pod7']);
    expect(await candidates('show', 'tunnels', 'br1/')).toEqual(['br1/pod7']);
  });
});

describe('events of a tunnel', () => {
  const at = { time: '2026-11-21T12:34:56.000Z', bridge: 'br0', port: 'pod7' } as const;
  it('say which remote and why', () => {
    const line = (state: 'up' | 'unreachable', reason: string | null) =>
      eventLine({ colour: false }, { type: 'remote-changed', ...at, remote: '192.0.2.2', state, reason });
    expect(line('unreachable', 'there is no route')).toBe(
      '12:34:56  remote-changed  br0/pod7  192.0.2.2 is unreachable: there is no route',
    );
    expect(line('up', null)).toBe('12:34:56  remote-changed  br0/pod7  192.0.2.2 is up');
  });

  it('say what the MTU was and is', () => {
    const event = { type: 'mtu-changed', ...at, from: 1450, to: 1350, reason: 'eth0 has an MTU of 1400' } as const;
    expect(eventLine({ colour: false }, event)).toBe(
      '12:34:56  mtu-changed  br0/pod7  MTU 1450 → 1350: eth0 has an MTU of 1400',
    );
  });
});
