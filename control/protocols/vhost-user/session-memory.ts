/**
 * Messages about the guest's memory: the whole table, single regions, the migration log. Called by session.ts on the main thread, while
 * no worker is in that memory. A guest gets memory while its rings run (hot-plugged RAM, a moved region), so started rings are looked up
 * anew after each change; one whose addresses are gone rests until they are back.
 */

import { logFault, regionFault, sameRegion, tableFault } from './memory-table.ts';
import { emitNumber, Refusal, type Region } from './message.ts';
import { Request } from './requests.ts';
import { place } from './session-rings.ts';
import type { Handling, Of, Result } from './state.ts';

export function answerTable(handling: Of<'table'>): Result {
  const { state, guest, payload, take } = handling;
  const fault = tableFault(payload.regions);
  if (fault !== null) return new Refusal(fault);
  guest.clearRegions();
  state.regions = [];
  for (const region of payload.regions) {
    const result = guest.addRegion(take(), region);
    if (result === 0) continue;
    // Half a memory helps nobody, and the old one is gone.
    guest.clearRegions();
    placeAll(handling);
    return cannotMap(region, result);
  }
  state.regions = payload.regions;
  placeAll(handling);
  return null;
}

/**
 * QEMU up to 9.0 tells each region once for every queue pair, and takes each back as often: what is there already, or gone already, is
 * done. (SET_MEM_TABLE it sends once.)
 */
export function answerRegion(handling: Of<'region'>): Result {
  const { state, guest, name, payload, take } = handling;
  const { region } = payload;
  if (name === 'REM_MEM_REG') {
    const left = state.regions.filter((other) => !sameRegion(other, region));
    if (left.length === state.regions.length) return state.options.queues > 1 ? null : new Refusal('no such region');
    guest.removeRegion(region.guestAddress);
    state.regions = left;
  } else {
    if (state.regions.some((other) => sameRegion(other, region) && other.offset === region.offset)) return null;
    const fault = regionFault(region, state.regions);
    if (fault !== null) return new Refusal(fault);
    const result = guest.addRegion(take(), region);
    if (result < 0) return cannotMap(region, result);
    state.regions = [...state.regions, region];
  }
  placeAll(handling);
  return null;
}

/** The front end waits for a reply to it, also without need_reply. */
export function answerLog({ state, guest, payload, take }: Of<'log'>): Result {
  const { bytes, offset } = payload;
  const fault = logFault(bytes, offset, state.regions);
  if (fault !== null) return new Refusal(fault);
  const result = guest.log(take(), bytes, offset);
  if (result < 0) return new Refusal(`its log can't be mapped: errno ${-result}`);
  return emitNumber(Request.SET_LOG_BASE, 0n);
}

function placeAll({ state, guest }: Handling): void {
  for (const [index, ring] of state.rings.entries()) if (ring.started) place(state, guest, index);
}

function cannotMap({ guestAddress }: Region, result: number): Refusal {
  return new Refusal(`the region at guest address 0x${guestAddress.toString(16)} can't be mapped: errno ${-result}`);
}
