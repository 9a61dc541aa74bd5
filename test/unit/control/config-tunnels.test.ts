/** Tunnels in a document: what is sound, and what a user is told of each way to get one wrong. */
import { describe, expect, it } from 'vitest';
import { parseYaml, validateDocument } from '../../../control/config/load.ts';
import { DocumentError } from '../../../control/errors.ts';
import { REMOTES_MAX, VNIS_MAX } from '../../../dataplane/limits.ts';

const HOST = { cpus: [0] };

function told(check: () => unknown): string[] {
  try {
    check();
  } catch (error) {
    if (error instanceof DocumentError) return error.problems.map(({ place, message }) => `${place}: ${message}`);
    throw error;
  }
  return [];
}

const problems = (text: string) => told(() => parseYaml(text, HOST));

/** Problems of one port with these keys, by their place within it. */
function portProblems(keys: string): string[] {
  return problems(`bridges: [{ name: br0, ports: [{ name: t, ${keys} }] }]`).map((line) =>
    line.replace(/^bridges\[0\]\.ports\[0\]\.?/, ''),
  );
}

/** The same for a vxlan port that is sound without them. */
function vxlanProblems(keys: string): string[] {
  return portProblems(`kind: vxlan, vni: 7, local: 192.0.2.1, ${keys}`);
}

/** Problems of several ports in one bridge, without the bridge in their places. */
function portsProblems(...ports: string[]): string[] {
  const named = ports.map((keys, k) => `{ name: p${k}, ${keys} }`).join(', ');
  return problems(`bridges: [{ name: br0, ports: [${named}] }]`).map((line) => line.replaceAll('bridges[0].', ''));
}

