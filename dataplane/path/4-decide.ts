// HOT: stage 4. One egress, or the flood set: writes the EGRESS fact, a destination (a port, or a tunnel's remote) or FLOOD. What has no way on drops with its reason; the
// list is compacted in place.
import { drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, MEMBERSHIP_WORDS, PORT_WORDS } from '../memory/layout.ts';
import { lookUp, portOf } from '../tables/fdb.ts';
import { bridgeBits, domainBits } from '../tables/fdb-layout.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import { sendsCustomer } from './customer.ts';

const VID_MASK = 0xfff;
/** What a frame's way in forbids to its way out. */
export const APART = PortFlag.PROTECTED | PortFlag.SPLIT_HORIZON;
/** EGRESS of a frame that goes to its VLAN's flood set. */
export const FLOOD = -1;

/** Decides for `n` slots listed at word `list`, received on `port`; answers how many are left. */
export function decide(lane: Lane, list: number, n: number, port: number): number {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const bits = bridgeBits(bridge);
  const apart = i32[record + PortWord.FLAGS]! & APART;
  let kept = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    let egress = FLOOD;
    let to = 0;
    let reason = 0;
    const flags = i32[facts + Fact.FLAGS]!;
    if ((flags & Flag.GROUP) === 0) {
      const at = i32[facts + Fact.HEAD_AT]! >> 2;
      const w0 = i32[at]!;
      const vid = i32[facts + Fact.TAG]! & VID_MASK;
      const key0 = (w0 >>> 16) | (i32[at + 1]! << 16);
      const found = lookUp(
        lane,
        i32[facts + Fact.DESTINATION_SET]!,
        key0,
        (w0 & 0xffff) | domainBits(bridge, vid),
        bits,
      );
      if (found !== 0) {
        egress = found;
        to = portOf(lane, found);
        reason = to === port ? Drop.SAME_PORT : checkEgress(lane, to, bridge, vid, apart);
        if (reason === 0 && ((flags & Flag.INNER) | customersFlag(lane, to)) !== 0 && !sendsCustomer(lane, facts, to))
          reason = Drop.EGRESS_VLAN;
      }
    }
    if (reason !== 0) {
      drop(lane, reason === Drop.SAME_PORT ? port : to, reason);
    } else {
      i32[facts + Fact.EGRESS] = egress;
      i32[list + kept] = slot;
      kept++;
    }
  }
  return kept;
}

function customersFlag(lane: Lane, egress: number): number {
  return lane.i32[lane.portsAt + egress * PORT_WORDS + PortWord.FLAGS]! & PortFlag.CUSTOMERS;
}

/** The bridge is asked too: a port that moved to another one may still be in the database for a moment. */
function checkEgress(lane: Lane, egress: number, bridge: number, vid: number, apart: number): number {
  const i32 = lane.i32;
  const record = lane.portsAt + egress * PORT_WORDS;
  const flags = i32[record + PortWord.FLAGS]!;
  if ((flags & PortFlag.UP) === 0) return Drop.EGRESS_DOWN;
  if (i32[record + PortWord.BRIDGE] !== bridge) return Drop.EGRESS_VLAN;
  if ((i32[lane.membershipAt + egress * MEMBERSHIP_WORDS + (vid >>> 5)]! & (1 << (vid & 31))) === 0)
    return Drop.EGRESS_VLAN;
  if ((flags & apart) !== 0) return (flags & apart & PortFlag.PROTECTED) !== 0 ? Drop.PROTECTED : Drop.SPLIT_HORIZON;
  return 0;
}
