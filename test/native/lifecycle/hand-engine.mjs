/**
 * An engine that is turned by hand: its arena, lists as the path would write them, and what came of a turn. For stories that need frames in
 * and out of ports but no switch between them. Plain JavaScript over dist/.
 */
import { LARGE_STRIDE_BYTES, LIST_COUNT_MAX } from '../../../dist/dataplane/limits.js';
import {
  Batch,
  Block,
  FACT_WORDS,
  Fact,
  Header,
  layoutFor,
  Queue,
  Refused,
  workerRegion,
  writeHeader,
} from '../../../dist/dataplane/memory/layout.js';
import { addon } from '../../../dist/native/binding.js';

const HEADROOM_BYTES = 128;
const HEAD_BYTES = 256;

/** Where a worker's regions begin, in words. */
export function regionsOf(layout, worker) {
  const word = (region) => workerRegion(layout, region, worker) >> 2;
  return {
    block: word(Header.BLOCK_AT),
    dirty: word(Header.DIRTY_AT),
    queues: word(Header.QUEUES_AT),
    lists: word(Header.LISTS_AT),
    facts: word(Header.FACTS_AT),
    refused: word(Header.REFUSED_AT),
    batches: word(Header.BATCHES_AT),
    received: word(Header.RECEIVE_LIST_AT),
  };
}

export class HandEngine {
  /** `layout` null: the arena is there already. */
  constructor(worker, layout, arena = addon().mapArena()) {
    this.native = addon();
    this.i32 = new Int32Array(arena);
    this.u8 = new Uint8Array(arena);
    this.at = regionsOf(layout, worker);
    this.largeAt = workerRegion(layout, Header.LARGE_AT, worker);
    this.budget = 512;
    this.native.engineOpen(worker, 'read-write');
  }

  static arena(workers) {
    const layout = layoutFor({ workers, fdbEntries: 1024 });
    addon().createArena(layout.bytes, false);
    writeHeader(addon().mapArena(), layout);
    return layout;
  }

  fact(slot, what) {
    return this.at.facts + slot * FACT_WORDS + what;
  }

  /** Puts `bytes` into large buffer and slot `slot`. */
  put(slot, bytes) {
    const start = this.largeAt + slot * LARGE_STRIDE_BYTES + HEADROOM_BYTES;
    const head = Math.min(bytes.length, HEAD_BYTES);
    this.u8.set(bytes, start);
    this.i32.fill(0, this.fact(slot, 0), this.fact(slot, FACT_WORDS));
    this.i32[this.fact(slot, Fact.HEAD_AT)] = start;
    this.i32[this.fact(slot, Fact.HEAD_BYTES)] = head;
    this.i32[this.fact(slot, Fact.LENGTH)] = bytes.length;
    this.i32[this.fact(slot, Fact.TAIL_AT)] = start + head;
    this.i32[this.fact(slot, Fact.SEGMENTS)] = 1;
    this.i32[this.fact(slot, Fact.WIRE_BYTES)] = bytes.length;
  }

  /** One turn that sends `lists`, port by port. Answers what it received: port and slot of each frame. */
  turn(lists = new Map()) {
    const { i32, at } = this;
    i32[at.block + Block.RECEIVE_BUDGET] = this.budget;
    i32[at.block + Block.DIRTY_COUNT] = lists.size;
    let dirty = at.dirty;
    for (const [port, entries] of lists) {
      i32[dirty++] = port;
      i32[at.queues + port * Queue.WORDS + Queue.COUNT] = entries.length;
      i32.set(entries, at.lists + port * LIST_COUNT_MAX);
    }
    const received = this.native.turn();
    if (received < 0) throw new Error(`turn: ${received}`);
    const frames = [];
    for (let k = 0; k < i32[at.block + Block.BATCHES_COUNT]; k++) {
      const batch = at.batches + k * Batch.WORDS;
      for (let n = 0; n < i32[batch + Batch.COUNT]; n++) {
        const slot = i32[at.received + i32[batch + Batch.FIRST] + n];
        i32[this.fact(slot, Fact.SEGMENTS)] = 1;
        frames.push({ port: i32[batch + Batch.PORT], slot, length: i32[this.fact(slot, Fact.LENGTH)] });
      }
    }
    return frames;
  }

  sent(port) {
    return this.i32[this.at.queues + port * Queue.WORDS + Queue.SENT];
  }

  /** [port, reason, count] of every refusal of the last turn. */
  refusals() {
    return Array.from({ length: this.i32[this.at.block + Block.REFUSED_COUNT] }, (_, k) => {
      const record = this.at.refused + k * Refused.WORDS;
      return [Refused.PORT, Refused.REASON, Refused.COUNT].map((what) => this.i32[record + what]);
    });
  }
}
