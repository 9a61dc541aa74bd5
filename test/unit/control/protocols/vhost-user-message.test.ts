/** vhost-user's messages: bytes of real front ends, every truncation, every wrong number of descriptors, streams in any pieces. */
import { describe, expect, it } from 'vitest';
import {
  featureWords,
  offeredFeatures,
  offeredProtocolFeatures,
} from '../../../../control/protocols/vhost-user/features.ts';
import {
  emitNumber,
  emitRingState,
  HEADER_BYTES,
  type Header,
  parseHeader,
  parsePayload,
  Refusal,
} from '../../../../control/protocols/vhost-user/message.ts';
import { type Message, MessageReader } from '../../../../control/protocols/vhost-user/reader.ts';
import { Request, type RequestName, requestName } from '../../../../control/protocols/vhost-user/requests.ts';
import { randomFrom, seedFor } from '../../../seed.ts';
import { address, recorded, region, state, table, VERSION, wire, words } from './front-end.ts';

const ALL = Object.values(recorded)
  .flat()
  .map(({ bytes, descriptors }) => {
    return { bytes: Buffer.from(bytes, 'hex'), descriptors };
  });

function golden(name: RequestName, nth = 0): Buffer {
  return ALL.filter(({ bytes }) => bytes.readUInt32LE(0) === Request[name])[nth]!.bytes;
}

function payloadOf(name: RequestName, nth = 0, descriptors?: number) {
  const bytes = golden(name, nth);
  const count = descriptors ?? ALL.find((one) => one.bytes === bytes)!.descriptors;
  return parsePayload(name, bytes.subarray(HEADER_BYTES), count);
}

describe('what real front ends sent', () => {
  it('is understood, all of it', () => {
    expect(ALL.length).toBeGreaterThan(150);
    for (const { bytes, descriptors } of ALL) {
      const header = parseHeader(bytes) as Header;
      expect(header).toMatchObject({ payloadBytes: bytes.length - HEADER_BYTES });
      const name = requestName(header.request)!;
      expect(parsePayload(name, bytes.subarray(HEADER_BYTES), descriptors), name).not.toBeInstanceOf(Refusal);
    }
  });

  it('has the meaning that its sender gave it', () => {
    expect(parseHeader(golden('NET_SET_MTU'))).toEqual({ request: 20, needsReply: true, payloadBytes: 8 });
    expect(payloadOf('NET_SET_MTU')).toEqual({ kind: 'u64', value: 1500n });
    expect(payloadOf('SET_VRING_CALL', 1)).toEqual({ kind: 'ring-descriptor', ring: 1, has: true });
    expect(payloadOf('SET_VRING_NUM', 1)).toEqual({ kind: 'ring-state', ring: 1, number: 256 });
    expect(payloadOf('SET_VRING_ADDR')).toEqual({
      kind: 'ring-address',
      ring: 0,
      descriptors: 0x7f9f7ff5e000n,
      used: 0x7f9f7ff60000n,
      available: 0x7f9f7ff5f000n,
      log: null,
    });
    const memory = { guestAddress: 0n, bytes: 64n << 20n, userAddress: 0x7f9f7bfff000n, offset: 0n };
    expect(payloadOf('ADD_MEM_REG')).toEqual({ kind: 'region', region: memory });
    const huge = { guestAddress: 0x1001b7000n, bytes: 128n << 20n, userAddress: 0x1001b7000n, offset: 0n };
    expect(payloadOf('SET_MEM_TABLE')).toEqual({ kind: 'table', regions: [huge] });
    const features = payloadOf('SET_FEATURES') as { value: bigint };
    expect(featureWords(features.value)).toBe('mtu, protocol-features, version-1');
  });
});

