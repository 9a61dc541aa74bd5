import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatIpv4Address,
  formatIpv6Address,
  formatMac,
  parseIpv4Address,
  parseIpv6Address,
  parseMac,
} from '../../../dataplane/wire/text.ts';
import { ipv6Bytes } from './arbitraries.ts';
import { SEED, seeded } from './codec.ts';

describe('MAC text', () => {
  it('takes colons, hyphens and either case; writes one form', () => {
    for (const text of ['02:AB:cd:00:00:0f', '02-ab-CD-00-00-0F']) {
      expect(formatMac(parseMac(text), 0)).toBe('02:ab:cd:00:00:0f');
    }
  });

  it.each(['', '02:ab:cd:00:00', '02:ab:cd:00:00:0f:11', '02:ab-cd:00:00:0f', '2:ab:cd:00:00:0f', 'g2:ab:cd:00:00:0f'])(
    'refuses %j',
    (text) => expect(() => parseMac(text)).toThrow(RangeError),
  );
});

describe('IPv4 text', () => {
  it('reads and writes dotted decimals', () => {
    expect(parseIpv4Address('192.0.2.255')).toEqual(Uint8Array.of(192, 0, 2, 255));
    expect(formatIpv4Address(Uint8Array.of(9, 10, 0, 200, 1, 9), 1)).toBe('10.0.200.1');
  });

  it.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', ' 1.2.3.4', '0x1.2.3.4'])('refuses %j', (text) =>
    expect(() => parseIpv4Address(text)).toThrow(RangeError),
  );
});

describe('IPv6 text', () => {
  it.each([
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['fe80::0001', 'fe80::1'],
  ])('writes %s as %s', (text, canonical) => {
    expect(formatIpv6Address(parseIpv6Address(text), 0)).toBe(canonical);
  });

  it.each(['', ':', '1::2::3', '1:2:3:4:5:6:7', 'fe80::1%eth0', '::10000', '192.0.2.1'])('refuses %j', (text) =>
    expect(() => parseIpv6Address(text)).toThrow(RangeError),
  );

  it(seeded("agrees with the URL standard's serializer, and is read back"), () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const text = formatIpv6Address(bytes, 0);
        const long = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16)).join(
          ':',
        );
        expect(`[${text}]`).toBe(new URL(`http://[${long}]/`).hostname);
        expect(parseIpv6Address(text)).toEqual(bytes);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
});
