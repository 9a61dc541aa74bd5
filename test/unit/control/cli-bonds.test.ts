/** Bonds on the command line: tables, one in full, orders to members, adding one, completion, events. */
import { describe, expect, it } from 'vitest';
import { memberOf } from '../../../control/cli/commands/bond-options.ts';
import { eventLine } from '../../../control/cli/commands/watch.ts';
import type { BondRow } from '../../../control/switch.ts';
import { apiRig } from './api-rig.ts';
import { BACKUP, LAG } from './bond-rows.ts';
import { startWeft, weft } from './cli-rig.ts';

const rig = apiRig();

describe('weft show bonds', () => {
  it('has a line for each bond and each member', async () => {
    expect((await weft(rig, 'show bonds')).out).toBe('no bonds\n');
    rig.sw.bondRows = [LAG, BACKUP];
    const { out } = await weft(rig, 'show bonds');
    expect(out.split('\n').map((line) => line.split(/ {2,}/).filter(Boolean))).toEqual([
      ['BOND', 'STATE', 'MODE', 'HASH', 'ACTIVE', 'LINK', 'SPEED', 'BUCKETS', 'LOAD', 'LACP', 'WHY'],
      ['br0/lag', 'up', '802.3ad', 'layer3+4', 'negotiated'],
      ['eth1', 'enabled', 'up', '10.0 Gb/s', '256', '1.20 Gb/s', '0a:00:00:00:00:02 key 7'],
      ['eth2', 'waiting', 'up', '10.0 Gb/s', 'no partner', 'it has no partner'],
      ['br1/up', 'up', 'active-backup', 'a'],
      ['a', 'active', 'up', '10.0 Gb/s'],
      ['b', 'down', 'down', 'device eth4 is not there'],
      ['c', 'disabled', 'up', '10.0 Gb/s', 'taken out by command'],
      [],
    ]);
  });

  it('leaves out columns that say nothing, and fits a terminal', async () => {
    rig.sw.bondRows = [BACKUP];
    expect((await weft(rig, 'show bonds')).out.split('\n')[0]).not.toMatch(/HASH|BUCKETS|LOAD|LACP/);
    rig.sw.bondRows = [LAG, BACKUP];
    const { out } = await weft(rig, 'show bonds', { width: 60 });
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    expect(out).toMatch(/ {2}b +down .*device eth4/);
  });

  it('shows one with all that LACP knows', async () => {
    rig.sw.bondRows = [LAG, BACKUP];
    const { out } = await weft(rig, 'show bonds lag');
    expect(out.split('\n')).toEqual([
      'br0/lag is up',
      '  mode         802.3ad',
      '  hash         layer3+4',
      '  mac          02:00:00:00:00:01',
      '  lacp         negotiated',
      '  failovers    0',
      '  moved        9 buckets, by rebalancing',
      'member eth1 is enabled',
      '  device       eth1',
      '  link         up, 10.0 Gb/s, lost never',
      '  share        256 of 256 buckets, 1.20 Gb/s of late',
      '  received     1.23 M frames, 1.50 GB',
      '  transmitted  10 frames, 640 B',
      '  dropped      egress-full 4',
      '  aggregator   1',
      '  machines     receive CURRENT, mux COLLECTING_DISTRIBUTING',
      '  actor        system 02:00:00:00:00:01 (32768), key 14, port 1 (1): activity aggregation synchronization collecting distributing',
      '  partner      system 0a:00:00:00:00:02 (32768), key 7, port 3 (1): activity aggregation synchronization collecting distributing timeout',
      '  LACPDUs      12 received, 13 sent, 1 bad, 2 markers answered',
      'member eth2 is waiting: it has no partner',
      '  device       eth2',
      '  link         up, 10.0 Gb/s, lost once',
      '  received     1.23 M frames, 1.50 GB',
      '  transmitted  10 frames, 640 B',
      '  aggregator   none',
      '  machines     receive DEFAULTED, mux DETACHED',
      '  actor        system 02:00:00:00:00:01 (32768), key 14, port 2 (1): nothing',
      '  partner      none',
      '  churned      ours and the partner’s',
      '  LACPDUs      0 received, 5 sent, 0 bad, 0 markers answered',
      '',
    ]);
    expect(JSON.parse((await weft(rig, 'show bonds br1/up --json')).out)).toEqual(BACKUP);
    expect(JSON.parse((await weft(rig, 'show bonds --json')).out)).toEqual([LAG, BACKUP]);
  });

  it('says what is wrong with a name', async () => {
    rig.sw.bondRows = [LAG, { ...BACKUP, name: 'lag' }];
    expect(await weft(rig, 'show bonds nobody')).toMatchObject({ code: 2, err: /there is no bond "nobody"/ });
    expect((await weft(rig, 'show bonds lag')).err).toContain('name one of br0/lag, br1/lag');
    expect((await weft(rig, 'show ports lag')).err).toContain('show ports takes no name ("lag")');
  });

  it('is part of the overview where there are bonds', async () => {
    expect((await weft(rig, 'show')).out).not.toContain('BOND');
    rig.sw.bondRows = [LAG];
    expect((await weft(rig, 'show')).out).toMatch(/\n\nBOND .*\nbr0\/lag /);
    expect(JSON.parse((await weft(rig, 'show --json')).out)).toMatchObject({ bonds: [{ name: 'lag' }] });
  });

  it('says why a bond is down', async () => {
    const down: BondRow = { ...BACKUP, up: false, reason: 'no member is up', active: null };
    rig.sw.bondRows = [down];
    expect((await weft(rig, 'show bonds')).out).toMatch(/br1\/up +down .* no member is up/);
    expect((await weft(rig, 'show bonds up')).out).toMatch(/^br1\/up is down: no member is up\n/);
  });
});

