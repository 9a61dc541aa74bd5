/**
 * The only file that knows addresses in the arena. Main computes a layout from a shape, writes it into the header and hands the
 * arena to workers and addon, who read it there. All offsets are bytes from the arena's start; words are int32, cells float64.
 *
 *   header | control block, batches, lists, facts, heads, large buffers, counters, byte rings of worker 0 | … of worker 1 | …
 *          | compiled tables, two copies | FDB: buckets, locks, counts | bonds: records, members, reflections
 *          | tunnels: remotes, their index, neighbours
 */

import { REASONS_COUNT } from '../drop.ts';
import {
  BONDS_MAX,
  BRIDGES_MAX,
  BUCKETS_COUNT,
  CAPTURE_RING_BYTES,
  DESTINATIONS_COUNT,
  FDB_ENTRIES_MIN,
  HEAD_STRIDE_BYTES,
  INJECT_RING_BYTES,
  LARGE_COUNT,
  LARGE_STRIDE_BYTES,
  LIST_COUNT_MAX,
  PORTS_MAX,
  PUNT_RING_BYTES,
  RECEIVE_SLOTS_COUNT,
  REMOTE_SLOTS_COUNT,
  REMOTES_MAX,
  SLOTS_COUNT,
  VLANS_COUNT,
  VNI_SLOTS_COUNT,
  WORKERS_MAX,
} from '../limits.ts';

export const ARENA_MAGIC = 0x57_45_46_54;
export const ARENA_VERSION = 1;
export const PAGE_BYTES = 4096;

/** Words of the header: identity, shape, then the offset of every region (a worker's are those of worker 0 plus its stride). */
export const Header = {
  MAGIC: 0,
  VERSION: 1,
  BYTES: 2,
  WORKERS: 3,
  FDB_SLOTS: 4,
  WORKER_STRIDE: 5,
  /** Changed by main between turns: which generation of the compiled tables holds; its low bit names the copy. */
  TABLES_GENERATION: 6,
  BLOCK_AT: 16,
  BATCHES_AT: 18,
  RECEIVE_LIST_AT: 19,
  QUEUES_AT: 20,
  DIRTY_AT: 21,
  REFUSED_AT: 22,
  LISTS_AT: 23,
  FACTS_AT: 24,
  HEADS_AT: 25,
  LARGE_AT: 26,
  COUNTERS_AT: 27,
  CAPTURE_AT: 28,
  INJECT_AT: 29,
  PUNT_AT: 30,
  UNITS_AT: 31,
  TABLES_AT: 40,
  TABLES_STRIDE: 41,
  FDB_BUCKETS_AT: 42,
  FDB_LOCKS_AT: 43,
  FDB_COUNTS_AT: 44,
  BONDS_AT: 45,
  MEMBERS_AT: 46,
  REFLECTED_AT: 47,
  REMOTES_AT: 48,
  REMOTE_INDEX_AT: 49,
  NEIGHBOURS_AT: 50,
} as const;

/** Words of a worker's control block: what one native turn is told and what it answers. */
export const Block = {
  /** In: sleep at most so many milliseconds if nothing is ready; 0 only looks. */
  WAIT_MS: 0,
  /** In: yield the CPU once before looking, because the last turns found nothing. */
  YIELD: 1,
  /** In: how many ports have a transmit list; the addon empties none of them, settle does. */
  DIRTY_COUNT: 2,
  /** Out: slots and large buffers in use; ports written in TypeScript go on from here. */
  SLOTS_USED: 3,
  LARGE_USED: 4,
  BATCHES_COUNT: 5,
  REFUSED_COUNT: 6,
  /** Out: the monotonic clock after transmitting, or after the wait behind it: seconds, and milliseconds that wrap. */
  NOW_S: 7,
  NOW_MS: 8,
  /** Out: 1 when the control eventfd ended the wait. */
  WOKEN: 9,
  /** Generation of the tables that this worker's last turn used. */
  SEEN_GENERATION: 10,
  /** Counts turns, wrapping: a grace period is a change of this number. */
  TURN: 11,
  STATE: 12,
  IO: 13,
  /** Entries of the receive list in use. */
  RECEIVED_COUNT: 14,
  /** In: receive at most so many frames; floods to many ports make it small, so that a turn stays short. */
  RECEIVE_BUDGET: 16,
  /** In: bring frames into the arena wholly, since somebody who can't follow a tail outside it will look at them: capture, scripts. */
  WHOLE: 17,
} as const;

