import { describe, expect, it } from 'vitest';
import { parseArp } from '../../../dataplane/wire/arp-value.ts';
import {
  buildArpFrame,
  buildEchoFrame,
  buildFrame,
  buildTcpFrame,
  buildUdpFrame,
} from '../../../dataplane/wire/build.ts';
import { isChecksumRight } from '../../../dataplane/wire/checksum.ts';
import { sumPseudoIpv4 } from '../../../dataplane/wire/ipv4.ts';
import { TCP_ACK, TCP_PSH } from '../../../dataplane/wire/tcp.ts';
import { loadGolden } from '../../golden/load.ts';

const trafgen = new Map(loadGolden('trafgen').map((frame) => [frame.name, frame.bytes]));
const kernel = loadGolden('kernel');
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const link = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const ip4 = { source: '192.0.2.1', destination: '192.0.2.2', ttl: 37, trafficClass: 0xb9, identification: 0xbeef };
const ip6 = { source: '2001:db8::1', destination: '2001:db8::2', trafficClass: 0x29, flowLabel: 0xabcde, hopLimit: 9 };
const udp = { sourcePort: 49153, destinationPort: 4789 };
const tcp = {
  sourcePort: 40000,
  destinationPort: 443,
  sequence: 0x89abcdef,
  acknowledgment: 0xfedcba98,
  flags: TCP_ACK | TCP_PSH,
  window: 0x1234,
  urgent: 7,
};
const weft = ascii('weft');
const odd = ascii('odd');
const service = { tpid: 0x88a8, vid: 4094, pcp: 7, dropEligible: true };
const both = [
  { tpid: 0x88a8, vid: 100, pcp: 3 },
  { vid: 20, pcp: 1, dropEligible: true },
];

describe("builders make trafgen's frames, byte for byte", () => {
  it.each<[string, Uint8Array]>([
    ['untagged-udp4', buildUdpFrame({ ...link, ip4, ...udp, payload: weft })],
    ['customer-tag-udp4', buildUdpFrame({ ...link, vlan: [{ vid: 10, pcp: 5 }], ip4, ...udp, payload: odd })],
    ['service-tag-udp4', buildUdpFrame({ ...link, vlan: [service], ip4, ...udp, payload: weft })],
    ['service-tag-udp6', buildUdpFrame({ ...link, vlan: [service], ip6, ...udp, payload: weft })],
    ['untagged-udp6', buildUdpFrame({ ...link, ip6, ...udp, payload: weft })],
    ['both-tags-tcp4', buildTcpFrame({ ...link, vlan: both, ip4, ...tcp, payload: weft })],
    ['priority-tag-tcp4', buildTcpFrame({ ...link, vlan: [{ vid: 0, pcp: 6 }], ip4, ...tcp, payload: odd })],
    ['untagged-tcp6', buildTcpFrame({ ...link, ip6, ...tcp, payload: odd })],
  ])('%s', (name, built) => {
    const golden = trafgen.get(name)!;
    expect(built.slice(0, golden.length)).toEqual(golden);
    expect(built.length).toBe(Math.max(60, golden.length));
    expect(built.slice(golden.length).every((byte) => byte === 0)).toBe(true);
  });
});

describe("builders make the kernel's frames, byte for byte", () => {
  it.each(kernel.filter((frame) => frame.has('arp.opcode')))('$name', (frame) => {
    const packet = parseArp(frame.bytes, 14, frame.bytes.length);
    const built = buildArpFrame(packet);
    expect(built.length).toBe(60);
    expect(built.slice(0, 42)).toEqual(frame.bytes);
  });

  const echoes = kernel.filter((frame) => frame.has('icmp.ident') && frame.number('ip.len') === 84);
  it.each(echoes)('$name', (frame) => {
    const reply = frame.number('icmp.type') === 0;
    const built = buildEchoFrame({
      dst: frame.text('eth.dst'),
      src: frame.text('eth.src'),
      ip4: {
        source: frame.text('ip.src'),
        destination: frame.text('ip.dst'),
        identification: frame.number('ip.id'),
        dontFragment: frame.number('ip.flags.df') === 1,
      },
      reply,
      identifier: frame.number('icmp.ident'),
      sequence: frame.number('icmp.seq'),
      payload: frame.bytes.slice(42),
    });
    expect(built).toEqual(frame.bytes);
  });

  it.each(kernel.filter((frame) => frame.has('icmpv6.echo.identifier')))('$name', (frame) => {
    const built = buildEchoFrame({
      dst: frame.text('eth.dst'),
      src: frame.text('eth.src'),
      ip6: {
        source: frame.text('ipv6.src'),
        destination: frame.text('ipv6.dst'),
        flowLabel: frame.number('ipv6.flow'),
      },
      reply: frame.number('icmpv6.type') === 129,
      identifier: frame.number('icmpv6.echo.identifier'),
      sequence: frame.number('icmpv6.echo.sequence_number'),
      payload: frame.bytes.slice(62),
    });
    expect(built).toEqual(frame.bytes);
  });
});

describe('buildFrame and options', () => {
  it('puts any payload behind any tags', () => {
    const built = buildFrame({ ...link, vlan: both }, 0x88b5, Uint8Array.of(1, 2, 3));
    const hex = '020000000002020000000001' + '88a86064' + '81003014' + '88b5' + '010203';
    expect(Buffer.from(built).toString('hex')).toBe(hex.padEnd(120, '0'));
  });

  it('leaves the checksum unfinished when asked, which finishing makes right', () => {
    const built = buildTcpFrame({ ...link, ip4, ...tcp, payload: weft, unfinished: true });
    const pseudoSum = sumPseudoIpv4(built, 14, 6, 24);
    expect((built[50] << 8) | built[51]).toBe(pseudoSum);
    expect(isChecksumRight(built, 34, 58, pseudoSum)).toBe(false);
  });

  it('refuses a tag or an address that does not fit', () => {
    expect(() => buildUdpFrame({ ...link, vlan: [{ vid: 4096 }], ip4, ...udp })).toThrow(/VID: 4096/);
    expect(() => buildUdpFrame({ ...link, ip4: { ...ip4, source: '::1' }, ...udp })).toThrow(/IPv4 address/);
    expect(() => buildUdpFrame({ ...link, ip4, ...udp, payload: new Uint8Array(65536) })).toThrow(RangeError);
  });
});
