// HOT: read for every tagged frame, written at every egress that tags.
/*
 * The VLAN tag (IEEE 802.1Q-2022, 9.4 to 9.6): customer tags 0x8100, service tags 0x88a8 (802.1ad).
 * Called by the path on worker threads. `at` is the tag's first byte: where an EtherType would stand.
 * Never shifts a frame: making and closing the gap belongs to who owns the headroom.
 *
 *    0          2          4
 *   +----------+----------+-----------      TCI:  15..13  12    11..0
 *   |   TPID   |   TCI    | EtherType …           PCP     DEI   VID
 *   +----------+----------+-----------
 */
import { readU16, writeU16 } from './bytes.ts';
import { Check } from './check.ts';

export const TPID_AT = 0;
export const TPID_BYTES = 2;
export const TCI_AT = TPID_AT + TPID_BYTES;
export const TCI_BYTES = 2;
export const VLAN_TAG_BYTES = TCI_AT + TCI_BYTES;
const INNER_ETHERTYPE_BYTES = 2;

export const TPID_CUSTOMER = 0x8100;
export const TPID_SERVICE = 0x88a8;

/** A tag with VID 0 carries a priority and names no VLAN. */
export const VID_PRIORITY = 0;
export const VID_MIN = 1;
export const VID_MAX = 4094;
/** Reserved; must not stand on a wire (table 9-2). */
export const VID_RESERVED = 4095;
export const VID_MASK = 0x0fff;
export const DEI_MASK = 0x1000;
export const PCP_SHIFT = 13;
export const PCP_MAX = 7;

/** OK: the tag and the EtherType behind it can be read. SHORT: they can't. BAD_TYPE: no tag begins here. */
export function checkVlanTag(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < VLAN_TAG_BYTES + INNER_ETHERTYPE_BYTES) return Check.SHORT;
  return isVlanTpid(tpid(bytes, at)) ? Check.OK : Check.BAD_TYPE;
}

export function isVlanTpid(etherType: number): boolean {
  return etherType === TPID_CUSTOMER || etherType === TPID_SERVICE;
}

export function tpid(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + TPID_AT);
}

export function setTpid(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + TPID_AT, value);
}

export function tci(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + TCI_AT);
}

export function setTci(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at + TCI_AT, value);
}

/** Only these twelve bits name the VLAN: comparing a whole TCI would tie it to a priority. */
export function tciVid(value: number): number {
  return value & VID_MASK;
}

export function tciPcp(value: number): number {
  return (value >>> PCP_SHIFT) & PCP_MAX;
}

/** Drop eligible: 0 or 1. */
export function tciDei(value: number): number {
  return (value & DEI_MASK) === 0 ? 0 : 1;
}

/** Parts beyond their width are cut, so that one can't spill into another. */
export function makeTci(vid: number, pcp: number, dei: number): number {
  return ((pcp & PCP_MAX) << PCP_SHIFT) | (dei === 0 ? 0 : DEI_MASK) | (vid & VID_MASK);
}

/** The same priority and drop eligibility in another VLAN. */
export function withVid(value: number, vid: number): number {
  return (value & 0xffff & ~VID_MASK) | (vid & VID_MASK);
}
