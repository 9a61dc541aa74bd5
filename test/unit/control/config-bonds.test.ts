/** Bonds in a document: what is sound, and what a user is told of each way to get one wrong. */
import { describe, expect, it } from 'vitest';
import { BONDS_COUNT_MAX } from '../../../control/config/bond-checks.ts';
import { parseYaml } from '../../../control/config/load.ts';
import { DocumentError } from '../../../control/errors.ts';

function problems(text: string): string[] {
  try {
    parseYaml(text, { cpus: [0] });
  } catch (error) {
    if (error instanceof DocumentError) return error.problems.map(({ place, message }) => `${place}: ${message}`);
    throw error;
  }
  return [];
}

const A = '{ kind: netdev, device: eth1, name: a }';
const B = '{ kind: netdev, device: eth2 }';

/** Problems of one bond with these keys, by their place within it. */
function bondProblems(keys: string, members = `${A}, ${B}`): string[] {
  const text = `bridges: [{ name: br0, ports: [{ name: up, kind: bond, members: [${members}], ${keys} }] }]`;
  return problems(text).map((line) => line.replace('bridges[0].ports[0].', ''));
}

describe('a bond', () => {
  it('is sound with every key that its mode knows', () => {
    const common =
      'updelay: 200, downdelay: 100, mac: 02-00-00-00-00-09, mtu: 9000, vlan: { trunks: [10, 20] }, flood: false';
    const monitor =
      "monitor: { targets: [10.0.0.9, 'fe80::1'], interval: 500, missed-max: 3, validate: all, require: all, vlan: 10 }";
    const hash = 'hash-seed: 2147483647, rebalance-interval: 0';
    for (const keys of [
      common,
      `mode: active-backup, primary: eth2, primary-reselect: better, min-links: 2, arp-source: 10.0.0.1, ${monitor}, ${common}`,
      `mode: balance-rr, packets-per-member: 8, min-links: 2, arp-source: [10.0.0.1, 'fe80::9'], ${monitor}, ${common}`,
      `mode: balance-xor, hash: encap3+4, ${hash}, min-links: 1, monitor: { targets: [10.0.0.9] }, ${common}`,
      `mode: broadcast, min-links: 2, ${common}`,
      `mode: 802.3ad, hash: vlan+srcmac, ${hash}, min-links: 2, lacp: { mode: passive, rate: fast, system-priority: 0, system-mac: 02:00:00:00:00:01, key: 7, select: count, fallback: true }, ${common}`,
      `mode: balance-slb, hash: vlan+srcmac, rebalance-interval: 1000, primary: a, ${common}`,
      `mode: balance-tlb, primary: a, primary-reselect: failure, ${common}`,
      `mode: balance-alb, arp-source: 10.0.0.1, min-links: 2, ${common}`,
    ])
      expect(bondProblems(keys), keys).toEqual([]);
  });

  it('takes members of every kind that leads somewhere', () => {
    const members = [
      '{ kind: netdev, name: eth7, priority: 0, speed: 10G }',
      '{ kind: vhost-user, name: v, socket: /run/v.sock, mode: client, queues: 2, priority: 65535, speed: 10G }',
      '{ kind: socket, name: s, socket: /run/s.sock, type: dgram, remote: /run/g.sock }',
      '{ kind: memory, name: m }',
    ];
    expect(bondProblems('mode: 802.3ad', members.join(', '))).toEqual([]);
  });

  it('needs members, at most 32, each of a kind that can be one', () => {
    expect(problems('bridges: [{ name: br0, ports: [{ name: up, kind: bond }] }]')).toEqual([
      'bridges[0].ports[0].members: is missing (expected a list)',
    ]);
    expect(bondProblems('', '')).toEqual(['members: is an empty list; it needs one entry at least']);
    const many = Array.from({ length: 33 }, (_, i) => `{ kind: memory, name: m${i} }`).join(', ');
    expect(bondProblems('', many)).toEqual(['members: 33 entries are too many (at most 32)']);
    const kinds =
      '{ kind: tap, name: t }, { kind: bond, name: b }, { name: n }, { kind: netdv, name: d }, { kind: 3 }, eth1';
    const allowed = '(members can be netdev, vhost-user, socket, memory)';
    expect(bondProblems('', kinds)).toEqual([
      `members[0].kind: a tap can’t be a member of a bond ${allowed}`,
      `members[1].kind: a bond can’t be a member of a bond ${allowed}`,
      `members[2].kind: is missing ${allowed}`,
      `members[3].kind: found "netdv"; did you mean "netdev"? ${allowed}`,
      `members[4].kind: found 3 ${allowed}`,
      'members[5]: found "eth1", expected a map',
    ]);
  });

  it('has members that know only what is theirs', () => {
    expect(bondProblems('', '{ kind: netdev, device: eth1, vlan: { tag: 10 }, mtu: 9000 }')).toEqual([
      'members[0].vlan: unknown key (a netdev member knows name, kind, device, take-over, priority, speed)',
      'members[0].mtu: unknown key (a netdev member knows name, kind, device, take-over, priority, speed)',
    ]);
    expect(bondProblems('', '{ kind: netdev }, { kind: memory }')).toEqual([
      'members[1].name: is missing (expected text)',
      'members[0].device: is missing: the interface, as eth1',
    ]);
    expect(
      bondProblems('', "{ kind: netdev, device: 'eth@1' }, { kind: netdev, name: averyveryverylongname }"),
    ).toEqual([
      'members[1].device: is missing, and the name can’t stand for it: "averyveryverylongname" has 21 characters (a device name has at most 15)',
      'members[0].name: is missing, and the device "eth@1" can’t stand for it',
    ]);
  });
});

