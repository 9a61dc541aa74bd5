/** The document: every bad input that a user is likely to write gives a place, what was found and what is allowed. */
import { describe, expect, it } from 'vitest';
import { FDB_LIMITS_MAX } from '../../../control/config/checks.ts';
import { parseCpuList } from '../../../control/config/host.ts';
import { parseYaml, validateDocument } from '../../../control/config/load.ts';
import { nearest } from '../../../control/config/problems.ts';
import { parseListen, parseSpeed } from '../../../control/config/values.ts';
import { DocumentError, type Problem } from '../../../control/errors.ts';
import { WORKERS_MAX } from '../../../dataplane/limits.ts';
import { layoutFor } from '../../../dataplane/memory/layout.ts';

const HOST = { cpus: [0, 1] };

function problems(text: string): readonly Problem[] {
  try {
    parseYaml(text, HOST);
  } catch (error) {
    if (error instanceof DocumentError) return error.problems;
    throw error;
  }
  return [];
}

/** The problems of a document with one port, as `rest.of.place: message`, without the port's own place. */
function portProblems(port: string): string[] {
  const found = problems(`bridges: [{ name: br0, ports: [${port}] }]`);
  return found.map(({ place, message }) => `${place.replace(/^bridges\[0\]\.ports\[0\]\.?/, '')}: ${message}`);
}

function vlanProblems(vlan: string): string[] {
  return portProblems(`{ name: p, kind: memory, vlan: ${vlan} }`).map((line) => line.replace(/^vlan\.?/, ''));
}

const WHOLE = `
workers: { count: 1, cpus: [1], idle: adaptive, io: auto }
api: { socket: /run/weft/weft.sock }
metrics: { listen: 127.0.0.1:9475 }
bridges:
  - name: br0
    ageing: 0
    fdb-limit: 1000000
    forward-reserved: [01-80-C2-00-00-02, '01:80:c2:00:00:0e']
    ports:
      - { name: web, kind: tap, device: tap-web, netns: web, address: 10.0.10.2/24, gateway: 10.0.10.1, vlan: { tag: 10 } }
      - { name: db, kind: tap, netns: db, addresses: [10.0.10.3/24, 'fd00::3/64'], mac: '02:00:00:00:00:03', mtu: 9000, speed: 10G }
      - { name: qinq, kind: memory, vlan: { mode: dot1q-tunnel, tag: 100, cvlans: [0, 5-9], ethertype: 802.1q, priority-tags: always } }
      - { name: up, kind: patch, peer: br1/down, flood: { unknown: false }, protected: true, learning: false, sticky: true }
      - { name: sink, kind: 'null', flood: false, fdb-limit: 3, fdb: [{ mac: 02-00-00-00-00-09, vlan: 7, type: sticky }] }
  - name: br1
    ports:
      - { name: down, kind: patch, peer: br0/up }
      - { name: replay, kind: pcap, read: in.pcap, write: out.pcap }
`;

describe('fdb-limits', () => {
  const bridges = (count: number) => ({
    bridges: Array.from({ length: count }, (_, k) => ({ name: `b${k}`, 'fdb-limit': 1_000_000 })),
  });
  it('of all bridges fit into one arena, or the first that does not is named', () => {
    expect(() => validateDocument(bridges(16), HOST)).not.toThrow();
    expect(() => validateDocument(bridges(100), HOST)).toThrow(
      'bridges[16].fdb-limit: with this bridge the fdb-limits add up to 17,000,000 (at most 16,777,216 in one daemon)',
    );
    expect(() => layoutFor({ workers: WORKERS_MAX, fdbEntries: FDB_LIMITS_MAX })).not.toThrow();
  });
});

describe('a sound document', () => {
  it('is what its author wrote, without defaults', () => {
    const document = parseYaml(WHOLE, HOST);
    expect(document.bridges[0]!.ports![0]).toEqual({
      name: 'web',
      kind: 'tap',
      device: 'tap-web',
      netns: 'web',
      address: '10.0.10.2/24',
      gateway: '10.0.10.1',
      vlan: { tag: 10 },
    });
    expect(document.bridges[1]).not.toHaveProperty('ageing');
    expect(validateDocument(structuredClone(document), HOST)).toEqual(document);
  });

  it('may have no bridges, and metrics off', () => {
    expect(parseYaml('{ metrics: false, bridges: [] }', HOST)).toEqual({ metrics: false, bridges: [] });
  });

  it('takes one device name in several namespaces, but not twice in one', () => {
    const two = (a: string, b: string) =>
      problems(
        `bridges: [{ name: b, ports: [{ name: p, kind: tap, device: eth0${a} }, { name: q, kind: tap, device: eth0${b} }] }]`,
      );
    expect(two(', netns: x', ', netns: y')).toEqual([]);
    expect(two(', netns: x', ', netns: x')).toMatchObject([
      {
        place: 'bridges[0].ports[1].device',
        message: 'the device "eth0" in x is already used at bridges[0].ports[0].device',
      },
    ]);
  });
});

