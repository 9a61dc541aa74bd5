/**
 * One turn of a worker without its waiting: transmit, clock, receive, forward. The same code runs in a worker's loop, in simulation and
 * in benches, which call `turn()` by hand. What is native comes in as an `Edge`; script ports are served around it.
 */
import { count, drop, remember } from './counters.ts';
import { Drop } from './drop.ts';
import type { Injector } from './inject.ts';
import { LIST_COUNT_MAX, RECEIVE_SLOTS_COUNT, TURN_ENTRIES_MAX } from './limits.ts';
import type { Lane } from './memory/lane.ts';
import {
  Batch,
  Block,
  BlockCell,
  ENTRY_SLOT_MASK,
  FACT_WORDS_SHIFT,
  Fact,
  Flag,
  PORT_WORDS,
  PortCell,
  Queue,
} from './memory/layout.ts';
import { forwardArrivals } from './path/arrival.ts';
import { publishFlows } from './path/flows.ts';
import { forward, forwardPatches } from './path/forward.ts';
import { forwardMember } from './path/member.ts';
import type { ScriptPort } from './ports/script-port.ts';
import { publishTornReads, settle, settleResidence } from './settle.ts';
import { MEMBER_PORT_MASK } from './tables/bond-layout.ts';
import { FDB_SUM_AT } from './tables/fdb-layout.ts';
import { sweep } from './tables/fdb-sweep.ts';
import { PortFlag, PortWord } from './tables/port-layout.ts';
import { ENDPOINT } from './tables/tunnel-layout.ts';

/** The native half of a turn: sends lists, writes the clock into the control block, receives. Frames received, or −errno. */
export interface Edge {
  turn(): number;
}

/** Looks at lists after receive and before transmit, and may take entries off: capture, trace, faults. Answers how many stay. */
export interface Tap {
  received(lane: Lane, list: number, n: number, port: number): number;
  sending(lane: Lane, list: number, n: number, port: number): number;
}

/** How many frames the next turn may receive, from how many list entries floods made in this one. */
export function budgetAfter(budget: number, flooded: number): number {
  if (flooded > TURN_ENTRIES_MAX) return Math.max(1, budget >> 1);
  return flooded < TURN_ENTRIES_MAX >> 2 ? Math.min(RECEIVE_SLOTS_COUNT, budget << 1) : budget;
}

/** How many milliseconds' stretch of the FDB a turn walks at the most, idle and busy; and what it is behind at the most. */
const SWEEP_MS_MAX = 250;
const BUSY_SWEEP_MS_MAX = 4;
const SWEEP_BEHIND_MS_MAX = 1000;

export class Turn {
  readonly lane: Lane;
  readonly #edge: Edge;
  readonly #injector: Injector | null;
  readonly #scripts: ScriptPort[] = [];
  readonly #taps: Tap[] = [];
  #sweepAt = 0;
  #sweptMs = 0;
  #moved = 0;
  #budget = RECEIVE_SLOTS_COUNT;

  /** Without an injector the control plane sends nothing: benches and simulations. */
  constructor(lane: Lane, edge: Edge, injector: Injector | null = null) {
    this.lane = lane;
    this.#edge = edge;
    this.#injector = injector;
  }

  addScript(port: ScriptPort): void {
    this.#scripts.push(port);
  }

  removeScript(port: number): void {
    const at = this.#scripts.findIndex((script) => script.port === port);
    if (at < 0) return;
    const [script] = this.#scripts.splice(at, 1);
    script!.close();
  }