describe('an option that the mode does not know', () => {
  const HASHING = 'balance-xor, 802.3ad, balance-tlb, balance-alb, balance-slb';
  const ACTIVE = 'active-backup, balance-tlb, balance-alb, balance-slb';
  it.each([
    [
      '',
      'hash: layer2',
      `hash: mode active-backup, the default here, does not know this key (modes that do: ${HASHING})`,
    ],
    ['broadcast', 'hash: layer2', `hash: mode broadcast does not know this key (modes that do: ${HASHING})`],
    ['balance-rr', 'hash-seed: 1', `hash-seed: mode balance-rr does not know this key (modes that do: ${HASHING})`],
    [
      'broadcast',
      'rebalance-interval: 0',
      `rebalance-interval: mode broadcast does not know this key (modes that do: ${HASHING})`,
    ],
    ['802.3ad', 'primary: a', `primary: mode 802.3ad does not know this key (modes that do: ${ACTIVE})`],
    [
      'balance-xor',
      'packets-per-member: 2',
      'packets-per-member: mode balance-xor does not know this key (modes that do: balance-rr)',
    ],
    ['balance-slb', 'lacp: { rate: fast }', 'lacp: mode balance-slb does not know this key (modes that do: 802.3ad)'],
    [
      '802.3ad',
      'monitor: { targets: [10.0.0.9] }',
      'monitor: mode 802.3ad does not know this key (modes that do: active-backup, balance-rr, balance-xor, broadcast, balance-tlb, balance-alb, balance-slb)',
    ],
    [
      'balance-tlb',
      'hash: layer3+4',
      'hash: mode balance-tlb keeps each sender on one member: its only hash is vlan+srcmac (modes for layer3+4: balance-xor, 802.3ad)',
    ],
  ])('%s with %s', (mode, keys, expected) => {
    expect(bondProblems(mode === '' ? keys : `mode: ${mode}, ${keys}`)).toEqual([expected]);
  });

  it('counts for members as well', () => {
    expect(bondProblems('mode: balance-xor', '{ kind: netdev, device: eth1, priority: 5 }')).toEqual([
      'members[0].priority: mode balance-xor does not know this key (modes that do: 802.3ad; elsewhere the bond’s primary prefers a member)',
    ]);
  });

  it('is one problem, whatever its value', () => {
    expect(bondProblems('mode: broadcast, primary: nobody, lacp: { fallback: true, strict: true }')).toEqual([
      `primary: mode broadcast does not know this key (modes that do: ${ACTIVE})`,
      'lacp: mode broadcast does not know this key (modes that do: 802.3ad)',
    ]);
  });

  it('is told once where the mode itself is wrong', () => {
    expect(bondProblems('mode: lacp, hash: layer2')).toEqual([
      'mode: found "lacp", expected active-backup, balance-rr, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb, balance-slb',
    ]);
  });
});

