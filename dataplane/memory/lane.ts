/**
 * Everything that one worker's hot code knows, as numbers: views over the arena and where its regions start. Made once per worker;
 * tables and clock change once a turn, in turn.ts; the rest belongs to who is named beside it. `…At` are word offsets unless the name
 * says bytes.
 */

import { REASONS_COUNT } from '../drop.ts';
import { BONDS_MAX, PORTS_MAX, PUNT_RING_BYTES, RECEIVE_SLOTS_COUNT } from '../limits.ts';
import { ByteRing } from './byte-ring.ts';
import {
  BLOCK_CELLS_AT,
  Header,
  PORT_CELLS_COUNT,
  Protocol,
  TABLE_BRIDGES_AT,
  TABLE_FLOOD_INDEX_AT,
  TABLE_FLOOD_POOL_AT,
  TABLE_MEMBERSHIP_AT,
  TABLE_PORTS_AT,
  TABLE_VNIS_AT,
  workerRegion,
} from './layout.ts';
import { RUN_PLACES_COUNT, RUN_WORDS } from './tunnel-words.ts';
import type { View } from './view.ts';

export class Lane {
  readonly index: number;
  readonly i32: Int32Array;
  readonly u16: Uint16Array;
  readonly u8: Uint8Array;
  readonly f64: Float64Array;
  readonly blockAt: number;
  readonly batchesAt: number;
  readonly receiveListAt: number;
  readonly queuesAt: number;
  readonly dirtyAt: number;
  readonly refusedAt: number;
  readonly listsAt: number;
  readonly factsAt: number;
  readonly headsAtBytes: number;
  readonly largeAtBytes: number;
  /** Cells (float64) from the arena's start. */
  readonly blockCellsAt: number;
  readonly countersAt: number;
  readonly dropsAt: number;
  readonly residenceAt: number;
  readonly generationAt: number;
  readonly tablesAt: number;
  readonly tablesStride: number;
  readonly fdbAt: number;
  readonly fdbLocksAt: number;
  readonly fdbCountsAt: number;
  readonly fdbBucketMask: number;
  readonly bondsAt: number;
  readonly membersAt: number;
  readonly reflectedAt: number;
  readonly unitsAt: number;
  readonly remotesAt: number;
  readonly remoteIndexAt: number;
  readonly neighboursAt: number;

  /** Compiled tables of this turn. */
  portsAt = 0;
  membershipAt = 0;
  bridgesAt = 0;
  floodIndexAt = 0;
  floodPoolAt = 0;
  vnisAt = 0;
  generation = -1;

  /** Seconds of the monotonic clock, at the start of this turn. */
  nowS = 0;
  dirtyCount = 0;
  replicasUsed = 0;
  /** Patch ports whose list waits to enter the peer bridge in this turn. */
  readonly patches: Int32Array;
  patchesCount = 0;
  /** What path/express.ts holds between the frames of a batch: bytes so far; egress, its shape (1: tagged) and MTU. */
  expressBytes = 0;
  expressEgress = 0;
  expressTagged = 0;
  expressMtu = 0;
  /** The record of the bond that the egress is; 0: it is none. */
  expressBond = 0;
  /** The destination of a tunnel that the egress is; 0: it is none. */
  expressRemote = 0;
  /** What path/arrival.ts found of a datagram: its VLAN (−1: none of its own), and its sender as a destination, 0 for one that nobody knows. */
  arrivalVlan = 0;
  arrivalSource = 0;
  /** Runs of what it received in this turn: see there. */
  readonly arrivalRuns: Int32Array;
  readonly arrivalRunOf: Int32Array;
  readonly arrivalSlots: Int32Array;
  readonly arrivalPlaces: Int32Array;
  arrivalStamp = 0;
  /** Senders that nobody knows: how many so far, wrapping, and the last of them. */
  strangers = 0;
  strangerPort = 0;
  readonly stranger: Int32Array;
  /** Whose turn it is in each bond that goes round-robin. */
  readonly bondTurns: Int32Array;
  /** Which member receive-balance.ts chose. */
  balancedMember = 0;
  /** Punts (punt.ts): the ring, how many so far, wrapping; and in this second, by protocol and port. */
  readonly puntRing: ByteRing;
  punted = 0;
  readonly punts: Int32Array;
  puntsS = 0;
  /** List entries that floods made in this turn. */
  floodedCount = 0;
  /** Pairs (port, frames) of what this turn received. */
  readonly past: Int32Array;
  pastCount = 0;
  /** Sum of touched FDB words: keeps the engine from dropping the loads that warm the cache. */
  touched = 0;
  /** Linear counting of flows (flows.ts): which bits are set, how many, since when, and which frame is sampled next. */
  readonly flowBits: Int32Array;
  flowBitsSet = 0;
  flowWindowS = 0;
  flowSample = 0;
  /** Highest port number in the tables. */
  portsHigh = 0;
  /** Where the search for an entry to evict goes on, and the entries that this worker learned last, oldest at the tail. */
  evictAt = 0;
  readonly recent: Int32Array;
  recentHead = 0;
  recentTail = 0;
  /** Entries that were met half-written: each was a miss. */
  tornReads = 0;
  /** How many addresses moved so far, wrapping, and the last of them. */
  moves = 0;
  movedKey0 = 0;
  movedKey1 = 0;
  movedBridge = 0;
  movedFrom = 0;
  movedTo = 0;

