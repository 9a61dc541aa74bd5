// HOT: the bench's stand-in for the addon. Each turn it takes every transmit list by answering its counts, writes the clock, and receives:
// a burst per feed, each frame's head copied from the pool into its slot's head and its facts filled as native code fills them.
import {
  BATCH_COUNT_MAX,
  HEAD_BYTES,
  HEAD_STRIDE_BYTES,
  HEADROOM_BYTES,
  LIST_COUNT_MAX,
} from '../../dataplane/limits.ts';
import type { Lane } from '../../dataplane/memory/lane.ts';
import {
  Batch,
  Block,
  BlockCell,
  ENTRY_SLOT_MASK,
  FACT_WORDS_SHIFT,
  Fact,
  Flag,
  PORT_WORDS,
  Queue,
} from '../../dataplane/memory/layout.ts';
import { PortFlag, PortWord } from '../../dataplane/tables/port-layout.ts';
import type { Edge } from '../../dataplane/turn.ts';

/**
 * Words of a feed's record: a port that sends; its stretch of the pool, from a cell (float64) of the arena on, in heads; how far it has come;
 * and how many cells stand before each head, which is what an endpoint tells of a datagram.
 */
export const Feed = { PORT: 0, AT: 1, COUNT: 2, NEXT: 3, LEAD: 4, WORDS: 8 } as const;
export const BURST_COUNT = BATCH_COUNT_MAX;

export class BenchEdge implements Edge {
  readonly lane: Lane;
  readonly feeds: Int32Array;
  /** How many cells a head takes. */
  readonly headCells: number;
  readonly frameBytes: number;
  readonly tailAtBytes: number;
  /** How many feeds send; 0 lets what is listed drain. */
  sending = 0;
  /** Which of them is the first. */
  first = 0;
  /** Whether what a tunnel sends to several remotes is counted as so many; while a rate is measured, nothing is flooded. */
  countsCopies = true;
  /** Real nanoseconds that one turn takes, set from the last repetition: the clock that ageing and residence see. */
  turnNs = 4000;

  constructor(lane: Lane, feeds: Int32Array, headCells: number, frameBytes: number, tailAtBytes: number) {
    this.lane = lane;
    this.feeds = feeds;
    this.headCells = headCells;
    this.frameBytes = frameBytes;
    this.tailAtBytes = tailAtBytes;
  }

  turn(): number {
    const lane = this.lane;
    const i32 = lane.i32;
    const block = lane.blockAt;
    take(lane, this.frameBytes, this.countsCopies);
    writeClock(lane, this.turnNs);
    const feeds = this.sending;
    for (let k = 0; k < feeds; k++) receiveBurst(this, lane, k);
    const frames = feeds * BURST_COUNT;
    i32[block + Block.SLOTS_USED] = frames;
    i32[block + Block.LARGE_USED] = 0;
    i32[block + Block.BATCHES_COUNT] = feeds;
    i32[block + Block.REFUSED_COUNT] = 0;
    i32[block + Block.RECEIVED_COUNT] = frames;
    return frames;
  }
}

/** The sink: every list is sent whole. */
function take(lane: Lane, frameBytes: number, countsCopies: boolean): void {
  const i32 = lane.i32;
  const dirty = lane.dirtyCount;
  for (let k = 0; k < dirty; k++) {
    const port = i32[lane.dirtyAt + k]!;
    const queue = lane.queuesAt + port * Queue.WORDS;
    const listed = i32[queue + Queue.COUNT]!;
    const n = countsCopies ? listed + copiesOf(lane, port, listed) : listed;
    i32[queue + Queue.SENT] = n;
    i32[queue + Queue.BYTES] = Math.imul(n, frameBytes);
    i32[queue + Queue.SEGMENTS] = n;
  }
}

