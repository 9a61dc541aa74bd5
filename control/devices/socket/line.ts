/**
 * One connection of a `socket` port as a device of native code: made when somebody is there, closed when it ended. Made by stream-port.ts
 * and dgram-port.ts on the main thread; frames never pass here.
 */
import { getSystemErrorName } from 'node:util';
import { type Addon, SocketEnd } from '../../../native/binding.ts';

export type LineNative = Pick<Addon, 'openSocket' | 'socketState' | 'closeDevice' | 'watch'>;

export class Line {
  readonly handle: number;
  readonly #native: LineNative;
  readonly #watch: { close(): void };

  /** Keeps a copy of `fd`, which stays the caller's. `onEnd` is called once, when a worker found that it ended. Throws what native throws. */
  constructor(native: LineNative, fd: number, receiver: number, onEnd: () => void) {
    this.#native = native;
    const { handle, ended } = native.openSocket(fd, receiver);
    this.handle = handle;
    this.#watch = native.watch(ended, 'read', () => {
      this.#watch.close();
      onEnd();
    });
  }

  /** Frames that the other side was too slow for. */
  get full(): number {
    return this.#native.socketState(this.handle).full;
  }

  /** How it ended, as the end of a sentence; null while it has not. */
  get end(): string | null {
    const { end } = this.#native.socketState(this.handle);
    if (end === SocketEnd.NOT) return null;
    if (end === SocketEnd.BY_PEER) return 'it was closed by the other side';
    if (end === SocketEnd.BY_FRAMING) return 'the other side sent a length that no frame has';
    return getSystemErrorName(end);
  }

  /** Only while no worker serves it. */
  close(): void {
    this.#watch.close();
    this.#native.closeDevice(this.handle);
  }
}