const SAMPLES: readonly (readonly [RequestName, Buffer, readonly number[]])[] = [
  ['GET_FEATURES', Buffer.alloc(0), [0]],
  ['SET_FEATURES', words(1n << 32n), [0]],
  ['SET_OWNER', Buffer.alloc(0), [0]],
  ['RESET_OWNER', Buffer.alloc(0), [0]],
  ['SET_MEM_TABLE', table([0, 4096, 4096, 0], [4096, 4096, 8192, 0]), [2]],
  ['SET_LOG_BASE', words(4096, 0), [1]],
  ['SET_LOG_FD', Buffer.alloc(0), [1]],
  ['SET_VRING_NUM', state(0, 256), [0]],
  ['SET_VRING_ADDR', address(1, { descriptors: 16, used: 4, available: 2 }), [0]],
  ['SET_VRING_BASE', state(0, 0), [0]],
  ['GET_VRING_BASE', state(0, 0), [0]],
  ['SET_VRING_KICK', words(0), [1]],
  ['SET_VRING_KICK', words(0x100), [0]],
  ['SET_VRING_CALL', words(1), [1]],
  ['SET_VRING_ERR', words(1), [1]],
  ['GET_PROTOCOL_FEATURES', Buffer.alloc(0), [0]],
  ['SET_PROTOCOL_FEATURES', words(9), [0]],
  ['GET_QUEUE_NUM', Buffer.alloc(0), [0]],
  ['SET_VRING_ENABLE', state(0, 1), [0]],
  ['SEND_RARP', words(0x010000000002), [0]],
  ['NET_SET_MTU', words(1500), [0]],
  ['GET_MAX_MEM_SLOTS', Buffer.alloc(0), [0]],
  ['ADD_MEM_REG', region([0, 4096, 4096, 0]), [1]],
  ['REM_MEM_REG', region([0, 4096, 4096, 0]), [0, 1]],
];

describe('a payload', () => {
  it('has a sample of every request', () => {
    expect(new Set(SAMPLES.map(([name]) => name))).toEqual(new Set(Object.keys(Request)));
  });

  it.each(SAMPLES)('of %s is refused at every other length', (name, payload, counts) => {
    expect(parsePayload(name, payload, counts[0]!)).not.toBeInstanceOf(Refusal);
    for (let length = 0; length < payload.length; length++) {
      const cut = parsePayload(name, payload.subarray(0, length), counts[0]!);
      expect(cut).toMatchObject({ reason: expect.stringMatching(/ bytes/) });
    }
    const long = parsePayload(name, Buffer.concat([payload, Buffer.alloc(1)]), counts[0]!);
    expect(long).toMatchObject({ reason: expect.stringMatching(/ bytes instead of /) });
  });

  it.each(SAMPLES)('of %s is refused with any other number of descriptors', (name, payload, counts) => {
    for (let count = 0; count <= 8; count++) {
      const parsed = parsePayload(name, payload, count);
      if (counts.includes(count)) expect(parsed).not.toBeInstanceOf(Refusal);
      else expect(parsed).toMatchObject({ reason: expect.stringContaining(`${count} descriptors`) });
    }
  });

  it.each([0, 9, 0xffff_ffff])('of a table of %d regions is refused', (count) => {
    const bytes = Buffer.alloc(8 + 32 * 9);
    bytes.writeUInt32LE(count, 0);
    expect(parsePayload('SET_MEM_TABLE', bytes, 1)).toMatchObject({ reason: expect.stringContaining('regions') });
  });

  it('of a ring address has a log only where its flag says so', () => {
    const logged = address(1, { descriptors: 16, used: 4, available: 2, log: 77 });
    expect(parsePayload('SET_VRING_ADDR', logged, 0)).toMatchObject({ log: 77n });
  });
});

