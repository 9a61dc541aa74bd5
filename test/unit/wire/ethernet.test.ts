import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkEthernet,
  destinationHigh,
  destinationLow,
  etherType,
  isBroadcast,
  isGroup,
  isReserved,
  isSlowProtocols,
  isZero,
  setDestination,
  setEtherType,
  setSource,
  sourceHigh,
  sourceLow,
} from '../../../dataplane/wire/ethernet.ts';
import { emitEthernet, parseEthernet } from '../../../dataplane/wire/ethernet-value.ts';
import { parseMac } from '../../../dataplane/wire/text.ts';
import { loadGolden } from '../../golden/load.ts';
import { mac, u16 } from './arbitraries.ts';
import { describeCodec } from './codec.ts';

describeCodec('Ethernet', {
  value: fc.record({ destination: mac, source: mac, etherType: u16 }),
  parse: parseEthernet,
  emit: emitEthernet,
  check: checkEthernet,
  trailing: () => 0,
});

const parts = (text: string): [number, number] => {
  const bytes = new Uint8Array(14);
  bytes.set(parseMac(text), 0);
  return [destinationHigh(bytes, 0), destinationLow(bytes, 0)];
};

describe('Ethernet header', () => {
  it.each([...loadGolden('kernel'), ...loadGolden('trafgen')])('reads golden $name as tshark does', (frame) => {
    const header = parseEthernet(frame.bytes, 0, frame.bytes.length);
    expect(header.destination).toBe(frame.text('eth.dst'));
    expect(header.source).toBe(frame.text('eth.src'));
    expect(header.etherType).toBe(frame.number('eth.type'));
    const copy = new Uint8Array(14).fill(0xa5);
    emitEthernet(header, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(0, 14));
  });

  it('writes each address in two ints and reads it back, at any alignment', () => {
    const bytes = new Uint8Array(20).fill(0xa5);
    setDestination(bytes, 3, 0xfedc, 0xba987654 | 0);
    setSource(bytes, 3, 0x0200, 0x7fffffff);
    setEtherType(bytes, 3, 0x86dd);
    expect([destinationHigh(bytes, 3), destinationLow(bytes, 3)]).toEqual([0xfedc, 0xba987654 | 0]);
    expect([sourceHigh(bytes, 3), sourceLow(bytes, 3)]).toEqual([0x0200, 0x7fffffff]);
    expect(etherType(bytes, 3)).toBe(0x86dd);
    expect(parseEthernet(bytes, 3, 17)).toEqual({
      destination: 'fe:dc:ba:98:76:54',
      source: '02:00:7f:ff:ff:ff',
      etherType: 0x86dd,
    });
    expect([bytes[2], bytes[17]]).toEqual([0xa5, 0xa5]);
  });

  it('refuses values that do not fit instead of cutting them', () => {
    const header = { destination: '02:00:00:00:00:01', source: '02:00:00:00:00:02', etherType: 0x10000 };
    expect(() => emitEthernet(header, new Uint8Array(14), 0)).toThrow(/EtherType: 65536/);
  });
});

describe('group addresses', () => {
  it('reserves exactly 01-80-C2-00-00-00 to 0F', () => {
    for (let last = 0; last < 256; last++) {
      const text = `01:80:c2:00:00:${last.toString(16).padStart(2, '0')}`;
      expect(isReserved(...parts(text)), text).toBe(last < 16);
    }
    for (const near of ['01:80:c2:00:01:00', '01:80:c3:00:00:00', '00:80:c2:00:00:00', '01:81:c2:00:00:00']) {
      expect(isReserved(...parts(near)), near).toBe(false);
    }
  });

  it('knows slow protocols, group, broadcast and zero', () => {
    expect(isSlowProtocols(...parts('01:80:c2:00:00:02'))).toBe(true);
    expect(isSlowProtocols(...parts('01:80:c2:00:00:03'))).toBe(false);
    expect(isGroup(parts('33:33:00:00:00:01')[0])).toBe(true);
    expect(isGroup(parts('02:01:00:00:00:01')[0])).toBe(false);
    expect(isBroadcast(...parts('ff:ff:ff:ff:ff:ff'))).toBe(true);
    expect(isBroadcast(...parts('ff:ff:ff:ff:ff:fe'))).toBe(false);
    expect(isBroadcast(...parts('ff:fe:ff:ff:ff:ff'))).toBe(false);
    expect(isZero(...parts('00:00:00:00:00:00'))).toBe(true);
    expect(isZero(...parts('00:00:80:00:00:00'))).toBe(false);
  });
});
