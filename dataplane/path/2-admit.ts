// HOT: stage 2. Which VLAN is a frame in on this port, and may it enter? The truth of Open vSwitch's VLAN modes
// (ovs-vswitchd.conf.db(5), Port, vlan_mode). Afterwards TAG holds the frame's VLAN and priority, and the flag TAGGED says whether
// the head carries exactly that tag.
import { drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, MEMBERSHIP_WORDS, PORT_WORDS } from '../memory/layout.ts';
import { PortFlag, PortWord, VlanMode } from '../tables/port-layout.ts';
import { admitsCustomer } from './customer.ts';
import { takeSlow } from './slow.ts';

const VID_MASK = 0xfff;
const RESERVED_LE = 0x00c28001;

/** Admits `n` slots listed at word `list`, received on `port`; answers how many are left. */
export function admit(lane: Lane, list: number, n: number, port: number): number {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  const mode = i32[record + PortWord.MODE]!;
  const vlan = i32[record + PortWord.VLAN]!;
  const tpid = i32[record + PortWord.TPID]! << 16;
  const members = lane.membershipAt + port * MEMBERSHIP_WORDS;
  const reserved = i32[record + PortWord.RESERVED]!;
  const isBond = (i32[record + PortWord.FLAGS]! & PortFlag.BOND) !== 0;
  const untagged = admitsCustomer(lane, i32[record + PortWord.CUSTOMER_VLANS]!, 0) ? 0 : Drop.VLAN_NOT_ADMITTED;
  let kept = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const head = i32[facts + Fact.HEAD_AT]! >> 2;
    if (isBond && i32[head] === RESERVED_LE && takeSlow(lane, facts)) continue;
    const source = i32[head + 1]! >>> 16;
    let reason = 0;
    if ((source & 1) !== 0 || (source === 0 && i32[head + 2] === 0)) reason = Drop.BAD_SOURCE;
    else if (i32[head] === RESERVED_LE && !isReservedAllowed(i32[head + 1]!, reserved)) reason = Drop.RESERVED_ADDRESS;
    else if ((i32[facts + Fact.FLAGS]! & Flag.TAGGED) === 0) {
      i32[facts + Fact.TAG] = vlan | tpid;
      reason = untagged;
    } else reason = admitTagged(lane, facts, mode, vlan, tpid, record);
    if (reason === 0) {
      const vid = i32[facts + Fact.TAG]! & VID_MASK;
      if ((i32[members + (vid >>> 5)]! & (1 << (vid & 31))) === 0) reason = Drop.VLAN_NOT_ADMITTED;
    }
    if (reason !== 0) {
      drop(lane, port, reason);
    } else {
      i32[list + kept] = slot;
      kept++;
    }
  }
  return kept;
}

function isReservedAllowed(w1: number, allowed: number): boolean {
  if ((w1 & 0xf0ff) !== 0) return true;
  return (allowed & (1 << ((w1 >>> 8) & 15))) !== 0;
}

/** A frame that came with a tag. */
function admitTagged(lane: Lane, facts: number, mode: number, vlan: number, tpid: number, record: number): number {
  const i32 = lane.i32;
  const tag = i32[facts + Fact.TAG]!;
  const vid = tag & VID_MASK;
  if (mode === VlanMode.TUNNEL) {
    // The customer's tag is payload: the service tag goes before it, with the customer's priority.
    if (!admitsCustomer(lane, i32[record + PortWord.CUSTOMER_VLANS]!, vid)) return Drop.VLAN_NOT_ADMITTED;
    i32[facts + Fact.TAG] = vlan | (tag & 0xf000) | tpid;
    i32[facts + Fact.FLAGS] = (i32[facts + Fact.FLAGS]! & ~Flag.TAGGED) | Flag.INNER;
    return 0;
  }
  if (vid !== 0) return mode === VlanMode.ACCESS ? Drop.TAGGED_ON_ACCESS : 0;
  if (vlan === 0) {
    // A priority tag on a trunk without a native VLAN: VLAN 0, whose frames carry no tag between ports.
    return 0;
  }
  // A priority tag counts as untagged (IEEE 802.1Q 6.9.1): the VLAN is the port's, the priority stays. The head is still ours alone.
  const native = tag | vlan;
  const at = i32[facts + Fact.HEAD_AT]! + 14;
  lane.u8[at] = (native >>> 8) & 0xff;
  lane.u8[at + 1] = native & 0xff;
  i32[facts + Fact.TAG] = native;
  return 0;
}