/** Cells (float64) of the control block, behind its words. */
export const BLOCK_CELLS_AT = 128;
/** NOW_NS is the last clock reading, SENT_NS the one right after transmitting: they differ by the time slept. */
export const BlockCell = {
  NOW_NS: 0,
  BUSY_NS: 1,
  TURNS: 2,
  FRAMES: 3,
  /** Half-written entries of the FDB that were met, and taken for misses. */
  TORN_READS: 4,
  FLOWS: 5,
  SENT_NS: 8,
  /** The reading before NOW_NS, and how long the frames of that turn stayed. */
  LAST_NS: 9,
  HELD_NS: 10,
} as const;
export const BLOCK_BYTES = 512;

export const WorkerState = { ABSENT: 0, RUNNING: 1, STOPPED: 2 } as const;
export const WorkerIo = { NONE: 0, READ_WRITE: 1, IO_URING: 2 } as const;

/** A batch record: frames that one port received in this turn, as a stretch of the receive list. */
export const Batch = { PORT: 0, FIRST: 1, COUNT: 2, WORDS: 4 } as const;

/** A transmit queue's record. The path fills COUNT, the addon answers the rest. */
export const Queue = { COUNT: 0, SENT: 1, BYTES: 2, SEGMENTS: 3, WORDS: 4 } as const;

/** List entries of one port that its device did not take for one reason (drop.ts): the first of them, and how many in a row. */
export const Refused = { ENTRY: 0, PORT: 1, REASON: 2, COUNT: 3, WORDS: 4 } as const;
export const REFUSED_COUNT_MAX = 4096;

/** A list entry is a slot number with the work that native must finish for this egress in its high bits. */
export const ENTRY_SLOT_MASK = 0xffff;
export const FINISH_CHECKSUM = 1 << 16;
export const FINISH_SEGMENT = 1 << 17;

/** Facts of a slot, one 64-byte record each: one cache line a frame. */
export const FACT_WORDS = 16;
export const FACT_WORDS_SHIFT = 4;
export const Fact = {
  /** Where the frame starts, in arena bytes; moves when a tag is pushed or popped. */
  HEAD_AT: 0,
  /** Bytes of the frame in the head; the rest is the tail. */
  HEAD_BYTES: 1,
  /** Bytes of the whole frame. */
  LENGTH: 2,
  /** Where the tail starts, in arena bytes; with Flag.FOREIGN the slot that received it. Meaningless when LENGTH equals HEAD_BYTES. */
  TAIL_AT: 3,
  INGRESS: 4,
  FLAGS: 5,
  /** The frame's VLAN as a tag: TCI, and the TPID above it. Of a frame as received, with Flag.SPOILT: why it is to be dropped. */
  TAG: 6,
  /** Bytes from the frame's start to its network header, behind at most two tags. */
  L3: 7,
  /** virtio GSO type, and the segment's payload bytes above it. */
  GSO: 8,
  /** Where an unfinished checksum starts, from the frame's start, and above it the field's offset from there. */
  CHECKSUM: 9,
  /** Frames on a wire: 1, or how many segments a super-frame becomes. */
  SEGMENTS: 10,
  /** Bytes of the longest frame on a wire: LENGTH, or a segment with its headers. */
  WIRE_BYTES: 11,
  /** Scratch of the path: FDB set of source and destination, egress. */
  SOURCE_SET: 12,
  DESTINATION_SET: 13,
  /** Once listed at a tunnel, in their place: to whom (`tunnel-layout.ts`), and bits of `Outer`. */
  REMOTE: 12,
  OUTER: 13,
  EGRESS: 14,
  HOPS: 15,
} as const;

