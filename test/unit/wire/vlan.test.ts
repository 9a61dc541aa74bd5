import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Check } from '../../../dataplane/wire/check.ts';
import { ETHERTYPE_AT } from '../../../dataplane/wire/ethernet.ts';
import {
  checkVlanTag,
  isVlanTpid,
  makeTci,
  TPID_CUSTOMER,
  TPID_SERVICE,
  tciDei,
  tciPcp,
  tciVid,
  withVid,
} from '../../../dataplane/wire/vlan.ts';
import { emitVlanTag, parseVlanTag } from '../../../dataplane/wire/vlan-value.ts';
import { loadGolden } from '../../golden/load.ts';
import { describeCodec } from './codec.ts';

describeCodec('VLAN tag', {
  value: fc.record({
    tpid: fc.constantFrom(TPID_CUSTOMER, TPID_SERVICE),
    vid: fc.nat(0xfff),
    pcp: fc.nat(7),
    dropEligible: fc.boolean(),
  }),
  parse: parseVlanTag,
  emit: emitVlanTag,
  check: checkVlanTag,
  trailing: () => 2,
});

describe('VLAN tag', () => {
  const tagged = loadGolden('trafgen').filter((frame) => isVlanTpid(frame.number('eth.type')));

  it('has golden frames with one and with two tags', () => {
    expect(tagged.filter((frame) => frame.has('vlan.id') && frame.has('ieee8021ad.id'))).not.toHaveLength(0);
    expect(tagged.filter((frame) => frame.has('vlan.id') !== frame.has('ieee8021ad.id'))).not.toHaveLength(0);
  });

  it.each(tagged)('reads golden $name as tshark does', (frame) => {
    let at = ETHERTYPE_AT;
    for (const [prefix, tpid] of [['ieee8021ad', TPID_SERVICE] as const, ['vlan', TPID_CUSTOMER] as const]) {
      if (!frame.has(`${prefix}.id`)) continue;
      const tag = parseVlanTag(frame.bytes, at, frame.bytes.length);
      expect(tag).toEqual({
        tpid,
        vid: frame.number(`${prefix}.id`),
        pcp: frame.number(`${prefix}.priority`),
        dropEligible: frame.number(`${prefix}.dei`) === 1,
      });
      const copy = new Uint8Array(4).fill(0xa5);
      emitVlanTag(tag, copy, 0);
      expect(copy).toEqual(frame.bytes.slice(at, at + 4));
      at += 4;
    }
    expect(checkVlanTag(frame.bytes, at, frame.bytes.length)).toBe(Check.BAD_TYPE);
  });

  it('keeps the parts of the TCI apart, over all 65,536 of them', () => {
    for (let tci = 0; tci <= 0xffff; tci++) {
      if (makeTci(tciVid(tci), tciPcp(tci), tciDei(tci)) !== tci) expect.fail(`TCI ${tci} changed`);
      const moved = withVid(tci, 77);
      if (tciVid(moved) !== 77 || moved >>> 12 !== tci >>> 12) expect.fail(`TCI ${tci} lost its priority: ${moved}`);
    }
  });

  it('does not let a part spill into another', () => {
    expect(makeTci(0x1fff, 0, 0)).toBe(0x0fff);
    expect(makeTci(0, 8, 0)).toBe(0);
    expect(withVid(0xf000, 0x1005)).toBe(0xf005);
    expect(() => emitVlanTag({ tpid: 0x8100, vid: 4096, pcp: 0, dropEligible: false }, new Uint8Array(4), 0)).toThrow(
      RangeError,
    );
  });
});