  constructor(view: View, index: number) {
    const layout = view.layout;
    const word = (region: number): number => workerRegion(layout, region, index) >> 2;
    this.index = index;
    this.i32 = view.i32;
    this.u16 = view.u16;
    this.u8 = view.u8;
    this.f64 = view.f64;
    this.blockAt = word(Header.BLOCK_AT);
    this.batchesAt = word(Header.BATCHES_AT);
    this.receiveListAt = word(Header.RECEIVE_LIST_AT);
    this.queuesAt = word(Header.QUEUES_AT);
    this.dirtyAt = word(Header.DIRTY_AT);
    this.refusedAt = word(Header.REFUSED_AT);
    this.listsAt = word(Header.LISTS_AT);
    this.factsAt = word(Header.FACTS_AT);
    this.headsAtBytes = workerRegion(layout, Header.HEADS_AT, index);
    this.largeAtBytes = workerRegion(layout, Header.LARGE_AT, index);
    this.blockCellsAt = (workerRegion(layout, Header.BLOCK_AT, index) + BLOCK_CELLS_AT) >> 3;
    this.countersAt = workerRegion(layout, Header.COUNTERS_AT, index) >> 3;
    this.dropsAt = this.countersAt + PORTS_MAX * PORT_CELLS_COUNT;
    this.residenceAt = this.dropsAt + PORTS_MAX * REASONS_COUNT;
    this.generationAt = Header.TABLES_GENERATION;
    this.tablesAt = layout.words[Header.TABLES_AT]! >> 2;
    this.tablesStride = layout.words[Header.TABLES_STRIDE]! >> 2;
    this.fdbAt = layout.words[Header.FDB_BUCKETS_AT]! >> 2;
    this.fdbLocksAt = layout.words[Header.FDB_LOCKS_AT]! >> 2;
    this.fdbCountsAt = layout.words[Header.FDB_COUNTS_AT]! >> 2;
    this.fdbBucketMask = layout.fdbSlots / 4 - 1;
    this.bondsAt = layout.words[Header.BONDS_AT]! >> 2;
    this.membersAt = layout.words[Header.MEMBERS_AT]! >> 2;
    this.reflectedAt = layout.words[Header.REFLECTED_AT]! >> 2;
    this.unitsAt = word(Header.UNITS_AT);
    this.remotesAt = layout.words[Header.REMOTES_AT]! >> 2;
    this.remoteIndexAt = layout.words[Header.REMOTE_INDEX_AT]! >> 2;
    this.neighboursAt = layout.words[Header.NEIGHBOURS_AT]! >> 2;
    this.stranger = new Int32Array(4);
    this.arrivalRuns = new Int32Array(RUN_WORDS * RECEIVE_SLOTS_COUNT);
    this.arrivalRunOf = new Int32Array(RECEIVE_SLOTS_COUNT);
    this.arrivalSlots = new Int32Array(RECEIVE_SLOTS_COUNT);
    this.arrivalPlaces = new Int32Array(2 * RUN_PLACES_COUNT);
    this.bondTurns = new Int32Array(BONDS_MAX);
    this.puntRing = new ByteRing(view.i32, workerRegion(layout, Header.PUNT_AT, index), PUNT_RING_BYTES);
    this.punts = new Int32Array(Protocol.COUNT * PORTS_MAX);
    this.patches = new Int32Array(PORTS_MAX);
    this.recent = new Int32Array(4096);
    this.flowBits = new Int32Array(8192 / 32);
    this.past = new Int32Array(2 * RECEIVE_SLOTS_COUNT);
  }

  /** Takes up a generation of the compiled tables: offsets only, between turns. */
  useTables(generation: number): void {
    const at = this.tablesAt + (generation & 1) * this.tablesStride;
    this.generation = generation;
    this.portsAt = at + (TABLE_PORTS_AT >> 2);
    this.membershipAt = at + (TABLE_MEMBERSHIP_AT >> 2);
    this.bridgesAt = at + (TABLE_BRIDGES_AT >> 2);
    this.floodIndexAt = at + (TABLE_FLOOD_INDEX_AT >> 2);
    this.floodPoolAt = at + (TABLE_FLOOD_POOL_AT >> 2);
    this.vnisAt = at + (TABLE_VNIS_AT >> 2);
    // Record 0 belongs to no port: its first word holds the highest number in use.
    this.portsHigh = this.i32[this.portsAt]!;
  }
}
