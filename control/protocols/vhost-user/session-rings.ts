/**
 * Messages about single rings, and how a ring starts, rests and stops. Called by session.ts (and by session-memory.ts when memory moves)
 * on the main thread, while no worker looks at the ring. The specification starts a ring at its first kick; here, as in other back ends,
 * it starts as soon as it has a descriptor for kicks, since weft looks at rings without being kicked.
 */
import type { Guest } from './guest.ts';
import { emitRingState, Refusal } from './message.ts';
import { Request } from './requests.ts';
import { addressFault, INDEX_MAX, type Ring, samePlace, sizeFault } from './ring.ts';
import { isEnabled, type Of, type Result, type SessionState } from './state.ts';

const EFAULT = 14;

export function answerRingState(handling: Of<'ring-state'>): Result {
  const { state, guest, name, payload } = handling;
  const { ring: index, number } = payload;
  const ring = state.rings[index];
  if (ring === undefined) return noRing(state, index);
  switch (name) {
    case 'SET_VRING_NUM': {
      const fault = sizeFault(number);
      if (fault !== null) return new Refusal(`ring ${index}: ${fault}`);
      if (ring.started && ring.size !== number) return new Refusal(`ring ${index}: another size while it runs`);
      ring.size = number;
      return null;
    }
    case 'SET_VRING_BASE':
      if (number > INDEX_MAX) return new Refusal(`ring ${index}: an index of ${number} (0–${INDEX_MAX})`);
      if (ring.started) return new Refusal(`ring ${index}: another index while it runs`);
      ring.base = number;
      ring.last = number;
      return null;
    case 'SET_VRING_ENABLE':
      if (number > 1) return new Refusal(`ring ${index}: ${number} is neither enable (1) nor disable (0)`);
      ring.enabled = number === 1;
      if (ring.started) settle(state, guest, index);
      return null;
    default:
      return emitRingState(Request.GET_VRING_BASE, index, stop(handling, ring));
  }
}

/** While a ring runs only its log may change: that is how a migration begins. */
export function answerRingAddress({ state, guest, payload }: Of<'ring-address'>): Result {
  const { ring: index } = payload;
  const ring = state.rings[index];
  if (ring === undefined) return noRing(state, index);
  const fault = addressFault(payload);
  if (fault !== null) return new Refusal(`ring ${index}: ${fault}`);
  if (ring.started && ring.address !== null && !samePlace(ring.address, payload)) {
    return new Refusal(`ring ${index}: another place while it runs`);
  }
  ring.address = payload;
  if (!ring.started) return null;
  const result = place(state, guest, index);
  return result < 0 ? cannotPlace(index, result) : null;
}

export function answerRingDescriptor({ state, guest, name, payload, take }: Of<'ring-descriptor'>): Result {
  const { ring: index } = payload;
  const ring = state.rings[index];
  if (ring === undefined) return noRing(state, index);
  // An error descriptor would be signalled by nobody; a front end learns of errors by the end of the connection.
  if (name === 'SET_VRING_ERR') return null;
  if (name === 'SET_VRING_CALL') {
    const result = guest.call(index, take());
    return result < 0 ? new Refusal(`ring ${index}: its call descriptor: errno ${-result}`) : null;
  }
  if (!ring.started) {
    const refusal = start(state, guest, index, ring);
    if (refusal !== null) return refusal;
  }
  const result = guest.kick(index, take());
  if (result < 0) return new Refusal(`ring ${index}: its kick descriptor: errno ${-result}`);
  ring.started = true;
  settle(state, guest, index);
  return null;
}

function start(state: SessionState, guest: Guest, index: number, ring: Ring): Refusal | null {
  if (state.features === null) return new Refusal(`ring ${index}: started before SET_FEATURES`);
  if (state.regions.length === 0) return new Refusal(`ring ${index}: started without memory`);
  if (ring.size === null || ring.address === null) return new Refusal(`ring ${index}: started without size and place`);
  const placed = place(state, guest, index);
  if (placed < 0) return cannotPlace(index, placed);
  // DPDK's virtio-user says 0 also when it comes back to a ring in use, so a 0 says no more than nothing.
  const result = guest.ringBase(index, ring.base === 0 ? null : ring.base);
  if (result < 0)
    return new Refusal(`ring ${index}: can't begin at ${ring.base ?? 'the used index'}: errno ${-result}`);
  return null;
}

/** Stops it and answers where it was. The next start has to be told, or goes on where the used ring ends. */
function stop({ state, guest, payload }: Of<'ring-state'>, ring: Ring): number {
  const index = payload.ring;
  if (!ring.started) return ring.last;
  ring.started = false;
  settle(state, guest, index);
  guest.kick(index, -1);
  const next = guest.ringState(index);
  if (next >= 0) ring.last = next & INDEX_MAX;
  ring.base = null;
  return ring.last;
}

/** Looks the ring's addresses up in the memory there is now. 0, or −errno: then it rests. */
export function place(state: SessionState, guest: Guest, index: number): number {
  const ring = state.rings[index]!;
  const { size, address } = ring;
  const result = size === null || address === null ? -EFAULT : guest.ring(index, { size, ...address });
  ring.mapped = result >= 0;
  if (ring.started) settle(state, guest, index);
  return result;
}

/** Tells native code what became of started, mapped and enabled. */
export function settle(state: SessionState, guest: Guest, index: number): void {
  const ring = state.rings[index]!;
  const runs = ring.started && ring.mapped;
  guest.ringRun(index, runs, runs && isEnabled(state, ring));
}

function noRing(state: SessionState, index: number): Refusal {
  return new Refusal(`ring ${index} is not one of ${state.rings.length}`);
}

function cannotPlace(index: number, result: number): Refusal {
  const why = result === -EFAULT ? "its addresses are not in the guest's memory" : `errno ${-result}`;
  return new Refusal(`ring ${index}: ${why}`);
}
