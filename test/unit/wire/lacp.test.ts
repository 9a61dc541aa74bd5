import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Check } from '../../../dataplane/wire/check.ts';
import { ETHERNET_BYTES, ETHERTYPE_SLOW_PROTOCOLS } from '../../../dataplane/wire/ethernet.ts';
import { emitEthernet } from '../../../dataplane/wire/ethernet-value.ts';
import {
  checkLacpdu,
  checkMarker,
  END_BYTES,
  END_LENGTH_AT,
  END_RESERVED_AT,
  LACP_ACTOR_AT,
  LACP_COLLECTOR_AT,
  LACP_PARTNER_AT,
  MARKER_LENGTH_AT,
  MARKER_TYPE_AT,
  SLOW_PDU_BYTES,
  SLOW_SUBTYPE_AT,
  SLOW_VERSION_AT,
} from '../../../dataplane/wire/lacp.ts';
import {
  emitLacpdu,
  emitMarker,
  type Lacpdu,
  type LacpEnd,
  type LacpState,
  lacpStateNames,
  type Marker,
  parseLacpdu,
  parseMarker,
} from '../../../dataplane/wire/lacp-value.ts';
import { type GoldenFrame, loadGolden } from '../../golden/load.ts';
import { itNeeds } from '../../needs.ts';
import { mac, u8, u16, u32 } from './arbitraries.ts';
import { describeCodec, SEED, seeded } from './codec.ts';

const flag = fc.boolean();
const state: fc.Arbitrary<LacpState> = fc.record({
  activity: flag,
  timeout: flag,
  aggregation: flag,
  synchronization: flag,
  collecting: flag,
  distributing: flag,
  defaulted: flag,
  expired: flag,
});
const end: fc.Arbitrary<LacpEnd> = fc.record({
  systemPriority: u16,
  system: mac,
  key: u16,
  portPriority: u16,
  port: u16,
  state,
});
const lacpdu: fc.Arbitrary<Lacpdu> = fc.record({ version: u8, actor: end, partner: end, maxDelay: u16 });
const marker: fc.Arbitrary<Marker> = fc.record({
  kind: fc.constantFrom('request', 'response'),
  port: u16,
  system: mac,
  transaction: u32,
});

describeCodec('LACPDU', {
  value: lacpdu,
  parse: parseLacpdu,
  emit: emitLacpdu,
  check: checkLacpdu,
  trailing: () => 0,
});
describeCodec('marker PDU', {
  value: marker,
  parse: parseMarker,
  emit: emitMarker,
  check: checkMarker,
  trailing: () => 0,
});

const STATE_NAMES = [
  'activity',
  'timeout',
  'aggregation',
  'synchronization',
  'collecting',
  'distributing',
  'defaulted',
  'expired',
] as const;

function endByTshark(frame: GoldenFrame, side: 'actor' | 'partner'): LacpEnd {
  const field = (name: string) => frame.number(`lacp.${side}.${name}`);
  return {
    systemPriority: field('sys_priority'),
    system: frame.text(`lacp.${side}.sysid`),
    key: field('key'),
    portPriority: field('port_priority'),
    port: field('port'),
    state: Object.fromEntries(STATE_NAMES.map((name) => [name, field(`state.${name}`) === 1])) as never,
  };
}

