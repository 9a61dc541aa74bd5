/** Messages about the device as a whole: features, counts, MTU, RARP. Called by session.ts on the main thread; they touch no memory. */
import { Feature, offeredFeatures, offeredProtocolFeatures } from './features.ts';
import { MEMORY_SLOTS_MAX } from './memory-table.ts';
import { emitNumber, Refusal } from './message.ts';
import { Request } from './requests.ts';
import { settle } from './session-rings.ts';
import type { Of, Result, SessionState } from './state.ts';

const MTU_MIN = 68n;
const LOG_ALL = 1n << BigInt(Feature.LOG_ALL);

/** Messages without payload. SET_OWNER needs nothing; SET_LOG_FD brings an eventfd that nobody has to signal. */
export function answerDevice({ state, guest, name }: Of<'none'>): Result {
  const { queues, mtu } = state.options;
  switch (name) {
    case 'GET_FEATURES':
      return emitNumber(Request.GET_FEATURES, offeredFeatures(mtu));
    case 'GET_PROTOCOL_FEATURES':
      return emitNumber(Request.GET_PROTOCOL_FEATURES, offeredProtocolFeatures(mtu));
    case 'GET_QUEUE_NUM':
      return emitNumber(Request.GET_QUEUE_NUM, BigInt(queues));
    case 'GET_MAX_MEM_SLOTS':
      return emitNumber(Request.GET_MAX_MEM_SLOTS, BigInt(MEMORY_SLOTS_MAX));
    case 'RESET_OWNER':
      // Deprecated; the specification leaves it to disable the rings.
      for (const [index, ring] of state.rings.entries()) {
        ring.enabled = false;
        if (ring.started) settle(state, guest, index);
      }
      return null;
    default:
      return null;
  }
}

export function answerNumber(handling: Of<'u64'>): Result {
  const { state, guest, name, payload } = handling;
  switch (name) {
    case 'SET_FEATURES':
      return setFeatures(handling);
    case 'SET_PROTOCOL_FEATURES':
      if ((payload.value & ~offeredProtocolFeatures(state.options.mtu)) !== 0n) return notOffered(payload.value);
      state.protocolFeatures = payload.value;
      return null;
    case 'SEND_RARP': {
      const mac = stationAddress(payload.value);
      if (mac === null) return new Refusal('not the address of one station');
      guest.announce(mac);
      return null;
    }
    default:
      return setMtu(state, payload.value);
  }
}

function setFeatures({ state, guest, payload }: Of<'u64'>): Result {
  const { value } = payload;
  if ((value & ~offeredFeatures(state.options.mtu)) !== 0n) return notOffered(value);
  const changed = value ^ (state.features ?? 0n);
  if ((changed & ~LOG_ALL) !== 0n && state.rings.some(({ started }) => started)) {
    return new Refusal('other features while a ring runs');
  }
  const result = guest.features(value);
  if (result < 0) return new Refusal(`failed with errno ${-result}`);
  state.features = value;
  return null;
}

function setMtu(state: SessionState, value: bigint): Result {
  const most = BigInt(state.options.mtu ?? 0);
  if (value < MTU_MIN || value > most) return new Refusal(`${value} is not an MTU of ${MTU_MIN} to ${most}`);
  state.mtu = Number(value);
  return null;
}

function notOffered(value: bigint): Refusal {
  return new Refusal(`0x${value.toString(16)} has bits that were not offered`);
}

/** The six bytes of a MAC, the first lowest; null for a group's or none. */
function stationAddress(value: bigint): string | null {
  const bytes = Array.from({ length: 6 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  if ((bytes[0]! & 1) === 1 || bytes.every((byte) => byte === 0)) return null;
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
