/**
 * A script port that makes its frames in place and takes every frame without a look: what MemoryPort is for tests that allocate, this is
 * for the test that must not. Addresses count up within a power of two, so that the next frame is never the last one again.
 */
import { HEAD_STRIDE_BYTES, HEADROOM_BYTES } from '../../dataplane/limits.ts';
import type { Lane } from '../../dataplane/memory/lane.ts';
import { Block, BlockCell, FACT_WORDS_SHIFT, Fact } from '../../dataplane/memory/layout.ts';
import { closeBatch } from '../../dataplane/ports/receive.ts';
import type { ScriptPort } from '../../dataplane/ports/script-port.ts';
import type { Edge } from '../../dataplane/turn.ts';

export interface Traffic {
  /** Frames in one turn. */
  readonly batch: number;
  /** Sources are SOURCE + 0 … sources − 1, destinations likewise; powers of two, 0 destinations is broadcast. */
  readonly source: number;
  readonly sources: number;
  readonly destination: number;
  readonly destinations: number;
  /** A tag's four bytes as a little-endian word, or 0. */
  readonly tag: number;
  readonly bytes: number;
}

export class HotPort implements ScriptPort {
  readonly port: number;
  readonly #traffic: Traffic;
  #next = 0;
  constructor(port: number, traffic: Traffic) {
    this.port = port;
    this.#traffic = traffic;
  }

  receive(lane: Lane): void {
    const traffic = this.#traffic;
    const i32 = lane.i32;
    const first = i32[lane.blockAt + Block.RECEIVED_COUNT]!;
    for (let k = 0; k < traffic.batch; k++) {
      const slot = i32[lane.blockAt + Block.SLOTS_USED]!;
      i32[lane.blockAt + Block.SLOTS_USED] = slot + 1;
      const at = lane.headsAtBytes + slot * HEAD_STRIDE_BYTES + HEADROOM_BYTES;
      this.#write(i32, at >> 2);
      const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
      i32[facts + Fact.HEAD_AT] = at;
      i32[facts + Fact.HEAD_BYTES] = traffic.bytes;
      i32[facts + Fact.LENGTH] = traffic.bytes;
      i32[facts + Fact.TAIL_AT] = at + traffic.bytes;
      i32[facts + Fact.INGRESS] = this.port;
      i32[facts + Fact.FLAGS] = 0;
      i32[lane.receiveListAt + i32[lane.blockAt + Block.RECEIVED_COUNT]!] = slot;
      i32[lane.blockAt + Block.RECEIVED_COUNT] = i32[lane.blockAt + Block.RECEIVED_COUNT]! + 1;
    }
    if (traffic.batch > 0) closeBatch(lane, this.port, first);
  }

  /** Addresses are 02-00 and the number, in the frame's order of bytes as four little-endian words. */
  #write(i32: Int32Array, at: number): void {
    const traffic = this.#traffic;
    const n = this.#next;
    this.#next = (n + 1) | 0;
    const source = traffic.source + (n & (traffic.sources - 1));
    if (traffic.destinations === 0) {
      i32[at] = -1;
      i32[at + 1] = 0x0002_ffff;
    } else {
      const destination = traffic.destination + (n & (traffic.destinations - 1));
      i32[at] = 0x0002 | (destination << 16);
      i32[at + 1] = (destination >>> 16) | (0x0002 << 16);
    }
    i32[at + 2] = source;
    if (traffic.tag === 0) {
      i32[at + 3] = 0xb588;
    } else {
      i32[at + 3] = traffic.tag;
      i32[at + 4] = 0xb588;
    }
  }

  take(): boolean {
    return true;
  }

  hasWork(): boolean {
    return true;
  }

  close(): void {}
}

/** The addon's place, without allocation: `NS_PER_TURN` pass each turn, kept in the control block itself. */
export class HotEdge implements Edge {
  readonly #lane: Lane;
  constructor(lane: Lane) {
    this.#lane = lane;
    lane.f64[lane.blockCellsAt + BlockCell.NOW_NS] = 1e9;
  }

  turn(): number {
    const lane = this.#lane;
    const i32 = lane.i32;
    const block = lane.blockAt;
    i32[block + Block.SLOTS_USED] = 0;
    i32[block + Block.LARGE_USED] = 0;
    i32[block + Block.BATCHES_COUNT] = 0;
    i32[block + Block.REFUSED_COUNT] = 0;
    i32[block + Block.RECEIVED_COUNT] = 0;
    const now = lane.f64[lane.blockCellsAt + BlockCell.NOW_NS]! + 50_000;
    lane.f64[lane.blockCellsAt + BlockCell.NOW_NS] = now;
    lane.f64[lane.blockCellsAt + BlockCell.SENT_NS] = now;
    i32[block + Block.NOW_S] = (now / 1e9) | 0;
    i32[block + Block.NOW_MS] = (now / 1e6) | 0;
    return 0;
  }
}
