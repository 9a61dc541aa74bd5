/* TCP, UDP, the checksums over them, and the virtio-net header that leaves them unfinished. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Check } from '../../../dataplane/wire/check.ts';
import {
  finishChecksum,
  foldSum,
  isChecksumRight,
  sumBytes,
  updateChecksum,
} from '../../../dataplane/wire/checksum.ts';
import { ipv4HeaderBytes, isIpv4Fragment, sumPseudoIpv4 } from '../../../dataplane/wire/ipv4.ts';
import { sumPseudoIpv6 } from '../../../dataplane/wire/ipv6.ts';
import { checkTcp, tcpHeaderBytes } from '../../../dataplane/wire/tcp.ts';
import { emitTcp, parseTcp } from '../../../dataplane/wire/tcp-value.ts';
import { checkUdp } from '../../../dataplane/wire/udp.ts';
import { emitUdp, parseUdp } from '../../../dataplane/wire/udp-value.ts';
import { checkVnet, VNET_BYTES, VNET_GSO_UDP } from '../../../dataplane/wire/vnet.ts';
import { emitVnet, parseVnet, type VnetHeader } from '../../../dataplane/wire/vnet-value.ts';
import { type GoldenFrame, loadGolden } from '../../golden/load.ts';
import { headerOptions, u8, u16, u32 } from './arbitraries.ts';
import { describeCodec, SEED, seeded } from './codec.ts';

const golden = [...loadGolden('kernel'), ...loadGolden('trafgen')];

interface Segment {
  readonly frame: GoldenFrame;
  readonly name: string;
  readonly at: number;
  readonly end: number;
  readonly pseudoSum: number;
}

/** Where L4 begins and ends in frame.bytes, taken from tshark's fields; undefined if the frame has no such L4. */
function segmentOf(frame: GoldenFrame, protocol: number, offset: number): Segment | undefined {
  const tags = Number(frame.has('vlan.id')) + Number(frame.has('ieee8021ad.id'));
  const ipAt = offset + 14 + 4 * tags;
  const { bytes, name } = frame;
  if (frame.has('ip.proto') && frame.number('ip.proto') === protocol && !isIpv4Fragment(bytes, ipAt)) {
    const at = ipAt + ipv4HeaderBytes(bytes, ipAt);
    const end = ipAt + frame.number('ip.len');
    return { frame, name, at, end, pseudoSum: sumPseudoIpv4(bytes, ipAt, protocol, end - at) };
  }
  if (!frame.has('ipv6.nxt') || frame.number('ipv6.nxt') !== protocol) return undefined;
  const at = ipAt + 40;
  const end = at + frame.number('ipv6.plen');
  return { frame, name, at, end, pseudoSum: sumPseudoIpv6(bytes, ipAt, protocol, end - at) };
}

const segments = (protocol: number): Segment[] => golden.flatMap((frame) => segmentOf(frame, protocol, 0) ?? []);

describeCodec('TCP', {
  value: fc.record({
    sourcePort: u16,
    destinationPort: u16,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
    options: headerOptions,
  }),
  parse: parseTcp,
  emit: emitTcp,
  check: checkTcp,
  trailing: () => 0,
});

describeCodec('UDP', {
  value: fc.record({ sourcePort: u16, destinationPort: u16, length: fc.integer({ min: 8, max: 1500 }), checksum: u16 }),
  parse: parseUdp,
  emit: emitUdp,
  check: (bytes, at, end) => checkUdp(bytes, at, end, end),
  trailing: (header) => header.length - 8,
});

