/** Bonds in the path: which member carries a frame, what a member may receive, what goes up to control. */
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { arpRequest, neighbourSolicitation, unsolicitedNa } from '../../../control/bonding/announcements.ts';
import { PUNTS_PER_S_MAX } from '../../../dataplane/limits.ts';
import { PortCell, Protocol } from '../../../dataplane/memory/layout.ts';
import { buildArpFrame } from '../../../dataplane/wire/build.ts';
import { tablePort } from '../../rig.ts';
import { BOND, BondRig, INDEX, MEMBERS } from './bond-rig.ts';
import { A, ALL, B, C, frame, place, tagsOf } from './frames.ts';

const OWN = '02:00:00:00:0b:00';
const SLOW = '0180c2000002';
const lacpdu = (src = B): Uint8Array => Uint8Array.from(Buffer.from(`${SLOW}${src}8809${'01'.repeat(110)}`, 'hex'));

/** A UDP packet over IPv4 from A to B, 60 bytes. */
function udp(source: number, from = '0a000001', tags = ''): Uint8Array {
  const port = source.toString(16).padStart(4, '0');
  const head = `${B}${A}${tags}0800450000200000000040110000${from}0a000002${port}1389000c0000`;
  return Uint8Array.from(Buffer.from(head.padEnd(120, '0'), 'hex'));
}

/** An ARP request in which an address tells itself. */
function gratuitous(src: string): Uint8Array {
  const body = `0001080006040001${src}0a000005${'00'.repeat(6)}0a000005`;
  return Uint8Array.from(Buffer.from(`${ALL}${src}0806${body}`.padEnd(120, '0'), 'hex'));
}

const ports = (out: Map<number, Uint8Array[]>): number[] => [...out.keys()].sort((a, b) => a - b);