  closeScripts(): void {
    for (const script of this.#scripts) script.close();
  }

  script(port: number): ScriptPort | undefined {
    return this.#scripts.find((script) => script.port === port);
  }

  addTap(tap: Tap): void {
    this.#taps.push(tap);
  }

  removeTap(tap: Tap): void {
    const at = this.#taps.indexOf(tap);
    if (at >= 0) this.#taps.splice(at, 1);
  }

  /** Whether a script port has frames waiting, so that the worker must not sleep. */
  hasWork(): boolean {
    for (let k = 0; k < this.#scripts.length; k++) if (this.#scripts[k]!.hasWork()) return true;
    return this.#injector?.hasWork() ?? false;
  }

  /** One turn. Answers how many frames it received, or −errno when the native half is broken. */
  turn(): number {
    const { lane } = this;
    const { i32, blockAt } = lane;
    const generation = Atomics.load(i32, lane.generationAt);
    if (this.#taps.length > 0 && lane.dirtyCount > 0) this.#tapSending();
    if (this.#scripts.length > 0 && lane.dirtyCount > 0) this.#sendScripts();
    i32[blockAt + Block.DIRTY_COUNT] = lane.dirtyCount;
    i32[blockAt + Block.RECEIVE_BUDGET] = this.#budget;
    i32[blockAt + Block.WHOLE] = this.#taps.length + this.#scripts.length > 0 ? 1 : 0;
    const received = this.#edge.turn();
    if (received < 0) return received;
    settle(lane);
    lane.replicasUsed = 0;
    this.#account();
    if (lane.nowS !== i32[blockAt + Block.NOW_S]!) {
      lane.nowS = i32[blockAt + Block.NOW_S]!;
      publishFlows(lane);
      publishTornReads(lane);
    }
    if (generation !== lane.generation) lane.useTables(generation);
    i32[blockAt + Block.SEEN_GENERATION] = generation;
    i32[blockAt + Block.TURN] = (i32[blockAt + Block.TURN]! + 1) | 0;
    for (let k = 0; k < this.#scripts.length; k++) this.#scripts[k]!.receive(lane);
    this.#injector?.receive(lane);
    const total = this.#forwardAll();
    this.#moved = total;
    this.#budget = budgetAfter(this.#budget, lane.floodedCount);
    lane.floodedCount = 0;
    if (lane.index === 0) this.#age(i32[blockAt + Block.NOW_MS]!, total);
    return total;
  }

  #forwardAll(): number {
    const { lane } = this;
    const { i32 } = lane;
    const batches = i32[lane.blockAt + Block.BATCHES_COUNT]!;
    let total = 0;
    for (let k = 0; k < batches; k++) {
      const batch = lane.batchesAt + k * Batch.WORDS;
      const port = i32[batch + Batch.PORT]!;
      const list = lane.receiveListAt + i32[batch + Batch.FIRST]!;
      let n = i32[batch + Batch.COUNT]!;
      for (let t = 0; t < this.#taps.length; t++) n = this.#taps[t]!.received(lane, list, n, port);
      this.#enter(list, n, port);
      if (lane.patchesCount > 0) forwardPatches(lane);
      total += n;
    }
    return total;
  }

  /** By a port of a bridge, a bond's member, or a tunnel's endpoint. */
  #enter(list: number, n: number, port: number): void {
    const { lane } = this;
    const word = lane.i32[lane.membersAt + port]!;
    if (word === 0) {
      // What comes by a tunnel's own number is control's: it tells nothing of who lives where.
      const flags = lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.FLAGS]!;
      forward(lane, list, n, port, (flags & PortFlag.TUNNEL) === 0 ? port : 0);
      remember(lane, port, n);
    } else if ((word & ENDPOINT) !== 0) {
      forwardArrivals(lane, list, n, port, word);
    } else {
      const bond = word & MEMBER_PORT_MASK;
      forwardMember(lane, list, n, port, bond);
      remember(lane, bond, n);
    }
  }

  /** Busy time and residence: what the last turn received was sent by now. */
  #account(): void {
    const { f64, blockCellsAt } = this.lane;
    const cells = blockCellsAt;
    f64[cells + BlockCell.TURNS] = f64[cells + BlockCell.TURNS]! + 1;
    if (this.#moved !== 0) {
      const ns = f64[cells + BlockCell.SENT_NS]! - f64[cells + BlockCell.LAST_NS]!;
      // By way of a cell: a float64 handed from function to function is 16 bytes of heap a turn wherever the engine doesn't inline.
      f64[cells + BlockCell.HELD_NS] = ns;
      f64[cells + BlockCell.BUSY_NS] = f64[cells + BlockCell.BUSY_NS]! + ns;
      f64[cells + BlockCell.FRAMES] = f64[cells + BlockCell.FRAMES]! + this.#moved;
      settleResidence(this.lane);
      this.#moved = 0;
    }
    f64[cells + BlockCell.LAST_NS] = f64[cells + BlockCell.NOW_NS]!;
  }

  /**
   * A stretch of the FDB per millisecond, so that the whole is walked about once a second. A turn that received frames walks a short one,
   * since they are sent only after it; the others make up for it.
   */
  #age(nowMs: number, received: number): void {
    // Milliseconds wrap, and their sign says nothing: unsigned, the difference is right at any uptime.
    const passed = (nowMs - this.#sweptMs) >>> 0;
    if (passed === 0) return;
    if (this.lane.i32[this.lane.fdbCountsAt + FDB_SUM_AT] === 0) {
      this.#sweptMs = nowMs;
      return;
    }
    const stretch = Math.min(passed, received === 0 ? SWEEP_MS_MAX : BUSY_SWEEP_MS_MAX);
    const buckets = this.lane.fdbBucketMask + 1;
    this.#sweepAt = sweep(this.lane, this.#sweepAt, Math.ceil((buckets / 1000) * stretch));
    this.#sweptMs = passed > SWEEP_BEHIND_MS_MAX ? nowMs : (this.#sweptMs + stretch) | 0;
  }

  #tapSending(): void {
    const { lane } = this;
    for (let k = 0; k < lane.dirtyCount; k++) {
      const port = lane.i32[lane.dirtyAt + k]!;
      const queue = lane.queuesAt + port * Queue.WORDS + Queue.COUNT;
      for (let t = 0; t < this.#taps.length; t++) {
        lane.i32[queue] = this.#taps[t]!.sending(lane, lane.listsAt + port * LIST_COUNT_MAX, lane.i32[queue]!, port);
      }
    }
  }

  /** Serves the lists of script ports, so that native finds them empty. */
  #sendScripts(): void {
    const { lane } = this;
    const { i32 } = lane;
    for (let s = 0; s < this.#scripts.length; s++) {
      const script = this.#scripts[s]!;
      const queue = lane.queuesAt + script.port * Queue.WORDS;
      const listed = i32[queue + Queue.COUNT]!;
      for (let k = 0; k < listed; k++) {
        const entry = i32[lane.listsAt + script.port * LIST_COUNT_MAX + k]!;
        const facts = lane.factsAt + ((entry & ENTRY_SLOT_MASK) << FACT_WORDS_SHIFT);
        if (hasForeignTail(i32, facts) || !script.take(lane, entry)) {
          drop(lane, script.port, Drop.EGRESS_FULL);
          continue;
        }
        count(lane, script.port, PortCell.TX_FRAMES, 1);
        count(lane, script.port, PortCell.TX_BYTES, i32[facts + Fact.LENGTH]!);
        count(lane, script.port, PortCell.TX_SEGMENTS, i32[facts + Fact.SEGMENTS]!);
      }
      i32[queue + Queue.COUNT] = 0;
    }
  }
}

/** True for a frame that a guest or an interface gave in the very turn before a script port came. */
function hasForeignTail(i32: Int32Array, facts: number): boolean {
  return (i32[facts + Fact.FLAGS]! & Flag.FOREIGN) !== 0 && i32[facts + Fact.LENGTH] !== i32[facts + Fact.HEAD_BYTES];
}
