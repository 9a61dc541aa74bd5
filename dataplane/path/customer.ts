// HOT: the tag behind the tag of a frame's VLAN. Open vSwitch's rule with vlan-limit 2: an access port never sends a frame that is still
// in another VLAN, and a dot1q-tunnel port takes and sends only those customers that it admits; every other port carries what is inside.
import type { Lane } from '../memory/lane.ts';
import { Fact, Flag, PORT_WORDS } from '../memory/layout.ts';
import { PortWord, VlanMode } from '../tables/port-layout.ts';

const VID_MASK = 0xfff;
/** Where the TCI of a frame's first tag stands. */
const TCI_AT = 14;
const TAG_BYTES = 4;

/** Whether a set of customer VLANs (a flood pool offset, 0: all) holds this one; 0 is a frame without a tag. */
export function admitsCustomer(lane: Lane, customers: number, vid: number): boolean {
  if (customers === 0) return true;
  return (lane.i32[lane.floodPoolAt + customers + (vid >>> 5)]! & (1 << (vid & 31))) !== 0;
}

/** Whether `egress` sends this frame, as far as its inner tag goes. Asked when there is one, or when the port admits only some. */
export function sendsCustomer(lane: Lane, facts: number, egress: number): boolean {
  const i32 = lane.i32;
  const record = lane.portsAt + egress * PORT_WORDS;
  const mode = i32[record + PortWord.MODE]!;
  if (mode !== VlanMode.ACCESS && mode !== VlanMode.TUNNEL) return true;
  const flags = i32[facts + Fact.FLAGS]!;
  let vid = 0;
  if ((flags & Flag.INNER) !== 0) {
    const at = i32[facts + Fact.HEAD_AT]! + TCI_AT + ((flags & Flag.TAGGED) === 0 ? 0 : TAG_BYTES);
    vid = ((lane.u8[at]! << 8) | lane.u8[at + 1]!) & VID_MASK;
  }
  return mode === VlanMode.ACCESS ? vid === 0 : admitsCustomer(lane, i32[record + PortWord.CUSTOMER_VLANS]!, vid);
}
