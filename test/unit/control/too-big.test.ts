/** Who is told that a packet is too long for a tunnel, and in which words: those of the Linux kernel. */
import { describe, expect, it } from 'vitest';
import { Injector } from '../../../control/running/injector.ts';
import type { PortBook } from '../../../control/running/port-book.ts';
import { type PuntedFrame, Punts } from '../../../control/running/punts.ts';
import { answerTooBig, TooBig } from '../../../control/running/too-big.ts';
import { injectRing } from '../../../dataplane/inject.ts';
import { PUNT_RING_BYTES } from '../../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../../dataplane/memory/byte-ring.ts';
import { Header, InjectWord, Protocol, Punt, plainArena, Way, workerRegion } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { buildEchoFrame, buildTcpFrame, buildUdpFrame, type UdpOptions } from '../../../dataplane/wire/build.ts';
import { isChecksumRight } from '../../../dataplane/wire/checksum.ts';
import { isIpv4ChecksumRight } from '../../../dataplane/wire/ipv4.ts';
import { sumPseudoIpv6 } from '../../../dataplane/wire/ipv6.ts';
import { loadGolden } from '../../golden/load.ts';
import { randomFrom, seedFor } from '../../seed.ts';

const golden = new Map(loadGolden('tunnel').map((frame) => [frame.name, frame]));
const bytesOf = (name: string) => golden.get(name)!.bytes;
const hex = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'));

const LINK = { dst: '02:00:00:00:00:09', src: '02:00:00:00:00:02' };
const V4 = { source: '198.51.100.2', destination: '198.51.100.9' };
const V6 = { source: '2001:db8::2', destination: '2001:db8::9' };
const LONG = { sourcePort: 1, destinationPort: 2, payload: new Uint8Array(1500).fill(7) };

const udp = (more: Partial<UdpOptions>) => buildUdpFrame({ ...LINK, ip4: V4, ...LONG, ...more } as UdpOptions);
const udp6 = (ip6: object = {}, more: object = {}) =>
  buildUdpFrame({ ...LINK, ...LONG, ...more, ip6: { ...V6, ...ip6 } } as UdpOptions);

describe('the answer', () => {
  it('is the one that Linux gives, byte for byte', () => {
    expect(golden.get('fragmentation-needed')!.number('icmp.mtu')).toBe(1400);
    expect(hex(answerTooBig(bytesOf('long4'), 1414, null))).toBe(hex(bytesOf('fragmentation-needed')));
    expect(golden.get('packet-too-big')!.number('icmpv6.mtu')).toBe(1400);
    expect(hex(answerTooBig(bytesOf('long6'), 1414, null))).toBe(hex(bytesOf('packet-too-big')));
  });

  it('quotes no more than the head has, and tells less where tags need room', () => {
    const answer = answerTooBig(udp({ vlan: [{ vid: 10, pcp: 5 }] }).subarray(0, 256), 1418, null)!;
    expect(hex(answer.subarray(0, 18))).toBe('020000000002020000000009' + '8100a00a' + '0800');
    expect(answer).toHaveLength(18 + 20 + 8 + (256 - 18));
    expect((answer[18 + 26]! << 8) | answer[18 + 27]!).toBe(1400);
    expect(isIpv4ChecksumRight(answer, 18)).toBe(true);
    expect(isChecksumRight(answer, 38, answer.length, 0)).toBe(true);
  });

  it('has the tag of the VLAN for which the VNI stands', () => {
    const answer = answerTooBig(udp6().subarray(0, 256), 1414, 20)!;
    expect(hex(answer.subarray(12, 18))).toBe('8100001486dd');
    // The frame had no tag when it did not fit.
    expect(Buffer.from(answer).readUInt32BE(18 + 44)).toBe(1400);
    const icmp = 18 + 40;
    expect(isChecksumRight(answer, icmp, answer.length, sumPseudoIpv6(answer, 18, 58, answer.length - icmp))).toBe(
      true,
    );
  });

  it('does not quote what pads a frame', () => {
    const short = buildUdpFrame({ ...LINK, ip4: V4, sourcePort: 1, destinationPort: 2 });
    expect(short).toHaveLength(60);
    expect(answerTooBig(short, 40, null)).toHaveLength(14 + 20 + 8 + 28);
  });
});

const icmpError = buildEchoFrame({ ...LINK, ip4: V4, payload: new Uint8Array(1400) });
icmpError[14 + 20] = 3;
const icmp6 = (type: number) => {
  const frame = buildEchoFrame({ ...LINK, ip6: V6, payload: new Uint8Array(1400) });
  frame[14 + 40] = type;
  return frame;
};
/** A hop-by-hop or fragment header before what is there. */
const extended = (frame: Uint8Array, header: string, kind: number) => {
  const whole = Buffer.concat([frame.subarray(0, 54), Buffer.from(header, 'hex'), frame.subarray(54)]);
  whole[54] = frame[20]!;
  whole[20] = kind;
  whole.writeUInt16BE(whole.readUInt16BE(18) + header.length / 2, 18);
  return new Uint8Array(whole);
};

