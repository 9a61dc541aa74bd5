/**
 * Tells a bridge that an address is at a port now: a guest that was moved here and can't say so itself. Puts a RARP request from that
 * address into worker 0's inject ring as if the port had received it, so that it is learned and flooded in the port's own VLAN. Main thread.
 */
import { INJECT_RING_BYTES } from '../../dataplane/limits.ts';
import { BYTE_RING_HEAD_WORDS, ByteRing } from '../../dataplane/memory/byte-ring.ts';
import { Header, workerRegion } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { rarpRequest } from '../bonding/announcements.ts';
import { normalMac } from '../model/mac.ts';
import type { PortBook } from './port-book.ts';

/** A record's words behind its length, as dataplane/inject.ts reads them; a frame that comes in. */
const Word = { PORT: 1, WAY: 2, BYTES: 3 } as const;
const WAY_IN = 1;
const FRAME_BYTES = 60;

export class Announcer {
  readonly #book: PortBook;
  readonly #view: View;
  readonly #ring: ByteRing;
  readonly #kick: () => void;

  /** `kick` wakes worker 0. */
  constructor(view: View, book: PortBook, kick: () => void) {
    this.#view = view;
    this.#book = book;
    this.#ring = new ByteRing(view.i32, workerRegion(view.layout, Header.INJECT_AT, 0), INJECT_RING_BYTES);
    this.#kick = kick;
  }

  /** Does nothing for a port that is gone, an address that is none, or while the ring is full: the guest's first frame tells as well. */
  announce(bridge: string, port: string, mac: string): void {
    const state = this.#book.ports().find((one) => one.bridge === bridge && one.model.name === port);
    const normal = normalMac(mac);
    if (state === undefined || normal === null) return;
    const record = this.#ring.reserve(FRAME_BYTES);
    if (record < 0) return;
    const { i32 } = this.#ring;
    i32[record + Word.PORT] = state.number;
    i32[record + Word.WAY] = WAY_IN;
    i32[record + Word.BYTES] = FRAME_BYTES;
    this.#view.u8.set(rarpRequest(normal), (record + BYTE_RING_HEAD_WORDS) << 2);
    this.#ring.publish(record);
    this.#kick();
  }
}
