/**
 * One connection of a vhost-user front end, from its first message to its end: what each message does to the guest's rings and memory,
 * and what is answered. Called by control/devices/guest on the main thread with whole messages, one after the other. It does no I/O:
 * whatever has to happen it asks of a Guest. It never throws on what a front end sends, and each descriptor of a message goes to the
 * Guest exactly once, to be used or to be closed. Source: QEMU, docs/interop/vhost-user.rst.
 */
import { hasProtocol, offeredProtocolFeatures } from './features.ts';
import type { Guest } from './guest.ts';
import { emitNumber, nameOf, parsePayload, Refusal } from './message.ts';
import type { Message } from './reader.ts';
import { type RequestName, requestName } from './requests.ts';
import { newRing } from './ring.ts';
import { answerDevice, answerNumber } from './session-device.ts';
import { answerLog, answerRegion, answerTable } from './session-memory.ts';
import { answerRingAddress, answerRingDescriptor, answerRingState, settle } from './session-rings.ts';
import { type Handling, passes, type Result, type SessionOptions, type SessionState } from './state.ts';

export interface Answer {
  readonly reply: Uint8Array | null;
  /** Why the message was not taken; null when it was. */
  readonly refusal: string | null;
  /** The protocol has no way to say so: the connection has to end. */
  readonly close: boolean;
}

const NACK = 1n;

export class Session {
  readonly #state: SessionState;
  readonly #guest: Guest;

  constructor(options: SessionOptions, guest: Guest) {
    const rings = Array.from({ length: options.queues * 2 }, newRing);
    this.#state = { options, features: null, protocolFeatures: 0n, regions: [], rings, mtu: null };
    this.#guest = guest;
  }

  get state(): SessionState {
    return this.#state;
  }

  receive(message: Message): Answer {
    const { request, needsReply } = message.header;
    const left = [...message.descriptors];
    const result = this.#handle(message, () => left.shift() ?? -1);
    for (const descriptor of left) this.#guest.close(descriptor);
    const acks = needsReply && hasProtocol(this.#state.protocolFeatures, 'REPLY_ACK');
    if (!(result instanceof Refusal)) {
      return { reply: result ?? (acks ? emitNumber(request, 0n) : null), refusal: null, close: false };
    }
    const refusal = `${nameOf(request)}: ${result.reason}`;
    if (acks && !repliesItself(request)) return { reply: emitNumber(request, NACK), refusal, close: false };
    return { reply: null, refusal, close: true };
  }

  /** A receive and a transmit ring run: frames can pass both ways. */
  get ready(): boolean {
    const runs = this.#state.rings.map((ring) => passes(this.#state, ring));
    return runs.some((runs, ring) => runs && ring % 2 === 0) && runs.some((runs, ring) => runs && ring % 2 === 1);
  }

  /** Native code may look at a ring. */
  get running(): boolean {
    return this.#state.rings.some((ring) => ring.started && ring.mapped);
  }

  /** The connection is over: rings, log and memory go. */
  end(): void {
    for (const [index, ring] of this.#state.rings.entries()) {
      ring.started = false;
      settle(this.#state, this.#guest, index);
      this.#guest.kick(index, -1);
      this.#guest.call(index, -1);
    }
    this.#guest.log(-1, 0n, 0n);
    this.#guest.clearRegions();
    this.#state.regions = [];
  }

  #handle(message: Message, take: () => number): Result {
    const name = requestName(message.header.request);
    if (name === null) return new Refusal('is not known here');
    const payload = parsePayload(name, message.payload, message.descriptors.length);
    if (payload instanceof Refusal) return payload;
    const missing = missingFeature(this.#state, name);
    if (missing !== null) return new Refusal(`needs the protocol feature ${missing}`);
    return dispatch({ state: this.#state, guest: this.#guest, name, payload, take });
  }
}

/** Whether a message may need rings or memory that a worker uses; all the others only ask, or tell what takes effect later. */
export function touchesGuest(request: number): boolean {
  const name = requestName(request);
  return name !== null && !ASKING.has(name);
}

const ASKING: ReadonlySet<RequestName> = new Set([
  'GET_FEATURES',
  'GET_PROTOCOL_FEATURES',
  'SET_PROTOCOL_FEATURES',
  'GET_QUEUE_NUM',
  'GET_MAX_MEM_SLOTS',
  'SET_OWNER',
  'SEND_RARP',
  'NET_SET_MTU',
  'SET_LOG_FD',
  'SET_VRING_ERR',
]);

function dispatch(handling: Handling): Result {
  const { payload } = handling;
  switch (payload.kind) {
    case 'none':
      return answerDevice({ ...handling, payload });
    case 'u64':
      return answerNumber({ ...handling, payload });
    case 'table':
      return answerTable({ ...handling, payload });
    case 'region':
      return answerRegion({ ...handling, payload });
    case 'log':
      return answerLog({ ...handling, payload });
    case 'ring-state':
      return answerRingState({ ...handling, payload });
    case 'ring-address':
      return answerRingAddress({ ...handling, payload });
    case 'ring-descriptor':
      return answerRingDescriptor({ ...handling, payload });
  }
}

/** Those with a reply of their own have no room for a NACK. */
function repliesItself(request: number): boolean {
  return requestName(request)?.startsWith('GET_') ?? false;
}

function missingFeature({ options, protocolFeatures }: SessionState, name: RequestName): string | null {
  switch (name) {
    case 'GET_MAX_MEM_SLOTS':
    case 'ADD_MEM_REG':
    case 'REM_MEM_REG':
      return hasProtocol(protocolFeatures, 'CONFIGURE_MEM_SLOTS') ? null : 'CONFIGURE_MEM_SLOTS';
    case 'SET_LOG_BASE':
      return hasProtocol(protocolFeatures, 'LOG_SHMFD') ? null : 'LOG_SHMFD';
    case 'NET_SET_MTU':
      // Legal as soon as it is offered, agreed on or not.
      return hasProtocol(offeredProtocolFeatures(options.mtu), 'NET_MTU') ? null : 'NET_MTU';
    default:
      return null;
  }
}
