/**
 * Receiving for the port kinds that are written in TypeScript: puts one frame's bytes into the next slot of this turn as native does
 * for devices, vnet header first. Called between the native turn and the path, on the worker's thread.
 */
import { HEAD_BYTES, HEADROOM_BYTES, LARGE_COUNT, LARGE_STRIDE_BYTES, RECEIVE_SLOTS_COUNT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { Batch, Block, FACT_WORDS_SHIFT, Fact, Flag } from '../memory/layout.ts';

const VNET_BYTES = 12;

/** Whether this turn has room for one more frame. */
export function hasRoom(lane: Lane): boolean {
  return (
    lane.i32[lane.blockAt + Block.SLOTS_USED]! < RECEIVE_SLOTS_COUNT &&
    lane.i32[lane.blockAt + Block.LARGE_USED]! < LARGE_COUNT
  );
}

/**
 * Appends a frame to this turn's receive list. `vnet` is its 12-byte offload header or null. Needs hasRoom; the frame must be no longer
 * than FRAME_BYTES_MAX. The caller closes the batch.
 */
export function receiveFrame(lane: Lane, port: number, frame: Uint8Array, vnet: Uint8Array | null): void {
  const { i32, u8, blockAt } = lane;
  const slot = i32[blockAt + Block.SLOTS_USED]!;
  const large = i32[blockAt + Block.LARGE_USED]!;
  i32[blockAt + Block.SLOTS_USED] = slot + 1;
  i32[blockAt + Block.LARGE_USED] = large + 1;
  const at = lane.largeAtBytes + large * LARGE_STRIDE_BYTES + HEADROOM_BYTES;
  u8.set(frame, at);
  u8.fill(0, at - VNET_BYTES, at);
  if (vnet !== null) u8.set(vnet, at - VNET_BYTES);
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const head = Math.min(frame.length, HEAD_BYTES);
  i32[facts + Fact.HEAD_AT] = at;
  i32[facts + Fact.HEAD_BYTES] = head;
  i32[facts + Fact.LENGTH] = frame.length;
  i32[facts + Fact.TAIL_AT] = at + head;
  i32[facts + Fact.INGRESS] = port;
  i32[facts + Fact.FLAGS] = Flag.VNET;
  const listed = i32[blockAt + Block.RECEIVED_COUNT]!;
  i32[lane.receiveListAt + listed] = slot;
  i32[blockAt + Block.RECEIVED_COUNT] = listed + 1;
}

/** Makes what was appended since `first` a batch of `port`. */
export function closeBatch(lane: Lane, port: number, first: number): void {
  const { i32, blockAt } = lane;
  const frames = i32[blockAt + Block.RECEIVED_COUNT]! - first;
  if (frames === 0) return;
  const batches = i32[blockAt + Block.BATCHES_COUNT]!;
  const at = lane.batchesAt + batches * Batch.WORDS;
  i32[at + Batch.PORT] = port;
  i32[at + Batch.FIRST] = first;
  i32[at + Batch.COUNT] = frames;
  i32[blockAt + Block.BATCHES_COUNT] = batches + 1;
}
