/** A session over a model of its guest, and the steps by which a front end makes it run. */
import { expect } from 'vitest';
import { offeredProtocolFeatures } from '../../../../control/protocols/vhost-user/features.ts';
import type { RequestName } from '../../../../control/protocols/vhost-user/requests.ts';
import { type Answer, Session } from '../../../../control/protocols/vhost-user/session.ts';
import { address, message, reply, state, table, words } from './front-end.ts';
import { ModelGuest } from './model-guest.ts';

export const PROTOCOL_FEATURES = 1n << 30n;
export const VERSION_1 = 1n << 32n;
export const LOG_ALL = 1n << 26n;
export const USER = 0x7000_0000_0000n;
export const MIB = 1n << 20n;

export function stand(options: { queues?: number; mtu?: number | null; fails?: (operation: string) => number } = {}) {
  const { queues = 1, mtu = 1500, fails } = options;
  const guest = new ModelGuest(queues * 2, fails);
  const session = new Session({ queues, mtu }, guest);
  const send = (name: RequestName, payload?: Uint8Array, descriptors = 0, needsReply = false): Answer => {
    const answer = session.receive(message(name, payload, guest.give(descriptors), needsReply));
    guest.checkLoose();
    return answer;
  };
  const number = (name: RequestName) => reply(send(name).reply!).payload.readBigUInt64LE(0);
  return { guest, session, send, number };
}

export type Stand = ReturnType<typeof stand>;

const at = (ring: number) => USER + BigInt(ring) * 0x10000n;
export const places = (ring: number, log?: bigint) =>
  address(ring, {
    descriptors: at(ring),
    available: at(ring) + 0x4000n,
    used: at(ring) + 0x8000n,
    ...(log === undefined ? {} : { log }),
  });

export function startRing({ send }: Stand, ring: number, base = 0): void {
  for (const answer of [
    send('SET_VRING_NUM', state(ring, 256)),
    send('SET_VRING_BASE', state(ring, base)),
    send('SET_VRING_ADDR', places(ring)),
    send('SET_VRING_KICK', words(ring), 1),
    send('SET_VRING_CALL', words(ring), 1),
    send('SET_VRING_ENABLE', state(ring, 1)),
  ]) {
    expect(answer).toEqual({ reply: null, refusal: null, close: false });
  }
}

/** Agreed on, memory there, both rings of a pair running. */
export function running(options: Parameters<typeof stand>[0] = {}): Stand {
  const one = stand(options);
  one.send('SET_PROTOCOL_FEATURES', words(offeredProtocolFeatures(1500)));
  one.send('SET_FEATURES', words(PROTOCOL_FEATURES | VERSION_1));
  expect(one.send('SET_MEM_TABLE', table([0, 64n * MIB, USER, 0]), 1).refusal).toBeNull();
  startRing(one, 0);
  startRing(one, 1);
  expect(one.session.ready).toBe(true);
  return one;
}