describe('a frame out of a bond', () => {
  it('goes by its bucket, the same for all frames of a flow, over all members', () => {
    const rig = new BondRig();
    rig.steer();
    place(rig, B, 0, BOND);
    const used = new Map<number, number>();
    for (let port = 1000; port < 1400; port++) {
      const out = ports(rig.send(1, udp(port)));
      expect(out).toHaveLength(1);
      expect(ports(rig.send(1, udp(port)))).toEqual(out);
      used.set(out[0]!, (used.get(out[0]!) ?? 0) + 1);
    }
    expect([...used.keys()].sort()).toEqual(MEMBERS);
    for (const flows of used.values()) expect(flows).toBeGreaterThan(60);
  });

  it('keeps its bucket whether it is tagged or not, and by either way through the path', () => {
    const plain = new BondRig();
    const tagged = new BondRig({}, [tablePort(1), tablePort(2, { vlan: { mode: 'access', tag: 7 } })]);
    for (const rig of [plain, tagged]) rig.steer();
    place(plain, B, 0, BOND);
    place(tagged, B, 7, BOND);
    for (let port = 1; port < 60; port++) {
      const [one] = plain.send(1, udp(port));
      const [other] = tagged.send(2, udp(port));
      expect(other![0]).toBe(one![0]);
      expect(Buffer.from(other![1][0]!).subarray(12, 16).toString('hex')).toBe('81000007');
    }
  });

  it('counts units per bucket, and what its members sent at the members', () => {
    const rig = new BondRig();
    rig.steer();
    place(rig, B, 0, BOND);
    rig.table.units(INDEX);
    for (let k = 0; k < 5; k++) rig.send(1, udp(77));
    const units = rig.table.units(INDEX);
    expect([...units].filter((unit) => unit > 0)).toEqual([5]);
    expect(MEMBERS.reduce((sum, member) => sum + rig.cell(member, PortCell.TX_FRAMES), 0)).toBe(5);
  });

  it.each([
    [
      'layer2',
      [
        [1, '0a000001'],
        [2, '0a000009'],
      ],
      1,
    ],
    [
      'layer2+3',
      [
        [1, '0a000001'],
        [2, '0a000001'],
      ],
      1,
    ],
    [
      'vlan+srcmac',
      [
        [1, '0a000001'],
        [2, '0a000009'],
      ],
      1,
    ],
  ] as const)('%s looks at no more than it says', (hash, flows, distinct) => {
    const rig = new BondRig();
    rig.steer({ hash });
    place(rig, B, 0, BOND);
    const used = new Set(flows.map(([port, from]) => ports(rig.send(1, udp(port, from)))[0]));
    expect(used.size).toBe(distinct);
  });

  it('puts fragments of one packet, and the rest of its flow’s addresses, together', () => {
    const rig = new BondRig();
    rig.steer();
    place(rig, B, 0, BOND);
    const fragment = (offset: number, payload: number) => {
      const bytes = udp(payload);
      bytes[20] = offset >> 8;
      bytes[21] = offset & 0xff;
      return bytes;
    };
    const first = ports(rig.send(1, fragment(0x2000, 5)));
    for (const payload of [6, 7, 8, 9]) expect(ports(rig.send(1, fragment(0x2003, payload)))).toEqual(first);
    // More fragments come is not "don't fragment".
    const whole = new Set(Array.from({ length: 40 }, (_, k) => ports(rig.send(1, fragment(0x4000, k)))[0]));
    expect(whole.size).toBe(4);
  });

  it.each([
    ['of one packet', ''],
    ['of a frame', `${B}${A}0800`],
    ['of a frame with a tag', `${B}${A}810000070800`],
    ['of a frame of who knows what, by the tunnel’s own', `${B}${A}88b5`],
  ])('goes by the flow inside a tunnel %s', (_, ethernet) => {
    const rig = new BondRig();
    rig.steer({ hash: 'encap3+4' });
    place(rig, B, 0, BOND);
    const inside = (port: number) => Buffer.from(udp(port)).subarray(14).toString('hex');
    const outer = (protocol: string) => `${B}${A}080045000080000000004${0}${protocol}00000a0000010a000002`;
    const used = new Set<number>();
    for (let port = 1000; port < 1100; port++) {
      const vxlan = `${(0xc000 + port).toString(16)}12b5${'0000'.repeat(2)}0800000000000700`;
      const head = ethernet === '' ? outer('04') : `${outer('11')}${vxlan}${ethernet}`;
      const bytes = () => Uint8Array.from(Buffer.from(`${head}${inside(port)}`, 'hex'));
      const [member] = ports(rig.send(1, bytes()));
      expect(ports(rig.send(1, bytes()))).toEqual([member]);
      used.add(member!);
    }
    expect(used.size).toBe(4);
  });

  it('goes to one member in turn, to all, or to none', () => {
    const rig = new BondRig();
    place(rig, B, 0, BOND);
    rig.steer({ send: 'round-robin', each: 2 });
    const order = Array.from({ length: 8 }, () => ports(rig.send(1, udp(1)))[0]);
    expect(order).toEqual([11, 11, 12, 12, 13, 13, 14, 14]);
    rig.steer({ send: 'broadcast', members: [11, 13] });
    expect(ports(rig.send(1, udp(1)))).toEqual([11, 13]);
    rig.steer({ members: [12] });
    expect(ports(rig.send(1, udp(1)))).toEqual([12]);
    rig.steer({ members: [] });
    expect(ports(rig.send(1, udp(1)))).toEqual([]);
    expect(rig.drops()).toEqual({ [`${BOND} egress-down`]: 1 });
    expect(rig.cell(BOND, PortCell.REPLICATED)).toBe(1);
  });

  it('is one copy of a flood, in the bond’s form', () => {
    const rig = new BondRig({ vlan: { mode: 'trunk', trunks: [7] } }, [
      tablePort(1, { vlan: { mode: 'access', tag: 7 } }),
      tablePort(2, { vlan: { mode: 'access', tag: 7 } }),
    ]);
    rig.steer({ members: [12] });
    const out = rig.send(1, frame(ALL, A));
    expect(ports(out)).toEqual([2, 12]);
    expect(tagsOf(out.get(12)![0]!, ALL, A)).toBe('81000007');
  });
});

