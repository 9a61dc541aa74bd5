/**
 * Client mode: connects to a socket at which the front end listens, and tries again for ever: at once when a connection that worked has
 * ended, then ever more seldom. Made by the opener on the main thread.
 */
import type { WatchClock } from '../link-watch.ts';
import type { Endpoint, OnClient } from './endpoint.ts';
import type { SocketNative } from './guest-native.ts';

const WAIT_MS = 100;
const WAIT_MAX_MS = 5000;

export class Dialer implements Endpoint {
  readonly #native: SocketNative;
  readonly #path: string;
  readonly #clock: WatchClock;
  readonly #onClient: OnClient;
  #wait = WAIT_MS;
  #cancel: (() => void) | null = null;
  #problem: string | null = null;
  #closed = false;

  constructor(native: SocketNative, path: string, clock: WatchClock, onClient: OnClient) {
    this.#native = native;
    this.#path = path;
    this.#clock = clock;
    this.#onClient = onClient;
    this.#later(0);
  }

  get reason(): string {
    const why = this.#problem === null ? '' : `: ${this.#problem}`;
    return `no front end answers at ${this.#path}${why}`;
  }

  released(served: boolean): void {
    if (served) this.#wait = WAIT_MS;
    this.#again();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #try(): void {
    this.#cancel = null;
    let fd: number;
    try {
      fd = this.#native.connectUnix(this.#path, 'stream');
    } catch (error) {
      this.#problem = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      this.#again();
      return;
    }
    this.#problem = null;
    this.#onClient(fd);
  }

  #again(): void {
    this.#later(this.#wait);
    this.#wait = Math.min(this.#wait * 2, WAIT_MAX_MS);
  }

  #later(milliseconds: number): void {
    if (this.#closed) return;
    this.#cancel?.();
    this.#cancel = this.#clock.after(milliseconds, () => this.#try());
  }
}