describe('TCP', () => {
  it.each(segments(6))('reads golden $name as tshark does', ({ frame, at, end, pseudoSum }) => {
    const header = parseTcp(frame.bytes, at, end);
    expect({ ...header, options: Buffer.from(header.options).toString('hex') }).toEqual({
      sourcePort: frame.number('tcp.srcport'),
      destinationPort: frame.number('tcp.dstport'),
      sequence: frame.number('tcp.seq_raw'),
      acknowledgment: frame.number('tcp.ack_raw'),
      flags: frame.number('tcp.flags'),
      window: frame.number('tcp.window_size_value'),
      checksum: frame.number('tcp.checksum'),
      urgent: frame.number('tcp.urgent_pointer'),
      options: frame.has('tcp.options') ? frame.text('tcp.options') : '',
    });
    expect(isChecksumRight(frame.bytes, at, end, pseudoSum)).toBe(frame.text('tcp.checksum.status') === '1');
    const headerBytes = tcpHeaderBytes(frame.bytes, at);
    const copy = new Uint8Array(headerBytes).fill(0xa5);
    emitTcp(header, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(at, at + headerBytes));
  });

  it('tells a short data offset from a cut header', () => {
    const bytes = new Uint8Array(60);
    bytes[12] = 4 << 4;
    expect(checkTcp(bytes, 0, 60)).toBe(Check.BAD_LENGTH);
    bytes[12] = 15 << 4;
    expect(checkTcp(bytes, 0, 60)).toBe(Check.OK);
    expect(checkTcp(bytes, 0, 59)).toBe(Check.SHORT);
  });
});

describe('UDP', () => {
  it.each(segments(17))('reads golden $name as tshark does', ({ frame, at, end, pseudoSum }) => {
    const header = parseUdp(frame.bytes, at, end);
    expect(header).toEqual({
      sourcePort: frame.number('udp.srcport'),
      destinationPort: frame.number('udp.dstport'),
      length: frame.number('udp.length'),
      checksum: frame.number('udp.checksum'),
    });
    expect(frame.text('udp.checksum.status')).toBe('1');
    expect(isChecksumRight(frame.bytes, at, end, pseudoSum)).toBe(true);
  });

  it('compares its length with the frame, of which only the head may be here', () => {
    const bytes = new Uint8Array(20);
    bytes.set([0, 1, 0, 2, 0, 7]);
    expect(checkUdp(bytes, 0, 20, 20)).toBe(Check.BAD_LENGTH);
    bytes[5] = 21;
    expect(checkUdp(bytes, 0, 20, 20)).toBe(Check.BAD_LENGTH);
    expect(checkUdp(bytes, 0, 20, 21)).toBe(Check.OK);
  });
});

describe('Internet checksum', () => {
  /** RFC 1071, 3, by the book: one carry at a time. */
  const slowSum = (bytes: Uint8Array): number => {
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) {
      sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
      if (sum > 0xffff) sum -= 0xffff;
    }
    return sum;
  };

  it("sums RFC 1071's own example", () => {
    expect(sumBytes(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7), 0, 8, 0)).toBe(0xddf2);
  });

  it.each([0, 1, 2, 65535, 65536, 131071, 131072])('does not overflow over %i bytes of 0xff', (length) => {
    const bytes = new Uint8Array(length).fill(0xff);
    expect(sumBytes(bytes, 0, length, 0xffff)).toBe(foldSum(slowSum(bytes) + 0xffff));
  });

  it(seeded('agrees with a slow sum, whole and in even pieces'), () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(100), (bytes, half) => {
        const cut = Math.min(half * 2, bytes.length & ~1);
        expect(sumBytes(bytes, 0, bytes.length, 0)).toBe(slowSum(bytes));
        expect(sumBytes(bytes, cut, bytes.length, sumBytes(bytes, 0, cut, 0))).toBe(slowSum(bytes));
      }),
      { seed: SEED },
    );
  });

  it("updates RFC 1624's own example, where the older equation fails", () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  it(seeded('updates as if it had been summed again'), () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), u16, (bytes, after) => {
        bytes[2] |= 1;
        const before = (bytes[0] << 8) | bytes[1];
        const checksum = ~slowSum(bytes) & 0xffff;
        bytes.set([after >>> 8, after]);
        expect(updateChecksum(checksum, before, after)).toBe(~slowSum(bytes) & 0xffff);
      }),
      { seed: SEED },
    );
  });

  it('writes a finished zero as 0xffff', () => {
    const bytes = Uint8Array.of(0xff, 0xfe, 0x00, 0x01);
    finishChecksum(bytes, 0, 2, 4);
    expect(bytes).toEqual(Uint8Array.of(0xff, 0xfe, 0xff, 0xff));
  });
});