describe('a frame that a member received', () => {
  it('came in on the bond, whichever member it was, and never goes back', () => {
    const rig = new BondRig();
    rig.steer();
    expect(ports(rig.send(11, frame(ALL, C)))).toEqual([1, 2]);
    expect(ports(rig.send(1, frame(C, A)))).toHaveLength(1);
    expect(ports(rig.send(14, frame(A, C)))).toEqual([1]);
    expect(rig.cell(BOND, PortCell.MOVED)).toBe(0);
    expect(rig.cell(BOND, PortCell.RX_FRAMES)).toBe(2);
    expect(rig.cell(11, PortCell.RX_FRAMES)).toBe(1);
    expect(rig.cell(11, PortCell.RX_BYTES)).toBe(60);
    expect(rig.cell(14, PortCell.RX_SEGMENTS)).toBe(1);
  });

  it('is lost where its member receives nothing, or nothing that goes to many', () => {
    const rig = new BondRig();
    rig.steer();
    place(rig, A, 0, 1);
    rig.member(11, { receive: 'none' });
    rig.member(12, { receive: 'unicast' });
    expect(ports(rig.send(11, frame(A, C)))).toEqual([]);
    expect(ports(rig.send(12, frame(ALL, C)))).toEqual([]);
    expect(ports(rig.send(12, frame(A, C)))).toEqual([1]);
    expect(rig.drops()).toEqual({ '11 member-inactive': 1, '12 member-inactive': 1 });
    expect(rig.cell(11, PortCell.RX_FRAMES)).toBe(1);
    expect(rig.cell(BOND, PortCell.RX_FRAMES)).toBe(1);
  });

  it('is lost where it is one of ours that came back: bond - discard duplicated frames', () => {
    const rig = new BondRig();
    rig.steer({ hash: 'vlan+srcmac', reflects: true });
    for (const member of MEMBERS) rig.member(member, { receive: member === 11 ? 'all' : 'unicast', reflects: true });
    rig.send(1, frame(ALL, A));
    expect(ports(rig.send(11, frame(ALL, A)))).toEqual([]);
    expect(ports(rig.send(13, frame(B, A)))).toEqual([]);
    expect(rig.drops()).toEqual({ '11 reflected': 1, '13 reflected': 1 });
    expect(ports(rig.send(11, frame(ALL, C)))).toEqual([1, 2]);
    expect(rig.cell(BOND, PortCell.MOVED)).toBe(0);
  });

  it.each([
    ['tagged', {}, '81000007', 7],
    ['tagged as a provider tags', {}, '88a80007', 7],
    ['of a customer', { vlan: { mode: 'dot1q-tunnel', tag: 9 } }, '81000007', 9],
    ['of no VLAN but with a priority', { vlan: { mode: 'native-untagged', tag: 9 } }, '8100e000', 9],
  ] as const)('is known for ours where it is %s', (_, bond, tag, vlan) => {
    const rig = new BondRig(bond);
    rig.steer({ hash: 'vlan+srcmac', reflects: true });
    rig.member(11, { reflects: true });
    place(rig, A, vlan, 1);
    rig.send(11, frame(ALL, A, tag));
    expect(rig.drops()).toEqual({ '11 reflected': 1 });
    expect(rig.cell(BOND, PortCell.MOVED)).toBe(0);
  });

  it('shows by a gratuitous ARP that its sender moved, unless that ARP went out here just before', () => {
    const rig = new BondRig();
    rig.steer({ hash: 'vlan+srcmac', reflects: true });
    rig.member(11, { reflects: true });
    rig.send(1, gratuitous(A));
    expect(ports(rig.send(11, gratuitous(A)))).toEqual([]);
    expect(rig.drops()).toEqual({ '11 reflected': 1 });
    rig.edge.now += 6e9;
    expect(ports(rig.send(11, gratuitous(A)))).toEqual([1, 2]);
    expect(rig.cell(BOND, PortCell.MOVED)).toBe(1);
    // It lives there now.
    expect(ports(rig.send(11, frame(ALL, A)))).toEqual([1, 2]);
  });
});

