/** The MSS that TCP connections through a tunnel agree on: only a SYN's, only lowered, and with a right checksum afterwards. */
import { describe, expect, it } from 'vitest';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { Fact, Flag, plainArena } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { clampArrived, clampMss } from '../../../dataplane/path/clamp.ts';
import { buildTcpFrame, buildUdpFrame, type TcpOptions } from '../../../dataplane/wire/build.ts';
import { isChecksumRight } from '../../../dataplane/wire/checksum.ts';
import { sumPseudoIpv4 } from '../../../dataplane/wire/ipv4.ts';
import { sumPseudoIpv6 } from '../../../dataplane/wire/ipv6.ts';
import { TCP_ACK, TCP_CHECKSUM_AT, TCP_SYN } from '../../../dataplane/wire/tcp.ts';
import { randomFrom, seedFor } from '../../seed.ts';
import { hex } from './frames.ts';

const LINK = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const V4 = { ip4: { source: '192.0.2.1', destination: '192.0.2.2' } };
const V6 = { ip6: { source: '2001:db8::1', destination: '2001:db8::2' } };
const PORTS = { sourcePort: 1234, destinationPort: 80 };
/** MSS 1460, SACK permitted, timestamps, no operation, window scale: as Linux writes them. */
const LINUX = '020405b40402080a000000010000000001030307';

const lane = new Lane(new View(plainArena({ workers: 1, fdbEntries: 1024 })), 0);
const facts = lane.factsAt;
const headAt = lane.headsAtBytes + 128;

interface Given {
  readonly l3?: number;
  readonly head?: number;
  readonly flags?: number;
  readonly vnet?: number;
}

/** What becomes of a frame in the arena. Without `l3`: as received. */
function clamped(
  frame: Uint8Array,
  limit: number,
  { l3, head = frame.length, flags = 0, vnet = 0 }: Given,
): Uint8Array {
  lane.u8.fill(0xa5, headAt - 64, headAt + 512);
  lane.u8[headAt - 12] = vnet;
  lane.u8.set(frame, headAt);
  lane.i32[facts + Fact.HEAD_AT] = headAt;
  lane.i32[facts + Fact.HEAD_BYTES] = head;
  lane.i32[facts + Fact.LENGTH] = frame.length;
  lane.i32[facts + Fact.L3] = l3 ?? 0x5a5a;
  lane.i32[facts + Fact.FLAGS] = flags;
  if (l3 === undefined) clampArrived(lane, facts, limit);
  else clampMss(lane, facts, limit);
  return lane.u8.slice(headAt, headAt + frame.length);
}

function syn(options: string, more: Partial<TcpOptions> = {}, ip: typeof V4 | typeof V6 = V4): Uint8Array {
  const padded = options.padEnd(Math.ceil(options.length / 8) * 8, '0');
  const bytes = new Uint8Array(Buffer.from(padded, 'hex'));
  return buildTcpFrame({ ...LINK, ...PORTS, flags: TCP_SYN, options: bytes, ...ip, ...more } as TcpOptions);
}

const MSS = (value: number) => `0204${value.toString(16).padStart(4, '0')}`;

