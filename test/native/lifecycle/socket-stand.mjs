/**
 * What stories of socket ports stand on: an engine turned by hand with two workers' arena, connections whose other ends are this process too,
 * so that every turn is known, and readers of them. Used by streams.mjs and datagrams.mjs, with the seed as their second argument.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Drop } from '../../../dist/dataplane/drop.js';
import { addon } from '../../../dist/native/binding.js';
import { HandEngine } from './hand-engine.mjs';

const [, seed] = process.argv.slice(2);
export const folder = mkdtempSync(join(tmpdir(), 'weft-streams-'));
export const native = addon();
export const layout = HandEngine.arena(2);
export const engine = new HandEngine(0, layout);
export const names = Object.fromEntries(Object.entries(Drop).map(([name, number]) => [number, name]));
export const FRAME_MAX = 65557;

let state = Number(seed) >>> 0;
export function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

export const framed = (frame) => {
  const bytes = Buffer.alloc(4 + frame.length);
  bytes.writeUInt32BE(frame.length);
  bytes.set(frame, 4);
  return bytes;
};
/** A frame that tells its number, its length and, all over, both. */
export function frameOf(number, bytes) {
  const frame = Buffer.alloc(bytes, number + bytes);
  frame.writeUInt32BE(number, 6);
  frame.writeUInt32BE(bytes, 10);
  return frame;
}

let sockets = 0;
/** A connection: the device of one end, and the other end's descriptor. */
export function connection(port, type = 'stream', receiver = 0) {
  const path = join(folder, `${sockets++}`);
  const listening = native.listenUnix(path, type);
  let ours = listening;
  let theirs;
  if (type === 'stream') {
    theirs = native.connectUnix(path, type);
    ours = native.acceptUnix(listening);
    native.closeDescriptor(listening);
  } else {
    theirs = native.listenUnix(`${path}r`, type);
    native.connectTo(ours, `${path}r`);
    // Like QEMU, who names no peer: its queue is short then.
    if (port === 1) native.connectTo(theirs, path);
  }
  const { handle, ended } = native.openSocket(ours, receiver);
  native.closeDescriptor(ours);
  const attached = native.attachQueue(port, handle, 0);
  if (attached < 0) throw new Error(`attachQueue: ${attached}`);
  return { handle, ended, theirs, path };
}

/** All frames that a stream's other end has got by now. */
export class Reader {
  constructor(fd) {
    this.fd = fd;
    this.rest = Buffer.alloc(0);
  }
  /** Frames that are whole now, after one read; null when there was nothing. */
  read(most = 1 << 20) {
    const message = native.receiveMessage(this.fd, most);
    if (message === null) return null;
    this.rest = Buffer.concat([this.rest, message.data]);
    const frames = [];
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE()) {
      const length = this.rest.readUInt32BE();
      frames.push(this.rest.subarray(4, 4 + length));
      this.rest = this.rest.subarray(4 + length);
    }
    return frames;
  }
  all() {
    const frames = [];
    for (let some = this.read(); some !== null; some = this.read()) frames.push(...some);
    return frames;
  }
}

/** Turns until nothing comes any more; what comes from port 1, and passes, goes to `ports`. Answers how many came. */
export function carry(ports, drain = () => {}, passes = () => true) {
  let count = 0;
  let lists = new Map();
  for (let idle = 0; idle < 4; ) {
    const frames = engine.turn(lists);
    drain();
    const slots = frames.filter(({ port }) => port === 1).map(({ slot }) => slot);
    const passed = slots.filter(passes);
    lists = new Map(passed.length === 0 ? [] : ports.map((port) => [port, passed]));
    count += slots.length;
    idle = slots.length === 0 ? idle + 1 : 0;
  }
  return count;
}

/** Runs the story of the first argument and prints its answer. */
export async function tellOf(stories) {
  const answer = await stories[process.argv[2]]();
  rmSync(folder, { recursive: true });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