describe('a tunnel', () => {
  it.each([
    'kind: vxlan, vni: 0, local: 192.0.2.1, remotes: [192.0.2.2, 192.0.2.3]',
    'kind: vxlan, vni: 16777215, local: 192.0.2.1, group: 239.1.1.1, device: eth0, remotes: [192.0.2.2], port: 65535',
    "kind: vxlan, vni: 5, local: '2001:db8::1', remotes: ['2001:db8::2'], group: 'ff05::1', device: eth0",
    'kind: vxlan, vlans: { 1: 0, 4094: 16777215 }, local: 192.0.2.1',
    'kind: vxlan, vni: 5, local: 127.0.0.1, remotes: [127.0.0.2]',
    'kind: geneve, vni: 5, local: 192.0.2.1, port: 4789, ttl: inherit, tos: inherit, df: false, checksum: false',
    'kind: geneve, vni: 5, local: 192.0.2.1, ttl: 1, tos: 0, split-horizon: false, suppress: true, clamp-mss: true',
    'kind: gre, local: 192.0.2.1, remotes: [192.0.2.2], ttl: 255, tos: 252, remote-limit: 0, mtu: 1400',
    'kind: gre, key: 4294967294, local: 192.0.2.1, vlan: { tag: 10 }, protected: true, fdb-limit: 5, learning: false',
    'kind: vxlan, vni: 5, local: 192.0.2.1, fdb: [{ mac: 02:00:00:00:00:01, remote: 192.0.2.9, vni: 7, type: sticky }]',
    'kind: vxlan, vlans: { 10: 5010 }, local: 192.0.2.1, fdb: [{ mac: 02:00:00:00:00:01, vlan: 10, remote: 192.0.2.9 }]',
  ])('is sound: %s', (keys) => {
    expect(portProblems(keys)).toEqual([]);
  });

  it.each([
    ['kind: vxlan, local: 192.0.2.1', 'vni: is missing: one VNI for the port, or vlans: a VNI for each VLAN'],
    ['kind: geneve, vni: 5', 'local: is missing (expected text)'],
    [
      'kind: vxlan, vni: 5, vlans: { 10: 5010 }, local: 192.0.2.1',
      'vni: cannot stand beside vlans, which has a VNI for each VLAN: keep one',
    ],
    [
      'kind: vxlan, vlans: { 10: 5010 }, local: 192.0.2.1, vlan: { trunks: [10] }',
      'vlan: cannot stand beside vlans: the port is then a trunk of the VLANs that vlans names; leave it out',
    ],
    ['kind: vxlan, vni: 16777216, local: 192.0.2.1', 'vni: 16777216 is not allowed (a whole number, 0–16,777,215)'],
    ['kind: gre, key: -1, local: 192.0.2.1', 'key: -1 is not allowed (a whole number, 0–4,294,967,294)'],
    ['kind: vxlan, vlans: { 0: 5, 10: 6, 4095: 7 }, local: 192.0.2.1', 'vlans: 0, 4095 are not VLANs (1–4094)'],
    ['kind: vxlan, vlans: { ten: 6 }, local: 192.0.2.1', 'vlans: ten is not a VLAN (1–4094)'],
    ['kind: vxlan, vlans: { 10: -6 }, local: 192.0.2.1', 'vlans.10: -6 is not allowed (a whole number, 0–16,777,215)'],
    ['kind: vxlan, vlans: {}, local: 192.0.2.1', 'vlans: is an empty map; it needs one VLAN at least, as { 10: 5010 }'],
    ['kind: vxlan, vlans: [10], local: 192.0.2.1', 'vlans: found a list, expected a map'],
    ['kind: vxlan, key: 5, vni: 5, local: 192.0.2.1', 'key: unknown key: that is GRE’s word, write vni (a vxlan port'],
    ['kind: geneve, key: 5, vni: 5, local: 192.0.2.1', 'key: unknown key: that is GRE’s word, write vni (a geneve'],
    ['kind: gre, vni: 5, local: 192.0.2.1', 'vni: unknown key: GRE’s word is key (a gre port knows'],
    ['kind: gre, port: 5, local: 192.0.2.1', 'port: unknown key: GRE lies on IP and has no ports (a gre port knows'],
    ['kind: gre, checksum: true, local: 192.0.2.1', 'checksum: unknown key: GRE is sent without a checksum (a gre'],
    ['kind: gre, group: 239.1.1.1, local: 192.0.2.1', 'group: unknown key: GRE is sent to remotes only (a gre port'],
    [
      'kind: gre, vlans: { 1: 2 }, local: 192.0.2.1',
      'vlans: unknown key: make a port for each VLAN, with a key of its',
    ],
    ['kind: vxlen, vni: 5', 'kind: "vxlen" is not a kind of port; did you mean "vxlan"?'],
  ])('%s', (keys, message) => {
    expect(portProblems(keys)).toEqual([expect.stringContaining(message)]);
    expect(portProblems(keys)[0]!.startsWith(message), portProblems(keys)[0]).toBe(true);
  });

  it.each([
    ['ttl: 0', 'ttl: 0 is not allowed (a whole number, 1–255, or inherit)'],
    ['ttl: 256', 'ttl: 256 is not allowed (a whole number, 1–255, or inherit)'],
    ['ttl: 1.5', 'ttl: 1.5 is not allowed (a whole number, 1–255, or inherit)'],
    ['ttl: auto', 'ttl: found "auto", expected a number or inherit'],
    ['tos: 256', 'tos: 256 is not allowed (0–252 in steps of 4, or inherit)'],
    ['tos: -4', 'tos: -4 is not allowed (0–252 in steps of 4, or inherit)'],
    ['tos: 186', 'tos: 186 sets the two bits of ECN, which weft makes by RFC 6040: write 184'],
    ['port: 0', 'port: 0 is not allowed (a whole number, 1–65,535)'],
    ['df: 1', 'df: found 1, expected true or false'],
    ['checksum: sometimes', 'checksum: found "sometimes", expected true or false'],
    ['remote-limit: -1', `remote-limit: -1 is not allowed (a whole number, 0–61,440 learned remotes)`],
    ['remotes: 192.0.2.2', 'remotes: found "192.0.2.2", expected a list'],
    ['remotes: []', 'remotes: is an empty list; leave the key out instead'],
    ['remote: [192.0.2.2]', 'remote: unknown key; did you mean "remotes"?'],
    [
      'remotes: [192.0.2.2/24]',
      'remotes[0]: "192.0.2.2/24" is not an IPv4 or IPv6 address (without a prefix or a zone, as 192.0.2.1)',
    ],
  ])('%s', (keys, message) => {
    expect(vxlanProblems(keys)).toEqual([expect.stringContaining(message)]);
  });

  it('lists at most 10,000 remotes', () => {
    const list = (count: number) =>
      Array.from({ length: count }, (_, k) => `10.${k >> 16}.${(k >> 8) & 255}.${k & 255}`).join(', ');
    expect(vxlanProblems(`remotes: [${list(10_000)}]`)).toEqual([]);
    expect(vxlanProblems(`remotes: [${list(10_001)}]`)).toEqual([
      'remotes: 10001 entries are too many (at most 10000)',
    ]);
  });
});

