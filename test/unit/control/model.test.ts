/** The model: every default, the VLAN behaviour of every mode, and the pure edits of the document. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Document, VlanDocument } from '../../../control/config/document.ts';
import { parseYaml } from '../../../control/config/load.ts';
import { RequestError } from '../../../control/errors.ts';
import { withFdbEntry, withoutFdbEntry, withoutPort, withPort } from '../../../control/model/edit.ts';
import { defaultMac, normalMac, notUnicast, reservedIndex } from '../../../control/model/mac.ts';
import { fromDocument } from '../../../control/model/model.ts';
import { carriedVlans, describeVlan, vlanModel } from '../../../control/model/vlan.ts';
import { bitmapOf, expandVlans, formatVlans, fullBitmap, hasVlan, vlansOf } from '../../../control/model/vlan-set.ts';
import { seedFor } from '../../seed.ts';

describe('fromDocument', () => {
  it('fills in every default', () => {
    expect(fromDocument(parseYaml('bridges: [{ name: br0, ports: [{ name: p, kind: tap }] }]'))).toEqual({
      workers: { count: 1, cpus: null, idle: 'adaptive', io: 'auto' },
      api: { socket: null },
      metrics: { host: '127.0.0.1', port: 9475 },
      bridges: [
        {
          name: 'br0',
          ageing: 300,
          fdbLimit: 65_536,
          forwardReserved: 0,
          ports: [
            {
              name: 'p',
              kind: 'tap',
              memberOf: null,
              vlan: { mode: 'trunk', tag: null, trunks: null, cvlans: null, etherType: 0x88a8, priorityTags: 'never' },
              mtu: 1500,
              speed: null,
              flood: { unknown: true, multicast: true, broadcast: true },
              protected: false,
              fdbLimit: null,
              learning: true,
              sticky: false,
              forwardReserved: 0,
              fdb: [],
              device: 'p',
              netns: null,
              mac: defaultMac('br0', 'p'),
              addresses: [],
              gateways: [],
              mtuFixed: false,
            },
          ],
        },
      ],
    });
  });

  it('normalises what was written', () => {
    const model = fromDocument(
      parseYaml(`
workers: { cpus: [0] }
metrics: false
bridges:
  - name: a
    forward-reserved: true
    ports:
      - { name: t, kind: tap, mac: 02-AA-BB-CC-DD-EE, address: 10.0.0.1/8, gateway: [10.0.0.2], speed: 2.5G, flood: { unknown: false } }
      - { name: u, kind: tap, address: [10.0.0.3/8, 'fd00::1/64'], flood: false, forward-reserved: [01-80-C2-00-00-02, 01-80-C2-00-00-0E] }
      - name: m
        kind: memory
        vlan: { tag: 9 }
        fdb: [{ mac: 02-00-00-00-00-02 }, { mac: 02-00-00-00-00-01, vlan: 9, type: sticky }]
      - { name: p, kind: patch, peer: b/p }
      - { name: f, kind: pcap, read: x.pcap }
  - { name: b, ports: [{ name: p, kind: patch, peer: a/p }] }
`),
    );
    const [t, u, m, p, f] = model.bridges[0]!.ports;
    expect(model).toMatchObject({ workers: { count: 1, cpus: [0] }, metrics: null });
    expect(model.bridges[0]!.forwardReserved).toBe(0xffff);
    expect(t).toMatchObject({
      mac: '02:aa:bb:cc:dd:ee',
      addresses: ['10.0.0.1/8'],
      gateways: ['10.0.0.2'],
      speed: 2.5e9,
    });
    expect(t!.flood).toEqual({ unknown: false, multicast: true, broadcast: true });
    expect(u).toMatchObject({ addresses: ['10.0.0.3/8', 'fd00::1/64'], forwardReserved: (1 << 2) | (1 << 14) });
    expect(u!.flood).toEqual({ unknown: false, multicast: false, broadcast: false });
    expect(m!.fdb).toEqual([
      { mac: '02:00:00:00:00:01', vlan: 9, type: 'sticky' },
      { mac: '02:00:00:00:00:02', vlan: 9, type: 'static' },
    ]);
    expect(p).toMatchObject({ peer: { bridge: 'b', port: 'p' } });
    expect(f).toMatchObject({ read: 'x.pcap', write: null });
    expect(JSON.parse(JSON.stringify(model))).toEqual(model);
  });
});

describe('the MAC of a TAP without one', () => {
  it('is locally administered, its own, and the same every time', () => {
    const macs = new Set<string>();
    for (let i = 0; i < 2000; i++) macs.add(defaultMac('br0', `p${i}`));
    expect(macs.size).toBe(2000);
    for (const mac of macs) {
      expect(notUnicast(mac)).toBeNull();
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
    }
    // Pinned: a change would give every running container another address at the next start.
    const pinned = defaultMac('br0', 'web', '0123456789abcdef0123456789abcdef');
    expect(pinned).toBe('5e:ed:55:28:7c:8d');
    // One document may serve many machines on one network.
    expect(defaultMac('br0', 'web', 'another')).not.toBe(pinned);
  });

  it('and written ones are read in both spellings', () => {
    expect(normalMac('02-AB-00-00-00-01')).toBe('02:ab:00:00:00:01');
    expect([normalMac('02ab.0000.0001'), normalMac('02:ab:00:00:00')]).toEqual([null, null]);
    expect([reservedIndex('01-80-C2-00-00-0F'), reservedIndex('01:80:c2:00:00:10')]).toEqual([15, -1]);
  });
});

describe('VLAN behaviour', () => {
  const all = Array.from({ length: 4095 }, (_, i) => i);
  it.each<[string, VlanDocument | undefined, number[], string]>([
    ['no vlan: a trunk of all, untagged in VLAN 0', undefined, all, 'trunk all'],
    ['a tag alone: access', { tag: 10 }, [10], 'access 10'],
    ['trunks alone: trunk, without VLAN 0', { trunks: [10, '20-22'] }, [10, 20, 21, 22], 'trunk 10,20-22'],
    ['a trunk of VLAN 0: untagged frames only', { trunks: [0] }, [0], 'trunk 0'],
    [
      'native-untagged carries its native VLAN though trunks leave it out',
      { mode: 'native-untagged', tag: 10, trunks: [20] },
      [10, 20],
      'native-untagged 10 trunk 20',
    ],
    ['native-tagged without trunks carries all', { mode: 'native-tagged', tag: 10 }, all, 'native-tagged 10 trunk all'],
    [
      'dot1q-tunnel carries its service VLAN',
      { mode: 'dot1q-tunnel', tag: 100, cvlans: ['5-6'] },
      [100],
      'dot1q-tunnel 100 cvlans 5-6',
    ],
  ])('%s', (_, written, carried, text) => {
    const vlan = vlanModel(written);
    expect(vlansOf(carriedVlans(vlan))).toEqual(carried);
    expect(describeVlan(vlan)).toBe(text);
  });

  it('has 802.1ad for service tags unless told otherwise, and `no` for `never`', () => {
    expect(vlanModel({ mode: 'dot1q-tunnel', tag: 1 }).etherType).toBe(0x88a8);
    expect(vlanModel({ mode: 'dot1q-tunnel', tag: 1, ethertype: '802.1q' }).etherType).toBe(0x8100);
    expect(vlanModel({ 'priority-tags': 'no' }).priorityTags).toBe('never');
    expect(vlanModel({ 'priority-tags': 'always' }).priorityTags).toBe('always');
  });
});

describe('VLAN sets', () => {
  it('survive being written and read again', () => {
    const seed = seedFor('VLAN sets survive');
    const set = fc.uniqueArray(fc.integer({ min: 0, max: 4094 }), { maxLength: 200 });
    fc.assert(
      fc.property(set, (vlans) => {
        const sorted = [...vlans].sort((a, b) => a - b);
        const text = formatVlans(sorted);
        expect(expandVlans(text === '' ? [] : text.split(','))).toEqual(sorted);
        expect(vlansOf(bitmapOf(vlans))).toEqual(sorted);
      }),
      { seed },
    );
  });

  it('never hold VLAN 4095', () => {
    expect(hasVlan(fullBitmap(), 4094)).toBe(true);
    expect(hasVlan(fullBitmap(), 4095)).toBe(false);
    expect(() => expandVlans([4095])).toThrow(RangeError);
  });
});

describe('edits of a document', () => {
  const before = parseYaml('bridges: [{ name: a, ports: [{ name: p, kind: memory, vlan: { tag: 5 } }] }, { name: b }]');
  const frozen = JSON.stringify(before);
  const code = (run: () => Document) => {
    try {
      run();
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      return (error as RequestError).code;
    }
    return 'none';
  };

  it('add and remove ports, and leave the document that they were given', () => {
    const added = withPort(before, 'b', { name: 'q', kind: 'null' });
    expect(added.bridges[1]).toEqual({ name: 'b', ports: [{ name: 'q', kind: 'null' }] });
    expect(withoutPort(added, 'b', 'q').bridges[1]!.ports).toEqual([]);
    expect(JSON.stringify(before)).toBe(frozen);
  });

  it('say what is not there, or already is', () => {
    expect(code(() => withPort(before, 'c', { name: 'q', kind: 'null' }))).toBe('no-such-bridge');
    expect(code(() => withPort(before, 'a', { name: 'p', kind: 'null' }))).toBe('port-exists');
    expect(code(() => withoutPort(before, 'a', 'q'))).toBe('no-such-port');
    expect(code(() => withoutPort(before, 'b', 'q'))).toBe('no-such-port');
  });

  it('add a static entry, moving it from the port that had it', () => {
    const two = withPort(before, 'a', { name: 'q', kind: 'memory', vlan: { tag: 5 } });
    const mac = '02:00:00:00:00:01';
    const first = withFdbEntry(two, 'a', 'p', { mac, vlan: 5 });
    const second = withFdbEntry(first, 'a', 'q', { mac: '02-00-00-00-00-01', vlan: 5, type: 'sticky' });
    expect(fromDocument(second).bridges[0]!.ports.map((port) => port.fdb)).toEqual([
      [],
      [{ mac, vlan: 5, type: 'sticky' }],
    ]);
    expect(withoutFdbEntry(second, 'a', 5, mac)).toEqual(two);
    expect(withoutFdbEntry(second, 'a', 6, mac)).toEqual(second);
  });
});