/** How many more datagrams than entries a tunnel's list makes; 0 for other ports. */
function copiesOf(lane: Lane, port: number, listed: number): number {
  const i32 = lane.i32;
  if ((i32[lane.portsAt + port * PORT_WORDS + PortWord.FLAGS]! & PortFlag.TUNNEL) === 0) return 0;
  let copies = 0;
  for (let k = 0; k < listed; k++) {
    const entry = i32[lane.listsAt + port * LIST_COUNT_MAX + k]! & ENTRY_SLOT_MASK;
    const remote = i32[lane.factsAt + (entry << FACT_WORDS_SHIFT) + Fact.REMOTE]!;
    // A set's place, complemented (tables/tunnel-layout.ts).
    if (remote < 0) copies += i32[~remote]! - 1;
  }
  return copies;
}

function writeClock(lane: Lane, turnNs: number): void {
  const cells = lane.blockCellsAt;
  const now = lane.f64[cells + BlockCell.NOW_NS]! + turnNs;
  lane.f64[cells + BlockCell.SENT_NS] = now;
  lane.f64[cells + BlockCell.NOW_NS] = now;
  lane.i32[lane.blockAt + Block.NOW_S] = (now / 1e9) | 0;
  lane.i32[lane.blockAt + Block.NOW_MS] = (now / 1e6) | 0;
}

/** The `k`-th batch of this turn. */
function receiveBurst(edge: BenchEdge, lane: Lane, k: number): void {
  const i32 = lane.i32;
  const feeds = edge.feeds;
  const feed = (edge.first + k) * Feed.WORDS;
  const port = feeds[feed + Feed.PORT]!;
  let head = feeds[feed + Feed.NEXT]!;
  if (head + BURST_COUNT > feeds[feed + Feed.COUNT]!) head = 0;
  feeds[feed + Feed.NEXT] = head + BURST_COUNT;
  const slot = k * BURST_COUNT;
  const lead = feeds[feed + Feed.LEAD]!;
  const from = feeds[feed + Feed.AT]! + head * (edge.headCells + lead);
  receiveFrames(lane, slot, port, from, edge.headCells, lead, edge.frameBytes, edge.tailAtBytes);
  const batch = lane.batchesAt + k * Batch.WORDS;
  i32[batch + Batch.PORT] = port;
  i32[batch + Batch.FIRST] = slot;
  i32[batch + Batch.COUNT] = BURST_COUNT;
}

function receiveFrames(
  lane: Lane,
  first: number,
  port: number,
  pool: number,
  cells: number,
  lead: number,
  bytes: number,
  tail: number,
): void {
  const i32 = lane.i32;
  const inHead = bytes < HEAD_BYTES ? bytes : HEAD_BYTES;
  const flags = lead === 0 ? Flag.VNET : 0;
  let from = pool;
  for (let slot = first; slot < first + BURST_COUNT; slot++) {
    const at = lane.headsAtBytes + slot * HEAD_STRIDE_BYTES + HEADROOM_BYTES;
    copyHead(lane.f64, from, (at >> 3) - lead, cells + lead);
    from += cells + lead;
    const words = at >> 2;
    // The virtio_net_hdr of a finished frame; a datagram has none.
    i32[words - 3] = 0;
    i32[words - 2] = 0;
    i32[words - 1] = 0;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    i32[facts + Fact.HEAD_AT] = at;
    i32[facts + Fact.HEAD_BYTES] = inHead;
    i32[facts + Fact.LENGTH] = bytes;
    i32[facts + Fact.TAIL_AT] = tail;
    i32[facts + Fact.INGRESS] = port;
    i32[facts + Fact.FLAGS] = flags;
    i32[lane.receiveListAt + slot] = slot;
  }
}

/** 64 bytes a step. As float64 a head moves in half as many steps; pool.ts writes no pattern that is a NaN. */
function copyHead(f64: Float64Array, from: number, to: number, cells: number): void {
  for (let c = 0; c < cells; c += 8) {
    f64[to + c] = f64[from + c]!;
    f64[to + c + 1] = f64[from + c + 1]!;
    f64[to + c + 2] = f64[from + c + 2]!;
    f64[to + c + 3] = f64[from + c + 3]!;
    f64[to + c + 4] = f64[from + c + 4]!;
    f64[to + c + 5] = f64[from + c + 5]!;
    f64[to + c + 6] = f64[from + c + 6]!;
    f64[to + c + 7] = f64[from + c + 7]!;
  }
}
