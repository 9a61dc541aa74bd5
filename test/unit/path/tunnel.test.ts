/** Tunnels in the path: which remote and header a frame gets, what an arrival must be to enter, who is learned where. */
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { ARRIVAL_BAD, ARRIVAL_CRITICAL } from '../../../dataplane/memory/tunnel-words.ts';
import { GENERATIONS_AT, PORT_COUNTS_AT } from '../../../dataplane/tables/fdb-layout.ts';
import { tablePort } from '../../rig.ts';
import { A, ALL, B, C, frame, hex, place } from './frames.ts';
import { ENDPOINT_PORT, REMOTES, TUNNEL, TunnelRig } from './tunnel-rig.ts';

const VXLAN = '0800000000138f00';
const from = (src: string, dst = ALL, more: object = {}) => ({
  frame: frame(dst, src),
  from: '192.0.2.2',
  header: VXLAN,
  ...more,
});
/** An IPv4 packet with this TOS and TTL, or IPv6 with this traffic class and hop limit. */
const ipv4 = (tos: number, ttl = 64): Uint8Array =>
  Uint8Array.from(
    Buffer.from(`${B}${A}080045${byte(tos)}002000000000${byte(ttl)}110000c0000201c0000202`.padEnd(120, '0'), 'hex'),
  );
const ipv6 = (tos: number, ttl = 64): Uint8Array =>
  Uint8Array.from(
    Buffer.from(`${B}${A}86dd6${byte(tos)}00000000011${byte(ttl)}${'fd'.repeat(32)}`.padEnd(140, '0'), 'hex'),
  );
const byte = (value: number): string => value.toString(16).padStart(2, '0');

describe('a frame out of a tunnel', () => {
  it('gets its header, and goes to the remote behind which its destination lives', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } });
    place(rig, B, 0, REMOTES[1]!);
    for (let k = 0; k < 3; k++) rig.send(1, frame(B, A));
    const left = rig.left();
    expect(left).toHaveLength(3);
    for (const one of left) expect(one).toMatchObject({ header: VXLAN, to: [REMOTES[1]], frame: frame(B, A) });
    expect(rig.cell(TUNNEL, PortCell.TX_FRAMES)).toBe(3);
  });

  it('goes once to all remotes when it goes to many, beside the ports at home', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } });
    const out = rig.send(1, frame(ALL, A));
    expect(out.get(2)!.map(hex)).toEqual([hex(frame(ALL, A))]);
    expect(rig.left()).toMatchObject([{ header: VXLAN, to: REMOTES, frame: frame(ALL, A) }]);
    expect(rig.cell(TUNNEL, PortCell.REPLICATED)).toBe(2);
  });

  it('is lost where nobody gets floods, and where the only remote is out of reach', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: [] } });
    rig.send(1, frame(ALL, A));
    rig.remote(REMOTES[0]!, TUNNEL, '192.0.2.2', { fits: 0 });
    place(rig, B, 0, REMOTES[0]!);
    rig.send(1, frame(B, A));
    expect(rig.left()).toEqual([]);
    expect(rig.drops()).toEqual({ '10 no-remote': 1, '10 remote-unreachable': 1 });
  });

  it('must fit the way to its remote, byte for byte', () => {
    const rig = new TunnelRig();
    rig.remote(REMOTES[0]!, TUNNEL, '192.0.2.2', { fits: 100 });
    place(rig, B, 0, REMOTES[0]!);
    rig.send(1, frame(B, A, '', 100));
    rig.send(1, frame(B, A, '', 101));
    expect(rig.left().map(({ frame }) => frame.length)).toEqual([100]);
    expect(rig.drops()).toEqual({ '10 path-mtu': 1 });
  });

  it('carries the VNI that a remote has for itself', () => {
    const rig = new TunnelRig();
    rig.remote(REMOTES[2]!, TUNNEL, '192.0.2.9', { vni: 0xabcdef });
    place(rig, B, 0, REMOTES[2]!);
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ header: '08000000abcdef00' }]);
  });

  it.each([
    ['geneve', 5007, '0000655800138f00'],
    ['gre', 0xfedcba98, '20006558fedcba98'],
    ['gre', null, '00006558'],
  ] as const)('has the header of its kind: %s with %s', (kind, vni, header) => {
    const rig = new TunnelRig({ [TUNNEL]: { kind, vni } });
    rig.send(1, frame(ALL, A));
    expect(rig.left()).toMatchObject([{ header }]);
    const out = rig.arrive(from(B, ALL, { header }));
    expect(out.get(1)!.map(hex)).toEqual([hex(frame(ALL, B))]);
    expect(rig.drops()).toEqual({});
  });

  it('is nobody’s when its GRE key is the number that says that there is none', () => {
    const rig = new TunnelRig({ [TUNNEL]: { kind: 'gre', vni: null } });
    rig.arrive(from(B, ALL, { header: '20006558ffffffff' }));
    expect(rig.drops()).toEqual({ [`${ENDPOINT_PORT} unknown-vni`]: 1 });
  });

  it('keeps its flow on one socket, and spreads flows', () => {
    const rig = new TunnelRig();
    place(rig, B, 0, REMOTES[0]!);
    const flowOf = (port: number): number => {
      const packet = ipv4(0);
      packet.set([port >> 8, port & 255], 34);
      rig.send(1, packet);
      return rig.left()[0]!.flow;
    };
    const flows = Array.from({ length: 64 }, (_, k) => flowOf(1000 + k));
    expect(flows).toEqual(Array.from({ length: 64 }, (_, k) => flowOf(1000 + k)));
    expect(new Set(flows.map((flow) => flow & 15)).size).toBeGreaterThan(10);
  });

  it.each([
    ['fixed', { tos: 0x20, ttl: 9 }, 0x22, 9],
    ['inherited', { tos: 'inherit', ttl: 'inherit' }, 0xba, 33],
    ["the system's", {}, 0x02, 0],
  ] as const)('has TOS and TTL %s, and its own ECN (RFC 6040)', (_, settings, tos, ttl) => {
    const rig = new TunnelRig({ [TUNNEL]: settings });
    place(rig, B, 0, REMOTES[0]!);
    for (const packet of [ipv4(0xba, 33), ipv6(0xba, 33)]) rig.send(1, packet);
    const expected = { tos, ttl };
    expect(rig.left()).toMatchObject([expected, expected]);
  });

  it('does not leave by another tunnel of its bridge, unless that is wanted', () => {
    for (const splitHorizon of [true, false]) {
      const rig = new TunnelRig({ [TUNNEL]: { splitHorizon }, 11: { splitHorizon, vni: 6, remotes: [5000] } });
      rig.remote(5000, 11, '192.0.2.7');
      place(rig, C, 0, 5000);
      rig.arrive(from(B), from(B, C));
      expect(rig.left(11).map(({ frame }) => hex(frame))).toEqual(
        splitHorizon ? [] : [hex(frame(ALL, B)), hex(frame(C, B))],
      );
      expect(rig.drops()).toEqual(splitHorizon ? { '11 split-horizon': 1 } : {});
    }
  });

  it('is in the network that stands for its VLAN, without a tag', () => {
    const vlans = [
      [10, 5010],
      [20, 5020],
    ] as const;
    const rig = new TunnelRig({ [TUNNEL]: { vni: null, vlans, port: { vlan: { trunks: [10, 20] } } } });
    rig.send(1, frame(ALL, A, '8100000a'));
    rig.send(1, frame(ALL, A, '81000014'));
    rig.send(1, frame(ALL, A, '8100001e'));
    expect(rig.left()).toMatchObject([
      { header: '0800000000139200', frame: frame(ALL, A) },
      { header: '0800000000139c00', frame: frame(ALL, A) },
    ]);
    const out = rig.arrive(from(B, ALL, { header: '0800000000139c00' }));
    expect(out.get(1)!.map(hex)).toEqual([hex(frame(ALL, B, '81000014'))]);
    rig.arrive(from(B, ALL, { header: '0800000000139c00', frame: frame(ALL, B, '81000014') }));
    expect(rig.drops()).toMatchObject({ [`${ENDPOINT_PORT} tagged-on-access`]: 1 });
  });
});

