// HOT: stage 5. A frame to many: one slot per distinct shape, never per port; tails are shared. A patch port gets a slot of its own,
// since the peer bridge goes on changing it, and so does a tunnel, whose header goes before the head. Without a free slot that shape's ports lose the frame, counted each.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { VLANS_COUNT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { BRIDGE_WORDS, FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell } from '../memory/layout.ts';
import { Form, SET_FORM_SHIFT, SET_PORT_MASK } from '../tables/flood-layout.ts';
import { BridgeWord, PortFlag, PortWord } from '../tables/port-layout.ts';
import { APART } from './4-decide.ts';
import { resolve } from './6-resolve.ts';
import { sendsCustomer } from './customer.ts';
import { replicate } from './replica.ts';
import { shape, shapeOf } from './shape.ts';
import { answers } from './suppress.ts';

const VID_MASK = 0xfff;
const OWN_SLOT = PortFlag.PATCH | PortFlag.TUNNEL;

/** Which flag a port must have to take this frame from a flood. */
function wantedFlag(flags: number): number {
  if ((flags & Flag.BROADCAST) !== 0) return PortFlag.FLOOD_BROADCAST;
  return (flags & Flag.GROUP) !== 0 ? PortFlag.FLOOD_MULTICAST : PortFlag.FLOOD_UNKNOWN;
}

/** Whether the switch itself told the asker what this frame asks: then tunnels that want it so need not carry it. */
function isAnswered(lane: Lane, slot: number, port: number, record: number): boolean {
  const i32 = lane.i32;
  if (i32[lane.bridgesAt + i32[record + PortWord.BRIDGE]! * BRIDGE_WORDS + BridgeWord.SUPPRESS] === 0) return false;
  return (i32[record + PortWord.FLAGS]! & PortFlag.TUNNEL) === 0 && answers(lane, slot, port);
}

/** Sends a frame to every member of its (bridge, VLAN) but `port`, where it came from. */
export function flood(lane: Lane, slot: number, port: number): void {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const vid = i32[facts + Fact.TAG]! & VID_MASK;
  const set = lane.floodPoolAt + i32[lane.floodIndexAt + i32[record + PortWord.BRIDGE]! * VLANS_COUNT + vid]!;
  const wanted = wantedFlag(i32[facts + Fact.FLAGS]!) | PortFlag.UP;
  const apart = i32[record + PortWord.FLAGS]! & APART;
  const native = (i32[facts + Fact.FLAGS]! & Flag.TAGGED) !== 0 ? Form.TAGGED : Form.UNTAGGED;
  const inner = i32[facts + Fact.FLAGS]! & Flag.INNER;
  const withheld = isAnswered(lane, slot, port, record) ? PortFlag.SUPPRESS : 0;
  const members = i32[set]!;
  let untagged = native === Form.UNTAGGED ? slot : -1;
  let tagged = native === Form.TAGGED ? slot : -1;
  let priority = -1;
  let listed = 0;
  for (let k = 1; k <= members; k++) {
    const member = i32[set + k]!;
    const egress = member & SET_PORT_MASK;
    const flags = i32[lane.portsAt + egress * PORT_WORDS + PortWord.FLAGS]!;
    if (egress === port || (flags & wanted) !== wanted || (flags & (apart | withheld)) !== 0) continue;
    if (((flags & PortFlag.CUSTOMERS) | inner) !== 0 && !sendsCustomer(lane, facts, egress)) continue;
    listed++;
    const form = shapeOf(member >>> SET_FORM_SHIFT, i32[facts + Fact.TAG]!);
    let out = form === Form.UNTAGGED ? untagged : form === Form.TAGGED ? tagged : priority;
    if (out < 0 || (flags & OWN_SLOT) !== 0) {
      out = replicate(lane, slot);
      const reason = out < 0 ? Drop.NO_SLOT : shape(lane, out, form);
      if (reason !== 0) {
        drop(lane, egress, reason);
        continue;
      }
      if ((flags & OWN_SLOT) === 0) {
        if (form === Form.UNTAGGED) untagged = out;
        else if (form === Form.TAGGED) tagged = out;
        else priority = out;
      }
    }
    resolve(lane, out, egress, egress);
  }
  lane.floodedCount = (lane.floodedCount + listed) | 0;
  if (listed === 0) drop(lane, port, withheld === 0 ? Drop.NO_EGRESS : Drop.ANSWERED);
  else if (listed > 1) count(lane, port, PortCell.REPLICATED, listed - 1);
  count(lane, port, PortCell.FLOODED, 1);
}
