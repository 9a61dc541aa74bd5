/**
 * Reads the pcapng stream that pcapng.ts writes, as it arrives in pieces: the CLI prints frames from it and counts what was lost.
 * Not a reader of foreign files: little-endian, one interface, nanoseconds. Throws a RangeError at the first bytes that are not that.
 */
import type { CapturedFrame } from '../switch.ts';
import { BlockType, BYTE_ORDER_MAGIC, Direction, PacketOption, StatisticsOption } from './pcapng.ts';

const FRAMING_BYTES = 12;
/** A block longer than this is no block of ours: a frame has at most 65,549 bytes. */
const BLOCK_BYTES_MAX = 1 << 20;

export class PcapngReader {
  /** Frames seen, and frames that the capture said it lost. */
  frames = 0;
  lost = 0;
  #rest: Buffer = Buffer.alloc(0);
  readonly #onFrame: (frame: CapturedFrame) => void;

  constructor(onFrame: (frame: CapturedFrame) => void) {
    this.#onFrame = onFrame;
  }

  /** Takes the next piece of the stream and calls back for every frame that is complete now. */
  push(piece: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (bytes.length - at >= FRAMING_BYTES) {
      const total = bytes.readUInt32LE(at + 4);
      if (total < FRAMING_BYTES || total > BLOCK_BYTES_MAX || (total & 3) !== 0) {
        throw new RangeError(`pcapng: a block of ${total} bytes`);
      }
      if (bytes.length - at < total) break;
      this.#block(bytes.subarray(at, at + total));
      at += total;
    }
    this.#rest = bytes.subarray(at);
  }

  #block(block: Buffer): void {
    const type = block.readUInt32LE(0);
    if (block.readUInt32LE(block.length - 4) !== block.length)
      throw new RangeError('pcapng: a block whose two lengths differ');
    if (type === BlockType.SECTION && block.readUInt32LE(8) !== BYTE_ORDER_MAGIC) {
      throw new RangeError('pcapng: a section in another byte order');
    }
    if (type === BlockType.STATISTICS) this.#statistics(block);
    if (type === BlockType.PACKET) this.#packet(block);
  }

  #statistics(block: Buffer): void {
    const dropped = optionOf(block, 20, StatisticsOption.DROPPED);
    if (dropped !== null) this.lost = Number(dropped.readBigUInt64LE(0));
  }

  #packet(block: Buffer): void {
    const captured = block.readUInt32LE(20);
    if (28 + captured > block.length - 4) throw new RangeError('pcapng: a packet longer than its block');
    const flags = optionOf(block, 28 + ((captured + 3) & ~3), PacketOption.FLAGS);
    this.frames++;
    this.#onFrame({
      direction: flags !== null && (flags.readUInt32LE(0) & 3) === Direction.OUT ? 'out' : 'in',
      time: (BigInt(block.readUInt32LE(12)) << 32n) | BigInt(block.readUInt32LE(16)),
      originalBytes: block.readUInt32LE(24),
      bytes: Uint8Array.from(block.subarray(28, 28 + captured)),
    });
  }
}

/** The value of the first option with this code, or null; `at` is where the options start. */
function optionOf(block: Buffer, at: number, code: number): Buffer | null {
  let next = at;
  while (next + 4 <= block.length - 4) {
    const found = block.readUInt16LE(next);
    const length = block.readUInt16LE(next + 2);
    if (found === 0) return null;
    if (found === code) return block.subarray(next + 4, next + 4 + length);
    next += 4 + ((length + 3) & ~3);
  }
  return null;
}
