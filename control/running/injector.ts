/**
 * Frames from control into the switch: received as if a port had sent them, or sent out of a port as they are. They go through worker 0's
 * ring, whose only producer this is; what finds no room waits here, up to a bound. Main thread.
 */
import { INJECT_RING_BYTES } from '../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { Header, InjectWord, workerRegion } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';

/** Frames that wait for room: a bridge of 65,536 addresses tells them all in one second. */
const WAITING_MAX = 65_536;
const RETRY_MS = 5;

interface Waiting {
  readonly port: number;
  readonly way: number;
  readonly vlan: number;
  readonly frame: Uint8Array;
}

export class Injector {
  readonly #view: View;
  readonly #ring: ByteRing;
  readonly #kick: () => void;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `kick` wakes worker 0. */
  constructor(view: View, kick: () => void) {
    this.#view = view;
    this.#ring = new ByteRing(view.i32, workerRegion(view.layout, Header.INJECT_AT, 0), INJECT_RING_BYTES);
    this.#kick = kick;
  }

  /**
   * A frame comes in on port `port`, or goes out of it. `vlan`: of what goes out, the VLAN that it belongs to; its bytes are tagged already or
   * need no tag. Frames keep their order. False when too many wait.
   */
  inject(port: number, way: number, frame: Uint8Array, vlan = 0): boolean {
    const one = { port, way, vlan, frame };
    if (this.#waiting.length === 0 && this.#put(one)) {
      this.#kick();
      return true;
    }
    if (this.#waiting.length >= WAITING_MAX) return false;
    this.#waiting.push(one);
    this.#timer ??= setTimeout(() => this.#again(), RETRY_MS).unref();
    return true;
  }

  #again(): void {
    this.#timer = undefined;
    let done = 0;
    while (done < this.#waiting.length && this.#put(this.#waiting[done]!)) done++;
    this.#waiting = this.#waiting.slice(done);
    if (done > 0) this.#kick();
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#again(), RETRY_MS).unref();
  }

  #put({ port, way, vlan, frame }: Waiting): boolean {
    const record = this.#ring.reserve(frame.length);
    if (record < 0) return false;
    const { i32 } = this.#ring;
    i32[record + InjectWord.PORT] = port;
    i32[record + InjectWord.WAY] = way;
    i32[record + InjectWord.BYTES] = frame.length;
    i32[record + InjectWord.VLAN] = vlan;
    this.#view.u8.set(frame, (record + BYTE_RING_HEAD_WORDS) << 2);
    this.#ring.publish(record);
    return true;
  }
}