describe('nobody is told', () => {
  it.each([
    ['of a packet that may be fragmented', udp({ ip4: { ...V4, dontFragment: false } })],
    ['of a later fragment', udp({ ip4: { ...V4, fragmentAt: 800 } })],
    ['what was for many', udp({ dst: 'ff:ff:ff:ff:ff:ff' })],
    ['what was for a group', udp({ ip4: { ...V4, destination: '224.0.0.1' } })],
    ['what was for all', udp({ ip4: { ...V4, destination: '255.255.255.255' } })],
    ['who has no address yet', udp({ ip4: { ...V4, source: '0.0.0.0' } })],
    ['who claims to be a group', udp({ ip4: { ...V4, source: '239.1.1.1' } })],
    ['who claims to be this machine', udp({ ip4: { ...V4, source: '127.0.0.1' } })],
    ['of an ICMP error', icmpError],
    ['who has no IPv6 address yet', udp6({ source: '::' })],
    ['who claims to be ::1', udp6({ source: '::1' })],
    ['who claims to be an IPv6 group', udp6({ source: 'ff02::1' })],
    ['what was for an IPv6 group', udp6({ destination: 'ff02::1' })],
    ['of an ICMPv6 error', icmp6(1)],
    ['of a redirect', icmp6(137)],
    ['of an ICMPv6 error behind another header', extended(icmp6(2), '3a00010400000000', 0)],
    ['of an ICMPv6 error that the head has not', icmp6(128).subarray(0, 54)],
    ['of a later fragment of nobody knows what', extended(udp6(), '1100000900000001', 44)],
    ['of neither IPv4 nor IPv6', (() => udp({}).fill(0x88, 12, 13))()],
    ['of a header that is cut off', udp({}).subarray(0, 33)],
    ['of half an Ethernet header', udp({}).subarray(0, 13)],
  ])('%s', (_, frame) => expect(hex(answerTooBig(frame, 1414, null))).toBeNull());

  it('where nothing fits', () => {
    for (const limit of [0, 14]) expect(answerTooBig(udp({}), limit, null)).toBeNull();
  });

  it('but of an echo, and of a first fragment, somebody is', () => {
    for (const frame of [
      icmp6(128),
      extended(icmp6(128), '3a00010400000000', 0),
      extended(udp6(), '1100000100000001', 44),
    ])
      expect(answerTooBig(frame, 1414, null)).not.toBeNull();
    const first = udp({ ip4: { ...V4, moreFragments: true } });
    expect(answerTooBig(first, 1414, null)).not.toBeNull();
    expect(answerTooBig(buildTcpFrame({ ...LINK, ip4: V4, ...LONG }), 1414, null)).not.toBeNull();
  });
});

it('never throws at a frame of any bytes, and never answers with more than it may', () => {
  const random = randomFrom(seedFor('too big'));
  let answered = 0;
  for (let k = 0; k < 3000; k++) {
    const base = [
      bytesOf('long4'),
      bytesOf('long6'),
      udp({ vlan: [{ vid: 5 }] }),
      extended(udp6(), '1100010400000000', 0),
    ][k % 4]!;
    const frame = base.slice(0, random(4) === 0 ? random(base.length) : 256);
    for (let n = random(4); n > 0 && frame.length > 0; n--) frame[random(Math.min(frame.length, 80))] = random(256);
    const answer = answerTooBig(frame, random(2000), random(2) === 0 ? null : 7);
    if (answer === null) continue;
    answered++;
    expect(answer.length).toBeLessThanOrEqual(1280 + 14 + 12);
  }
  expect(answered).toBeGreaterThan(500);
});

it('goes in at the tunnel that a worker named', () => {
  const view = new View(plainArena({ workers: 1, fdbEntries: 1024 }));
  const punts = new Punts(view);
  const ports: Record<number, object> = {
    3: { model: { kind: 'vxlan', settings: { vlans: null } } },
    4: { model: { kind: 'geneve', settings: { vlans: [[20, 7]] } } },
    5: { model: { kind: 'tap' } },
  };
  const book = { byNumber: (port: number) => ports[port] } as unknown as PortBook;
  let kicks = 0;
  new TooBig(book, new Injector(view, () => void kicks++), punts);
  const ring = new ByteRing(view.i32, workerRegion(view.layout, Header.PUNT_AT, 0), PUNT_RING_BYTES);
  const put = ({ port, vlan, about, bytes }: PuntedFrame) => {
    const record = ring.reserve(bytes.length);
    view.i32.set([port, Protocol.TOO_BIG, bytes.length, vlan, about], record + Punt.PORT);
    view.u8.set(bytes, (record + BYTE_RING_HEAD_WORDS) << 2);
    ring.publish(record);
  };
  const bytes = bytesOf('long4').subarray(0, 256);
  for (const port of [3, 4, 5, 6]) put({ port, vlan: 20, about: 1414, bytes });
  punts.drain();
  const into = injectRing(view, 0);
  const injected: unknown[] = [];
  for (let at = into.peek(); at >= 0; at = into.peek()) {
    const from = (at + BYTE_RING_HEAD_WORDS) << 2;
    const frame = view.u8.slice(from, from + view.i32[at + InjectWord.BYTES]!);
    injected.push([view.i32[at + InjectWord.PORT], view.i32[at + InjectWord.WAY], hex(frame)]);
    into.release(at);
  }
  expect(injected).toEqual([
    [3, Way.IN, hex(answerTooBig(bytes, 1414, null))],
    [4, Way.IN, hex(answerTooBig(bytes, 1414, 20))],
  ]);
  expect(kicks).toBe(2);
});