describe('frames of Open vSwitch and scapy', () => {
  const frames = loadGolden('lacp');
  const lacpdus = frames.filter((frame) => frame.number('slow.subtype') === 1);
  const markers = frames.filter((frame) => frame.number('slow.subtype') === 2);

  it('are there, in all the states that a partner passes', () => {
    expect(markers).toHaveLength(2);
    for (const name of ['expired', 'defaulted', 'synchronization', 'activity'])
      for (const value of [0, 1])
        expect(lacpdus.filter((frame) => frame.number(`lacp.actor.state.${name}`) === value)).not.toHaveLength(0);
  });

  it.each(lacpdus)('reads golden $name as tshark does, and writes the same bytes', (frame) => {
    const pdu = parseLacpdu(frame.bytes, ETHERNET_BYTES, frame.bytes.length);
    expect(pdu).toEqual({
      version: frame.number('lacp.version'),
      actor: endByTshark(frame, 'actor'),
      partner: endByTshark(frame, 'partner'),
      maxDelay: frame.number('lacp.collector.max_delay'),
    });
    const copy = new Uint8Array(SLOW_PDU_BYTES).fill(0xa5);
    emitLacpdu(pdu, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(ETHERNET_BYTES));
  });

  it.each(markers)('reads golden $name as tshark does, and writes the same bytes', (frame) => {
    const read = parseMarker(frame.bytes, ETHERNET_BYTES, frame.bytes.length);
    expect(read).toEqual({
      kind: frame.number('marker.tlvType') === 1 ? 'request' : 'response',
      port: frame.number('marker.requesterPort'),
      system: frame.text('marker.requesterSystem'),
      transaction: frame.number('marker.requesterTransId'),
    });
    const copy = new Uint8Array(SLOW_PDU_BYTES).fill(0xa5);
    emitMarker(read, copy, 0);
    expect(copy).toEqual(frame.bytes.slice(ETHERNET_BYTES));
  });
});

const SOME_STATE: LacpState = {
  activity: true,
  timeout: false,
  aggregation: true,
  synchronization: false,
  collecting: true,
  distributing: false,
  defaulted: true,
  expired: false,
};
const SOME_END: LacpEnd = {
  systemPriority: 0x1122,
  system: '02:03:04:05:06:07',
  key: 0x3344,
  portPriority: 0x5566,
  port: 0x7788,
  state: SOME_STATE,
};
const SOME: Lacpdu = { version: 1, actor: SOME_END, partner: { ...SOME_END, port: 9 }, maxDelay: 50_000 };

function bytesOf(pdu: Lacpdu, bytes = SLOW_PDU_BYTES): Uint8Array {
  const buffer = new Uint8Array(bytes).fill(0xa5);
  emitLacpdu(pdu, buffer, 0);
  return buffer;
}