describe('weft bond member', () => {
  it.each([
    ['disable', 'member eth1 of br0/lag is taken out'],
    ['enable', 'member eth1 of br0/lag may carry again'],
    ['activate', 'member eth1 of br0/lag is to be the active one'],
  ])('%s', async (command, said) => {
    rig.sw.bondRows = [LAG, BACKUP];
    const ran = await weft(rig, `bond member ${command} lag eth1`);
    expect([ran.code, ran.out, ran.err]).toEqual([0, '', `${said}\n`]);
    expect(rig.sw.commands).toEqual([{ bridge: 'br0', port: 'lag', member: 'eth1', command }]);
  });

  it('fails where there is no such bond or member', async () => {
    rig.sw.bondRows = [LAG];
    expect((await weft(rig, 'bond member disable up eth1')).err).toContain('there is no bond "up"');
    expect((await weft(rig, 'bond member disable lag eth9')).err).toContain('there is no member eth9');
    expect((await weft(rig, 'bond member disable lag')).code).toBe(2);
    expect(rig.sw.commands).toEqual([]);
  });

  it.each(['bond', 'bond member', 'bond member enable', 'bond member disable', 'bond member activate', 'show'])(
    'weft %s --help has examples',
    async (command) => {
      expect((await weft(rig, `${command} --help`)).out).toMatch(/Examples:\n {2}\$ weft /);
    },
  );
});

describe('weft port add --kind bond', () => {
  it('takes members and what the mode needs', async () => {
    const line =
      'port add br0/lag --kind bond --mode 802.3ad --member eth1,priority=1,speed=10G --member kind=socket,name=s,socket=/run/s.sock ' +
      '--hash layer2+3 --lacp passive --lacp-rate fast --min-links 2 --updelay 10 --downdelay 20 --tag 10 --mac 02:00:00:00:00:07';
    const { code, err } = await weft(rig, line);
    expect([code, err]).toEqual([0, '']);
    expect(rig.sw.document.bridges[0]!.ports!.at(-1)).toEqual({
      name: 'lag',
      kind: 'bond',
      mode: '802.3ad',
      members: [
        { kind: 'netdev', device: 'eth1', priority: 1, speed: '10G' },
        { kind: 'socket', name: 's', socket: '/run/s.sock' },
      ],
      hash: 'layer2+3',
      lacp: { mode: 'passive', rate: 'fast' },
      'min-links': 2,
      updelay: 10,
      downdelay: 20,
      mac: '02:00:00:00:00:07',
      vlan: { tag: 10 },
    });
  });

  it('has the defaults of a bond, a VLAN mode beside its own, and targets', async () => {
    const line =
      'port add br0/up --kind bond --member eth1 --member eth2 --primary eth1 --vlan-mode native-tagged --tag 7 --monitor 10.0.0.9,10.0.0.8 --arp-source 10.0.0.1';
    expect(await weft(rig, line)).toMatchObject({ code: 0, err: '' });
    expect(rig.sw.document.bridges[0]!.ports!.at(-1)).toEqual({
      name: 'up',
      kind: 'bond',
      members: [
        { kind: 'netdev', device: 'eth1' },
        { kind: 'netdev', device: 'eth2' },
      ],
      primary: 'eth1',
      'arp-source': ['10.0.0.1'],
      monitor: { targets: ['10.0.0.9', '10.0.0.8'] },
      vlan: { mode: 'native-tagged', tag: 7 },
    });
  });

  it('is refused with the place', async () => {
    expect((await weft(rig, 'port add br0/up --kind bond')).err).toContain('members: is missing (expected a list)');
    expect((await weft(rig, 'port add br0/up --kind bond --member eth1 --mode trunk')).err).toMatch(
      /mode: found "trunk", expected active-backup/,
    );
    expect((await weft(rig, 'port add br0/up --kind bond --member eth1,fast')).err).toContain(
      '"fast" is not key=value',
    );
    expect((await weft(rig, 'port add br0/up --kind bond --member eth1,colour=red')).err).toContain(
      'members[0].colour: unknown key',
    );
  });

  it.each([
    ['--kind bond --member eth1 --client', /--client is not for a bond.*\n.*mode=client/],
    ['--mode active-backup --vlan-mode trunk', /--mode active-backup beside --vlan-mode trunk: of a tap/],
    ['--kind vhost-user --socket-path /v --mode trunk --vlan-mode access', /--mode trunk beside --vlan-mode access/],
  ])('drops no option in silence: %s', async (options, said) => {
    const before = structuredClone(rig.sw.document);
    expect(await weft(rig, `port add br0/up ${options}`)).toMatchObject({ code: 2, err: expect.stringMatching(said) });
    expect(rig.sw.document).toEqual(before);
  });

  it('reads a member as YAML would', () => {
    expect(memberOf('eth1,take-over=true,priority=9')).toEqual({
      kind: 'netdev',
      device: 'eth1',
      'take-over': true,
      priority: 9,
    });
    expect(memberOf('kind=vhost-user,name=v,socket=/v,queues=2,priority=x')).toEqual({
      kind: 'vhost-user',
      name: 'v',
      socket: '/v',
      queues: 2,
      priority: 'x',
    });
  });
});