describe('what arrives', () => {
  it('enters the bridge of its VNI, and its sender is learned behind its remote', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } });
    expect(
      rig
        .arrive(from(B, A, { from: '192.0.2.3' }))
        .get(1)!
        .map(hex),
    ).toEqual([hex(frame(A, B))]);
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ to: [REMOTES[1]] }]);
    expect(rig.view.i32[rig.lane.fdbCountsAt + PORT_COUNTS_AT + TUNNEL]).toBe(1);
    // It moves to another remote of the same tunnel.
    rig.arrive(from(B, A, { from: '192.0.2.4' }));
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ to: [REMOTES[2]] }]);
    expect(rig.cell(TUNNEL, PortCell.MOVED)).toBe(1);
    expect(rig.view.i32[rig.lane.fdbCountsAt + PORT_COUNTS_AT + TUNNEL]).toBe(1);
  });

  it('is followed from one remote to another by a port that holds all that it may', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES, port: { fdbLimit: 1 } } });
    for (const address of ['192.0.2.2', '192.0.2.3', '192.0.2.3']) rig.arrive(from(B, ALL, { from: address }));
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ to: [REMOTES[1]] }]);
    expect(rig.cell(TUNNEL, PortCell.LEARN_LIMITED)).toBe(0);
  });

  it('of several remotes in one batch is learned from each', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } });
    rig.arrive(from(B, A, { from: '192.0.2.3' }), from(C, A, { from: '192.0.2.2' }), from(B, A, { from: '192.0.2.3' }));
    for (const [dst, to] of [
      [B, 1],
      [C, 0],
    ] as const) {
      rig.send(1, frame(dst, A));
      expect(rig.left()).toMatchObject([{ to: [REMOTES[to]] }]);
    }
  });

  it('from an address that is no remote is forwarded, told, and not learned', () => {
    const rig = new TunnelRig();
    expect(rig.arrive(from(B, ALL, { from: '198.51.100.9' })).get(1)).toHaveLength(1);
    expect([rig.lane.strangers, rig.lane.strangerPort, rig.lane.stranger[0]! >>> 0]).toEqual([1, TUNNEL, 0x096433c6]);
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ to: REMOTES.slice(0, 1) }]);
    expect(rig.cell(TUNNEL, PortCell.LEARNED)).toBe(0);
  });

  it('is not learned where the port learns nothing', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES, port: { learning: false } } });
    rig.arrive(from(B, ALL, { from: '192.0.2.3' }), from(C, ALL, { from: '198.51.100.9' }));
    expect([rig.cell(TUNNEL, PortCell.LEARNED), rig.lane.strangers]).toEqual([0, 0]);
  });

  it.each([
    ['without the flag I', { header: '0000000000138f00' }, 'bad-tunnel-header'],
    ['of another network', { header: '0800000000138e00' }, 'unknown-vni'],
    ['cut off', { outer: ARRIVAL_BAD }, 'bad-tunnel-header'],
  ])('is counted at the endpoint when it is %s', (_, more, reason) => {
    const rig = new TunnelRig();
    expect(
      rig
        .arrive(from(B, ALL, more), from(C))
        .get(1)!
        .map(hex),
    ).toEqual([hex(frame(ALL, C))]);
    expect(rig.drops()).toEqual({ [`${ENDPOINT_PORT} ${reason}`]: 1 });
    expect(rig.cell(ENDPOINT_PORT, PortCell.RX_FRAMES)).toBe(1);
  });

  it('with reserved bits set is what it is (RFC 7348, section 5)', () => {
    const rig = new TunnelRig();
    expect(rig.arrive(from(B, ALL, { header: 'ff12345600138fff' })).get(1)).toHaveLength(1);
  });

  it.each([
    ['a version to come', '4000655800138f00', 0, 'bad-tunnel-header'],
    ['a control packet', '0080655800138f00', 0, 'bad-tunnel-header'],
    ['no Ethernet', '0000080000138f00', 0, 'bad-tunnel-header'],
    ['a critical option', '0140655800138f00', ARRIVAL_CRITICAL, 'tunnel-option'],
  ])('by Geneve is not taken with %s', (_, header, outer, reason) => {
    const rig = new TunnelRig({ [TUNNEL]: { kind: 'geneve' } });
    expect(rig.arrive(from(B, ALL, { header, outer })).size).toBe(0);
    expect(rig.drops()).toEqual({ [`${ENDPOINT_PORT} ${reason}`]: 1 });
  });

  it('has its ECN field made by the table of RFC 6040, section 4.2', () => {
    const [NOT, ECT1, ECT0, CE] = [0, 1, 2, 3];
    const table = [
      [NOT, NOT, NOT],
      [NOT, ECT0, NOT],
      [NOT, CE, null],
      [ECT0, ECT1, ECT1],
      [ECT0, CE, CE],
      [ECT1, ECT0, ECT1],
      [ECT1, CE, CE],
      [CE, NOT, CE],
      [CE, ECT0, CE],
    ] as const;
    for (const make of [ipv4, ipv6]) {
      for (const [inner, outer, result] of table) {
        const rig = new TunnelRig();
        const packet = make(0xb8 | inner!);
        if (make === ipv4) setChecksum(packet);
        const out = rig.arrive({ ...from(B), frame: packet, outer: outer! }).get(1) ?? [];
        const expected = result === null ? [] : [make(0xb8 | result!)];
        if (make === ipv4) expected.forEach(setChecksum);
        expect(out.map(hex), `${inner} in ${outer}`).toEqual(expected.map(hex));
        if (result === null) expect(rig.drops()).toEqual({ [`${ENDPOINT_PORT} bad-ecn`]: 1 });
      }
    }
  });

  it('no longer leads to a remote that was flushed', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } });
    rig.arrive(from(B, A, { from: '192.0.2.3' }));
    rig.view.i32[rig.lane.fdbCountsAt + GENERATIONS_AT + REMOTES[1]!]!++;
    rig.send(1, frame(B, A));
    expect(rig.left()).toMatchObject([{ to: REMOTES }]);
  });

  it('to an address behind the same tunnel goes nowhere', () => {
    const rig = new TunnelRig({ [TUNNEL]: { remotes: REMOTES } }, [tablePort(1)]);
    place(rig, C, 0, REMOTES[2]!);
    rig.arrive(from(B, C));
    expect([rig.left(), rig.drops()]).toEqual([[], { '10 same-port': 1 }]);
  });
});

/** The header checksum of the IPv4 packet in an untagged frame. */
function setChecksum(packet: Uint8Array): void {
  packet.set([0, 0], 24);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += (packet[at]! << 8) | packet[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.set([(~sum >>> 8) & 255, ~sum & 255], 24);
}