describe('addresses of a tunnel', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1 is the tunnel’s own address (local): a remote is another machine'],
    ['239.1.1.1', '239.1.1.1 is a multicast group: write it as group, with the device by which it is reached'],
    ['0.0.0.0', '0.0.0.0 is no machine’s address: a remote is another machine'],
    ['255.255.255.255', '255.255.255.255 is the broadcast address: a remote is another machine'],
    ['240.0.0.1', '240.0.0.1 is reserved (240.0.0.0/4): a remote is another machine'],
    ['127.0.0.1', '127.0.0.1 never leaves this machine, and local 192.0.2.1 is outside of it'],
    ['2001:db8::2', '2001:db8::2 is IPv6 and local is IPv4: a tunnel has one family, make another port for the other'],
    ['::', ':: is no machine’s address: a remote is another machine'],
    ['ff02::1', 'ff02::1 is a multicast group: write it as group, with the device by which it is reached'],
    ['fe80::1', 'fe80::1 is link-local: tunnels need an address that is routed: a remote is another machine'],
    ['::FFFF:192.0.2.2', '::ffff:c000:202 is an IPv4 address in IPv6’s form: write it as IPv4'],
  ])('remote %s', (remote, message) => {
    const listed = vxlanProblems(`remotes: [192.0.2.9, '${remote}']`);
    expect(listed).toEqual([expect.stringContaining(`remotes[1]: ${message}`)]);
    const entry = vxlanProblems(`fdb: [{ mac: 02:00:00:00:00:01, remote: '${remote}' }]`);
    expect(entry).toEqual([expect.stringContaining(`fdb[0].remote: ${message}`)]);
  });

  it('a remote twice, also in another spelling', () => {
    expect(vxlanProblems('remotes: [192.0.2.2, 192.0.2.3, 192.0.2.2]')).toEqual([
      'remotes[2]: the remote 192.0.2.2 is already used at bridges[0].ports[0].remotes[0]: it would get every flood twice',
    ]);
    const keys =
      "kind: vxlan, vni: 7, local: '2001:DB8::1', remotes: ['2001:db8::2', '2001:DB8:0::2', '2001:db8:0:0::1']";
    expect(portProblems(keys)).toEqual([
      expect.stringContaining('remotes[1]: the remote 2001:db8::2 is already used at'),
      'remotes[2]: 2001:db8::1 is the tunnel’s own address (local): a remote is another machine',
    ]);
  });

  it.each([
    ['239.1.1.1', '239.1.1.1 is a multicast group: local is an address of this machine'],
    ['0.0.0.0', '0.0.0.0 is no machine’s address: local is an address of this machine'],
    ['255.255.255.255', '255.255.255.255 is the broadcast address: local is an address of this machine'],
    ['fe80::1', 'fe80::1 is link-local: tunnels need an address that is routed: local is an address of this machine'],
    ['fe80::1%eth0', '"fe80::1%eth0" is not an IPv4 or IPv6 address (without a prefix or a zone, as 192.0.2.1)'],
  ])('local %s', (local, message) => {
    expect(portProblems(`kind: vxlan, vni: 7, local: '${local}'`)).toEqual([`local: ${message}`]);
  });

  it('a loopback address meets its like only', () => {
    expect(portProblems('kind: vxlan, vni: 7, local: 127.0.0.1, remotes: [127.0.0.2, 192.0.2.2]')).toEqual([
      'remotes[1]: local 127.0.0.1 never leaves this machine, and 192.0.2.2 is outside of it',
    ]);
  });

  it.each([
    ['group: 239.1.1.1', 'device: is missing: the interface by which the group is reached, as eth0'],
    ['device: eth0', 'device: goes with a group only, which is missing; remotes are reached as the kernel routes them'],
    [
      'group: 192.0.2.7, device: eth0',
      'group: 192.0.2.7 is not a multicast group (IPv4: 224.0.0.0–239.255.255.255, IPv6: ff00::/8); a machine stands in remotes',
    ],
    ["group: 'ff05::1', device: eth0", 'group: ff05::1 is IPv6 and local is IPv4'],
    ['group: 239.1.1.1, device: a/b', 'device: "a/b" is not a device name'],
  ])('%s', (keys, message) => {
    expect(vxlanProblems(keys)).toEqual([expect.stringContaining(message)]);
  });
});