describe('what goes up to control', () => {
  it.each(['all', 'none', 'unicast'] as const)('LACP, and nowhere else, on a member that receives %s', (receive) => {
    const rig = new BondRig({ reserved: 0xffff });
    rig.steer();
    rig.member(12, { receive, puntsSlow: true });
    expect(ports(rig.send(12, lacpdu()))).toEqual([]);
    const [punt, ...more] = rig.punted();
    expect(more).toEqual([]);
    expect(punt).toEqual({ port: 12, protocol: Protocol.SLOW, bytes: lacpdu() });
    expect(rig.cell(12, PortCell.PUNTED)).toBe(1);
    expect(rig.cell(12, PortCell.RX_FRAMES)).toBe(1);
    expect(rig.drops()).toEqual({});
  });

  it('LACP also while the bond is down in the tables, which loses everything else', () => {
    const rig = new BondRig({ up: false });
    rig.steer();
    rig.member(12, { puntsSlow: true, bondDown: true });
    rig.send(12, lacpdu());
    rig.send(12, frame(ALL, C));
    expect(rig.punted().map(({ port }) => port)).toEqual([12]);
    expect(rig.drops()).toEqual({ [`${BOND} ingress-down`]: 1 });
  });

  it('not where it is off: there it is a reserved address, or passes where that is allowed', () => {
    const rig = new BondRig();
    rig.steer();
    expect(ports(rig.send(12, lacpdu()))).toEqual([]);
    expect(rig.drops()).toEqual({ [`${BOND} reserved-address`]: 1 });
    expect(rig.punted()).toEqual([]);
    const cable = new BondRig({ reserved: 0xffff });
    cable.steer();
    expect(ports(cable.send(12, lacpdu()))).toEqual([1, 2]);
  });

  it('no more of a member in a second than control takes, and the other members’ all the same', () => {
    const rig = new BondRig();
    rig.steer();
    for (const member of MEMBERS) rig.member(member, { puntsSlow: true });
    for (let k = 0; k < 100; k++) rig.send(11, lacpdu());
    rig.send(12, lacpdu());
    expect(rig.drops()).toEqual({ '11 punt-limited': 100 - PUNTS_PER_S_MAX });
    expect(rig.punted().filter(({ port }) => port === 12)).toHaveLength(1);
    rig.edge.now += 1e9;
    rig.send(11, lacpdu());
    expect(rig.punted()).toHaveLength(1);
  });

  it('copies of what a target or the bond itself says by ARP or neighbour discovery, where control watches them', () => {
    const rig = new BondRig();
    rig.steer({ asks: { mac: OWN, targets: ['10.0.0.5', 'fe80::1:2:3'] } });
    rig.member(11, { puntsNeighbours: true });
    rig.member(12, { puntsNeighbours: true, receive: 'none' });
    expect(ports(rig.send(11, gratuitous(C)))).toEqual([1, 2]);
    rig.send(12, gratuitous(C));
    expect(rig.drops()).toEqual({ '12 member-inactive': 1 });
    const other = '02:00:00:00:0f:0f';
    const reply = { senderMac: other, senderAddress: '10.0.0.5', targetMac: OWN, targetAddress: '10.0.0.1' };
    const said = [
      buildArpFrame({ operation: 2, ...reply }),
      buildArpFrame({ operation: 2, ...reply, vlan: [{ vid: 10 }] }),
      unsolicitedNa(other, 'fe80::1:2:3'),
      unsolicitedNa(other, 'fe80::1:2:3', { vid: 10 }),
      arpRequest(OWN, '10.0.0.1', '10.0.0.5'),
      neighbourSolicitation(OWN, 'fe80::9', 'fe80::1:2:3'),
      neighbourSolicitation(other, 'fe80::1:2:3', 'fe80::9'),
    ];
    for (const bytes of said) rig.send(11, bytes);
    const many = [Protocol.NEIGHBOURS, Protocol.ANSWERS];
    const [group, one] = many.map((protocol) => (port: number) => [port, protocol]);
    const wanted = [group!(11), group!(12), one!(11), one!(11), ...Array.from({ length: 5 }, () => group!(11))];
    expect(rig.punted().map(({ port, protocol }) => [port, protocol])).toEqual(wanted);
    const noise = [
      frame(ALL, C),
      arpRequest(other, '10.0.0.7', '10.0.0.5'),
      buildArpFrame({ operation: 2, ...reply, senderAddress: '10.0.0.7' }),
      neighbourSolicitation(other, 'fe80::9', 'fe80::1:2:3'),
      unsolicitedNa(other, 'fe80::9'),
    ];
    for (const bytes of noise) rig.send(11, bytes);
    expect(rig.punted()).toEqual([]);
  });
});

