/** A sender's virtio_net_hdr: every lie is bad-offload, the truth becomes facts that move with the tags, and emit marks what is left to do. */
import { describe, expect, it } from 'vitest';
import { FINISH_CHECKSUM, FINISH_SEGMENT, PortCell } from '../../../dataplane/memory/layout.ts';
import { Takes } from '../../../dataplane/tables/port-layout.ts';
import { buildTcpFrame, buildUdpFrame, type TagOptions } from '../../../dataplane/wire/build.ts';
import {
  VNET_BYTES,
  VNET_F_DATA_VALID,
  VNET_F_NEEDS_CSUM,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_UDP,
  VNET_GSO_UDP_L4,
} from '../../../dataplane/wire/vnet.ts';
import { emitVnet, type VnetHeader } from '../../../dataplane/wire/vnet-value.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { A, ALL, frame, hex } from './frames.ts';

const LINK = { dst: 'ff:ff:ff:ff:ff:ff', src: '02:00:00:00:00:01' };
const V4 = { ip4: { source: '192.0.2.1', destination: '192.0.2.2' } };
const V6 = { ip6: { source: '2001:db8::1', destination: '2001:db8::2' } };
const PORTS = { sourcePort: 1234, destinationPort: 80 };
const TAG_10: TagOptions = { vid: 10 };

function tcp(
  payload: number,
  ip: typeof V4 | typeof V6 = V4,
  vlan: readonly TagOptions[] = [],
  options = 0,
): Uint8Array {
  return buildTcpFrame({
    ...LINK,
    ...ip,
    ...PORTS,
    vlan,
    payload: new Uint8Array(payload).fill(7),
    options: new Uint8Array(options).fill(1),
    unfinished: true,
  });
}

function udp(payload: number, ip: typeof V4 | typeof V6 = V4): Uint8Array {
  return buildUdpFrame({ ...LINK, ...ip, ...PORTS, payload: new Uint8Array(payload).fill(7), unfinished: true });
}

function vnet(header: Partial<VnetHeader>): Uint8Array {
  const bytes = new Uint8Array(VNET_BYTES);
  const whole = {
    flags: 0,
    gsoType: 0,
    headerBytes: 0,
    gsoBytes: 0,
    checksumStart: 0,
    checksumOffset: 0,
    bufferCount: 0,
  };
  emitVnet({ ...whole, ...header }, bytes, 0);
  return bytes;
}

const TCP4 = {
  flags: VNET_F_NEEDS_CSUM,
  gsoType: VNET_GSO_TCPV4,
  gsoBytes: 1400,
  checksumStart: 34,
  checksumOffset: 16,
};
const TCP6 = { ...TCP4, gsoType: VNET_GSO_TCPV6, checksumStart: 54 };
const UDP4 = { ...TCP4, gsoType: VNET_GSO_UDP_L4, checksumOffset: 6 };
const UDP6 = { ...UDP4, checksumStart: 54 };
const CHECKSUM4 = { ...TCP4, gsoType: VNET_GSO_NONE, gsoBytes: 0 };

function rigOf(...ports: RigPort[]): Rig {
  const rig = new Rig();
  rig.publish(ports.map((port, k) => tablePort(k + 1, port)));
  return rig;
}

/** Sends into port 1; answers what port 2 saw. */
function pass(rig: Rig, bytes: Uint8Array, header: Partial<VnetHeader>) {
  rig.port(1).push(bytes, vnet(header));
  rig.run();
  return rig.port(2).drain();
}

