/**
 * What a punted slow-protocol frame is: an LACPDU, a marker to answer, something that makes no sense, or nothing for us. Called by system.ts
 * on the main thread; never throws.
 */
import { Check } from '../../../dataplane/wire/check.ts';
import { ETHERNET_BYTES, ETHERTYPE_SLOW_PROTOCOLS, etherType } from '../../../dataplane/wire/ethernet.ts';
import {
  checkLacpdu,
  checkMarker,
  MARKER_TYPE_REQUEST,
  markerType,
  SLOW_SUBTYPE_AT,
  SLOW_SUBTYPE_LACP,
  SLOW_SUBTYPE_MARKER,
  SLOW_SUBTYPE_MAX,
} from '../../../dataplane/wire/lacp.ts';
import { type Lacpdu, parseLacpdu } from '../../../dataplane/wire/lacp-value.ts';
import { NO_SYSTEM } from './port.ts';

export type Inbound =
  | { readonly kind: 'lacpdu'; readonly pdu: Lacpdu }
  | { readonly kind: 'marker' }
  | { readonly kind: 'other' }
  | { readonly kind: 'bad' };

const OTHER: Inbound = { kind: 'other' };
const BAD: Inbound = { kind: 'bad' };
const AT = ETHERNET_BYTES;

/** `frame` is whole and untagged. */
export function readSlow(frame: Uint8Array): Inbound {
  if (frame.length <= AT || etherType(frame, 0) !== ETHERTYPE_SLOW_PROTOCOLS) return BAD;
  const subtype = frame[AT + SLOW_SUBTYPE_AT]!;
  if (subtype === SLOW_SUBTYPE_LACP) return readLacpdu(frame);
  if (subtype === SLOW_SUBTYPE_MARKER) return readMarker(frame);
  return subtype === 0 || subtype > SLOW_SUBTYPE_MAX ? BAD : OTHER;
}

/** No system has a group address, or none. */
function readLacpdu(frame: Uint8Array): Inbound {
  if (checkLacpdu(frame, AT, frame.length) !== Check.OK) return BAD;
  const pdu = parseLacpdu(frame, AT, frame.length);
  const isGroup = (Number.parseInt(pdu.actor.system.slice(0, 2), 16) & 1) !== 0;
  return isGroup || pdu.actor.system === NO_SYSTEM ? BAD : { kind: 'lacpdu', pdu };
}

/** We ask nothing, so a response answers nobody. */
function readMarker(frame: Uint8Array): Inbound {
  if (checkMarker(frame, AT, frame.length) !== Check.OK) return BAD;
  return markerType(frame, AT) === MARKER_TYPE_REQUEST ? { kind: 'marker' } : OTHER;
}