const vnetFields: fc.Arbitrary<VnetHeader> = fc.record({
  flags: fc.constantFrom(1, 3),
  gsoType: fc.constantFrom(0, 1, 4, 5, 0x81, 0x84),
  headerBytes: u16,
  gsoBytes: fc.integer({ min: 1, max: 0xffff }),
  checksumStart: fc.integer({ min: 14, max: 200 }),
  checksumOffset: fc.nat(200),
  bufferCount: u16,
});

describeCodec('virtio-net', {
  value: vnetFields,
  parse: parseVnet,
  emit: emitVnet,
  check: checkVnet,
  trailing: (header) => header.checksumStart + header.checksumOffset + 2,
});

describe('virtio-net header', () => {
  const frames = loadGolden('vnet');

  it.each(frames)('reads golden $name as the kernel wrote it', (frame) => {
    const header = parseVnet(frame.bytes, 0, frame.bytes.length);
    expect(header).toEqual({
      flags: frame.struct.flags,
      gsoType: frame.struct.gso_type,
      headerBytes: frame.struct.hdr_len,
      gsoBytes: frame.struct.gso_size,
      checksumStart: frame.struct.csum_start,
      checksumOffset: frame.struct.csum_offset,
      bufferCount: frame.struct.num_buffers,
    });
    const copy = new Uint8Array(VNET_BYTES).fill(0xa5);
    emitVnet(header, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(0, VNET_BYTES));
  });

  it.each(frames)("the kernel's unfinished checksum in $name is our pseudo-header's sum", (frame) => {
    const protocol = frame.has('tcp.srcport') ? 6 : 17;
    const { at, end, pseudoSum } = segmentOf(frame, protocol, VNET_BYTES)!;
    const fieldAt = VNET_BYTES + frame.struct.csum_start + frame.struct.csum_offset;
    expect(at).toBe(VNET_BYTES + frame.struct.csum_start);
    const bytes = frame.bytes.slice();
    expect((bytes[fieldAt] << 8) | bytes[fieldAt + 1]).toBe(pseudoSum);
    expect(isChecksumRight(bytes, at, end, pseudoSum)).toBe(false);
    finishChecksum(bytes, at, fieldAt, end);
    expect(isChecksumRight(bytes, at, end, pseudoSum)).toBe(true);
  });

  const header: VnetHeader = {
    flags: 1,
    gsoType: 1,
    headerBytes: 54,
    gsoBytes: 1448,
    checksumStart: 34,
    checksumOffset: 16,
    bufferCount: 0,
  };
  it.each<[string, Partial<VnetHeader>, number, Check]>([
    ['a super-frame', {}, 192, Check.OK],
    ['its checksum field just inside the head', {}, 52, Check.OK],
    ['its checksum field half inside the head', {}, 51, Check.BAD_OFFLOAD],
    ['a start inside the Ethernet header', { checksumStart: 13 }, 192, Check.BAD_OFFLOAD],
    [
      'a sum of start and offset beyond 16 bits',
      { checksumStart: 65535, checksumOffset: 65535 },
      192,
      Check.BAD_OFFLOAD,
    ],
    ['segments of no size', { gsoBytes: 0 }, 192, Check.BAD_OFFLOAD],
    ['segments without a checksum to finish', { flags: 0 }, 192, Check.BAD_OFFLOAD],
    ['fragments', { gsoType: VNET_GSO_UDP }, 192, Check.BAD_TYPE],
    ['ECN on UDP', { gsoType: 0x85 }, 192, Check.BAD_TYPE],
    ['ECN on nothing', { gsoType: 0x80 }, 192, Check.BAD_TYPE],
    ['an unknown type', { gsoType: 2 }, 192, Check.BAD_TYPE],
    ['nothing asked for, with rubbish elsewhere', { flags: 2, gsoType: 0, checksumStart: 65535 }, 60, Check.OK],
  ])('judges %s', (_name, change, headBytes, expected) => {
    const bytes = new Uint8Array(VNET_BYTES + headBytes);
    emitVnet({ ...header, ...change }, bytes, 0);
    expect(checkVnet(bytes, 0, bytes.length)).toBe(expected);
  });
});
