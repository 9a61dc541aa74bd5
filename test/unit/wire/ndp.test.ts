/* Neighbour solicitations and advertisements: our own round trip, and the kernel's frames. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildNeighbourFrame } from '../../../dataplane/wire/build.ts';
import { Check } from '../../../dataplane/wire/check.ts';
import {
  checkNeighbour,
  NDP_BYTES_MIN,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
} from '../../../dataplane/wire/ndp.ts';
import { emitNeighbour, type NeighbourMessage, parseNeighbour } from '../../../dataplane/wire/ndp-value.ts';
import { loadGolden } from '../../golden/load.ts';
import { ipv6Address, mac, u16 } from './arbitraries.ts';
import { describeCodec } from './codec.ts';

const flag = fc.boolean();
const solicitation = fc.record({
  type: fc.constant(NEIGHBOUR_SOLICITATION),
  checksum: u16,
  router: fc.constant(false),
  solicited: fc.constant(false),
  override: fc.constant(false),
  target: ipv6Address,
});
const advertisement = fc.record({
  type: fc.constant(NEIGHBOUR_ADVERTISEMENT),
  checksum: u16,
  router: flag,
  solicited: flag,
  override: flag,
  target: ipv6Address,
});
// Without its option: one that is cut off whole leaves a right message.
const message = fc.oneof(solicitation, advertisement).map((value) => ({ ...value, linkAddress: null }));
const codec = { parse: parseNeighbour, emit: emitNeighbour, check: checkNeighbour };

describeCodec<NeighbourMessage>('neighbour message', { ...codec, value: message, trailing: () => 0 });

describe('options', () => {
  it('the link-layer address is read back, behind others too, and cut short it is an error', () => {
    fc.assert(
      fc.property(message, mac, (value, linkAddress) => {
        const bytes = new Uint8Array(48).fill(0xa5);
        const end = emitNeighbour({ ...value, linkAddress }, bytes, 0);
        expect(end).toBe(32);
        expect(parseNeighbour(bytes, 0, end)).toEqual({ ...value, linkAddress });
        for (let cut = NDP_BYTES_MIN + 1; cut < end; cut++)
          expect(checkNeighbour(bytes, 0, cut)).toBe(Check.BAD_LENGTH);
        bytes.copyWithin(40, NDP_BYTES_MIN, end);
        bytes.set([14, 2], NDP_BYTES_MIN);
        expect(parseNeighbour(bytes, 0, 48).linkAddress).toBe(linkAddress);
      }),
      { numRuns: 50 },
    );
  });

  it('one of no length is an error, not an endless walk', () => {
    const bytes = new Uint8Array(32);
    emitNeighbour(
      { ...parseNeighbour(someSolicitation(), 0, NDP_BYTES_MIN), linkAddress: '02:00:00:00:00:01' },
      bytes,
      0,
    );
    bytes[NDP_BYTES_MIN + 1] = 0;
    expect(checkNeighbour(bytes, 0, 32)).toBe(Check.BAD_LENGTH);
  });
});

function someSolicitation(): Uint8Array {
  const bytes = new Uint8Array(NDP_BYTES_MIN);
  bytes[0] = NEIGHBOUR_SOLICITATION;
  return bytes;
}

describe("the kernel's frames", () => {
  const frames = loadGolden('kernel').filter(
    (frame) => frame.has('icmpv6.type') && [135, 136].includes(frame.number('icmpv6.type')),
  );

  it.each(frames)('$name is read, and built again byte for byte where it has no options of others', (frame) => {
    const at = 54;
    const end = at + frame.number('ipv6.plen');
    const read = parseNeighbour(frame.bytes, at, end);
    expect(read.type).toBe(frame.number('icmpv6.type'));
    expect(read.checksum).toBe(frame.number('icmpv6.checksum'));
    if (end - at !== NDP_BYTES_MIN + (read.linkAddress === null ? 0 : 8)) return;
    const ip6 = { source: frame.text('ipv6.src'), destination: frame.text('ipv6.dst') };
    const link = { dst: frame.text('eth.dst'), src: frame.text('eth.src') };
    expect(buildNeighbourFrame({ ...link, ip6, ...read })).toEqual(frame.bytes);
  });

  it('has both kinds, with and without an address', () => {
    expect(frames.length).toBeGreaterThanOrEqual(4);
    expect(new Set(frames.map((frame) => frame.number('icmpv6.type')))).toEqual(new Set([135, 136]));
  });
});
