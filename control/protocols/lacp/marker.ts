/**
 * The marker responder (IEEE 802.1AX-2014, 6.5.4.2): the answer to a partner that wants to know when a conversation's frames have all
 * arrived. Called by system.ts for marker PDUs, main thread. We never ask ourselves.
 */
import { DESTINATION_AT, ETHERNET_BYTES, SOURCE_AT } from '../../../dataplane/wire/ethernet.ts';
import { MARKER_TYPE_AT, MARKER_TYPE_RESPONSE, SLOW_PDU_BYTES } from '../../../dataplane/wire/lacp.ts';
import { parseMac } from '../../../dataplane/wire/text.ts';
import { SLOW_PROTOCOLS_MAC } from './transmit.ts';

/** Frames a second that a slow protocol may send on a port (IEEE 802.3-2022, 57A.2). */
const RESPONSES_MAX = 10;
const PERIOD_MS = 1_000;

/** The same payload as a response. `request` is a whole frame that passed checkMarker. */
export function markerResponse(request: Uint8Array, source: string): Uint8Array {
  const frame = request.slice(0, ETHERNET_BYTES + SLOW_PDU_BYTES);
  frame.set(parseMac(SLOW_PROTOCOLS_MAC), DESTINATION_AT);
  frame.set(parseMac(source), SOURCE_AT);
  frame[ETHERNET_BYTES + MARKER_TYPE_AT] = MARKER_TYPE_RESPONSE;
  return frame;
}

/** When the last responses were sent, with this one, or null: too many in this second. */
export function admitResponse(answeredAt: readonly number[], now: number): readonly number[] | null {
  const recent = answeredAt.filter((at) => now - at < PERIOD_MS);
  return recent.length < RESPONSES_MAX ? [...recent, now] : null;
}
