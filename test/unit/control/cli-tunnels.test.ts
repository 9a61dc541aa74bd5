/** Tunnels on the command line: tables, one in full, where addresses live, completion, events. */
import { describe, expect, it } from 'vitest';
import { eventLine } from '../../../control/cli/commands/watch.ts';
import { apiRig } from './api-rig.ts';
import { startWeft, weft } from './cli-rig.ts';
import { fakeEcho } from './doctor/fake-echo.ts';
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

  it('says that what exceeds the underlay goes in fragments, where it does', async () => {
    rig.sw.tunnelRows = [{ ...POD7, df: false, mtu: 1500, mtuFixed: true, remotes: [] }];
    expect(cellsOf((await weft(rig, 'show tunnels')).out)[0]).not.toContain('WHY');
    expect((await weft(rig, 'show tunnels pod7')).out).toContain(
      'underlay   takes an MTU of 1450, the rest goes in fragments',
    );
  });

  it('says nothing against an MTU of which nothing is known', async () => {
    rig.sw.tunnelRows = [{ ...POD7, mtuUnderlay: 0, remotes: [] }];
    expect(cellsOf((await weft(rig, 'show tunnels')).out)[0]).not.toContain('WHY');
    expect((await weft(rig, 'show tunnels pod7')).out).not.toMatch(/^ +underlay /m);
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

describe('weft fdb del', () => {
  const MAC = '02:00:00:00:00:01';
  const row = {
    bridge: 'br0',
    vlan: 10,
    mac: MAC,
    port: 'web',
    type: 'static',
    age: null,
    remote: null,
    vni: null,
  } as const;

  it('needs no VLAN for what is in one only', async () => {
    rig.sw.fdbRows = [row, { ...row, vlan: 20 }];
    const several = await weft(rig, `fdb del br0 ${MAC}`);
    expect([several.code, several.err]).toEqual([2, expect.stringContaining('say --vlan: 10, 20')]);
    rig.sw.fdbRows = [row];
    expect((await weft(rig, `fdb del br0 ${MAC}`)).err).toContain('in VLAN 10 is forgotten');
    expect(rig.sw.fdbRows).toEqual([]);
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

describe('weft fdb add --remote', () => {
  const MAC = '02:00:00:00:00:0a';
  const entry = { bridge: 'br0', port: 'pod7', mac: MAC, vlan: 0, type: 'static', age: null, vni: null } as const;
  const added = async (line: string) => {
    rig.sw.fdbRows = [];
    const ran = await weft(rig, `fdb add ${line}`);
    return { ...ran, rows: rig.sw.fdbRows };
  };

  it('finds the only tunnel that fits', async () => {
    rig.sw.tunnelRows = [POD7, MAPPED];
    const v4 = await added(`${MAC} --remote 192.0.2.9`);
    expect([v4.code, v4.err]).toEqual([0, `${MAC} lives at br0/pod7, behind 192.0.2.9 (static)\n`]);
    expect(v4.rows).toEqual([{ ...entry, remote: '192.0.2.9' }]);
    expect((await added(`${MAC} --remote 2001:db8::9 --vlan 20 --sticky`)).rows).toEqual([
      { ...entry, port: 'trunk', vlan: 20, type: 'sticky', remote: '2001:db8::9' },
    ]);
  });

  it('takes a VNI for the tunnel’s own, its VLAN’s, or one of the remote', async () => {
    rig.sw.tunnelRows = [POD7, { ...POD7, name: 'pod8', vni: 5008 }, MAPPED];
    expect((await added(`${MAC} --remote 192.0.2.9 --vni 5008`)).rows).toEqual([
      { ...entry, port: 'pod8', remote: '192.0.2.9' },
    ]);
    expect((await added(`${MAC} --remote 2001:db8::9 --vni 5030`)).rows).toEqual([
      { ...entry, port: 'trunk', vlan: 30, remote: '2001:db8::9' },
    ]);
    const other = await added(`${MAC} --port pod7 --remote 192.0.2.9 --vni 5008`);
    expect(other.rows).toEqual([{ ...entry, remote: '192.0.2.9', vni: 5008 }]);
    expect(other.err).toContain('behind 192.0.2.9 by VNI 5008 (static)');
    expect((await added(`br0/trunk ${MAC} --remote 2001:db8::9 --vlan 10 --vni 5030`)).rows).toEqual([
      { ...entry, port: 'trunk', vlan: 10, remote: '2001:db8::9', vni: 5030 },
    ]);
  });

  it.each([
    [`${MAC} --remote 192.0.2.9`, /several tunnels can reach 192\.0\.2\.9: br0\/pod7, br1\/pod7\n.*--port br0\/pod7/],
    [`${MAC} --remote 2001:db8::9`, /no tunnel of br0\/pod7, br1\/pod7 has a local IPv6 address\n.*weft port add/],
    [`${MAC} --port pod7 --remote 192.0.2.9`, /several bridges have a tunnel "pod7"\n.*br0\/pod7, br1\/pod7/],
    [
      `${MAC} --port web --remote 192.0.2.9`,
      /"web" is no tunnel, and only those have remotes\n.*tunnels are br0\/pod7/,
    ],
    [`${MAC} --port nobody --remote 192.0.2.9`, /"nobody" is no tunnel/],
    [`${MAC} --remote pod9`, /--remote.*pod9.*not an IPv4 or IPv6 address/],
    [`${MAC} --remote fe80::1%eth0`, /not an IPv4 or IPv6 address/],
    [`${MAC} --remote 192.0.2.9 --vni 16777216`, /not a VNI/],
    [`web ${MAC} --vni 7`, /--vni 7 is of frames to a remote\n.*--remote/],
    [`web ${MAC} --port db`, /two ports are named: web and db/],
    [MAC, /where does 02:00:00:00:00:0a live\?\n.*port/],
    ['web', /"web" is not a MAC address\n.*weft fdb add PORT MAC/],
  ])('refuses %s', async (line, said) => {
    rig.sw.tunnelRows = [POD7, PLAIN];
    expect(await added(line)).toMatchObject({ code: 2, err: expect.stringMatching(said), rows: [] });
  });

  it('says how to make a tunnel where there is none', async () => {
    expect((await added(`${MAC} --remote 192.0.2.9`)).err).toMatch(/there is no tunnel\n.*--kind vxlan.*--remotes 192/);
  });

  it('goes on as it was for other ports', async () => {
    expect((await added(`web ${MAC} --vlan 10`)).rows).toEqual([{ ...entry, port: 'web', vlan: 10, remote: null }]);
    expect((await added(`${MAC} --port web`)).rows).toEqual([{ ...entry, port: 'web', remote: null }]);
  });
});

describe('weft port add of a tunnel', () => {
  const document = async (line: string) => {
    expect(await weft(rig, `port add br0/t ${line}`)).toMatchObject({ code: 0, err: '' });
    return rig.sw.document.bridges[0]!.ports!.at(-1);
  };

  it('takes what a document can say', async () => {
    const vxlan =
      '--kind vxlan --vni 5007 --local 192.0.2.1 --remotes 192.0.2.2,192.0.2.3 --remotes 192.0.2.4 --group 239.1.1.1 --device eth0 ' +
      '--port 8472 --ttl inherit --tos 184 --no-df --no-checksum --no-split-horizon --suppress --clamp-mss --remote-limit 9 --mtu 1400 --tag 10';
    expect(await document(vxlan)).toEqual({
      ...{ name: 't', kind: 'vxlan', vni: 5007, local: '192.0.2.1', remotes: ['192.0.2.2', '192.0.2.3', '192.0.2.4'] },
      ...{ group: '239.1.1.1', device: 'eth0', port: 8472, ttl: 'inherit', tos: 184, df: false, checksum: false },
      ...{ 'split-horizon': false, suppress: true, 'clamp-mss': true, 'remote-limit': 9, mtu: 1400, vlan: { tag: 10 } },
    });
    expect(await document('--kind geneve --vlans 10=5010,20=5020 --vlans 30=5030 --local 2001:db8::1 --ttl 9')).toEqual(
      {
        ...{ name: 't', kind: 'geneve', vlans: { 10: 5010, 20: 5020, 30: 5030 }, local: '2001:db8::1', ttl: 9 },
      },
    );
    expect(await document('--kind gre --key 7 --local 192.0.2.1 --remotes 192.0.2.2')).toEqual({
      ...{ name: 't', kind: 'gre', key: 7, local: '192.0.2.1', remotes: ['192.0.2.2'] },
    });
  });

  it.each([
    ['--kind vxlan --vni 7', /local: is missing/],
    ['--kind vxlan --vni 16777216 --local 192.0.2.1', /vni: 16777216 is not allowed/],
    ['--kind vxlan --vni seven --local 192.0.2.1', /not a whole number/],
    ['--kind vxlan --vni 7 --local eth0', /local: "eth0" is not an IPv4 or IPv6 address/],
    ['--kind vxlan --vlans 10:5010 --local 192.0.2.1', /"10:5010" is not VLAN=VNI/],
    ['--kind vxlan --vlans 10=1,10=2 --local 192.0.2.1', /VLAN 10 is there twice/],
    ['--kind gre --no-checksum --local 192.0.2.1', /checksum: /],
    ['--kind gre --port 4789 --local 192.0.2.1', /port: /],
    ['--suppress', /suppress: /],
  ])('refuses %s', async (options, said) => {
    const before = structuredClone(rig.sw.document);
    expect(await weft(rig, `port add br0/t ${options}`)).toMatchObject({ code: 2, err: expect.stringMatching(said) });
    expect(rig.sw.document).toEqual(before);
  });
});

describe('weft doctor mtu', () => {
  it('names the ways that lose long packets, and what to do', async () => {
    rig.sw.tunnelRows = [POD7];
    rig.openEcho = () => fakeEcho({ '192.0.2.2': { takes: 1400 }, '192.0.2.4': { silent: true } });
    const { code, out, err } = await weft(rig, 'doctor mtu');
    expect([code, err]).toEqual([1, '']);
    const lines = out.split('\n');
    expect(cellsOf(lines.slice(0, 4).join('\n'))).toEqual([
      ['LOCAL', 'REMOTE', 'TUNNEL', 'NEEDS', 'ROUTE', 'PASSED', 'RESULT'],
      ['192.0.2.1', '192.0.2.2', 'br0/pod7', '1500', '1500', '1400', 'lost'],
      ['192.0.2.1', '192.0.2.3', 'br0/pod7', '1500', '1500', 'fine'],
      ['192.0.2.1', '192.0.2.4', 'br0/pod7', '1500', '1500', 'silent'],
    ]);
    expect(lines.slice(4)).toEqual([
      '192.0.2.1 → 192.0.2.2: packets of more than 1400 bytes are lost, and nobody says so',
      '  set mtu: 1350 on br0/pod7; or raise the underlay’s MTU to 1500',
      '192.0.2.1 → 192.0.2.4: it does not answer echo requests: can’t be judged',
      '  let ICMP echo pass its firewall, and ask again',
      '',
    ]);
  });

  it.each([
    ['fine', {}, 0],
    ['silent', { silent: true }, 0],
    ['short', { told: { mtu: 1400, by: '192.0.2.254' } }, 0],
    ['lost', { takes: 1400 }, 1],
    ['unreachable', { refused: { code: 'EHOSTUNREACH', by: '192.0.2.254' } }, 1],
  ])('of a way that is %s', async (verdict, path, code) => {
    rig.sw.tunnelRows = [{ ...POD7, remotes: [POD7.remotes[0]!] }, PLAIN];
    rig.openEcho = () => fakeEcho({ '192.0.2.2': path });
    const ran = await weft(rig, 'doctor mtu br0/pod7 --json');
    expect([ran.code, JSON.parse(ran.out)]).toEqual([code, [expect.objectContaining({ verdict })]]);
  });

  it('shows how far it is on a terminal, and nothing of that elsewhere', async () => {
    rig.sw.tunnelRows = [POD7];
    expect((await weft(rig, 'doctor mtu', { width: 100 })).err).toMatch(/\rasking the ways: 3 of 3.*\r\S+K$/s);
    expect((await weft(rig, 'doctor mtu --json', { width: 100 })).err).toBe('');
  });

  it('says when there is nobody to ask', async () => {
    expect(await weft(rig, 'doctor mtu')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/there is no tunnel\n.*vxlan/),
    });
    rig.sw.tunnelRows = [PLAIN];
    expect(await weft(rig, 'doctor mtu')).toMatchObject({
      code: 0,
      out: expect.stringContaining('no remote is known'),
    });
    expect((await weft(rig, 'doctor mtu pod8')).err).toContain('there is no tunnel "pod8"');
    expect((await weft(rig, 'doctor mtu --help')).out).toMatch(/Examples:\n {2}\$ weft doctor mtu/);
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
    expect(await candidates('doctor', 'mtu', 'br0/')).toEqual(['br0/pod7', 'br0/trunk']);
    expect(await candidates('fdb', 'add', '--port', 'w')).toEqual(['web']);
    expect(await candidates('port', 'add', 'br0/x', '--port', '')).toEqual([]);
    expect(await candidates('port', 'add', 'br0/x', '--kind', 'g')).toEqual(['geneve', 'gre']);
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
