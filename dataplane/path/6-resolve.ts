// HOT: stage 6. From a port to the leaf queue that carries it. A patch port's frame waits in that port's own list, to enter the peer
// bridge in the same turn; a bond's goes to a member; a tunnel's gets its header.
import { drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import type { Lane } from '../memory/lane.ts';
import { PORT_WORDS, Queue } from '../memory/layout.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import { emit } from './7-emit.ts';
import { sendByBond } from './bond.ts';
import { encapsulate } from './encapsulate.ts';

/** Hands a slot, already in the egress's shape, to that egress; `destination` is a remote of it, or the port itself. */
export function resolve(lane: Lane, slot: number, egress: number, destination: number): void {
  const flags = lane.i32[lane.portsAt + egress * PORT_WORDS + PortWord.FLAGS]!;
  if ((flags & PortFlag.BOND) !== 0) {
    sendByBond(lane, slot, egress);
    return;
  }
  if ((flags & PortFlag.TUNNEL) !== 0 && !encapsulate(lane, slot, egress, destination)) return;
  if ((flags & PortFlag.PATCH) !== 0 && lane.i32[lane.queuesAt + egress * Queue.WORDS + Queue.COUNT] === 0) {
    if (lane.patchesCount >= lane.patches.length) {
      // Only a mesh of patches comes here; frames would wait in a list that nobody reads.
      drop(lane, egress, Drop.PATCH_LOOP);
      return;
    }
    lane.patches[lane.patchesCount] = egress;
    lane.patchesCount = (lane.patchesCount + 1) | 0;
  }
  emit(lane, slot, egress, flags & PortFlag.PATCH);
}