describe('balance-alb', () => {
  const OWN = A;
  const ADDRESSES = ['02:aa:00:00:00:0b', '02:aa:00:00:00:0c', '02:aa:00:00:00:0d', '02:aa:00:00:00:0e'];
  const hexOf = (mac: string) => mac.replaceAll(':', '');
  const mac = (hexed: string) => hexed.match(/../g)!.join(':');
  /** The own address tells `target` where 10.0.0.5 is. */
  function reply(target: number, operation = 2, from = OWN): Uint8Array {
    const body = `000108000604000${operation}${from}0a000005${B}0a0000${target.toString(16).padStart(2, '0')}`;
    return Uint8Array.from(Buffer.from(`${B}${from}0806${body}`.padEnd(120, '0'), 'hex'));
  }
  function makeRig(): BondRig {
    const rig = new BondRig();
    rig.steer({ hash: 'vlan+srcmac', reflects: true, own: { mac: mac(OWN), addresses: ADDRESSES } });
    for (const member of MEMBERS) rig.member(member, { receive: 'unicast', reflects: true });
    place(rig, B, 0, BOND);
    return rig;
  }

  it('tells peers different members’ addresses for the own one, by the member whose it is', () => {
    const rig = makeRig();
    const told = new Set<string>();
    for (let target = 1; target < 40; target++) {
      const [[port, [bytes]]] = rig.send(1, reply(target)) as unknown as [[number, [Uint8Array]]];
      const [source, sender] = [bytes.subarray(6, 12), bytes.subarray(22, 28)].map((b) =>
        Buffer.from(b).toString('hex'),
      );
      expect(source).toBe(hexOf(ADDRESSES[MEMBERS.indexOf(port)]!));
      expect(sender).toBe(source);
      // Nothing else of it changed, and the same peer is told the same.
      const rest = Uint8Array.from(bytes);
      for (const at of [6, 22]) rest.set(Buffer.from(OWN, 'hex'), at);
      expect(rest).toEqual(reply(target));
      expect(ports(rig.send(1, reply(target)))).toEqual([port]);
      told.add(source!);
    }
    expect(told.size).toBe(4);
  });

  it('leaves requests, and what other hosts tell, as they are', () => {
    const rig = makeRig();
    for (const bytes of [reply(1, 1), reply(1, 2, C)]) {
      const [[, [out]]] = rig.send(1, bytes) as unknown as [[number, [Uint8Array]]];
      expect(out).toEqual(bytes);
    }
  });

  it('leaves the reply to its sender’s member where another has no address of its own', () => {
    const rig = makeRig();
    rig.steer({
      hash: 'vlan+srcmac',
      reflects: true,
      own: { mac: mac(OWN), addresses: ADDRESSES.map(() => mac(OWN)) },
    });
    const [usual] = ports(rig.send(1, frame(B, OWN)));
    for (let target = 1; target < 20; target++) expect(ports(rig.send(1, reply(target)))).toEqual([usual]);
  });

  it('takes what comes for a member’s address for the own one, by any member', () => {
    const rig = makeRig();
    place(rig, OWN, 0, 1);
    for (const [k, address] of ADDRESSES.entries()) {
      const out = rig.send(MEMBERS[3 - k]!, frame(hexOf(address), B));
      expect(ports(out)).toEqual([1]);
      expect(tagsOf(out.get(1)![0]!, OWN, B)).toBe('');
    }
    expect(ports(rig.send(11, frame('02aa0000000f', B)))).toEqual([1, 2]);
  });
});