describe('all problems at once', () => {
  const found = problems(`workers: { count: 3, cpus: [1, 1, 9], idel: busy }
metrics: { listen: 9475 }
bridges:
  - name: br0
    ageing: -1
    fdb-limit: 2000000
    ports:
      - { name: web, kind: tap, device: averyveryverylongname, address: 10.0.10.2 }
      - name: web
        kind: tap
        vlan: { tag: 4095 }
  - name: br0
`);

  it('each with its place, its line and what is allowed', () => {
    expect(found.map(({ place, line }) => [place, line])).toEqual([
      ['workers.idel', 1],
      ['workers.cpus[1]', 1],
      ['workers.cpus[2]', 1],
      ['metrics.listen', 2],
      ['bridges[0].ageing', 5],
      ['bridges[0].fdb-limit', 6],
      ['bridges[0].ports[0].device', 8],
      ['bridges[0].ports[0].address', 8],
      ['bridges[0].ports[1].name', 9],
      ['bridges[0].ports[1].vlan.tag', 11],
      ['bridges[1].name', 12],
    ]);
    const text = Object.fromEntries(found.map(({ place, message }) => [place, message]));
    expect(text['workers.idel']).toContain('did you mean "idle"?');
    expect(text['workers.cpus[1]']).toBe('CPU 1 is already used at workers.cpus[0]');
    expect(text['workers.cpus[2]']).toBe('CPU 9 is not one that this process may use (0, 1)');
    expect(text['bridges[0].fdb-limit']).toContain('1–1,000,000');
    expect(text['bridges[0].ports[0].device']).toContain('at most 15');
    expect(text['bridges[0].ports[0].address']).toBe('"10.0.10.2" has no prefix (as 10.0.10.2/24)');
    expect(text['bridges[0].ports[1].vlan.tag']).toBe('4095 is not a VLAN (1–4094)');
    expect(text['bridges[1].name']).toBe('the bridge name "br0" is already used at bridges[0].name');
  });

  it('and as one error for the command line', () => {
    expect.assertions(3);
    try {
      validateDocument({ bridges: [{ ports: 3 }] }, HOST);
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad-document', exitCode: 2, status: 400 });
      expect((error as DocumentError).message).toContain('bridges[0].name: is missing (expected text)');
      expect((error as DocumentError).message).toContain('bridges[0].ports: found 3, expected a list');
    }
  });

  it('says where text is not YAML, and what an empty file lacks', () => {
    expect(problems('bridges: [\n  - {')[0]!.message).toMatch(/^is not YAML: /);
    expect(problems('bridges: []\nbridges: []')[0]).toMatchObject({ line: 2 });
    expect(problems('')).toMatchObject([
      { place: 'document', message: 'is empty; a document needs at least `bridges: []`' },
    ]);
    expect(problems('[1]')[0]).toMatchObject({ place: 'document', message: 'found a list, expected a map' });
    expect(problems('{}')[0]).toMatchObject({ place: 'bridges', message: 'is missing (expected a list)' });
  });
});

describe('kinds of port', () => {
  it.each([
    ['{ name: p, kind: tup }', 'kind: "tup" is not a kind of port; did you mean "tap"?'],
    ['{ name: p }', 'kind: is missing (allowed: tap'],
    ['{ name: p, kind: 3 }', 'kind: found 3 (allowed: tap'],
    ['{ name: p, kind: memory, device: x }', 'device: unknown key (a memory port knows name,'],
    ['{ name: p, kind: tap, adress: 10.0.0.1/8 }', 'adress: unknown key; did you mean "address"?'],
    ['{ name: p, kind: tap, vlan: { tags: 3 } }', 'vlan.tags: unknown key; did you mean "tag"?'],
    ['{ name: p, kind: pcap }', ': a pcap port needs read, write or both'],
    ['{ name: p, kind: patch }', 'peer: is missing (expected text)'],
  ])('%s', (port, message) => {
    expect(portProblems(port)[0]).toContain(message);
  });
});