/** Bits of the FLAGS fact. */
export const Flag = {
  /** The head carries the tag of the frame's VLAN, as TAG says. */
  TAGGED: 1,
  NEEDS_CHECKSUM: 2,
  GROUP: 4,
  BROADCAST: 8,
  /** A virtio_net_hdr of 12 bytes lies before the head as received. */
  VNET: 32,
  /** A further tag stands behind that of the frame's VLAN, whether or not the head carries the latter. */
  INNER: 64,
  /** The tail lies outside the arena, in a guest's memory or a packet ring: only native follows it, and only until the turn's end. */
  FOREIGN: 128,
  /** What received the frame already knows that it must be dropped, and why. Its length says nothing. */
  SPOILT: 256,
} as const;
/** Flags that a frame may have as received, and keeps. */
export const RECEIVED_FLAGS = Flag.VNET | Flag.FOREIGN;

/** Cells (float64) of one port in one worker's counters; one writer each. */
export const PortCell = {
  RX_FRAMES: 0,
  RX_BYTES: 1,
  RX_SEGMENTS: 2,
  TX_FRAMES: 3,
  TX_BYTES: 4,
  TX_SEGMENTS: 5,
  FLOODED: 6,
  REPLICATED: 7,
  LEARNED: 8,
  MOVED: 9,
  LEARN_LIMITED: 10,
  /** Frames that control sent out of this port. */
  INJECTED: 12,
  /** Frames of this member that went up to control and nowhere else. */
  PUNTED: 13,
} as const;
export const PORT_CELLS_COUNT = 16;
/** Residence histogram: bucket k counts frames that stayed less than 2^k µs, the last one all longer; then their sum in ns. */
export const RESIDENCE_BUCKETS_COUNT = 18;
export const RESIDENCE_SUM_CELL = RESIDENCE_BUCKETS_COUNT;
export const RESIDENCE_CELLS_COUNT = 20;

/** A ring's cursors stand 128 bytes apart, then its records. */
export const Ring = { HEAD: 0, TAIL: 32, RECORDS: 64 } as const;
export const BYTE_RING_HEADER_BYTES = 256;

/** Words of an inject record, behind its length. VLAN, of what goes out, is what a bond hashes by: the frame is tagged, or not, already. */
export const InjectWord = { PORT: 1, WAY: 2, BYTES: 3, VLAN: 4 } as const;
export const Way = { IN: 1, OUT: 2 } as const;

/** Words of a punt's record, behind its length; then come the bytes of a frame's head. */
export const Punt = { PORT: 1, PROTOCOL: 2, BYTES: 3, VLAN: 4, ABOUT: 5 } as const;
/**
 * What is policed by itself: LACP and marker; ARP and neighbour discovery to many; answers to one; frames that don't fit a tunnel's path,
 * ABOUT being the longest frame that does; what a tunnel's hosts tell of their addresses.
 */
export const Protocol = { SLOW: 0, NEIGHBOURS: 1, ANSWERS: 2, TOO_BIG: 3, BINDINGS: 4, COUNT: 5 } as const;

/** Compiled tables: offsets within one copy. */
export const PORT_WORDS = 32;
export const MEMBERSHIP_WORDS = VLANS_COUNT / 32;
export const BRIDGE_WORDS = 8;
export const FLOOD_POOL_WORDS = 1 << 20;
export const TABLE_PORTS_AT = 0;
export const TABLE_MEMBERSHIP_AT = TABLE_PORTS_AT + PORTS_MAX * PORT_WORDS * 4;
export const TABLE_BRIDGES_AT = TABLE_MEMBERSHIP_AT + PORTS_MAX * MEMBERSHIP_WORDS * 4;
export const TABLE_FLOOD_INDEX_AT = TABLE_BRIDGES_AT + BRIDGES_MAX * BRIDGE_WORDS * 4;
export const TABLE_FLOOD_POOL_AT = TABLE_FLOOD_INDEX_AT + BRIDGES_MAX * VLANS_COUNT * 4;
export const TABLE_VNIS_AT = TABLE_FLOOD_POOL_AT + FLOOD_POOL_WORDS * 4;
/** VNIs (tunnel-layout.ts). */
export const VNI_WORDS = 4;
export const TABLE_BYTES = TABLE_VNIS_AT + VNI_SLOTS_COUNT * VNI_WORDS * 4;