describe('lies', () => {
  const fragment = tcp(4000);
  const short = tcp(4000);
  short[34 + 12] = 0x40;
  const long = tcp(4000);
  long[34 + 12] = 0xf0;
  const version = tcp(4000);
  version[14] = 0x65;
  const options = tcp(4000);
  options[14] = 0x46;
  const protocol = tcp(4000);
  protocol[23] = 17;
  const version6 = tcp(4000, V6);
  version6[14] = 0x45;
  const CASES: readonly (readonly [string, Uint8Array, Partial<VnetHeader>])[] = [
    ['an unknown type', tcp(4000), { ...TCP4, gsoType: 2 }],
    ['fragments (UFO)', udp(4000), { ...UDP4, gsoType: VNET_GSO_UDP }],
    ['type 6', tcp(4000), { ...TCP4, gsoType: 6 }],
    ['ECN alone', tcp(4000), { ...TCP4, gsoType: VNET_GSO_ECN }],
    ['ECN with UDP', udp(4000), { ...UDP4, gsoType: VNET_GSO_UDP_L4 | VNET_GSO_ECN }],
    ['segments without a checksum to finish', tcp(4000), { ...TCP4, flags: 0 }],
    ['segments with only DATA_VALID', tcp(4000), { ...TCP4, flags: VNET_F_DATA_VALID }],
    ['segments of no size', tcp(4000), { ...TCP4, gsoBytes: 0 }],
    ['a checksum that starts at 0', tcp(40), { ...CHECKSUM4, checksumStart: 0 }],
    ['a checksum that starts in the Ethernet header', tcp(40), { ...CHECKSUM4, checksumStart: 13 }],
    ['a checksum that starts in a tag', tcp(40, V4, [TAG_10]), { ...CHECKSUM4, checksumStart: 17 }],
    ['a checksum that starts in the second tag', tcp(40, V4, [TAG_10, TAG_10]), { ...CHECKSUM4, checksumStart: 21 }],
    ['a checksum field behind the frame', tcp(0), { ...CHECKSUM4, checksumStart: 50, checksumOffset: 9 }],
    ['a checksum field half behind the frame', tcp(10), { ...CHECKSUM4, checksumStart: 34, checksumOffset: 29 }],
    ['a checksum that starts behind the head', tcp(4000), { ...CHECKSUM4, checksumStart: 300 }],
    ['a checksum field behind the head', tcp(4000), { ...CHECKSUM4, checksumStart: 34, checksumOffset: 221 }],
    ['offsets that wrap', tcp(4000), { ...CHECKSUM4, checksumStart: 0xffff, checksumOffset: 0xffff }],
    ['an offset that wraps', tcp(4000), { ...CHECKSUM4, checksumOffset: 0xffff }],
    ['TCP with the checksum of UDP', tcp(4000), { ...TCP4, checksumOffset: 6 }],
    ['UDP with the checksum of TCP', udp(4000), { ...UDP4, checksumOffset: 16 }],
    ['a TCP header that ends behind the head', tcp(4000), { ...TCP4, checksumStart: 237 }],
    ['a TCP header shorter than any', short, TCP4],
    ['a TCP header longer than the frame', long.subarray(0, 34 + 40), { ...TCP4, gsoBytes: 10 }],
    ['IPv4 that is IPv6', tcp(4000, V6), { ...TCP4, checksumStart: 54 }],
    ['IPv6 that is IPv4', tcp(4000), { ...TCP6, checksumStart: 34 }],
    ['TCP that is UDP', udp(4000), TCP4],
    ['UDP that is TCP', tcp(4000), UDP4],
    ['a protocol that is none of them', protocol, TCP4],
    ['an IPv4 header of another version', version, TCP4],
    ['an IPv4 header that ends elsewhere', options, TCP4],
    ['an IPv6 header of another version', version6, TCP6],
    ['a start within the IPv6 header', tcp(4000, V6), { ...TCP6, checksumStart: 34 }],
    ['no IP at all', frame(ALL, A, '', 4000), TCP4],
    ['segments of a frame shorter than its headers', fragment.subarray(0, 50), { ...TCP4, checksumStart: 34 }],
  ];
  it.each(CASES)('bad-offload: %s', (_, bytes, header) => {
    const rig = rigOf({ mtu: 9000 }, { mtu: 9000 });
    expect(pass(rig, bytes, header)).toEqual([]);
    expect(rig.drops()).toEqual({ '1 bad-offload': 1 });
  });

  it('hdr_len is not believed: it is rebuilt', () => {
    for (const headerBytes of [0, 1, 66, 0xffff]) {
      const [sent] = pass(rigOf({}, {}), tcp(4000), { ...TCP4, headerBytes });
      expect(hex(sent!.vnet)).toBe(hex(vnet({ ...TCP4, headerBytes: 54 })));
    }
  });

  it('what nobody asked for is not passed on', () => {
    const [sent] = pass(rigOf({}, {}), tcp(40), {
      flags: VNET_F_DATA_VALID,
      headerBytes: 9,
      checksumStart: 99,
      checksumOffset: 99,
      bufferCount: 3,
    });
    expect(hex(sent!.vnet)).toBe('00'.repeat(VNET_BYTES));
  });
});

