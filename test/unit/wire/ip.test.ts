/* ARP, IPv4, IPv6 and ICMP echo. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkArp } from '../../../dataplane/wire/arp.ts';
import { emitArp, parseArp } from '../../../dataplane/wire/arp-value.ts';
import { Check } from '../../../dataplane/wire/check.ts';
import { ETHERNET_BYTES } from '../../../dataplane/wire/ethernet.ts';
import { checkIcmpEcho, emitIcmpEcho, ICMP_ECHO_BYTES, parseIcmpEcho } from '../../../dataplane/wire/icmp.ts';
import {
  checkIpv4,
  ipv4Checksum,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Source,
  isIpv4ChecksumRight,
  isIpv4Fragment,
  setIpv4Destination,
  setIpv4Source,
} from '../../../dataplane/wire/ipv4.ts';
import { emitIpv4, type Ipv4Header, parseIpv4 } from '../../../dataplane/wire/ipv4-value.ts';
import { checkIpv6 } from '../../../dataplane/wire/ipv6.ts';
import { emitIpv6, parseIpv6 } from '../../../dataplane/wire/ipv6-value.ts';
import { loadGolden } from '../../golden/load.ts';
import { headerOptions, ipv4Address, ipv6Address, mac, u8, u16 } from './arbitraries.ts';
import { describeCodec } from './codec.ts';

const kernel = loadGolden('kernel');
const L3 = ETHERNET_BYTES;

describeCodec('ARP', {
  value: fc.record({
    operation: u16,
    senderMac: mac,
    senderAddress: ipv4Address,
    targetMac: mac,
    targetAddress: ipv4Address,
  }),
  parse: parseArp,
  emit: emitArp,
  check: checkArp,
  trailing: () => 0,
});

describe('ARP', () => {
  it.each(kernel.filter((frame) => frame.has('arp.opcode')))('reads golden $name as tshark does', (frame) => {
    const packet = parseArp(frame.bytes, L3, frame.bytes.length);
    expect(packet).toEqual({
      operation: frame.number('arp.opcode'),
      senderMac: frame.text('arp.src.hw_mac'),
      senderAddress: frame.text('arp.src.proto_ipv4'),
      targetMac: frame.text('arp.dst.hw_mac'),
      targetAddress: frame.text('arp.dst.proto_ipv4'),
    });
    const copy = new Uint8Array(28).fill(0xa5);
    emitArp(packet, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(L3, L3 + 28));
  });

  it.each([0, 1, 2, 3, 4, 5])('refuses another value in byte %i of its types', (offset) => {
    const bytes = kernel.find((frame) => frame.has('arp.opcode'))!.bytes.slice(L3);
    expect(checkArp(bytes, 0, bytes.length)).toBe(Check.OK);
    bytes[offset] ^= 0x40;
    expect(checkArp(bytes, 0, bytes.length)).toBe(Check.BAD_TYPE);
  });
});

const ipv4Header: fc.Arbitrary<Ipv4Header> = fc
  .record({
    trafficClass: u8,
    totalBytes: fc.nat(1400),
    identification: u16,
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    fragmentAt: fc.nat(0x1fff).map((units) => units * 8),
    ttl: u8,
    protocol: u8,
    source: ipv4Address,
    destination: ipv4Address,
    options: headerOptions,
  })
  .map((header) => ({ ...header, totalBytes: 20 + header.options.length + header.totalBytes }));

describeCodec('IPv4', {
  value: ipv4Header,
  parse: parseIpv4,
  emit: emitIpv4,
  check: (bytes, at, end) => checkIpv4(bytes, at, end, end),
  trailing: (header) => header.totalBytes - 20 - header.options.length,
});

describe('IPv4', () => {
  const frames = kernel.filter((frame) => frame.number('eth.type') === 0x0800);

  it('has golden frames with options and fragments', () => {
    expect(frames.some((frame) => frame.number('ip.hdr_len') > 20)).toBe(true);
    expect(frames.some((frame) => frame.number('ip.frag_offset') > 0)).toBe(true);
  });

  it.each(frames)('reads golden $name as tshark does', (frame) => {
    const header = parseIpv4(frame.bytes, L3, frame.bytes.length);
    expect({ ...header, options: header.options.length }).toEqual({
      trafficClass: frame.number('ip.dsfield'),
      totalBytes: frame.number('ip.len'),
      identification: frame.number('ip.id'),
      dontFragment: frame.text('ip.flags.df') === '1',
      moreFragments: frame.text('ip.flags.mf') === '1',
      fragmentAt: frame.number('ip.frag_offset') * 8,
      ttl: frame.number('ip.ttl'),
      protocol: frame.number('ip.proto'),
      source: frame.text('ip.src'),
      destination: frame.text('ip.dst'),
      options: frame.number('ip.hdr_len') - 20,
    });
    expect(ipv4Checksum(frame.bytes, L3)).toBe(frame.number('ip.checksum'));
    expect(isIpv4ChecksumRight(frame.bytes, L3)).toBe(true);
    expect(isIpv4Fragment(frame.bytes, L3)).toBe(header.moreFragments || header.fragmentAt > 0);
    const headerBytes = ipv4HeaderBytes(frame.bytes, L3);
    const copy = new Uint8Array(headerBytes).fill(0xa5);
    emitIpv4(header, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(L3, L3 + headerBytes));
    frame.bytes[L3 + 8] ^= 1;
    expect(isIpv4ChecksumRight(frame.bytes, L3)).toBe(false);
    frame.bytes[L3 + 8] ^= 1;
  });

  const packet = (first: number, totalBytes: number): Uint8Array => {
    const bytes = new Uint8Array(60);
    bytes.set([first, 0, totalBytes >>> 8, totalBytes]);
    return bytes;
  };

  it('tells version, header length and total length apart', () => {
    expect(checkIpv4(packet(0x65, 20), 0, 60, 60)).toBe(Check.BAD_VERSION);
    expect(checkIpv4(packet(0x44, 20), 0, 60, 60)).toBe(Check.BAD_LENGTH);
    expect(checkIpv4(packet(0x46, 23), 0, 60, 60)).toBe(Check.BAD_LENGTH);
    expect(checkIpv4(packet(0x45, 61), 0, 60, 60)).toBe(Check.BAD_LENGTH);
    expect(checkIpv4(packet(0x4f, 60), 0, 59, 60)).toBe(Check.SHORT);
    expect(checkIpv4(packet(0x45, 60), 0, 60, 60)).toBe(Check.OK);
  });

  it('compares the total length with the frame, of which only the head may be here', () => {
    expect(checkIpv4(packet(0x45, 9000), 0, 60, 9000)).toBe(Check.OK);
    expect(checkIpv4(packet(0x45, 9001), 0, 60, 9000)).toBe(Check.BAD_LENGTH);
  });

  it('writes addresses as int32 and reads them back', () => {
    const bytes = packet(0x45, 20);
    setIpv4Source(bytes, 0, 0xc0000201 | 0);
    setIpv4Destination(bytes, 0, 0x0a000001);
    expect([ipv4Source(bytes, 0), ipv4Destination(bytes, 0)]).toEqual([0xc0000201 | 0, 0x0a000001]);
    expect(parseIpv4(bytes, 0, 60)).toMatchObject({ source: '192.0.2.1', destination: '10.0.0.1' });
  });
});

describeCodec('IPv6', {
  value: fc.record({
    trafficClass: u8,
    flowLabel: fc.nat(0xfffff),
    payloadBytes: fc.nat(1400),
    nextHeader: u8,
    hopLimit: u8,
    source: ipv6Address,
    destination: ipv6Address,
  }),
  parse: parseIpv6,
  emit: emitIpv6,
  check: (bytes, at, end) => checkIpv6(bytes, at, end, end),
  trailing: (header) => header.payloadBytes,
});

describe('IPv6', () => {
  const frames = [...kernel, ...loadGolden('trafgen')].filter((frame) => frame.number('eth.type') === 0x86dd);

  it('has a golden frame with every field set', () => {
    expect(frames.some((frame) => frame.number('ipv6.tclass') === 0x29 && frame.number('ipv6.flow') > 0xffff)).toBe(
      true,
    );
  });

  it.each(frames)('reads golden $name as tshark does', (frame) => {
    const header = parseIpv6(frame.bytes, L3, frame.bytes.length);
    expect(header).toEqual({
      trafficClass: frame.number('ipv6.tclass'),
      flowLabel: frame.number('ipv6.flow'),
      payloadBytes: frame.number('ipv6.plen'),
      nextHeader: frame.number('ipv6.nxt'),
      hopLimit: frame.number('ipv6.hlim'),
      source: frame.text('ipv6.src'),
      destination: frame.text('ipv6.dst'),
    });
    const copy = new Uint8Array(40).fill(0xa5);
    emitIpv6(header, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(L3, L3 + 40));
  });

  it('tells version and length apart, and takes a tail into account', () => {
    const bytes = new Uint8Array(60);
    bytes.set([0x60, 0, 0, 0, 0, 21]);
    expect(checkIpv6(bytes, 0, 60, 60)).toBe(Check.BAD_LENGTH);
    expect(checkIpv6(bytes, 0, 60, 61)).toBe(Check.OK);
    expect(checkIpv6(bytes, 0, 39, 61)).toBe(Check.SHORT);
    bytes[0] = 0x45;
    expect(checkIpv6(bytes, 0, 60, 61)).toBe(Check.BAD_VERSION);
  });
});

describeCodec('ICMP echo', {
  value: fc.record({ type: u8, code: u8, checksum: u16, identifier: u16, sequence: u16 }),
  parse: parseIcmpEcho,
  emit: emitIcmpEcho,
  check: checkIcmpEcho,
  trailing: () => 0,
});

describe('ICMP echo', () => {
  const echoes = kernel.filter((frame) => frame.has('icmp.ident') || frame.has('icmpv6.echo.identifier'));
  it.each(echoes)('reads golden $name as tshark does', (frame) => {
    const isV4 = frame.has('icmp.ident');
    const at = L3 + (isV4 ? ipv4HeaderBytes(frame.bytes, L3) : 40);
    const prefix = isV4 ? 'icmp' : 'icmpv6';
    const echo = parseIcmpEcho(frame.bytes, at, frame.bytes.length);
    expect(echo).toEqual({
      type: frame.number(`${prefix}.type`),
      code: frame.number(`${prefix}.code`),
      checksum: frame.number(`${prefix}.checksum`),
      identifier: frame.number(isV4 ? 'icmp.ident' : 'icmpv6.echo.identifier'),
      sequence: frame.number(isV4 ? 'icmp.seq' : 'icmpv6.echo.sequence_number'),
    });
    const copy = new Uint8Array(ICMP_ECHO_BYTES).fill(0xa5);
    emitIcmpEcho(echo, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(at, at + ICMP_ECHO_BYTES));
  });
});
