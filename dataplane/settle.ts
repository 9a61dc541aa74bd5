// HOT: after the native turn: what the addon answered about the lists it was given becomes counters, and the lists are empty again.
import { count, countResidence, drop } from './counters.ts';
import { Drop } from './drop.ts';
import { PORTS_MAX } from './limits.ts';
import type { Lane } from './memory/lane.ts';
import { Block, BlockCell, PORT_WORDS, PortCell, Queue, Refused } from './memory/layout.ts';
import { PortFlag, PortWord } from './tables/port-layout.ts';

/** Counts what every dirty port's queue sent, and drops what devices refused. */
export function settle(lane: Lane): void {
  const i32 = lane.i32;
  for (let k = 0; k < lane.dirtyCount; k++) {
    const port = i32[lane.dirtyAt + k]!;
    const queue = lane.queuesAt + port * Queue.WORDS;
    if (i32[queue + Queue.COUNT] === 0) continue;
    count(lane, port, PortCell.TX_FRAMES, i32[queue + Queue.SENT]!);
    // Unsigned: a tunnel's flood may be more than 2 GiB in a turn.
    count(lane, port, PortCell.TX_BYTES, i32[queue + Queue.BYTES]! >>> 0);
    count(lane, port, PortCell.TX_SEGMENTS, i32[queue + Queue.SEGMENTS]!);
    // What native sent or refused beyond what was listed are copies of floods.
    if (isTunnel(lane, port))
      count(lane, port, PortCell.REPLICATED, i32[queue + Queue.SENT]! - i32[queue + Queue.COUNT]!);
    i32[queue + Queue.COUNT] = 0;
  }
  lane.dirtyCount = 0;
  const refused = i32[lane.blockAt + Block.REFUSED_COUNT]!;
  for (let k = 0; k < refused; k++) {
    const at = lane.refusedAt + k * Refused.WORDS;
    const port = i32[at + Refused.PORT]!;
    const entries = i32[at + Refused.COUNT]!;
    for (let n = 0; n < entries; n++) drop(lane, port, i32[at + Refused.REASON]!);
    if (isTunnel(lane, port)) count(lane, port, PortCell.REPLICATED, entries);
  }
}

/** Whether a list entry of this port may be as many datagrams as a set has remotes. */
function isTunnel(lane: Lane, port: number): boolean {
  return (lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.FLAGS]! & PortFlag.TUNNEL) !== 0;
}

/** Tells main how many FDB entries were met half-written, in a cell that goes on where a dead worker's left off; once a second at the most. */
export function publishTornReads(lane: Lane): void {
  if (lane.tornReads === 0) return;
  const cell = lane.blockCellsAt + BlockCell.TORN_READS;
  lane.f64[cell] = lane.f64[cell]! + lane.tornReads;
  lane.tornReads = 0;
}

/** Residence of the frames that the last turn received, from that turn's clock reading until they were transmitted: HELD_NS. */
export function settleResidence(lane: Lane): void {
  for (let k = 0; k < lane.pastCount; k++) {
    countResidence(lane, lane.past[2 * k]!, lane.past[2 * k + 1]!);
  }
  lane.pastCount = 0;
}

/**
 * Empties the lists that a dead worker left, and counts what stood in them as lost: a successor must send none of it, since its slots are
 * about to be used again. What the native turn had sent when the worker died before it could settle counts as lost too.
 */
export function abandon(lane: Lane): void {
  const i32 = lane.i32;
  for (let port = 0; port < PORTS_MAX; port++) {
    const count = lane.queuesAt + port * Queue.WORDS + Queue.COUNT;
    for (let k = 0; k < i32[count]!; k++) drop(lane, port, Drop.WORKER_DIED);
    i32[count] = 0;
  }
  i32[lane.blockAt + Block.DIRTY_COUNT] = 0;
}