describe('truths', () => {
  const CASES: readonly (readonly [string, Uint8Array, Partial<VnetHeader>, number])[] = [
    ['TCP over IPv4', tcp(4000), TCP4, 54],
    ['TCP over IPv6', tcp(4000, V6), TCP6, 74],
    ['TCP with ECN', tcp(4000), { ...TCP4, gsoType: VNET_GSO_TCPV4 | VNET_GSO_ECN }, 54],
    ['TCP with 40 bytes of options', tcp(4000, V4, [], 40), TCP4, 94],
    ['UDP over IPv4', udp(4000), UDP4, 42],
    ['UDP over IPv6', udp(4000, V6), UDP6, 62],
  ];
  it.each(CASES)('%s: passes, counted in segments', (_, bytes, header, headerBytes) => {
    const rig = rigOf({}, {});
    const [sent] = pass(rig, bytes, header);
    expect(hex(sent!.bytes)).toBe(hex(bytes));
    expect(hex(sent!.vnet)).toBe(hex(vnet({ ...header, headerBytes })));
    expect(sent!.finish).toBe(0);
    expect([rig.cell(1, PortCell.RX_SEGMENTS), rig.cell(2, PortCell.TX_SEGMENTS)]).toEqual([3, 3]);
    expect(rig.cell(2, PortCell.TX_FRAMES)).toBe(1);
  });

  it.each([
    [1399, 1],
    [1400, 1],
    [1401, 2],
    [2800, 2],
    [2801, 3],
  ])('%i bytes of payload in segments of 1400 are %i', (payload, segments) => {
    const rig = rigOf({}, {});
    const [sent] = pass(rig, tcp(payload), TCP4);
    expect(rig.cell(1, PortCell.RX_SEGMENTS)).toBe(segments);
    // A single segment is a plain frame whose checksum is still open.
    expect(hex(sent!.vnet)).toBe(hex(vnet(segments === 1 ? CHECKSUM4 : { ...TCP4, headerBytes: 54 })));
  });
});

describe('tags', () => {
  const access: RigPort = { vlan: { tag: 10 } };
  it('pushed: start and lengths move by four', () => {
    const [sent] = pass(rigOf(access, {}), tcp(4000), TCP4);
    expect(hex(sent!.bytes)).toBe(hex(tcp(4000, V4, [TAG_10])));
    expect(hex(sent!.vnet)).toBe(hex(vnet({ ...TCP4, checksumStart: 38, headerBytes: 58 })));
  });

  it('popped: they move back', () => {
    const [sent] = pass(rigOf({}, access), tcp(4000, V4, [TAG_10]), { ...TCP4, checksumStart: 38 });
    expect(hex(sent!.bytes)).toBe(hex(tcp(4000)));
    expect(hex(sent!.vnet)).toBe(hex(vnet({ ...TCP4, headerBytes: 54 })));
  });

  it('in a tunnel: they move behind both', () => {
    const rig = rigOf({ vlan: { mode: 'dot1q-tunnel', tag: 100 } }, {});
    const [sent] = pass(rig, tcp(4000, V6, [TAG_10]), { ...TCP6, checksumStart: 58 });
    expect(hex(sent!.bytes)).toBe(hex(tcp(4000, V6, [{ vid: 100, tpid: 0x88a8 }, TAG_10])));
    expect(hex(sent!.vnet)).toBe(hex(vnet({ ...TCP6, checksumStart: 62, headerBytes: 82 })));
  });

  it('flooded to tagged and untagged ports: each has its own numbers', () => {
    const rig = rigOf(access, {}, access);
    rig.port(1).push(tcp(4000), vnet(TCP4));
    rig.run();
    expect(hex(rig.port(2).drain()[0]!.vnet)).toBe(hex(vnet({ ...TCP4, checksumStart: 38, headerBytes: 58 })));
    expect(hex(rig.port(3).drain()[0]!.vnet)).toBe(hex(vnet({ ...TCP4, headerBytes: 54 })));
  });
});

