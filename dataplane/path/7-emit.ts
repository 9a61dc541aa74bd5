// HOT: stage 7. The last checks of an egress, the marks for what native must finish, and the slot number appended to the egress's
// list. From here on the head does not change.
import { drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { LIST_COUNT_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, FINISH_CHECKSUM, FINISH_SEGMENT, Flag, PORT_WORDS, Queue } from '../memory/layout.ts';
import { PortWord, Takes } from '../tables/port-layout.ts';

const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;

/** What of an unfinished frame an egress with these `takes` can't take, as marks of the list entry. */
function marksFor(gso: number, takes: number): number {
  if ((takes & Takes.CHECKSUM) === 0) return gso === 0 ? FINISH_CHECKSUM : FINISH_CHECKSUM | FINISH_SEGMENT;
  const type = gso & 0x7f;
  if (type === 0) return 0;
  const needed = type === GSO_TCPV4 ? Takes.TSO4 : type === GSO_TCPV6 ? Takes.TSO6 : Takes.USO;
  return (takes & needed) !== 0 ? 0 : FINISH_CHECKSUM | FINISH_SEGMENT;
}

/** Lists a slot at an egress. `patch` is nonzero when the list is read by the path itself and not by a device. */
export function emit(lane: Lane, slot: number, egress: number, patch: number): void {
  const i32 = lane.i32;
  const record = lane.portsAt + egress * PORT_WORDS;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  if (i32[facts + Fact.WIRE_BYTES]! - i32[facts + Fact.L3]! > i32[record + PortWord.MTU]!) {
    drop(lane, egress, Drop.MTU_EXCEEDED);
    return;
  }
  const queue = lane.queuesAt + egress * Queue.WORDS;
  const length = i32[queue + Queue.COUNT]!;
  if (length >= LIST_COUNT_MAX) {
    drop(lane, egress, Drop.EGRESS_FULL);
    return;
  }
  let entry = slot;
  if ((i32[facts + Fact.FLAGS]! & Flag.NEEDS_CHECKSUM) !== 0)
    entry |= marksFor(i32[facts + Fact.GSO]!, i32[record + PortWord.TAKES]!);
  i32[lane.listsAt + egress * LIST_COUNT_MAX + length] = entry;
  i32[queue + Queue.COUNT] = length + 1;
  if (length === 0 && patch === 0) {
    i32[lane.dirtyAt + lane.dirtyCount] = egress;
    lane.dirtyCount = (lane.dirtyCount + 1) | 0;
  }
}
