/**
 * `pcap` ports: replay a capture file into the switch, write what the port is sent into another. Classic pcap (LINKTYPE_ETHERNET), both
 * byte orders, micro- or nanoseconds; frames are replayed as fast as the switch takes them. Runs on the worker's thread; for tests.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { BATCH_COUNT_MAX, FRAME_BYTES_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { Block, BlockCell } from '../memory/layout.ts';
import { closeBatch, hasRoom, receiveFrame } from './receive.ts';
import { readFrame, type ScriptPort } from './script-port.ts';

const MAGIC_US = 0xa1b2c3d4;
const MAGIC_NS = 0xa1b23c4d;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const LINKTYPE_ETHERNET = 1;

/** The frames of a capture file. Throws with the file's name when it isn't one, or is cut off. */
export function readPcap(path: string): Uint8Array[] {
  const file = readFileSync(path);
  if (file.length < FILE_HEADER_BYTES) throw new Error(`${path}: shorter than a pcap header`);
  const little = [MAGIC_US, MAGIC_NS].includes(file.readUInt32LE(0));
  if (!little && ![MAGIC_US, MAGIC_NS].includes(file.readUInt32BE(0))) {
    throw new Error(`${path}: not a pcap file (pcapng is converted with: editcap -F pcap IN OUT)`);
  }
  const word = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  if ((word(20) & 0xffff) !== LINKTYPE_ETHERNET) throw new Error(`${path}: link type ${word(20)} is not Ethernet (1)`);
  const frames: Uint8Array[] = [];
  for (let at = FILE_HEADER_BYTES; at < file.length; ) {
    const bytes = at + RECORD_HEADER_BYTES <= file.length ? word(at + 8) : -1;
    if (bytes < 0 || bytes > FRAME_BYTES_MAX || at + RECORD_HEADER_BYTES + bytes > file.length) {
      throw new Error(`${path}: cut off or broken at byte ${at}`);
    }
    frames.push(new Uint8Array(file.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + bytes)));
    at += RECORD_HEADER_BYTES + bytes;
  }
  return frames;
}

export class PcapPort implements ScriptPort {
  readonly port: number;
  readonly #frames: readonly Uint8Array[];
  #next = 0;
  #file: number;

  constructor(port: number, read: string | null, write: string | null) {
    this.port = port;
    this.#frames = read === null ? [] : readPcap(read);
    this.#file = write === null ? -1 : openSync(write, 'w', 0o644);
    if (this.#file >= 0) writeSync(this.#file, fileHeader());
  }

  hasWork(): boolean {
    return this.#next < this.#frames.length;
  }

  receive(lane: Lane): void {
    const first = lane.i32[lane.blockAt + Block.RECEIVED_COUNT]!;
    for (let k = 0; k < BATCH_COUNT_MAX && this.hasWork() && hasRoom(lane); k++)
      receiveFrame(lane, this.port, this.#frames[this.#next++]!, null);
    closeBatch(lane, this.port, first);
  }

  take(lane: Lane, entry: number): boolean {
    if (this.#file < 0) return true;
    const { bytes } = readFrame(lane, entry);
    const ns = lane.f64[lane.blockCellsAt + BlockCell.NOW_NS]!;
    const head = Buffer.alloc(RECORD_HEADER_BYTES);
    head.writeUInt32LE(Math.floor(ns / 1e9), 0);
    head.writeUInt32LE(ns % 1e9, 4);
    head.writeUInt32LE(bytes.length, 8);
    head.writeUInt32LE(bytes.length, 12);
    writeSync(this.#file, Buffer.concat([head, bytes]));
    return true;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }
}

function fileHeader(): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.writeUInt32LE(MAGIC_NS, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(FRAME_BYTES_MAX, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}