describe('a member', () => {
  const ONE_USE = 'an interface is a port, or a member of one bond';

  it('is a member once', () => {
    expect(bondProblems('', `${B}, ${B}`)).toEqual([
      `members[1].device: the device "eth2" is already used at bridges[0].ports[0].members[0].device: ${ONE_USE}`,
    ]);
    expect(bondProblems('', `${A}, { kind: memory, name: a }, { kind: netdev, device: a }`)).toEqual([
      'members[1].name: the member name "a" is already used at bridges[0].ports[0].members[0].name',
      'members[2].device: the member name "a", from its device, is already used at bridges[0].ports[0].members[0].name',
    ]);
  });

  it('is in one bond, and is no port beside', () => {
    const found = problems(`
bridges:
  - name: br0
    ports:
      - { name: eth1, kind: netdev }
      - { name: up, kind: bond, members: [${A}, ${B}, { kind: socket, name: s, socket: /run/s.sock }] }
      - { name: vm, kind: vhost-user, socket: /run/s.sock }
  - name: br1
    ports:
      - { name: other, kind: bond, members: [${B}] }
      - { name: t, kind: tap, device: eth2 }
`);
    expect(found).toEqual([
      `bridges[0].ports[1].members[0].device: the device "eth1" is already used at bridges[0].ports[0].name: ${ONE_USE}`,
      'bridges[0].ports[2].socket: the socket /run/s.sock is already used at bridges[0].ports[1].members[2].socket',
      `bridges[1].ports[0].members[0].device: the device "eth2" is already used at bridges[0].ports[1].members[1].device: ${ONE_USE}`,
      'bridges[1].ports[1].device: the device "eth2" is already used at bridges[0].ports[1].members[1].device',
    ]);
  });

  it('is taken over into a tap port of the bridge, as one port at most', () => {
    const taken = '{ kind: netdev, device: eth1, take-over: true }, { kind: netdev, device: eth2, take-over: true }';
    expect(bondProblems('', taken)).toEqual(
      [0, 1].map(
        (i) =>
          `members[${i}].take-over: needs a tap port without netns in this bridge, to which addresses and routes can move`,
      ),
    );
    const host = problems(
      `bridges: [{ name: br0, ports: [{ name: up, kind: bond, members: [${taken}] }, { name: host, kind: tap, address: 10.0.0.1/8 }] }]`,
    );
    expect(host).toEqual([
      'bridges[0].ports[1].address: comes from eth1, which is taken over: leave it out',
      'bridges[0].ports[0].members[1].take-over: taking over into the tap port "host" is already used at bridges[0].ports[0].members[0].take-over',
    ]);
  });

  it('of 802.3ad has the others’ speed, unless the document says what then', () => {
    const mixed =
      '{ kind: netdev, device: eth1 }, { kind: netdev, device: eth2, speed: 10G }, { kind: netdev, device: eth3, speed: 25G }';
    expect(bondProblems('mode: 802.3ad', mixed)).toEqual([
      'members[2].speed: 25G beside 10G at bridges[0].ports[0].members[1].speed: LACP joins links of one speed only; lacp.select (stable, bandwidth, count) says which links shall carry, one lacp.key for all takes them together',
    ]);
    expect(bondProblems('mode: 802.3ad, lacp: { select: bandwidth }', mixed)).toEqual([]);
    expect(bondProblems('mode: 802.3ad, lacp: { key: 1 }', mixed)).toEqual([]);
    expect(bondProblems('mode: balance-tlb', mixed)).toEqual([]);
    expect(
      bondProblems('mode: 802.3ad', '{ kind: memory, name: a, speed: 1G }, { kind: memory, name: b, speed: 1000M }'),
    ).toEqual([]);
  });
});