/**
 * Bonds, which change under traffic: a word at a time, in no copy. A bond's record is some words, its members, and its buckets; a word per
 * port tells whether it is a member (tables/bond-layout.ts). Reflections are a word per hash of an address.
 */
export const BOND_WORDS_SHIFT = 9;
export const REFLECTED_COUNT = 4096;

/** Remotes, which workers and control come to know under traffic: a record each (tunnel-layout.ts), by destination − PORTS_MAX. */
export const REMOTE_WORDS_SHIFT = 4;
/** Who has which address, of tunnels' hosts (neighbour-layout.ts). */
export const NEIGHBOUR_SLOTS_COUNT = 16_384;
export const NEIGHBOUR_WORDS_SHIFT = 3;

/** FDB: a bucket is one cache line of four entries. */
export const FDB_BUCKET_ENTRIES = 4;
export const FDB_ENTRY_WORDS = 4;
export const FDB_BUCKET_WORDS = FDB_BUCKET_ENTRIES * FDB_ENTRY_WORDS;
/** Lock stripes: a power of two. */
export const FDB_LOCKS_COUNT = 4096;

export interface Shape {
  readonly workers: number;
  /** Addresses that all bridges together may hold. */
  readonly fdbEntries: number;
}

/** Offsets of one worker's regions, or of the shared ones, in bytes. */
export interface Layout {
  readonly bytes: number;
  readonly workers: number;
  readonly fdbSlots: number;
  readonly workerStride: number;
  /** Indexed by the header's word numbers. */
  readonly words: Int32Array;
}

const aligned = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

/** Twice the entries, rounded up to a power of two: at most half full, so that two buckets always have room. */
export function fdbSlotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(entries, FDB_ENTRIES_MIN) * 2));
}

const WORKER_REGIONS: readonly (readonly [number, number])[] = [
  [Header.BLOCK_AT, BLOCK_BYTES],
  [Header.BATCHES_AT, RECEIVE_SLOTS_COUNT * Batch.WORDS * 4],
  [Header.RECEIVE_LIST_AT, RECEIVE_SLOTS_COUNT * 4],
  [Header.QUEUES_AT, PORTS_MAX * Queue.WORDS * 4],
  [Header.DIRTY_AT, PORTS_MAX * 4],
  [Header.REFUSED_AT, REFUSED_COUNT_MAX * Refused.WORDS * 4],
  [Header.LISTS_AT, PORTS_MAX * LIST_COUNT_MAX * 4],
  [Header.FACTS_AT, SLOTS_COUNT * FACT_WORDS * 4],
  [Header.HEADS_AT, SLOTS_COUNT * HEAD_STRIDE_BYTES],
  [Header.LARGE_AT, LARGE_COUNT * LARGE_STRIDE_BYTES],
  [Header.COUNTERS_AT, PORTS_MAX * (PORT_CELLS_COUNT + REASONS_COUNT + RESIDENCE_CELLS_COUNT) * 8],
  [Header.CAPTURE_AT, BYTE_RING_HEADER_BYTES + CAPTURE_RING_BYTES],
  [Header.INJECT_AT, BYTE_RING_HEADER_BYTES + INJECT_RING_BYTES],
  [Header.PUNT_AT, BYTE_RING_HEADER_BYTES + PUNT_RING_BYTES],
  [Header.UNITS_AT, BONDS_MAX * BUCKETS_COUNT * 4],
];