describe('static entries', () => {
  const MAC = 'mac: 02:00:00:00:00:01';

  it('of a tunnel say behind whom', () => {
    expect(vxlanProblems(`fdb: [{ ${MAC} }]`)).toEqual([
      'fdb[0].remote: is missing: behind which remote the address is (it need not be among remotes)',
    ]);
    expect(vxlanProblems(`fdb: [{ ${MAC}, vni: 5 }]`)).toEqual([expect.stringContaining('fdb[0].remote: is missing')]);
    expect(portProblems(`kind: gre, local: 192.0.2.1, fdb: [{ ${MAC}, vni: 5, remote: 192.0.2.2 }]`)).toEqual([
      'fdb[0].vni: is for vxlan and geneve: all that a gre port sends has the port’s key',
    ]);
    expect(vxlanProblems(`fdb: [{ ${MAC}, vni: 16777216, remote: 192.0.2.2 }]`)).toEqual([
      expect.stringContaining('fdb[0].vni: 16777216 is not allowed'),
    ]);
  });

  it('of a tunnel with a map are in its VLANs', () => {
    const port = 'kind: vxlan, local: 192.0.2.1, vlans: { 10: 5010, 20: 5020 }';
    const entry = (vlan: string) => `${port}, fdb: [{ ${MAC}, remote: 192.0.2.2${vlan} }]`;
    expect(portProblems(entry(', vlan: 20'))).toEqual([]);
    expect(portProblems(entry(''))).toEqual(['fdb[0].vlan: is missing (VLANs of its vlans: 10, 20)']);
    expect(portProblems(entry(', vlan: 30'))).toEqual([
      'fdb[0].vlan: the port does not carry VLAN 30 (VLANs of its vlans: 10, 20)',
    ]);
  });

  it('of other ports have no far side', () => {
    for (const key of ['remote: 192.0.2.2', 'vni: 5'])
      expect(portProblems(`kind: memory, fdb: [{ ${MAC}, ${key} }]`)).toEqual([
        `fdb[0].${key.split(':')[0]}: is for static entries of tunnels (vxlan, geneve, gre); this port is of kind memory`,
      ]);
  });
});

