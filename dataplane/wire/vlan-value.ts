/*
 * A VLAN tag as a plain value. Called by tests, control and printing; never per frame.
 */
import { bounded, refuse, roomFor } from './malformed.ts';
import {
  checkVlanTag,
  makeTci,
  PCP_MAX,
  setTci,
  setTpid,
  tci,
  tciDei,
  tciPcp,
  tciVid,
  tpid,
  VID_MASK,
  VLAN_TAG_BYTES,
} from './vlan.ts';

export interface VlanTag {
  readonly tpid: number;
  /** Any twelve bits: 0 and 4095 can stand in a frame, whatever they mean. */
  readonly vid: number;
  readonly pcp: number;
  readonly dropEligible: boolean;
}

/** Throws RangeError when the tag or the EtherType behind it is cut short, or no tag begins at `at`. */
export function parseVlanTag(bytes: Uint8Array, at: number, end: number): VlanTag {
  refuse('VLAN tag', checkVlanTag(bytes, at, end), at, end);
  const value = tci(bytes, at);
  return { tpid: tpid(bytes, at), vid: tciVid(value), pcp: tciPcp(value), dropEligible: tciDei(value) !== 0 };
}

/** Writes four bytes and returns the offset behind them, where the next EtherType belongs. */
export function emitVlanTag(tag: VlanTag, bytes: Uint8Array, at: number): number {
  const next = roomFor('VLAN tag', bytes, at, VLAN_TAG_BYTES);
  setTpid(bytes, at, bounded('TPID', tag.tpid, 0xffff));
  const vid = bounded('VID', tag.vid, VID_MASK);
  setTci(bytes, at, makeTci(vid, bounded('PCP', tag.pcp, PCP_MAX), tag.dropEligible ? 1 : 0));
  return next;
}