describe('values', () => {
  it.each([
    ['device: "a b"', 'device: "a b" is not a device name'],
    ['device: a/b', 'device: "a/b" is not a device name'],
    ['device: ""', 'device: is empty'],
    ['device: ".."', 'device: ".." is not a device name'],
    ['netns: a/b', 'netns: "a/b" is not the name of a namespace'],
    ['address: 10.0.0.256/24', 'address: "10.0.0.256/24" is not an address'],
    ['address: 10.0.0.1/33', 'address: "10.0.0.1/33" has the prefix 33 (0–32)'],
    ['address: [10.0.0.1/24, 3]', 'address[1]: found 3, expected text'],
    ['address: [10.0.0.1/24, 10.0.0.1/24]', 'address: 10.0.0.1/24 is already used'],
    ['address: 10.0.0.1/24, addresses: [10.0.0.2/24]', 'addresses: cannot stand beside address'],
    ['address: 10.0.0.1/24, gateway: 10.0.1.1', 'gateway: 10.0.1.1 is in none of the port’s networks (10.0.0.1/24)'],
    ['gateway: 10.0.1.1', 'gateway: 10.0.1.1 is in none of the port’s networks (no address)'],
    ['address: 10.0.0.1/24, gateway: 10.0.0.2/24', 'gateway: "10.0.0.2/24" is not an IPv4 or IPv6 address'],
    ['address: 10.0.0.1/24, gateway: [10.0.0.2, 10.0.0.3]', 'gateway: a default gateway for IPv4 is already used'],
    ['mac: "01:00:5e:00:00:01"', 'mac: 01:00:5e:00:00:01 is a group address'],
    ['mac: "00:00:00:00:00:00"', 'mac: 00:00:00:00:00:00 is all zeroes'],
    ['mac: 02-0-0', 'mac: "02-0-0" is not a MAC address'],
    ['mtu: 65522', 'mtu: 65522 is not allowed (a whole number, 68–65,521 bytes)'],
    ['mtu: 1000, address: "fd00::1/64"', 'mtu: 1000 is below what IPv6 needs'],
    ['speed: fast', 'speed: "fast" is not a speed'],
    ['flood: { unkown: true }', 'flood.unkown: unknown key; did you mean "unknown"?'],
    ['flood: 3', 'flood: found 3, expected true or false or a map'],
    ['forward-reserved: [01-80-C2-00-00-10]', 'forward-reserved[0]: "01-80-C2-00-00-10" is not a reserved address'],
    ['fdb: [{ mac: "02:00:00:00:00:01", vlan: 3 }], vlan: { tag: 4 }', 'fdb[0].vlan: the port does not carry VLAN 3'],
    [
      'fdb: [{ mac: "02:00:00:00:00:01" }, { mac: "02-00-00-00-00-01" }]',
      'fdb[1]: 02:00:00:00:00:01 in VLAN 0 is already',
    ],
    ['fdb-limit: 0', 'fdb-limit: 0 is not allowed (a whole number, 1–1,000,000 entries)'],
    ['protected: yes', 'protected: found "yes", expected true or false'],
  ])('%s', (keys, message) => {
    const found = portProblems(`{ name: p, kind: tap, ${keys} }`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });

  it('wants a device where the name of the port cannot be one', () => {
    expect(portProblems('{ name: a-name-beyond-fifteen, kind: tap }')[0]).toMatch(/^device: is missing, .*at most 15/);
    expect(portProblems('{ name: a-name-beyond-fifteen, kind: tap, device: a }')).toEqual([]);
  });

  it('reads speeds, listen addresses and CPU lists', () => {
    expect([parseSpeed('10G'), parseSpeed('2.5G'), parseSpeed('100M'), parseSpeed(1e9)]).toEqual([
      1e10, 2.5e9, 1e8, 1e9,
    ]);
    expect([parseSpeed('-1'), parseSpeed('0'), parseSpeed('10Gb')]).toEqual([null, null, null]);
    expect(parseListen('[::1]:9475')).toEqual({ host: '::1', port: 9475 });
    expect([parseListen('127.0.0.1'), parseListen('127.0.0.1:65536'), parseListen('1.2.3:80')]).toEqual([
      null,
      null,
      null,
    ]);
    expect(parseCpuList('0-2,5\n')).toEqual([0, 1, 2, 5]);
  });

  it('refuses fewer CPUs than workers, and takes more', () => {
    const cpus = (workers: string) => problems(`{ workers: ${workers}, bridges: [] }`).map(({ message }) => message);
    expect(cpus('{ count: 2, cpus: [0] }')).toEqual(['1 CPUs for 2 workers (at least one for each)']);
    expect(cpus('{ count: 1, cpus: [0, 1] }')).toEqual([]);
    expect(cpus('{ cpus: [] }')).toEqual(['is an empty list; leave the key out instead']);
  });

  it('suggests only what is near', () => {
    expect([nearest('fdb_limit', ['fdb-limit']), nearest('nmae', ['name', 'kind']), nearest('zzz', ['name'])]).toEqual([
      'fdb-limit',
      'name',
      null,
    ]);
  });
});

describe('VLANs', () => {
  it.each([
    ['missing max', '"20-"', 'maximum is missing'],
    ['missing min', '"-20"', 'minimum is missing'],
    ['negative', '-3', '-3 is not a VLAN (1–4094'],
    ['over 4094', '4095', '4095 is not a VLAN (1–4094'],
    ['over 4094 in a range', '1-4095', '4095 in "1-4095" is not a VLAN'],
    ['max below min', '30-20', '"30-20" ends below its start (as 20-30)'],
    ['not a number', 'all', 'is neither a VLAN nor a range'],
    ['neither number nor text', 'true', 'found true, expected a number or text'],
    ['a fraction', '1.5', '1.5 is not a VLAN'],
  ])('bridge_test VLAN trunk validation: %s', (_, item, message) => {
    const found = vlanProblems(`{ trunks: [10, ${item}] }`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^trunks\[1\]: /);
    expect(found[0]).toContain(message);
  });

  it.each([
    ['{ mode: access }', 'tag: is missing: mode access needs it (1–4094)'],
    ['{ mode: native-tagged, trunks: [1] }', 'tag: is missing: mode native-tagged needs it (1–4094)'],
    ['{ mode: trunk, tag: 3 }', 'tag: mode trunk does not know this key'],
    ['{ mode: access, tag: 3, trunks: [3] }', 'trunks: mode access does not know this key'],
    [
      '{ tag: 3, cvlans: [3] }',
      'cvlans: mode access, the default here, does not know this key (modes that do: dot1q-tunnel)',
    ],
    ['{ tag: 3, trunks: [3] }', ': has tag and trunks but no mode'],
    ['{ tag: 0 }', 'tag: 0 is not a VLAN (1–4094)'],
    ['{ mode: acess, tag: 3 }', 'mode: found "acess", expected access, trunk'],
    ['{ trunks: [] }', 'trunks: is an empty list'],
    ['{ mode: dot1q-tunnel, tag: 5, ethertype: 0x88a8 }', 'ethertype: found 34984, expected 802.1ad, 802.1q'],
    ['{ priority-tags: sometimes }', 'priority-tags: found "sometimes", expected never, no'],
  ])('%s', (vlan, message) => {
    const found = vlanProblems(vlan);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });
});

describe('patches', () => {
  const bridge = (name: string, ...ports: string[]) =>
    `{ name: ${name}, ports: [${ports.map((port) => {
      const [from, to] = port.split('=');
      return `{ name: ${from}, kind: patch, peer: ${to} }`;
    })}] }`;
  const found = (...bridges: string[]) =>
    problems(`bridges: [${bridges.join(', ')}]`).map(({ place, message }) => `${place}: ${message}`);

  it('in a tree are fine', () => {
    expect(found(bridge('a', 'x=b/x', 'y=c/x'), bridge('b', 'x=a/x'), bridge('c', 'x=a/y'))).toEqual([]);
  });

  it('name a port that is there, that is a patch and that points back', () => {
    expect(found(bridge('a', 'x=b/x'))).toEqual(['bridges[0].ports[0].peer: there is no port b/x in this document']);
    expect(found(bridge('a', 'x=b/x'), bridge('b', 'x=a/y'))).toEqual([
      'bridges[0].ports[0].peer: b/x does not point back: its peer is a/y, not a/x',
      'bridges[1].ports[0].peer: there is no port a/y in this document',
    ]);
    expect(found(bridge('a', 'x=b/m'), '{ name: b, ports: [{ name: m, kind: memory }] }')).toEqual([
      'bridges[0].ports[0].peer: b/m is of kind memory, not patch',
    ]);
    expect(found(bridge('a', 'x=b'))[0]).toContain('"b" is not a port of a bridge (as br1/to-br0)');
  });

  it('do not join a bridge to itself', () => {
    const message = 'is in the same bridge: a patch joins two bridges';
    expect(found(bridge('a', 'x=a/y', 'y=a/x'))).toEqual([
      `bridges[0].ports[0].peer: a/y ${message}`,
      `bridges[0].ports[1].peer: a/x ${message}`,
    ]);
  });

  it('do not close a cycle, which is named', () => {
    const ring = [bridge('a', 'n=b/p', 'p=c/n'), bridge('b', 'n=c/p', 'p=a/n'), bridge('c', 'n=a/p', 'p=b/n')];
    expect(found(...ring)).toEqual([
      'bridges[1].ports[0].peer: closes a cycle of bridges, in which frames would circle: b → c → a → b',
    ]);
    expect(found(bridge('a', 'x=b/x', 'y=b/y'), bridge('b', 'x=a/x', 'y=a/y'))[0]).toContain('a → b → a');
  });
});