describe('two tunnels', () => {
  const A = 'kind: vxlan, vni: 7, local: 192.0.2.1';
  const taken = (what: string, first: string, remedy = 'VNI') =>
    `${what} is already used at ${first}: what arrives would belong to two; choose another ${remedy} or local`;

  it.each([
    ['another VNI', 'kind: vxlan, vni: 8, local: 192.0.2.1'],
    ['another local', 'kind: vxlan, vni: 7, local: 192.0.2.2'],
    ['another UDP port', 'kind: vxlan, vni: 7, local: 192.0.2.1, port: 8472'],
    ['another kind', 'kind: geneve, vni: 7, local: 192.0.2.1'],
    ['GRE', 'kind: gre, key: 7, local: 192.0.2.1'],
  ])('get along with %s', (_, other) => {
    expect(portsProblems(A, other)).toEqual([]);
  });

  it('clash with one VNI at one address and port, also where one writes the default', () => {
    const what = taken('VNI 7 at 192.0.2.1, UDP port 4789', 'ports[0].vni');
    expect(portsProblems(A, A)).toEqual([`ports[1].vni: ${what}`]);
    expect(portsProblems(A, `${A}, port: 4789`)).toEqual([`ports[1].vni: ${what}`]);
    const far = problems(`bridges: [{ name: a, ports: [{ name: t, ${A} }] }, { name: b, ports: [{ name: t, ${A} }] }]`);
    expect(far).toEqual([
      `bridges[1].ports[0].vni: ${taken('VNI 7 at 192.0.2.1, UDP port 4789', 'bridges[0].ports[0].vni')}`,
    ]);
    const six = (local: string) => `kind: geneve, vni: 7, local: '${local}'`;
    expect(portsProblems(six('2001:db8::1'), six('2001:DB8:0::1'))).toEqual([
      `ports[1].vni: ${taken('VNI 7 at 2001:db8::1, UDP port 6081', 'ports[0].vni')}`,
    ]);
  });

  it('clash through maps, and a map with itself', () => {
    const map = (vlans: string) => `kind: vxlan, vlans: ${vlans}, local: 192.0.2.1`;
    expect(portsProblems(A, map('{ 10: 6, 20: 7 }'))).toEqual([
      `ports[1].vlans.20: ${taken('VNI 7 at 192.0.2.1, UDP port 4789', 'ports[0].vni')}`,
    ]);
    expect(portsProblems(map('{ 10: 6 }'), map('{ 11: 6 }'))).toEqual([
      `ports[1].vlans.11: ${taken('VNI 6 at 192.0.2.1, UDP port 4789', 'ports[0].vlans.10')}`,
    ]);
    expect(portsProblems(map('{ 10: 6, 20: 6 }'))).toEqual([
      `ports[0].vlans.20: ${taken('VNI 6 at 192.0.2.1, UDP port 4789', 'ports[0].vlans.10')}`,
    ]);
  });

  it('of GRE clash with one key, or both without', () => {
    const gre = (more: string) => `kind: gre, local: 192.0.2.1${more}`;
    expect(portsProblems(gre(''), gre(', key: 0'), gre(', key: 1'))).toEqual([]);
    expect(portsProblems(gre(', key: 5'), gre(', key: 5'))).toEqual([
      `ports[1].key: ${taken('the key 5 at 192.0.2.1', 'ports[0].key', 'key')}`,
    ]);
    expect(portsProblems(gre(''), gre(''))).toEqual([
      `ports[1]: ${taken('GRE without a key at 192.0.2.1', 'ports[0]', 'key')}`,
    ]);
  });

  it('of two kinds can’t have one UDP port of one address', () => {
    expect(portsProblems(A, 'kind: geneve, vni: 9, local: 192.0.2.1, port: 4789')).toEqual([
      'ports[1].port: 192.0.2.1, UDP port 4789 is that of a vxlan tunnel at ports[0]: give this geneve tunnel another port or local',
    ]);
    expect(portsProblems('kind: geneve, vni: 9, local: 192.0.2.1, port: 4789', A)).toEqual([
      'ports[1].local: 192.0.2.1, UDP port 4789 is that of a geneve tunnel at ports[0]: give this vxlan tunnel another port or local',
    ]);
  });
});

describe('all tunnels together', () => {
  it(`have at most ${VNIS_MAX} VNIs`, () => {
    const vlans = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, k) => [String(k + 1), from + k]));
    const document = (counts: number[]) => ({
      bridges: counts.map((count, k) => ({
        name: `b${k}`,
        ports: [{ name: 't', kind: 'vxlan', local: '192.0.2.1', vlans: vlans(k * 5000, count) }],
      })),
    });
    expect(told(() => validateDocument(document([4094, 4094, 4094, 4094, 8]), HOST))).toEqual([]);
    expect(told(() => validateDocument(document([4094, 4094, 4094, 4094, 9, 1]), HOST))).toEqual([
      `bridges[4].ports[0]: has more VNIs than are left (at most ${VNIS_MAX} in one daemon)`,
    ]);
  });

  it(`name at most ${REMOTES_MAX} remotes`, () => {
    const remotes = (count: number) => Array.from({ length: count }, (_, k) => `10.0.${k >> 8}.${k & 255}`);
    const document = (counts: number[]) => ({
      bridges: [
        {
          name: 'b',
          ports: counts.map((count, k) => {
            const port = { name: `t${k}`, kind: 'vxlan', local: '192.0.2.1', vni: k, remotes: remotes(count) };
            return k > 0 ? port : { ...port, group: '239.1.1.1', device: 'eth0' };
          }),
        },
      ],
    });
    expect(
      told(() => validateDocument(document([10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 1439]), HOST)),
    ).toEqual([]);
    expect(
      told(() => validateDocument(document([10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 1440]), HOST)),
    ).toEqual([`bridges[0].ports[6]: has more remotes than are left (at most ${REMOTES_MAX} in one daemon)`]);
  });
});

