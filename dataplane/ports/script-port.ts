/**
 * What a port kind written in TypeScript is to the worker: something that receives into this turn and takes its transmit list. Also
 * how such a port reads a listed frame out of the arena. Cold kinds: tests, replay, benches by hand; devices are native's.
 */
import type { Lane } from '../memory/lane.ts';
import { ENTRY_SLOT_MASK, FACT_WORDS_SHIFT, Fact, FINISH_CHECKSUM, FINISH_SEGMENT } from '../memory/layout.ts';

/** A frame as it left: `vnet` is the rebuilt offload header, all zero for a finished frame. */
export interface SentFrame {
  readonly bytes: Uint8Array;
  readonly vnet: Uint8Array;
  readonly finish: number;
}

export interface ScriptPort {
  readonly port: number;
  /** Appends what waits to this turn's receive list. */
  receive(lane: Lane): void;
  /** Takes a listed frame; false when the port is full, which drops it as egress-full. */
  take(lane: Lane, entry: number): boolean;
  /** True while frames wait to be received: the worker then does not sleep. */
  hasWork(): boolean;
  close(): void;
}

/** Copies a listed frame out of the arena, head and tail. */
export function readFrame(lane: Lane, entry: number): SentFrame {
  const { i32, u8 } = lane;
  const facts = lane.factsAt + ((entry & ENTRY_SLOT_MASK) << FACT_WORDS_SHIFT);
  const length = i32[facts + Fact.LENGTH]!;
  const head = i32[facts + Fact.HEAD_BYTES]!;
  const bytes = new Uint8Array(length);
  bytes.set(u8.subarray(i32[facts + Fact.HEAD_AT]!, i32[facts + Fact.HEAD_AT]! + head));
  if (length > head)
    bytes.set(u8.subarray(i32[facts + Fact.TAIL_AT]!, i32[facts + Fact.TAIL_AT]! + length - head), head);
  return { bytes, vnet: readVnet(lane, facts), finish: entry & (FINISH_CHECKSUM | FINISH_SEGMENT) };
}

function readVnet(lane: Lane, facts: number): Uint8Array {
  const { i32 } = lane;
  const vnet = new Uint8Array(12);
  const view = new DataView(vnet.buffer);
  const gso = i32[facts + Fact.GSO]!;
  const needsChecksum = (i32[facts + Fact.FLAGS]! & 2) !== 0;
  view.setUint8(0, needsChecksum ? 1 : 0);
  view.setUint8(1, gso & 0xff);
  if (gso !== 0) {
    view.setUint16(2, i32[facts + Fact.WIRE_BYTES]! - (gso >>> 16), true);
    view.setUint16(4, gso >>> 16, true);
  }
  if (needsChecksum) {
    view.setUint16(6, i32[facts + Fact.CHECKSUM]! & 0xffff, true);
    view.setUint16(8, i32[facts + Fact.CHECKSUM]! >>> 16, true);
  }
  return vnet;
}