/** Where everything lies for this shape. Throws RangeError if the arena could not be addressed with int32. */
export function layoutFor(shape: Shape): Layout {
  if (shape.workers < 1 || shape.workers > WORKERS_MAX) {
    throw new RangeError(`${shape.workers} workers: allowed are 1–${WORKERS_MAX}`);
  }
  const words = new Int32Array(PAGE_BYTES / 4);
  let at = PAGE_BYTES;
  const place = (word: number, bytes: number): void => {
    words[word] = at;
    at += aligned(bytes);
  };
  for (const [word, bytes] of WORKER_REGIONS) place(word, bytes);
  const workerStride = at - PAGE_BYTES;
  at = PAGE_BYTES + workerStride * shape.workers;
  const fdbSlots = fdbSlotsFor(shape.fdbEntries);
  place(Header.TABLES_AT, 2 * aligned(TABLE_BYTES));
  place(Header.FDB_BUCKETS_AT, fdbSlots * FDB_ENTRY_WORDS * 4);
  place(Header.FDB_LOCKS_AT, FDB_LOCKS_COUNT * 4);
  place(Header.FDB_COUNTS_AT, (DESTINATIONS_COUNT + PORTS_MAX * 2 + BRIDGES_MAX + 16) * 4);
  place(Header.BONDS_AT, (BONDS_MAX << BOND_WORDS_SHIFT) * 4);
  place(Header.MEMBERS_AT, PORTS_MAX * 4);
  place(Header.REFLECTED_AT, REFLECTED_COUNT * 4);
  place(Header.REMOTES_AT, (REMOTES_MAX << REMOTE_WORDS_SHIFT) * 4);
  place(Header.REMOTE_INDEX_AT, REMOTE_SLOTS_COUNT * 4);
  place(Header.NEIGHBOURS_AT, (NEIGHBOUR_SLOTS_COUNT << NEIGHBOUR_WORDS_SHIFT) * 4);
  if (at > 0x7fff_ffff) throw new RangeError(`an arena of ${at} bytes: at most 2 GiB can be addressed`);
  words[Header.MAGIC] = ARENA_MAGIC;
  words[Header.VERSION] = ARENA_VERSION;
  words[Header.BYTES] = at;
  words[Header.WORKERS] = shape.workers;
  words[Header.FDB_SLOTS] = fdbSlots;
  words[Header.WORKER_STRIDE] = workerStride;
  words[Header.TABLES_STRIDE] = aligned(TABLE_BYTES);
  return { bytes: at, workers: shape.workers, fdbSlots, workerStride, words };
}

/** Reads the layout that main wrote into an arena's header; throws if this is no arena of this version. */
export function readLayout(arena: ArrayBufferLike): Layout {
  const words = new Int32Array(arena, 0, PAGE_BYTES / 4);
  if (words[Header.MAGIC] !== ARENA_MAGIC || words[Header.VERSION] !== ARENA_VERSION) {
    throw new Error(
      `arena: magic ${words[Header.MAGIC]}, version ${words[Header.VERSION]}: not an arena of version ${ARENA_VERSION}`,
    );
  }
  return {
    bytes: words[Header.BYTES]!,
    workers: words[Header.WORKERS]!,
    fdbSlots: words[Header.FDB_SLOTS]!,
    workerStride: words[Header.WORKER_STRIDE]!,
    words: words.slice(),
  };
}

/** A fresh arena in plain memory: simulation, unit tests and benches that need no addon. */
export function plainArena(shape: Shape): ArrayBuffer {
  const layout = layoutFor(shape);
  const arena = new ArrayBuffer(layout.bytes);
  writeHeader(arena, layout);
  return arena;
}

export function writeHeader(arena: ArrayBufferLike, layout: Layout): void {
  new Int32Array(arena, 0, PAGE_BYTES / 4).set(layout.words);
}

/** Byte offset of a worker's region. */
export function workerRegion(layout: Layout, word: number, worker: number): number {
  return layout.words[word]! + worker * layout.workerStride;
}
