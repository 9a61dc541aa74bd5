// HOT: the slow half of learning: a new address, or one that came in on another port. Limits, fair eviction, moves.
import { count } from '../counters.ts';
import type { Lane } from '../memory/lane.ts';
import { PORT_WORDS, PortCell } from '../memory/layout.ts';
import { lookUp, portOf, valueFor } from './fdb.ts';
import {
  BRIDGE_COUNTS_AT,
  BRIDGE_MASK,
  bucketOf,
  checkAt,
  checkOf,
  DESTINATION_MASK,
  ENTRY_SEALED,
  ENTRY_VALUE,
  EVICTED_AT,
  key1Of,
  PORT_COUNTS_AT,
  PORT_STATICS_AT,
  STATIC,
  STICKY,
} from './fdb-layout.ts';
import { insertLearned, removeLearned } from './fdb-write.ts';
import { BridgeWord, PortFlag, PortWord } from './port-layout.ts';

const EVICT_LOOKS = 256;

/** The port of this bridge that holds the most addresses that may go: static ones don't count. 0 when there is none. */
function fullestPort(lane: Lane, bridge: number): number {
  const i32 = lane.i32;
  const counts = lane.fdbCountsAt + PORT_COUNTS_AT;
  const statics = lane.fdbCountsAt + PORT_STATICS_AT;
  let best = 0;
  let most = 0;
  for (let port = 1; port <= lane.portsHigh; port++) {
    if (i32[lane.portsAt + port * PORT_WORDS + PortWord.BRIDGE] !== bridge) continue;
    const held = i32[counts + port]! - i32[statics + port]!;
    if (held > most) {
      most = held;
      best = port;
    }
  }
  return best;
}

/** Removes the entry at a word offset if it is a learned one of `port`. */
function evictAt(lane: Lane, entry: number, port: number): boolean {
  const i32 = lane.i32;
  const value = i32[entry + ENTRY_VALUE]!;
  if (portOf(lane, value & DESTINATION_MASK) !== port || (value & STATIC) !== 0) return false;
  const key0 = i32[entry]!;
  const sealed = i32[entry + ENTRY_SEALED]!;
  if (lane.u16[checkAt(entry)] !== checkOf(key0, sealed, value)) return false;
  return removeLearned(lane, key0, key1Of(key0, sealed, value), value & BRIDGE_MASK);
}

/**
 * Makes room in a full bridge: an address of the port that holds the most goes, so that one flooding port only ever evicts its own.
 * The oldest that this worker learned are tried first, then the table goes round. False when none was found within the bound.
 */
export function evictOne(lane: Lane, bridge: number): boolean {
  const port = fullestPort(lane, bridge);
  if (port === 0) return false;
  const ring = lane.recent;
  const mask = ring.length - 1;
  for (let k = 0; k < EVICT_LOOKS && lane.recentTail !== lane.recentHead; k++) {
    const entry = ring[lane.recentTail & mask]!;
    lane.recentTail = (lane.recentTail + 1) | 0;
    if (evictAt(lane, entry, port)) return true;
  }
  const entries = (lane.fdbBucketMask + 1) * 4;
  for (let k = 0; k < EVICT_LOOKS * 16; k++) {
    lane.evictAt = lane.evictAt + 1 >= entries ? 0 : lane.evictAt + 1;
    if (evictAt(lane, lane.fdbAt + lane.evictAt * 4, port)) return true;
  }
  return false;
}

function remember(lane: Lane, entry: number): void {
  const ring = lane.recent;
  const mask = ring.length - 1;
  ring[lane.recentHead & mask] = entry;
  lane.recentHead = (lane.recentHead + 1) | 0;
  if (((lane.recentHead - lane.recentTail) | 0) > mask) lane.recentTail = (lane.recentTail + 1) | 0;
}

/** Whether `port` holds as many addresses as it may: a moved one counts like a new one, or moves would get around the limit. */
function isAtLimit(lane: Lane, port: number): boolean {
  const limit = lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.FDB_LIMIT]!;
  return limit !== 0 && lane.i32[lane.fdbCountsAt + PORT_COUNTS_AT + port]! >= limit;
}

/** Whether `bridge` takes one more address; makes room if that is what it takes. */
function hasRoom(lane: Lane, bridge: number): boolean {
  const i32 = lane.i32;
  const bridgeLimit = i32[lane.bridgesAt + bridge * 8 + BridgeWord.FDB_LIMIT]!;
  if (i32[lane.fdbCountsAt + BRIDGE_COUNTS_AT + bridge]! < bridgeLimit) return true;
  if (!evictOne(lane, bridge)) return false;
  Atomics.add(i32, lane.fdbCountsAt + EVICTED_AT, 1);
  return true;
}

/**
 * An address that `entry` (0: none) does not place at `source`, which is `port` or a remote of it: learns or moves it, unless its entry or
 * a limit forbids.
 */
export function learnNew(
  lane: Lane,
  entry: number,
  key0: number,
  key1: number,
  bits: number,
  bridge: number,
  port: number,
  source: number,
): void {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  let from = 0;
  if (entry !== 0) {
    const value = i32[entry + ENTRY_VALUE]!;
    from = lookUp(lane, bucketOf(key0, key1, lane.fdbBucketMask), key0, key1, bits);
    if (from !== 0 && (value & (STATIC | STICKY)) !== 0) return;
  }
  // From one remote of a tunnel to another the port gets no address more.
  const stays = from !== 0 && portOf(lane, from) === port;
  if (!stays && (isAtLimit(lane, port) || (from === 0 && !hasRoom(lane, bridge)))) {
    count(lane, port, PortCell.LEARN_LIMITED, 1);
    return;
  }
  let value = valueFor(lane, source, bits);
  if ((i32[record + PortWord.FLAGS]! & PortFlag.STICKY) !== 0) value |= STICKY;
  const written = insertLearned(lane, key0, key1, bits, value);
  if (written === 0) {
    count(lane, port, PortCell.LEARN_LIMITED, 1);
    return;
  }
  remember(lane, written);
  if (from === 0) {
    count(lane, port, PortCell.LEARNED, 1);
    return;
  }
  count(lane, port, PortCell.MOVED, 1);
  noteMove(lane, key0, key1, bridge, from, source);
}

/** Leaves the last move for worker.ts, which tells control of it every so often: a storm of moves costs few messages. */
function noteMove(lane: Lane, key0: number, key1: number, bridge: number, from: number, to: number): void {
  lane.movedKey0 = key0;
  lane.movedKey1 = key1;
  lane.movedBridge = bridge;
  lane.movedFrom = from;
  lane.movedTo = to;
  lane.moves = (lane.moves + 1) | 0;
}