describe('the MTU of a super-frame', () => {
  it('is that of its segments', () => {
    expect(pass(rigOf({}, {}), tcp(60_000), { ...TCP4, gsoBytes: 1460 })).toHaveLength(1);
    const rig = rigOf({}, {});
    expect(pass(rig, tcp(60_000), { ...TCP4, gsoBytes: 1461 })).toEqual([]);
    expect(rig.drops()).toEqual({ '1 giant': 1 });
  });

  it('holds at the egress too', () => {
    const rig = rigOf({}, { mtu: 1400 });
    expect(pass(rig, tcp(60_000), { ...TCP4, gsoBytes: 1361 })).toEqual([]);
    expect(rig.drops()).toEqual({ '2 mtu-exceeded': 1 });
    expect(pass(rig, tcp(60_000), { ...TCP4, gsoBytes: 1360 })).toHaveLength(1);
  });

  it('that claims to be one segment is that of the frame', () => {
    const rig = rigOf({}, {});
    expect(pass(rig, tcp(3000), { ...TCP4, gsoBytes: 3000 })).toEqual([]);
    expect(rig.drops()).toEqual({ '1 giant': 1 });
  });
});

describe('marks of what an egress does not take', () => {
  const BOTH = FINISH_CHECKSUM | FINISH_SEGMENT;
  const CASES: readonly (readonly [string, number, number, number, number, number])[] = [
    // takes, then the marks of: an open checksum, TCP over IPv4, over IPv6, UDP
    ['nothing', 0, FINISH_CHECKSUM, BOTH, BOTH, BOTH],
    ['checksums', Takes.CHECKSUM, 0, BOTH, BOTH, BOTH],
    ['TSO4', Takes.CHECKSUM | Takes.TSO4, 0, 0, BOTH, BOTH],
    ['TSO6', Takes.CHECKSUM | Takes.TSO6, 0, BOTH, 0, BOTH],
    ['USO', Takes.CHECKSUM | Takes.USO, 0, BOTH, BOTH, 0],
    ['segments but no checksum', Takes.TSO4 | Takes.TSO6 | Takes.USO, FINISH_CHECKSUM, BOTH, BOTH, BOTH],
    ['all', Takes.ALL, 0, 0, 0, 0],
  ];
  it.each(CASES)('%s', (_, takes, plain, tcp4, tcp6, udp4) => {
    const rig = rigOf({}, { takes });
    expect(pass(rig, tcp(100), CHECKSUM4)[0]!.finish).toBe(plain);
    expect(pass(rig, tcp(4000), TCP4)[0]!.finish).toBe(tcp4);
    expect(pass(rig, tcp(4000, V6), TCP6)[0]!.finish).toBe(tcp6);
    expect(pass(rig, udp(4000), UDP4)[0]!.finish).toBe(udp4);
    expect(pass(rig, tcp(100), {})[0]!.finish).toBe(0);
    expect(rig.drops()).toEqual({});
  });

  it('are per egress, not per frame', () => {
    const rig = rigOf({}, {}, { takes: 0 });
    rig.port(1).push(tcp(4000), vnet(TCP4));
    rig.run();
    expect([rig.port(2).drain()[0]!.finish, rig.port(3).drain()[0]!.finish]).toEqual([0, BOTH]);
  });
});
