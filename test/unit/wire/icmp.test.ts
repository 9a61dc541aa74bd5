/* What tells a sender that a packet was too long: our own round trip, and Linux's messages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTooBigFrame } from '../../../dataplane/wire/build.ts';
import {
  checkIcmpEcho,
  emitIcmpTooBig,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_UNREACHABLE,
  ICMPV6_TOO_BIG,
  type IcmpTooBig,
  parseIcmpTooBig,
} from '../../../dataplane/wire/icmp.ts';
import { loadGolden } from '../../golden/load.ts';
import { u16, u32 } from './arbitraries.ts';
import { describeCodec } from './codec.ts';

const [type, code] = [fc.constant(ICMP_UNREACHABLE), fc.constant(ICMP_FRAGMENTATION_NEEDED)];

describeCodec<IcmpTooBig>('ICMP too big', {
  value: fc.oneof(
    fc.record({ type, code, checksum: u16, mtu: u16 }),
    fc.record({ type: fc.constant(ICMPV6_TOO_BIG), code: fc.constant(0), checksum: u16, mtu: u32 }),
  ),
  parse: parseIcmpTooBig,
  emit: emitIcmpTooBig,
  check: checkIcmpEcho,
  trailing: () => 0,
});

const golden = new Map(loadGolden('tunnel').map((frame) => [frame.name, frame]));

describe('a message of Linux', () => {
  it.each([
    ['fragmentation-needed', 'icmp', 34],
    ['packet-too-big', 'icmpv6', 54],
  ])('%s reads as tshark reads it, and is built the same', (name, field, at) => {
    const frame = golden.get(name)!;
    const { bytes } = frame;
    expect(parseIcmpTooBig(bytes, at, bytes.length)).toEqual({
      type: frame.number(`${field}.type`),
      code: frame.number(`${field}.code`),
      checksum: frame.number(`${field}.checksum`),
      mtu: frame.number(`${field}.mtu`),
    });
    const link = { dst: frame.text('eth.dst'), src: frame.text('eth.src') };
    const [mtu, packet] = [frame.number(`${field}.mtu`), bytes.subarray(at + 8)];
    const ip = field === 'icmp' ? 'ip' : 'ipv6';
    const addresses = { source: frame.text(`${ip}.src`), destination: frame.text(`${ip}.dst`) };
    const built =
      ip === 'ip'
        ? buildTooBigFrame({ ...link, ip4: addresses, mtu, packet })
        : buildTooBigFrame({ ...link, ip6: addresses, mtu, packet });
    expect(built).toEqual(bytes);
  });

  it('has 16 bits for the MTU in ICMP', () => {
    const message = { type: ICMP_UNREACHABLE, code: ICMP_FRAGMENTATION_NEEDED, checksum: 0, mtu: 65_536 };
    expect(() => emitIcmpTooBig(message, new Uint8Array(8), 0)).toThrow(/MTU: 65536/);
  });
});
