/**
 * What a session remembers between messages, and how a message reaches its handler. Made by session.ts, written by the handlers in
 * session-device.ts, session-memory.ts and session-rings.ts; main thread. It holds no descriptor: each goes on to the Guest.
 */
import { has } from './features.ts';
import type { Guest } from './guest.ts';
import type { Payload, Refusal, Region } from './message.ts';
import type { RequestName } from './requests.ts';
import type { Ring } from './ring.ts';

export interface SessionOptions {
  /** Queue pairs that are offered. */
  readonly queues: number;
  /** Bytes behind the Ethernet header that the port carries, where it tells its guest; null where it doesn't. */
  readonly mtu: number | null;
}

export interface SessionState {
  readonly options: SessionOptions;
  /** null until SET_FEATURES. */
  features: bigint | null;
  protocolFeatures: bigint;
  regions: readonly Region[];
  readonly rings: readonly Ring[];
  /** What NET_SET_MTU said. */
  mtu: number | null;
}

/** A message in the hands of a handler. */
export interface Handling<P extends Payload = Payload> {
  readonly state: SessionState;
  readonly guest: Guest;
  readonly name: RequestName;
  readonly payload: P;
  /** The next of the message's descriptors, whose owner the caller becomes; −1 when there is none left. */
  take(): number;
}

export type Of<K extends Payload['kind']> = Handling<Extract<Payload, { kind: K }>>;

/** What a handler answers: bytes to reply, null for done, a Refusal for not done. */
export type Result = Uint8Array | null | Refusal;

/** Until PROTOCOL_FEATURES is agreed on there is no SET_VRING_ENABLE, and a started ring is an enabled one. */
export function isEnabled({ features }: SessionState, ring: Ring): boolean {
  return ring.enabled || (features !== null && !has(features, 'PROTOCOL_FEATURES'));
}

/** Frames can pass through it. */
export function passes(state: SessionState, ring: Ring): boolean {
  return ring.started && ring.mapped && isEnabled(state, ring);
}
