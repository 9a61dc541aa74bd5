/**
 * A `socket` port of type stream: QEMU's `-netdev stream`, one connection at a time, over a socket that weft listens at or seeks. Made by
 * the opener on the main thread. Workers serve a connection from its begin until one of them finds its end.
 */
import type { SocketModel } from '../../model/model.ts';
import type { Endpoint } from '../guest/endpoint.ts';
import type { WatchClock } from '../link-watch.ts';
import type { PortDevice, PortHost } from '../port-device.ts';
import { Line } from './line.ts';
import type { PortNative } from './socket-native.ts';

/** A guest that was killed may be back before its end was read; longer than a worker sleeps. */
const PATIENCE_MS = 500;
/** A connection that lived so long was worth having: the next one is sought at once. */
const WORTH_MS = 1000;

export class StreamPort implements PortDevice {
  readonly takes = 0;
  readonly #native: PortNative;
  readonly #model: SocketModel;
  readonly #host: PortHost;
  readonly #clock: WatchClock;
  readonly #receiver: number;
  #endpoint: Endpoint | null = null;
  #line: Line | null = null;
  #peer: { readonly pid: number; readonly uid: number } | null = null;
  #since = 0;
  #waiting: number | null = null;
  #forget: (() => void) | null = null;
  #lastEnd: string | null = null;
  #fullBefore = 0;
  #connections = 0;
  #refused = 0;
  #closed = false;

  constructor(native: PortNative, model: SocketModel, host: PortHost, clock: WatchClock, receiver: number) {
    this.#native = native;
    this.#model = model;
    this.#host = host;
    this.#clock = clock;
    this.#receiver = receiver;
  }

  /** Where connections come from: a Listener or Dialer whose `onClient` is this port's. */
  use(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
  }

  get handle(): number | null {
    return this.#line?.handle ?? null;
  }

  get up(): boolean {
    return this.#line !== null;
  }

  get reason(): string | null {
    if (this.up) return null;
    const { socket, mode } = this.#model;
    const nobody = mode === 'server' ? `nobody is connected to ${socket}` : `nobody answers at ${socket}`;
    return this.#lastEnd === null ? nobody : `${nobody}; of the last connection: ${this.#lastEnd}`;
  }

  /** A stream has no messages but frames. */
  get tallies() {
    return { connections: this.#connections, refusedClients: this.#refused, refusedMessages: 0 };
  }

  details(): Readonly<Record<string, string>> {
    const { socket, mode } = this.#model;
    return {
      socket: `${socket} (stream, weft is the ${mode})`,
      peer: this.#line === null ? 'not connected' : peerText(this.#peer),
      connections: `${this.#connections}`,
      'refused connections': `${this.#refused}`,
      'lost to a slow reader': `${this.#fullBefore + (this.#line?.full ?? 0)}`,
      ...(this.#lastEnd === null ? {} : { 'last end': this.#lastEnd }),
    };
  }

  /** Somebody connected; his descriptor is ours now. Another waits a moment for the first one's end. */
  readonly onClient = (fd: number): void => {
    if (!this.#closed && this.#line === null) this.#begin(fd);
    else if (this.#closed || this.#waiting !== null) this.#refuse(fd);
    else {
      this.#waiting = fd;
      this.#forget = this.#clock.after(PATIENCE_MS, () => {
        this.#forget = null;
        this.#refuse(this.#takeWaiting()!);
      });
    }
  };

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endpoint?.close();
    const waiting = this.#takeWaiting();
    if (waiting !== null) this.#native.closeDescriptor(waiting);
    this.#letGo();
  }

  #begin(fd: number): void {
    this.#peer = this.#native.peerOf(fd);
    try {
      this.#line = new Line(this.#native, fd, this.#receiver, () => void this.#finish());
      this.#connections++;
      this.#since = this.#clock.now();
    } catch (error) {
      this.#lastEnd = (error as Error).message;
    } finally {
      this.#native.closeDescriptor(fd);
    }
    if (this.#line === null) this.#endpoint?.released(false);
    this.#host.changed();
  }

  #refuse(fd: number): void {
    this.#native.closeDescriptor(fd);
    this.#refused++;
  }

  #takeWaiting(): number | null {
    const fd = this.#waiting;
    this.#waiting = null;
    this.#forget?.();
    this.#forget = null;
    return fd;
  }

  async #finish(): Promise<void> {
    this.#lastEnd = this.#line?.end ?? null;
    // Rejected only when the port is being deleted; then `close` follows.
    await this.#host.aside(() => this.#letGo()).catch(() => {});
    if (this.#closed) return;
    const fd = this.#takeWaiting();
    if (fd !== null) {
      this.#begin(fd);
      return;
    }
    this.#endpoint?.released(this.#clock.now() - this.#since >= WORTH_MS);
    this.#host.changed();
  }

  /** No worker serves it. */
  #letGo(): void {
    this.#fullBefore += this.#line?.full ?? 0;
    this.#line?.close();
    this.#line = null;
  }
}

function peerText(peer: { readonly pid: number; readonly uid: number } | null): string {
  if (peer === null) return 'connected';
  return peer.pid === 0 ? `connected, user ${peer.uid}` : `process ${peer.pid}, user ${peer.uid}`;
}
