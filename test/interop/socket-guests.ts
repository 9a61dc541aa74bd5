/**
 * Guests of socket ports without QEMU: the other ends of `-netdev stream` and `-netdev dgram` in the test's own process, which see every
 * frame whole or say that one was not. Used by socket-ports.test.ts.
 */
import { once } from 'node:events';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Addon, addon } from '../../native/binding.ts';

const WAIT_MS = 5000;
const STEP_MS = 5;

/** A frame of EtherType 0x88b5 that tells its number and is of one byte after that. */
export function frameOf(to: number, from: number, number: number, bytes = 60): Buffer {
  const frame = Buffer.alloc(bytes, number & 0xff);
  frame.set(to === 0xff ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, to], 0);
  frame.set([2, 0, 0, 0, 0, from, 0x88, 0xb5], 6);
  frame.writeUInt32BE(number, 14);
  return frame;
}
export const numberOf = (frame: Buffer) => frame.readUInt32BE(14);

/** What came, until `wanted` says that it is enough. Rejects with what came instead. */
async function until<T>(look: () => T, wanted: (value: T) => boolean): Promise<T> {
  for (let waited = 0; ; waited += STEP_MS) {
    const value = look();
    if (wanted(value)) return value;
    if (waited > WAIT_MS) throw new Error(`waited in vain; there is ${JSON.stringify(value).slice(0, 200)}`);
    await sleep(STEP_MS);
  }
}

abstract class Guest {
  readonly frames: Buffer[] = [];
  abstract send(...frames: Buffer[]): void;
  abstract close(): void;
  protected look(): void {}

  /** Waits for `count` frames in all, and takes them. */
  async receive(count: number): Promise<Buffer[]> {
    await until(
      () => {
        this.look();
        return this.frames.length;
      },
      (length) => length >= count,
    );
    return this.frames.splice(0);
  }
}

export class StreamGuest extends Guest {
  readonly #socket: Socket;
  #rest = Buffer.alloc(0);
  ended = false;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (data) => this.#take(data));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
    });
  }

  /** As a client of weft's socket. */
  static async connect(path: string): Promise<StreamGuest> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    return new StreamGuest(socket);
  }

  /** As the server that weft seeks. Answers the guest once weft is there. */
  static async listen(path: string): Promise<{ guest: Promise<StreamGuest>; close(): void }> {
    rmSync(path, { force: true });
    const server: Server = createServer();
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o777);
    const guest = once(server, 'connection').then(([socket]) => new StreamGuest(socket as Socket));
    return { guest, close: () => server.close() };
  }

  send(...frames: Buffer[]): void {
    const parts = frames.flatMap((frame) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      return [length, frame];
    });
    this.#socket.write(Buffer.concat(parts));
  }

  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Doesn't read any more, until it does. */
  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  async end(): Promise<void> {
    await until(
      () => this.ended,
      (ended) => ended,
    );
  }

  #take(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    let at = 0;
    while (this.#rest.length - at >= 4) {
      const length = this.#rest.readUInt32BE(at);
      if (length < 14 || length > 65_557) throw new Error(`a frame of ${length} bytes`);
      if (this.#rest.length - at - 4 < length) break;
      this.frames.push(Buffer.from(this.#rest.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.#rest = this.#rest.subarray(at);
  }
}

/** Receives at a path of its own and sends from the same socket: weft takes datagrams from nobody else. */
export class DgramGuest extends Guest {
  readonly #native: Addon;
  readonly #fd: number;
  #closed = false;

  private constructor(native: Addon, fd: number) {
    super();
    this.#native = native;
    this.#fd = fd;
  }

  /** `own`: where it receives; `weft`: where weft does, which takes it once it has seen that `own` is another's than before. */
  static async open(own: string, weft: string): Promise<DgramGuest> {
    const native = addon();
    if (existsSync(own)) rmSync(own);
    const fd = native.listenUnix(own, 'dgram');
    chmodSync(own, 0o777);
    await until(
      () => native.connectTo(fd, weft),
      (failed) => failed === 0,
    );
    return new DgramGuest(native, fd);
  }

  send(...frames: Buffer[]): void {
    for (const frame of frames) {
      const sent = this.#native.sendMessage(this.#fd, frame, []);
      if (sent !== frame.length) throw new Error(`sendMessage: ${sent}`);
    }
  }

  close(): void {
    if (!this.#closed) this.#native.closeDescriptor(this.#fd);
    this.#closed = true;
  }

  protected override look(): void {
    for (let one = this.#native.receiveMessage(this.#fd, 1 << 17); one !== null; ) {
      this.frames.push(one.data);
      one = this.#native.receiveMessage(this.#fd, 1 << 17);
    }
  }
}