describe('a SYN', () => {
  it.each([
    ['IPv4', V4, 14, 1464 - 14 - 20 - 20, []],
    ['IPv6', V6, 14, 1464 - 14 - 40 - 20, []],
    ['IPv4 in a VLAN', V4, 18, 1464 - 18 - 20 - 20, [{ vid: 10 }]],
    ['IPv6 behind two tags', V6, 22, 1464 - 22 - 40 - 20, [{ vid: 10 }, { vid: 20 }]],
  ] as const)('of %s offers what fits, whichever way it goes', (_, ip, l3, mss, vlan) => {
    const frame = syn(LINUX, { vlan }, ip);
    const wanted = hex(syn(LINUX.replace('05b4', mss.toString(16).padStart(4, '0')), { vlan }, ip));
    expect(hex(clamped(frame, 1464, { l3 }))).toBe(wanted);
    expect(hex(clamped(frame, 1464, {}))).toBe(wanted);
  });

  it('that answers one is lowered too', () => {
    const more = { flags: TCP_SYN | TCP_ACK };
    expect(hex(clamped(syn(MSS(1460), more), 1000, { l3: 14 }))).toBe(hex(syn(MSS(946), more)));
  });

  it('whose option stands at an odd byte has a right checksum', () => {
    expect(hex(clamped(syn(`01${MSS(1460)}`), 1000, { l3: 14 }))).toBe(hex(syn(`01${MSS(946)}`)));
  });

  it.each([
    ['offers less already', syn(MSS(900)), {}],
    ['offers just as much', syn(MSS(946)), {}],
    ['has no such option', syn('0402'), {}],
    ['ends its options before it', syn(`00${MSS(1460)}`), {}],
    ['has an option of no length before it', syn(`0800${MSS(1460)}`), {}],
    ['has an option before it that leaves the header', syn(`08ff${MSS(1460)}`), {}],
    ['has an MSS of another length', syn('0203b4'), {}],
    ['lies in the head only in part', syn(LINUX), { head: 14 + 20 + 30 }],
    ['is a fragment', syn(LINUX, { ip4: { ...V4.ip4, moreFragments: true } } as Partial<TcpOptions>), {}],
    ['is no SYN', syn(LINUX, { flags: TCP_ACK }), {}],
    ['is UDP', buildUdpFrame({ ...LINK, ...PORTS, ...V4, payload: new Uint8Array(40).fill(2) }), {}],
  ])('stays as it is when it %s', (_, frame, given) => {
    expect(hex(clamped(frame, 1000, { l3: 14, ...given }))).toBe(hex(frame));
    expect(hex(clamped(frame, 1000, given))).toBe(hex(frame));
  });

  it('stays as it is where the limit is none', () => {
    for (const limit of [0, 14, 60, 141]) expect(hex(clamped(syn(LINUX), limit, { l3: 14 }))).toBe(hex(syn(LINUX)));
    expect(hex(clamped(syn(LINUX), 142, { l3: 14 }))).not.toBe(hex(syn(LINUX)));
  });

  it('with an unfinished checksum keeps the sum of its pseudo-header', () => {
    const [frame, wanted] = [syn(MSS(1460), { unfinished: true }), hex(syn(MSS(946), { unfinished: true }))];
    expect(hex(clamped(frame, 1000, { l3: 14, flags: Flag.NEEDS_CHECKSUM | Flag.VNET }))).toBe(wanted);
    expect(hex(clamped(frame, 1000, { flags: Flag.VNET, vnet: 1 }))).toBe(wanted);
    // Nothing lies there that means anything.
    expect(hex(clamped(syn(MSS(1460)), 1000, { flags: 0, vnet: 1 }))).toBe(hex(syn(MSS(946))));
  });
});

const OPTIONS = ['01', '0402', '030307', '080a0102030405060708', '0000', '1e04abcd', '0500', '02'] as const;

it('does to any frame what a look with leisure says', () => {
  const random = randomFrom(seedFor('clamp'));
  let lowered = 0;
  for (let k = 0; k < 2000; k++) {
    const [ip, tags] = [random(2) === 0 ? V4 : V6, random(3)];
    const mss = random(65536);
    const before = Array.from({ length: random(3) }, () => OPTIONS[random(random(4) === 0 ? OPTIONS.length : 4)]!).join(
      '',
    );
    const after = Array.from({ length: random(2) }, () => OPTIONS[random(4)]!).join('');
    const flags = random(4) === 0 ? random(256) : TCP_SYN;
    const vlan = Array.from({ length: tags }, (_, n) => ({ vid: n + 1 }));
    const make = (value: number) =>
      syn(`${before}${MSS(value)}${after}`, { vlan, flags, payload: Uint8Array.of(k, k >> 8, 3).subarray(k % 3) }, ip);
    const frame = make(mss);
    const l3 = 14 + 4 * tags;
    const tcp = l3 + (ip === V4 ? 20 : 40);
    const header = (frame[tcp + 12]! >> 4) * 4;
    const head = random(4) === 0 ? random(frame.length + 1) : frame.length;
    const limit = random(4) === 0 ? random(70_000) : 1300 + random(300);
    const fits = limit - tcp - 20;
    const isReached = /^(01|0402|030307|080a.{16}|1e04abcd)*$/.test(before);
    const lowers = (flags & TCP_SYN) !== 0 && isReached && head >= tcp + header && fits >= 88 && fits < mss;
    const result = clamped(frame, limit, random(2) === 0 ? { l3, head } : { head });
    const wanted = lowers ? make(fits) : frame;
    if (lowers) {
      lowered++;
      const end = tcp + header + (3 - (k % 3));
      const sum = (ip === V4 ? sumPseudoIpv4 : sumPseudoIpv6)(result, l3, 6, end - tcp);
      expect(isChecksumRight(result, tcp, end, sum)).toBe(true);
      // Zero is written in two ways.
      result.set(wanted.subarray(tcp + TCP_CHECKSUM_AT, tcp + TCP_CHECKSUM_AT + 2), tcp + TCP_CHECKSUM_AT);
    }
    expect(hex(result)).toBe(hex(wanted));
  }
  expect(lowered).toBeGreaterThan(200);
});