describe('values of a bond', () => {
  it('say what is allowed', () => {
    expect(
      bondProblems(
        "mode: 802.3ad, hash: layer4, hash-seed: -1, rebalance-interval: 10, updelay: 0.5, mac: '01:00:00:00:00:01', min-links: 0, lacp: { rate: quick, key: 0, system-priority: 65536, timeout: 1 }",
      ),
    ).toEqual([
      'hash: found "layer4", expected layer2, layer2+3, layer3+4, encap2+3, encap3+4, vlan+srcmac; did you mean "layer2"?',
      'hash-seed: -1 is not allowed (a whole number, 0–2,147,483,647)',
      'rebalance-interval: 10 is not allowed (a whole number, 1,000–3,600,000 ms, or 0 for never)',
      'updelay: 0.5 is not allowed (a whole number, 0–3,600,000 ms)',
      'mac: 01:00:00:00:00:01 is a group address, not a station’s',
      'min-links: 0 is not allowed (a whole number, 1–32 members)',
      'lacp.rate: found "quick", expected slow, fast',
      'lacp.system-priority: 65536 is not allowed (a whole number, 0–65,535)',
      'lacp.key: 0 is not allowed (a whole number, 1–65,535)',
      'lacp.timeout: unknown key (lacp knows mode, rate, system-priority, system-mac, key, select, fallback, strict)',
    ]);
  });

  it('fit to each other', () => {
    expect(bondProblems('primary: eth1')).toEqual(['primary: "eth1" is not a member (members: a, eth2)']);
    expect(bondProblems('primary-reselect: better')).toEqual([
      'primary-reselect: needs a primary: the member that is preferred',
    ]);
    expect(bondProblems('mode: 802.3ad, min-links: 3')).toEqual([
      'min-links: 3 is more than the bond has members (2): it could never be up',
    ]);
    expect(bondProblems('mode: 802.3ad, lacp: { fallback: true, strict: true }')).toEqual([
      'lacp.strict: true forbids what fallback: true asks for: to carry frames without a partner; leave one of them out',
    ]);
  });

  it('have addresses of hosts for sources and targets', () => {
    expect(bondProblems('monitor: { interval: 100 }')).toEqual(['monitor.targets: is missing (expected a list)']);
    expect(bondProblems('monitor: { targets: [] }')).toEqual([
      'monitor.targets: is an empty list; it needs one entry at least',
    ]);
    expect(bondProblems('monitor: { targets: [10.0.0.9] }'), 'a probe needs no source').toEqual([]);
    const none = 'is not an IPv4 or IPv6 address (without a prefix or a zone, as 10.0.0.9 or fe80::1)';
    expect(
      bondProblems(
        "arp-source: eth1, monitor: { targets: [10.0.0.0/8, 'fe80::1%eth1', 0.0.0.0, 224.0.0.5, 255.255.255.255, '::', 'ff02::1'] }",
      ),
    ).toEqual([
      `arp-source: "eth1" ${none}`,
      `monitor.targets[0]: "10.0.0.0/8" ${none}`,
      `monitor.targets[1]: "fe80::1%eth1" ${none}`,
      ...['0.0.0.0', '224.0.0.5', '255.255.255.255', '::', 'ff02::1'].map(
        (address, i) => `monitor.targets[${i + 2}]: ${address} is not the address of one host on a link`,
      ),
    ]);
    expect(
      bondProblems(
        "arp-source: [10.0.0.1, 10.0.0.2], monitor: { targets: [10.0.0.1, 'FE80::1', 'fe80::1'], vlan: 7 }, vlan: { trunks: [10] }",
      ),
    ).toEqual([
      'arp-source: an IPv4 address is already used at bridges[0].ports[0].arp-source: one is enough',
      'monitor.targets[0]: 10.0.0.1 is the bond’s own address (arp-source): it would never answer',
      'monitor.targets[2]: the target fe80::1 is already used at bridges[0].ports[0].monitor.targets[1]',
      'monitor.vlan: the bond does not carry VLAN 7',
    ]);
  });

  it('are compared as addresses, however they are written', () => {
    expect(
      bondProblems("arp-source: [10.0.0.1, 'fe80::1'], monitor: { targets: ['FE80::1', 'fe80:0::0.0.0.1', 10.0.0.2] }"),
    ).toEqual([
      'monitor.targets[0]: FE80::1 is the bond’s own address (arp-source): it would never answer',
      'monitor.targets[1]: the target fe80:0::0.0.0.1 is already used at bridges[0].ports[0].monitor.targets[0]',
      'monitor.targets[1]: fe80:0::0.0.0.1 is the bond’s own address (arp-source): it would never answer',
    ]);
    expect(bondProblems("monitor: { targets: ['2001:db8:0::1', '2001:DB8::1', '2001:db8::2'] }")).toEqual([
      'monitor.targets[1]: the target 2001:DB8::1 is already used at bridges[0].ports[0].monitor.targets[0]',
    ]);
    expect(bondProblems('arp-source: []')).toEqual(['arp-source: is an empty list; leave the key out instead']);
  });

  it('keep its address apart from other ports’', () => {
    expect(
      problems(
        `bridges: [{ name: br0, ports: [{ name: t, kind: tap, mac: 02:00:00:00:00:01 }, { name: up, kind: bond, members: [${A}], mac: 02-00-00-00-00-01 }] }]`,
      ),
    ).toEqual(['bridges[0].ports[1].mac: 02:00:00:00:00:01 is already used at bridges[0].ports[0].mac']);
  });

  it('end where the workers’ tables end', () => {
    const bond = (i: number) => `{ name: b${i}, kind: bond, members: [{ kind: memory, name: m }] }`;
    const ports = (count: number) => Array.from({ length: count }, (_, i) => bond(i)).join(', ');
    expect(problems(`bridges: [{ name: br0, ports: [${ports(BONDS_COUNT_MAX)}] }]`)).toEqual([]);
    expect(problems(`bridges: [{ name: br0, ports: [${ports(BONDS_COUNT_MAX + 1)}] }]`)).toEqual([
      'bridges[0].ports[255]: is one bond too many (at most 255 in one daemon)',
    ]);
  });
});
