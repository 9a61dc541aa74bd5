/**
 * Frames from the control plane: taken off a worker's inject ring once a turn, and either received as if a port had sent them, or sent
 * out of a port as they are (a LACPDU, a gratuitous ARP). Cold: a few a second. Control writes the ring and kicks the worker.
 */
import { count } from './counters.ts';
import { FRAME_BYTES_MAX, FRAME_BYTES_MIN, INJECT_RING_BYTES } from './limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from './memory/byte-ring.ts';
import type { Lane } from './memory/lane.ts';
import {
  Block,
  FACT_WORDS_SHIFT,
  Fact,
  Header,
  InjectWord,
  PORT_WORDS,
  PortCell,
  Way,
  workerRegion,
} from './memory/layout.ts';
import type { View } from './memory/view.ts';
import { resolve } from './path/6-resolve.ts';
import { closeBatch, hasRoom, receiveFrame } from './ports/receive.ts';
import { PortWord } from './tables/port-layout.ts';

const ETHERNET_BYTES = 14;

/** A worker's inject ring; one producer, control, and one consumer, the worker. */
export function injectRing(view: View, worker: number): ByteRing {
  return new ByteRing(view.i32, workerRegion(view.layout, Header.INJECT_AT, worker), INJECT_RING_BYTES);
}

export class Injector {
  readonly #ring: ByteRing;
  constructor(ring: ByteRing) {
    this.#ring = ring;
  }

  hasWork(): boolean {
    return this.#ring.peek() >= 0;
  }

  /** Takes what waits, as far as this turn has slots. Between receive and the path. */
  receive(lane: Lane): void {
    for (let record = this.#ring.peek(); record >= 0 && hasRoom(lane); record = this.#ring.peek()) {
      const { i32, u8 } = lane;
      const port = i32[record + InjectWord.PORT]!;
      const bytes = i32[record + InjectWord.BYTES]!;
      if (bytes >= FRAME_BYTES_MIN && bytes <= FRAME_BYTES_MAX) {
        const at = (record + BYTE_RING_HEAD_WORDS) << 2;
        const first = i32[lane.blockAt + Block.RECEIVED_COUNT]!;
        const ingress = i32[record + InjectWord.WAY] === Way.IN ? port : peerOf(lane, port);
        receiveFrame(lane, ingress === 0 ? port : ingress, u8.subarray(at, at + bytes), null);
        if (ingress === 0) this.#send(lane, port, first, i32[record + InjectWord.VLAN]!);
        else closeBatch(lane, ingress, first);
      }
      this.#ring.release(record);
    }
  }

  /** Lists the frame that was just put into a slot at its egress: it passes no bridge, so no stage before resolve. */
  #send(lane: Lane, port: number, listed: number, vlan: number): void {
    const { i32 } = lane;
    const slot = i32[lane.receiveListAt + listed]!;
    i32[lane.blockAt + Block.RECEIVED_COUNT] = listed;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    i32[facts + Fact.FLAGS] = 0;
    i32[facts + Fact.TAG] = vlan;
    i32[facts + Fact.L3] = ETHERNET_BYTES;
    i32[facts + Fact.GSO] = 0;
    i32[facts + Fact.SEGMENTS] = 1;
    i32[facts + Fact.WIRE_BYTES] = i32[facts + Fact.LENGTH]!;
    i32[facts + Fact.HOPS] = 0;
    count(lane, port, PortCell.INJECTED, 1);
    resolve(lane, slot, port, port);
  }
}

/** Where a frame that is sent out of a patch port comes in; 0 for a port of another kind. */
function peerOf(lane: Lane, port: number): number {
  return lane.i32[lane.portsAt + port * PORT_WORDS + PortWord.PEER]!;
}

/** Control's side: puts a frame into a worker's ring; false when it is full. The caller kicks the worker. */
export function inject(ring: ByteRing, u8: Uint8Array, port: number, way: number, frame: Uint8Array): boolean {
  const record = ring.reserve(frame.length);
  if (record < 0) return false;
  ring.i32[record + InjectWord.PORT] = port;
  ring.i32[record + InjectWord.WAY] = way;
  ring.i32[record + InjectWord.BYTES] = frame.length;
  ring.i32[record + InjectWord.VLAN] = 0;
  u8.set(frame, (record + BYTE_RING_HEAD_WORDS) << 2);
  ring.publish(record);
  return true;
}