describe('LACPDU', () => {
  it('writes and reads each field alone, where the standard has it', () => {
    const places: [keyof Omit<LacpEnd, 'system' | 'state'>, number][] = [
      ['systemPriority', 2],
      ['key', 10],
      ['portPriority', 12],
      ['port', 14],
    ];
    for (const [side, at] of [['actor', 2] as const, ['partner', 22] as const])
      for (const [field, offset] of places) {
        const pdu = { ...SOME, [side]: { ...SOME[side], [field]: 0xfedc } };
        const bytes = bytesOf(pdu);
        expect([...bytes.subarray(at + offset, at + offset + 2)]).toEqual([0xfe, 0xdc]);
        expect(parseLacpdu(bytes, 0, bytes.length)).toEqual(pdu);
      }
    expect([...bytesOf(SOME).subarray(4, 10)]).not.toEqual([2, 3, 4, 5, 6, 7]);
    expect([...bytesOf(SOME).subarray(6, 12)]).toEqual([2, 3, 4, 5, 6, 7]);
    expect([...bytesOf(SOME).subarray(42, 46)]).toEqual([3, 16, 50_000 >> 8, 50_000 & 0xff]);
  });

  it('has each flag in its bit, and names it', () => {
    STATE_NAMES.forEach((name, bit) => {
      const only = Object.fromEntries(STATE_NAMES.map((one) => [one, one === name])) as unknown as LacpState;
      const bytes = bytesOf({ ...SOME, actor: { ...SOME_END, state: only } });
      expect(bytes[18]).toBe(1 << bit);
      expect(parseLacpdu(bytes, 0, bytes.length).actor.state).toEqual(only);
      expect(lacpStateNames(only)).toEqual([name]);
    });
    expect(lacpStateNames(SOME_STATE)).toEqual(['activity', 'aggregation', 'collecting', 'defaulted']);
  });

  it('takes other versions, longer ones, and whatever reserved fields and TLV types hold', () => {
    const bytes = bytesOf({ ...SOME, version: 2 }, 200);
    bytes[LACP_ACTOR_AT] = 77;
    bytes[LACP_PARTNER_AT] = 78;
    bytes[LACP_COLLECTOR_AT] = 79;
    bytes.fill(0xff, LACP_ACTOR_AT + END_RESERVED_AT, LACP_ACTOR_AT + END_BYTES);
    // Where version 2 has its port algorithm TLV, version 1 has its terminator.
    bytes.set([4, 6, 0, 0x80, 0xc2, 1], LACP_COLLECTOR_AT + 16);
    expect(checkLacpdu(bytes, 0, bytes.length)).toBe(Check.OK);
    expect(parseLacpdu(bytes, 0, bytes.length)).toEqual({ ...SOME, version: 2 });
  });

  it('says why it takes no other protocol and no wrong length', () => {
    const broken = (at: number, value: number): Check => {
      const bytes = bytesOf(SOME);
      bytes[at] = value;
      return checkLacpdu(bytes, 0, bytes.length);
    };
    expect(broken(SLOW_SUBTYPE_AT, 3)).toBe(Check.BAD_TYPE);
    for (const at of [LACP_ACTOR_AT, LACP_PARTNER_AT, LACP_COLLECTOR_AT])
      expect(broken(at + END_LENGTH_AT, 19)).toBe(Check.BAD_LENGTH);
    expect(broken(SLOW_VERSION_AT, 0)).toBe(Check.OK);
  });

  it('refuses values that do not fit', () => {
    const buffer = new Uint8Array(SLOW_PDU_BYTES);
    const refused = [
      { ...SOME, version: 256 },
      { ...SOME, maxDelay: -1 },
      { ...SOME, actor: { ...SOME_END, key: 0x10000 } },
      { ...SOME, partner: { ...SOME_END, port: 1.5 } },
      { ...SOME, partner: { ...SOME_END, system: '02:03' } },
    ];
    for (const pdu of refused) expect(() => emitLacpdu(pdu, buffer, 0)).toThrow(RangeError);
  });

  it(seeded('answers every mutation of an LACPDU or a marker with OK or a reason'), () => {
    const change = fc.tuple(fc.nat(SLOW_PDU_BYTES - 1), u8);
    const run = (bytes: Uint8Array, length: number) => {
      for (const [check, parse] of [[checkLacpdu, parseLacpdu] as const, [checkMarker, parseMarker] as const]) {
        if (check(bytes, 0, length) === Check.OK) parse(bytes, 0, length);
        else expect(() => parse(bytes, 0, length)).toThrow(RangeError);
      }
    };
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.integer({ min: 100, max: 110 }), (changes, length) => {
        const bytes = bytesOf(SOME);
        for (const [at, value] of changes) bytes[at] = value;
        run(bytes, length);
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe('marker PDU', () => {
  const SOME_MARKER: Marker = { kind: 'request', port: 0x1234, system: '02:03:04:05:06:07', transaction: 0xfedcba98 };

  it('has each field where the standard has it', () => {
    const bytes = new Uint8Array(SLOW_PDU_BYTES).fill(0xa5);
    emitMarker(SOME_MARKER, bytes, 0);
    const head = [2, 1, 1, 16, 0x12, 0x34, 2, 3, 4, 5, 6, 7, 0xfe, 0xdc, 0xba, 0x98, 0, 0, 0, 0];
    expect([...bytes.subarray(0, head.length)]).toEqual(head);
    expect(bytes.subarray(head.length).every((byte) => byte === 0)).toBe(true);
  });

  it('says why it takes no other protocol, type and length', () => {
    const broken = (at: number, value: number): Check => {
      const bytes = new Uint8Array(SLOW_PDU_BYTES);
      emitMarker(SOME_MARKER, bytes, 0);
      bytes[at] = value;
      return checkMarker(bytes, 0, bytes.length);
    };
    expect(broken(SLOW_SUBTYPE_AT, 1)).toBe(Check.BAD_TYPE);
    expect(broken(MARKER_TYPE_AT, 3)).toBe(Check.BAD_TYPE);
    expect(broken(MARKER_LENGTH_AT, 15)).toBe(Check.BAD_LENGTH);
    expect(broken(SLOW_VERSION_AT, 9)).toBe(Check.OK);
  });
});

/** A pcap file of Ethernet frames. */
function pcapOf(frames: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, Buffer.from(frame)];
  });
  return Buffer.concat([header, ...records]);
}

function framed(emit: (bytes: Uint8Array, at: number) => void): Uint8Array {
  const frame = new Uint8Array(ETHERNET_BYTES + SLOW_PDU_BYTES).fill(0xa5);
  const link = { destination: '01:80:c2:00:00:02', source: '02:00:00:00:00:01', etherType: ETHERTYPE_SLOW_PROTOCOLS };
  emit(frame, emitEthernet(link, frame, 0));
  return frame;
}

describe('tshark', () => {
  const read = (frames: readonly Uint8Array[], ...fields: string[]): string[][] => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-lacp-'));
    try {
      writeFileSync(join(folder, 'ours.pcap'), pcapOf(frames));
      const wanted = ['_ws.malformed', '_ws.expert.message', ...fields].flatMap((field) => ['-e', field]);
      const args = ['-n', '-r', join(folder, 'ours.pcap'), '-T', 'fields', '-E', 'separator=|', ...wanted];
      const text = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      return text
        .trimEnd()
        .split('\n')
        .map((line) => line.split('|'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  itNeeds(
    { tools: ['tshark'] },
    seeded('decodes ours without a complaint, field by field'),
    () => {
      const pdus = fc.sample(fc.record({ version: fc.constant(1), actor: end, partner: end, maxDelay: u16 }), {
        seed: SEED,
        numRuns: 50,
      });
      const rows = read(
        pdus.map((pdu) => framed((bytes, at) => emitLacpdu(pdu, bytes, at))),
        'lacp.actor.sysid',
        'lacp.actor.key',
        'lacp.actor.state',
        'lacp.partner.port',
        'lacp.partner.state.expired',
        'lacp.collector.max_delay',
      );
      expect(rows).toHaveLength(pdus.length);
      rows.forEach(([malformed, expert, system, key, bits, port, expired, delay], index) => {
        const { actor, partner, maxDelay } = pdus[index]!;
        expect([malformed, expert]).toEqual(['', '']);
        expect([system, Number(key), Number(port), Number(delay)]).toEqual([
          actor.system,
          actor.key,
          partner.port,
          maxDelay,
        ]);
        expect(STATE_NAMES.filter((_, bit) => (Number(bits) >> bit) & 1)).toEqual(lacpStateNames(actor.state));
        expect(expired === '1').toBe(partner.state.expired);
      });
    },
    30_000,
  );

  itNeeds(
    { tools: ['tshark'] },
    seeded('decodes our markers, and would complain about a wrong one'),
    () => {
      const values = fc.sample(marker, { seed: SEED, numRuns: 10 });
      const frames = values.map((value) => framed((bytes, at) => emitMarker(value, bytes, at)));
      const wrong = frames[0]!.slice();
      wrong[ETHERNET_BYTES + MARKER_LENGTH_AT] = 3;
      const rows = read([...frames, wrong], 'marker.requesterPort', 'marker.requesterTransId');
      values.forEach(({ port, transaction }, index) => {
        expect(rows[index]).toEqual(['', '', String(port), String(transaction)]);
      });
      expect(rows.at(-1)!.slice(0, 2).join('')).not.toBe('');
    },
    30_000,
  );
});
