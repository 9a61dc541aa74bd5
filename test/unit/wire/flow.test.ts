import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildFrame, buildTcpFrame, buildUdpFrame, type UdpOptions } from '../../../dataplane/wire/build.ts';
import { flowHash } from '../../../dataplane/wire/flow.ts';
import { SEED, seeded } from './codec.ts';

const link = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const ip4 = { source: '192.0.2.1', destination: '192.0.2.2' };
const ip6 = { source: '2001:db8::1', destination: '2001:db8::2' };
const ports = { sourcePort: 1000, destinationPort: 2000 };
const base = { ...link, ip4, ...ports };
const whole = (bytes: Uint8Array, tagCount = 0): number => flowHash(bytes, 0, bytes.length, 12 + 4 * tagCount);

describe('flowHash', () => {
  const reference = whole(buildUdpFrame(base));

  it.each<[string, UdpOptions]>([
    ['destination MAC', { ...base, dst: '02:00:00:00:00:03' }],
    ['source MAC', { ...base, src: '02:00:00:00:01:01' }],
    ['source address', { ...base, ip4: { ...ip4, source: '192.0.2.3' } }],
    ['destination address', { ...base, ip4: { ...ip4, destination: '192.0.3.2' } }],
    ['source port', { ...base, sourcePort: 1001 }],
    ['destination port', { ...base, destinationPort: 2001 }],
    ['family', { ...link, ...ports, ip6 }],
  ])('changes with the %s', (_name, options) => {
    expect(whole(buildUdpFrame(options))).not.toBe(reference);
  });

  it('changes with the protocol and with each word of an IPv6 address', () => {
    expect(whole(buildTcpFrame(base))).not.toBe(reference);
    const six = { ...link, ...ports };
    const texts = ['2001:db8::1', '2001:db9::1', '2001:db8:1::1', '2001:db8::1:0:1', '2001:db8::1:1'];
    const hashes = texts.flatMap((source) => [
      whole(buildUdpFrame({ ...six, ip6: { ...ip6, source } })),
      whole(buildUdpFrame({ ...six, ip6: { ...ip6, destination: source } })),
    ]);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('does not change with payload, TTL, tags, padding or place', () => {
    expect(whole(buildUdpFrame({ ...base, payload: new Uint8Array(400).fill(7) }))).toBe(reference);
    expect(whole(buildUdpFrame({ ...base, ip4: { ...ip4, ttl: 3, identification: 99 } }))).toBe(reference);
    expect(whole(buildUdpFrame({ ...base, vlan: [{ vid: 5 }, { vid: 6 }] }), 2)).toBe(reference);
    const moved = new Uint8Array(200).fill(0xa5);
    moved.set(buildUdpFrame(base), 33);
    expect(flowHash(moved, 33, 60, 33 + 12)).toBe(reference);
  });

  it('gives all fragments of a packet one hash, whatever their payload looks like', () => {
    const fragment = (fragmentAt: number, moreFragments: boolean, sourcePort: number): number =>
      whole(buildUdpFrame({ ...base, sourcePort, ip4: { ...ip4, fragmentAt, moreFragments, dontFragment: false } }));
    expect(fragment(1480, false, 7)).toBe(fragment(0, true, 1000));
    expect(fragment(1480, true, 8)).toBe(fragment(0, true, 1000));
    expect(fragment(0, true, 1000)).not.toBe(reference);
  });

  it('leaves the ports out where the L4 header is not wholly in the head', () => {
    for (const [build, l4Bytes] of [[buildUdpFrame, 8] as const, [buildTcpFrame, 20] as const]) {
      const one = build(base);
      const other = build({ ...base, sourcePort: 4321 });
      const full = 34 + l4Bytes;
      expect(flowHash(one, 0, full, 12)).not.toBe(flowHash(other, 0, full, 12));
      expect(flowHash(one, 0, full - 1, 12)).toBe(flowHash(other, 0, full - 1, 12));
    }
  });

  it('knows a super-frame whose IP length is far beyond the head', () => {
    const long = buildTcpFrame({ ...base, payload: new Uint8Array(40000) });
    expect(flowHash(long, 0, 192, 12)).toBe(whole(buildTcpFrame(base)));
  });

  it(seeded('never reads at or behind the end of the head'), () => {
    const frames = [
      buildUdpFrame(base),
      buildTcpFrame({ ...link, ...ports, ip6 }),
      buildFrame(link, 0x88b5, new Uint8Array(50)),
    ];
    const bytesLike = fc.oneof(fc.constantFrom(...frames), fc.uint8Array({ minLength: 60, maxLength: 100 }));
    fc.assert(
      fc.property(bytesLike, fc.nat(100), fc.integer({ min: -5, max: 110 }), (frame, cut, etherTypeAt) => {
        const head = Math.min(cut, frame.length);
        const zeros = frame.slice().fill(0, head);
        const ones = frame.slice().fill(0xff, head);
        const hash = flowHash(zeros, 0, head, etherTypeAt);
        expect(hash).toBe(flowHash(ones, 0, head, etherTypeAt));
        expect(hash).toBe(hash | 0);
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });

  it('spreads neighbouring ports over few buckets in its low and its high bits', () => {
    const low = new Array<number>(8).fill(0);
    const high = new Array<number>(8).fill(0);
    for (let port = 0; port < 4096; port++) {
      const hash = whole(buildUdpFrame({ ...base, sourcePort: port }));
      low[hash & 7]++;
      high[hash >>> 29]++;
    }
    for (const count of [...low, ...high]) {
      expect(count).toBeGreaterThan(400);
      expect(count).toBeLessThan(630);
    }
  });
});
