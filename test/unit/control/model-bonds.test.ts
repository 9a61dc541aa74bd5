/** Bonds in the model: every default, and members as ports of their own. */
import { describe, expect, it } from 'vitest';
import { parseYaml } from '../../../control/config/load.ts';
import { defaultMac } from '../../../control/model/mac.ts';
import { type BondModel, fromDocument, type PortModel } from '../../../control/model/model.ts';

function portsOf(...ports: string[]): readonly PortModel[] {
  return fromDocument(parseYaml(`bridges: [{ name: br0, ports: [${ports.join(', ')}] }]`)).bridges[0]!.ports;
}

function settingsOf(keys: string, members = '{ kind: memory, name: a }') {
  return (portsOf(`{ name: up, kind: bond, members: [${members}], ${keys} }`)[0] as BondModel).settings;
}

describe('a bond in the model', () => {
  it('has every default', () => {
    expect(settingsOf('')).toEqual({
      mode: 'active-backup',
      members: [{ name: 'a', priority: 32_768, speed: null }],
      hash: 'vlan+srcmac',
      seed: 0,
      rebalanceMs: 0,
      updelayMs: 0,
      downdelayMs: 0,
      mac: defaultMac('br0', 'up'),
      sources: [],
      primary: null,
      primaryReselect: 'always',
      minLinks: 1,
      packetsPerMember: 1,
      lacp: null,
      monitor: null,
    });
  });

  it('has the defaults of its mode', () => {
    for (const mode of ['balance-xor', '802.3ad'])
      expect(settingsOf(`mode: ${mode}`)).toMatchObject({ hash: 'layer3+4', rebalanceMs: 10_000 });
    for (const mode of ['balance-slb', 'balance-tlb', 'balance-alb'])
      expect(settingsOf(`mode: ${mode}`)).toMatchObject({ hash: 'vlan+srcmac', rebalanceMs: 10_000, lacp: null });
    for (const mode of ['balance-rr', 'broadcast']) expect(settingsOf(`mode: ${mode}`).rebalanceMs).toBe(0);
    expect(settingsOf('mode: 802.3ad, mac: 02-00-00-00-00-AA').lacp).toEqual({
      mode: 'active',
      rate: 'slow',
      systemPriority: 32_768,
      systemMac: null,
      key: null,
      select: 'stable',
      fallback: false,
      strict: true,
    });
    expect(settingsOf('mode: 802.3ad, lacp: { fallback: true }').lacp).toMatchObject({ fallback: true, strict: false });
    expect(settingsOf('monitor: { targets: [10.0.0.9] }').monitor).toEqual({
      targets: ['10.0.0.9'],
      intervalMs: 1000,
      missedMax: 2,
      validate: 'none',
      require: 'any',
      vlan: 0,
    });
  });

  it.each([
    ['vlan: { tag: 10 }', '', 0],
    ['vlan: { tag: 10 }', ', vlan: 10', 0],
    ['vlan: { mode: native-untagged, tag: 10 }', '', 0],
    ['vlan: { mode: native-untagged, tag: 10 }', ', vlan: 20', 20],
    ['vlan: { mode: native-tagged, tag: 10 }', '', 10],
    ['vlan: { mode: dot1q-tunnel, tag: 10 }', '', 0],
    ['vlan: { trunks: [0, 20] }', '', 0],
    ['vlan: { trunks: [0, 20] }', ', vlan: 20', 20],
  ])('asks its targets with the tag that they see: %s%s', (vlan, more, tag) => {
    expect(settingsOf(`${vlan}, monitor: { targets: [10.0.0.9]${more} }`).monitor!.vlan).toBe(tag);
  });

  it('has what was written', () => {
    const written = settingsOf(
      "mode: 802.3ad, hash: encap2+3, hash-seed: 7, rebalance-interval: 0, updelay: 1, downdelay: 2, min-links: 2, arp-source: [10.0.0.1, 'fe80::1'], lacp: { mode: passive, rate: fast, system-priority: 1, system-mac: 02-00-00-00-00-BB, key: 9, select: bandwidth, strict: false }",
      '{ kind: netdev, device: eth1, priority: 1, speed: 10G }, { kind: netdev, device: eth2, name: b }',
    );
    expect(written).toMatchObject({
      members: [
        { name: 'eth1', priority: 1, speed: 1e10 },
        { name: 'b', priority: 32_768, speed: null },
      ],
      hash: 'encap2+3',
      seed: 7,
      rebalanceMs: 0,
      updelayMs: 1,
      downdelayMs: 2,
      minLinks: 2,
      sources: ['10.0.0.1', 'fe80::1'],
      lacp: {
        mode: 'passive',
        rate: 'fast',
        systemPriority: 1,
        systemMac: '02:00:00:00:00:bb',
        key: 9,
        select: 'bandwidth',
        strict: false,
      },
    });
    expect(settingsOf('primary: a, primary-reselect: failure, arp-source: 10.0.0.1')).toMatchObject({
      primary: 'a',
      primaryReselect: 'failure',
      sources: ['10.0.0.1'],
    });
    expect(settingsOf('mode: balance-rr, packets-per-member: 4').packetsPerMember).toBe(4);
  });
});

describe('members in the model', () => {
  const members = [
    '{ kind: netdev, device: eth1, take-over: true, speed: 10G }',
    '{ kind: netdev, name: eth2, priority: 7 }',
    '{ kind: vhost-user, name: v, socket: /run/v.sock, queues: 2 }',
    '{ kind: socket, name: s, socket: /run/s.sock, mode: client }',
    '{ kind: memory, name: m }',
  ];
  const ports = portsOf(
    '{ name: host, kind: tap }',
    `{ name: up, kind: bond, mode: 802.3ad, members: [${members.join(', ')}], mtu: 9000, vlan: { tag: 10 }, flood: true, protected: true, learning: true, forward-reserved: true, fdb: [{ mac: 02:00:00:00:00:01 }] }`,
    "{ name: last, kind: 'null' }",
  );

  it('follow their bond as ports of their own kind', () => {
    expect(ports.map(({ name, kind, memberOf }) => [name, kind, memberOf])).toEqual([
      ['host', 'tap', null],
      ['up', 'bond', null],
      ['up/eth1', 'netdev', 'up'],
      ['up/eth2', 'netdev', 'up'],
      ['up/v', 'vhost-user', 'up'],
      ['up/s', 'socket', 'up'],
      ['up/m', 'memory', 'up'],
      ['last', 'null', null],
    ]);
    expect(ports[2]).toMatchObject({ device: 'eth1', takeOver: 'host', speed: 1e10 });
    expect(ports[3]).toMatchObject({ device: 'eth2', takeOver: null, speed: null });
    expect(ports[4]).toMatchObject({ socket: '/run/v.sock', mode: 'server', queues: 2, group: null });
    expect(ports[5]).toMatchObject({ socket: '/run/s.sock', type: 'stream', mode: 'client', remote: null });
    for (const port of ports) expect(port).not.toHaveProperty('priority');
  });

  it('carry whatever their bond carries, and leave the rest to it', () => {
    for (const member of ports.slice(2, 7))
      expect(member).toMatchObject({
        vlan: { mode: 'trunk', tag: null, trunks: null },
        mtu: 9000,
        learning: false,
        flood: { unknown: false, multicast: false, broadcast: false },
        protected: false,
        sticky: false,
        forwardReserved: 0,
        fdb: [],
      });
    expect(ports[1]).toMatchObject({ vlan: { mode: 'access', tag: 10 }, mtu: 9000, protected: true, learning: true });
    expect((ports[1] as BondModel).fdb).toHaveLength(1);
  });
});
