/**
 * Front ends that break every rule: recorded lives with bytes changed, messages left out, repeated and swapped, and messages made up;
 * over native code that fails now and then. The model throws on whatever a session must never ask of it.
 */
import { expect, it } from 'vitest';
import { HEADER_BYTES, parseHeader, Refusal } from '../../../../control/protocols/vhost-user/message.ts';
import { MessageReader } from '../../../../control/protocols/vhost-user/reader.ts';
import { Request } from '../../../../control/protocols/vhost-user/requests.ts';
import { Session } from '../../../../control/protocols/vhost-user/session.ts';
import { isLong } from '../../../needs.ts';
import { randomFrom, seedFor } from '../../../seed.ts';
import { address, recorded, region, state, table, VERSION, wire, words } from './front-end.ts';
import { ModelGuest } from './model-guest.ts';

const REQUESTS = Object.values(Request);
const QUESTIONS: readonly number[] = [1, 15, 17, 36];
const LIVES = Object.values(recorded);
const USER = 0x7f9f_7bff_f000n;

interface Piece {
  readonly bytes: Buffer;
  readonly descriptors: number;
}

type Random = (below: number) => number;

/** Numbers near which things go wrong. */
function oddNumber(random: Random): bigint {
  const shift = BigInt(random(65));
  const near = BigInt(random(5)) - 2n;
  return BigInt.asUintN(64, random(3) === 0 ? USER + BigInt(random(1 << 20)) : (1n << shift) + near);
}

function oddPayload(random: Random): Buffer {
  const odd = () => oddNumber(random);
  const sound = () => [BigInt(random(4)) << 26n, 1n << 26n, USER + (BigInt(random(4)) << 26n), 0n] as const;
  const regions = () =>
    Array.from({ length: 1 + random(8) }, (_, i) => [BigInt(i) << 26n, 1n << 26n, odd(), 0n] as const);
  const place = USER + BigInt(random(1 << 10)) * 4096n;
  switch (random(8)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return words(odd());
    case 2:
      return state(random(6), random(2) === 0 ? 1 << random(18) : random(3));
    case 3:
      return address(random(5), {
        descriptors: place,
        available: place + 4096n,
        used: random(9) === 0 ? odd() : place + 8192n,
      });
    case 4:
      return table(...regions());
    case 5:
      return region(random(4) === 0 ? [odd(), odd(), odd(), odd()] : sound());
    case 6:
      return words(BigInt(random(5)) | (random(4) === 0 ? 0x100n : 0n));
    default:
      return words(odd(), odd());
  }
}

function oddPiece(random: Random): Piece {
  const request = random(20) === 0 ? random(50) : REQUESTS[random(REQUESTS.length)]!;
  const flags = random(100) === 0 ? random(64) : random(8) === 0 ? VERSION : VERSION | 8;
  // A question that is not understood ends the connection: most are sound, so that there is one.
  const isQuestion = QUESTIONS.includes(request) && random(10) > 0;
  const payload = isQuestion ? Buffer.alloc(0) : oddPayload(random);
  if (isQuestion) return { bytes: wire({ request, payload, flags }), descriptors: 0 };
  const bytes = random(100) === 0 ? random(5000) : payload.length;
  return { bytes: wire({ request, payload, flags, bytes }), descriptors: random(3) === 0 ? random(9) : random(2) };
}

/** A recorded message, with its bytes changed now and then. */
function recordedPiece({ bytes, descriptors }: { bytes: string; descriptors: number }, random: Random): Piece {
  const copy = Buffer.from(bytes, 'hex');
  if (random(40) === 0) copy[random(copy.length)] = random(256);
  // Asks for an answer.
  if (random(8) !== 0) copy[4] = copy[4]! | 8;
  return { bytes: copy, descriptors: random(25) === 0 ? random(9) : descriptors };
}

function makeUp(random: Random): Piece[] {
  const life = LIVES[random(LIVES.length)]!;
  // Most agree on REPLY_ACK first, so that a refusal is not their end.
  const agreed = { bytes: wire({ request: Request.SET_PROTOCOL_FEATURES, payload: words(0x800f) }), descriptors: 0 };
  const pieces: Piece[] = random(5) === 0 ? [] : [agreed];
  for (const one of life) {
    if (one.bytes.startsWith('10000000')) continue;
    // Nothing is as worth breaking as rings that run.
    if (one.bytes.startsWith('0b')) for (let more = random(8); more > 0; more--) pieces.push(oddPiece(random));
    const fate = random(60);
    if (fate === 0) continue;
    if (fate === 1) pieces.push(recordedPiece(one, random));
    if (fate <= 3) pieces.push(oddPiece(random));
    if (fate === 4) pieces.push(recordedPiece(life[random(life.length)]!, random));
    pieces.push(recordedPiece(one, random));
  }
  for (let more = random(40); more > 0; more--) pieces.push(oddPiece(random));
  return pieces;
}

interface Tally {
  messages: number;
  refused: number;
  ready: number;
}

/** One connection from its first byte to its end. */
function connect(pieces: readonly Piece[], random: Random, tally: Tally): void {
  const isFrail = random(3) === 0;
  const guest = new ModelGuest(4, () => (isFrail && random(25) === 0 ? -1 - random(40) : 0));
  const session = new Session({ queues: 2, mtu: random(5) > 0 ? 1500 : null }, guest);
  const reader = new MessageReader();
  const deliver = (bytes: Buffer, descriptors: readonly number[]): boolean => {
    const message = reader.push(bytes, descriptors);
    if (message === null) return true;
    if (message instanceof Refusal) return false;
    tally.messages++;
    const answer = session.receive(message);
    if (answer.refusal !== null) tally.refused++;
    if (session.ready) tally.ready++;
    expect(session.ready && !session.running).toBe(false);
    if (answer.reply !== null) {
      expect(answer.reply.length).toBe(HEADER_BYTES + 8);
      expect(parseHeader(answer.reply)).toBeInstanceOf(Refusal);
    }
    return !answer.close;
  };
  pieces.every(({ bytes, descriptors }) => {
    let given = guest.give(descriptors);
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(reader.wanted, bytes.length - at, random(4) === 0 ? 1 + random(7) : bytes.length);
      const goes = deliver(bytes.subarray(at, at + count), given);
      if (!goes) return false;
      given = [];
      at += count;
    }
    return true;
  });
  for (const descriptor of reader.drop()) guest.close(descriptor);
  session.end();
  guest.checkLoose();
  expect(guest.kept).toBe(0);
  expect(guest.rings.some(({ started }) => started)).toBe(false);
}

it('never throws, never leaks a descriptor, never asks for the impossible', { timeout: 600_000 }, () => {
  const random = randomFrom(seedFor('front ends that break the rules'));
  const tally: Tally = { messages: 0, refused: 0, ready: 0 };
  const connections = isLong() ? 200_000 : 3000;
  for (let connection = 0; connection < connections; connection++) connect(makeUp(random), random, tally);
  // They were not all turned away at the door, nor all taken.
  expect(tally.messages).toBeGreaterThan(connections * 10);
  expect(tally.refused).toBeGreaterThan(connections / 2);
  expect(tally.ready).toBeGreaterThan(connections / 10);
});