describe('a tunnel beside other ports', () => {
  it('can’t be a member of a bond', () => {
    expect(portProblems('kind: bond, members: [{ kind: vxlan, vni: 7, local: 192.0.2.1 }]')).toEqual([
      'members[0].kind: a vxlan can’t be a member of a bond (members can be netdev, vhost-user, socket, memory)',
    ]);
  });

  it('can’t carry itself: its local address is a tap’s in its own bridge and VLAN', () => {
    const tunnel = 'kind: vxlan, vni: 7, local: 192.0.2.1';
    const message = (vlan: number) =>
      `ports[1].local: 192.0.2.1 is an address of the tap port "p0" of this bridge, which VLAN ${vlan} joins to the tunnel: ` +
      'it would carry itself; give the tunnel a bridge of its own, or keep the two in different VLANs';
    expect(portsProblems('kind: tap, address: 192.0.2.1/24', tunnel)).toEqual([message(0)]);
    expect(portsProblems('kind: tap, addresses: [10.0.0.1/8, 192.0.2.1/24], vlan: { tag: 10 }', tunnel)).toEqual([
      message(10),
    ]);
    const map = 'kind: vxlan, vlans: { 10: 7 }, local: 192.0.2.1';
    expect(portsProblems('kind: tap, address: 192.0.2.1/24, vlan: { tag: 10 }', map)).toEqual([message(10)]);
    expect(portsProblems('kind: tap, address: 192.0.2.1/24, vlan: { tag: 20 }', map)).toEqual([]);
    expect(
      portsProblems('kind: tap, address: 192.0.2.1/24, vlan: { tag: 20 }', `${tunnel}, vlan: { tag: 10 }`),
    ).toEqual([]);
    // Another namespace is another machine, and another bridge another network.
    expect(portsProblems('kind: tap, address: 192.0.2.1/24, netns: x', tunnel)).toEqual([]);
    const tap = '{ name: host, kind: tap, address: 192.0.2.1/24 }';
    expect(problems(`bridges: [{ name: a, ports: [${tap}] }, { name: b, ports: [{ name: t, ${tunnel} }] }]`)).toEqual(
      [],
    );
  });

  it('can’t reach its group by a tap of its own bridge, nor by an interface that is a port', () => {
    const tunnel = 'kind: vxlan, vni: 7, local: 192.0.2.1, group: 239.1.1.1, device: x0';
    expect(portsProblems('kind: tap, device: x0', tunnel)).toEqual([
      expect.stringContaining('ports[1].device: is the device of the tap port "p0" of this bridge, which VLAN 0 joins'),
    ]);
    const taken =
      'device: x0 is the port "n" of bridge a: groups don’t reach this machine by it; name a tap port’s device of that bridge';
    const ports = '{ name: n, kind: netdev, device: x0 }';
    expect(problems(`bridges: [{ name: a, ports: [${ports}] }, { name: b, ports: [{ name: t, ${tunnel} }] }]`)).toEqual(
      [`bridges[1].ports[0].${taken}`],
    );
  });

  it('is told of everything at once', () => {
    const keys = "kind: vxlan, vni: -1, local: 192.0.2.1, remotes: [192.0.2.1, 'x'], ttl: 0, group: 1.2.3.4, fdb: [{}]";
    expect(portProblems(keys).map((line) => line.split(':')[0])).toEqual([
      'fdb[0].mac',
      'vni',
      'remotes[1]',
      'ttl',
      'remotes[0]',
      'device',
      'group',
      'fdb[0].remote',
    ]);
  });
});