describe('weft port del of a member', () => {
  it('says what a member is, and what to do', async () => {
    const { code, err } = await weft(rig, 'port del br0/lag/eth1');
    expect(code).toBe(2);
    expect(err).toMatch(/br0\/lag\/eth1 is a member of a bond.*\n.*weft bond member disable/);
  });
});

describe('completion of bonds', () => {
  const candidates = async (...words: readonly string[]) =>
    (await startWeft({ WEFT_SOCKET: rig.path }, ['__complete', '--', ...words]).done).out.split('\n').filter(Boolean);

  it('knows bonds, members and modes', async () => {
    rig.sw.bondRows = [LAG, BACKUP];
    expect(await candidates('show', 'bonds', '')).toEqual(['lag', 'up', 'br0/lag', 'br1/up']);
    expect(await candidates('show', 'ports', '')).toEqual([]);
    expect(await candidates('bond', 'member', '')).toEqual(['disable', 'enable', 'activate']);
    expect(await candidates('bond', 'member', 'disable', 'l')).toEqual(['lag']);
    expect(await candidates('bond', 'member', 'disable', 'br0/')).toEqual(['br0/lag']);
    expect(await candidates('bond', 'member', 'disable', 'lag', '')).toEqual(['eth1', 'eth2']);
    expect(await candidates('bond', 'member', 'disable', 'br1/up', '')).toEqual(['a', 'b', 'c']);
    expect(await candidates('bond', 'member', 'disable', 'nobody', '')).toEqual([]);
    expect(await candidates('port', 'add', 'br0/x', '--mode', 'balance-')).toEqual([
      'balance-rr',
      'balance-xor',
      'balance-tlb',
      'balance-alb',
      'balance-slb',
    ]);
    expect(await candidates('port', 'add', 'br0/x', '--hash', 'encap')).toEqual(['encap2+3', 'encap3+4']);
  });
});

describe('an event of a bond', () => {
  const event = { type: 'bond-changed', time: '2026-11-21T12:34:56.000Z', bridge: 'br0', port: 'up' } as const;
  it('says who carries and why', () => {
    const line = (change: { active: string | null; carrying: readonly string[]; reason: string }) =>
      eventLine({ colour: false }, { ...event, ...change });
    expect(line({ active: 'b', carrying: ['b'], reason: 'a no longer carries: its link is down; b is active' })).toBe(
      '12:34:56  bond-changed  br0/up  carrying b, active b: a no longer carries: its link is down; b is active',
    );
    expect(line({ active: null, carrying: ['a', 'b'], reason: 'b carries' })).toBe(
      '12:34:56  bond-changed  br0/up  carrying a, b: b carries',
    );
    expect(line({ active: null, carrying: [], reason: 'its link is down' })).toBe(
      '12:34:56  bond-changed  br0/up  no member carries: its link is down',
    );
  });
});