describe('a header', () => {
  it.each([
    [{ request: 1, flags: 0 }, 'version 0'],
    [{ request: 1, flags: 2 }, 'version 2'],
    [{ request: 1, flags: 5 }, 'a reply'],
    [{ request: 1, flags: 0x11 }, 'flags 0x11'],
    [{ request: 1, flags: 0x8000_0001 }, 'flags 0x80000001'],
    [{ request: 1, bytes: 4097 }, '4097 bytes'],
    [{ request: 1, bytes: 0xffff_ffff }, '4294967295 bytes'],
  ])('%o is refused', (sent, reason) => {
    expect(parseHeader(wire(sent))).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  it('of an unknown request is read, so that it can be refused by name', () => {
    expect(parseHeader(wire({ request: 99, bytes: 4096 }))).toMatchObject({ request: 99 });
  });
});

describe('a reply', () => {
  it('of a number is what QEMU and DPDK expect', () => {
    expect(Buffer.from(emitNumber(1, 0x1_0000_0002n)).toString('hex')).toBe('0100000005000000080000000200000001000000');
  });
  it('of a ring’s state is too', () => {
    expect(Buffer.from(emitRingState(11, 3, 0xffff)).toString('hex')).toBe('0b000000050000000800000003000000ffff0000');
  });
  it('is not a request', () => {
    expect(parseHeader(emitNumber(1, 0n))).toBeInstanceOf(Refusal);
  });
});

describe('what is offered', () => {
  it('has an MTU only where there is one', () => {
    expect(offeredFeatures(1500) ^ offeredFeatures(null)).toBe(1n << 3n);
    expect(offeredProtocolFeatures(1500) ^ offeredProtocolFeatures(null)).toBe(1n << 4n);
  });

  it('is this and no more', () => {
    expect(offeredProtocolFeatures(null)).toBe(0x800fn);
    expect(featureWords(offeredFeatures(1500))).toBe(
      'csum, guest-csum, mtu, guest-tso4, guest-tso6, guest-ecn, host-tso4, host-tso6, host-ecn, mrg-rxbuf, guest-announce, mq, ' +
        'log-all, any-layout, ring-indirect-desc, ring-event-idx, protocol-features, version-1, in-order, guest-uso4, guest-uso6, host-uso',
    );
    expect(featureWords(1n << 60n)).toBe('bit-60');
  });
});

describe('a stream', () => {
  const stream = Buffer.concat(ALL.map(({ bytes }) => bytes));

  it('is cut into the same messages, in whatever pieces it comes', () => {
    const random = randomFrom(seedFor('pieces of a stream'));
    for (let round = 0; round < 20; round++) {
      const reader = new MessageReader();
      const messages: Message[] = [];
      for (let at = 0; at < stream.length; ) {
        const bytes = Math.min(reader.wanted, 1 + random(13), stream.length - at);
        const got = reader.push(stream.subarray(at, at + bytes), []);
        expect(got).not.toBeInstanceOf(Refusal);
        if (got !== null) messages.push(got as Message);
        at += bytes;
      }
      expect(messages.map(({ header }) => header.request)).toEqual(ALL.map(({ bytes }) => bytes.readUInt32LE(0)));
      expect(Buffer.concat(messages.map(({ payload }) => payload)).length).toBe(stream.length - 12 * ALL.length);
      expect(reader.unfinished).toBeNull();
    }
  });

  it('gives each message the descriptors that came with its pieces, and hands back those of none', () => {
    const reader = new MessageReader();
    const bytes = wire({ request: 12, payload: words(0) });
    expect(reader.push(bytes.subarray(0, 5), [7])).toBeNull();
    expect(reader.push(bytes.subarray(5, 12), [])).toBeNull();
    expect(reader.push(bytes.subarray(12), [8])).toMatchObject({ descriptors: [7, 8] });
    expect(reader.drop()).toEqual([]);
    reader.push(bytes.subarray(0, 12), [9]);
    expect(reader.unfinished).toBe('SET_VRING_KICK');
    expect(reader.drop()).toEqual([9]);
  });

  it('ends at a bad header, at more descriptors than any message has, and at bytes that nobody asked for', () => {
    expect(new MessageReader().push(wire({ request: 1, flags: VERSION | 4 }), [])).toBeInstanceOf(Refusal);
    const greedy = new MessageReader();
    expect(greedy.push(Buffer.alloc(1), [1, 2, 3, 4, 5, 6, 7, 8, 9])).toBeInstanceOf(Refusal);
    expect(greedy.drop()).toHaveLength(9);
    expect(new MessageReader().push(Buffer.alloc(13), [])).toBeInstanceOf(Refusal);
  });
});
