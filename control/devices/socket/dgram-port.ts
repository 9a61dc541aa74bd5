/**
 * A `socket` port of type dgram: QEMU's `-netdev dgram`, a frame in each datagram. Weft receives at a path of its own and sends to the
 * guest's. Made by the opener on the main thread. Nobody says when a guest comes or goes: its path is tried until it answers, and once a
 * second from then on, which finds another guest there, or nobody; what can't be sent tells sooner that it is gone.
 */
import { getSystemErrorName } from 'node:util';
import type { SocketModel } from '../../model/model.ts';
import type { WatchClock } from '../link-watch.ts';
import type { PortDevice, PortHost } from '../port-device.ts';
import { Bound } from './bound.ts';
import { Line } from './line.ts';
import type { PortNative } from './socket-native.ts';

const WAIT_MS = 100;
const WAIT_MAX_MS = 1000;
const LOOK_MS = 1000;
/** −ECONNREFUSED: a file that nobody receives at. */
const REFUSED = -111;

export class DgramPort implements PortDevice {
  readonly takes = 0;
  readonly #native: PortNative;
  readonly #model: SocketModel;
  readonly #remote: string;
  readonly #host: PortHost;
  readonly #clock: WatchClock;
  readonly #receiver: number;
  readonly #bound: Bound;
  #line: Line | null = null;
  /** Until no worker serves it. */
  #ending = false;
  #problem: string | null = null;
  #wait = WAIT_MS;
  #cancel: (() => void) | null = null;
  #fullBefore = 0;
  #closed = false;

  /** Throws a DeviceError. */
  constructor(native: PortNative, model: SocketModel, host: PortHost, clock: WatchClock, receiver: number) {
    this.#native = native;
    this.#model = model;
    this.#remote = model.remote ?? '';
    this.#host = host;
    this.#clock = clock;
    this.#receiver = receiver;
    this.#bound = new Bound(native, `${host.bridge}/${host.port}`, model);
    this.#seek();
  }

  get handle(): number | null {
    return this.#line?.handle ?? null;
  }

  get up(): boolean {
    return this.#line !== null;
  }

  get reason(): string | null {
    if (this.up) return null;
    return `nobody receives at ${this.#remote}${this.#problem === null ? '' : `: ${this.#problem}`}`;
  }

  details(): Readonly<Record<string, string>> {
    return {
      socket: `${this.#model.socket} (dgram)`,
      remote: this.#remote,
      peer: this.up ? 'receives' : 'not there',
      'lost to a slow reader': `${this.#fullBefore + (this.#line?.full ?? 0)}`,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel?.();
    this.#letGo();
    this.#bound.close();
  }

  /** Tries the guest's path, ever more seldom. */
  #seek(): void {
    const failed = this.#native.connectTo(this.#bound.fd, this.#remote);
    const before = this.#problem;
    this.#problem = failed === 0 ? null : getSystemErrorName(failed);
    if (failed === 0) this.#begin();
    if (this.#line !== null) return;
    if (this.#problem !== before) this.#host.changed();
    this.#later(this.#wait, () => this.#seek());
    this.#wait = Math.min(this.#wait * 2, WAIT_MAX_MS);
  }

  #begin(): void {
    try {
      this.#line = new Line(
        this.#native,
        this.#bound.fd,
        this.#receiver,
        () => void this.#finish(this.#line?.end ?? null),
      );
    } catch (error) {
      this.#problem = (error as Error).message;
      return;
    }
    this.#wait = WAIT_MS;
    this.#later(LOOK_MS, () => this.#look());
    this.#host.changed();
  }

  /** A guest that was killed leaves its file. One whose file was removed may go on receiving: sending tells. */
  #look(): void {
    if (this.#native.connectTo(this.#bound.fd, this.#remote) === REFUSED)
      void this.#finish(getSystemErrorName(REFUSED));
    else this.#later(LOOK_MS, () => this.#look());
  }

  #later(milliseconds: number, callback: () => void): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(milliseconds, callback);
  }

  async #finish(problem: string | null): Promise<void> {
    // A worker and the look may find it at once.
    if (this.#ending) return;
    this.#ending = true;
    this.#cancel?.();
    this.#problem = problem;
    // Rejected only when the port is being deleted; then `close` follows.
    await this.#host.aside(() => this.#letGo()).catch(() => {});
    if (this.#closed) return;
    this.#host.changed();
    this.#seek();
  }

  /** No worker serves it. */
  #letGo(): void {
    this.#fullBefore += this.#line?.full ?? 0;
    this.#line?.close();
    this.#line = null;
    this.#ending = false;
  }
}
