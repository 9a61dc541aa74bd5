/**
 * Writes who has which address into the arena (neighbour-layout.ts), while workers read it. Only neighbours.ts calls it, which knows what is
 * there; main thread.
 */
import { Header, NEIGHBOUR_SLOTS_COUNT, NEIGHBOUR_WORDS_SHIFT } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import {
  mixAddress,
  NEIGHBOUR_FREE,
  NEIGHBOUR_GONE,
  NEIGHBOUR_PROBES_MAX,
  NEIGHBOUR_ROUTER,
  NeighbourWord,
  neighbourCheck,
  neighbourKey,
  neighbourSlot,
} from '../../dataplane/tables/neighbour-layout.ts';

const SLOT_MASK = NEIGHBOUR_SLOTS_COUNT - 1;

export interface NeighbourRecord {
  readonly bridge: number;
  readonly vlan: number;
  /** 4 or 16 bytes, as they lie in a packet. */
  readonly address: Uint8Array;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  readonly isRouter: boolean;
}

export class NeighbourTable {
  readonly #view: View;
  readonly #at: number;

  constructor(view: View) {
    this.#view = view;
    this.#at = view.layout.words[Header.NEIGHBOURS_AT]! >> 2;
  }

  /** Writes an address that is in no other slot: into `slot`, where it is already, or a new one when that is −1. Answers the slot; −1: there is none. */
  write({ bridge, vlan, address, mac, isRouter }: NeighbourRecord, slot = -1): number {
    const { i32 } = this.#view;
    const bytes = new Uint8Array(24);
    bytes.set(address);
    bytes.set(mac.subarray(2), 16);
    bytes.set(mac.subarray(0, 2), 20);
    const [a0, a1, a2, a3, high, low] = new Int32Array(bytes.buffer) as unknown as readonly number[];
    const key = neighbourKey(bridge, vlan, address.length > 4) | (isRouter ? NEIGHBOUR_ROUTER : 0);
    const place = slot >= 0 ? slot : this.#place(neighbourSlot(key, a0!, a1!, a2!, a3!));
    if (place < 0) return -1;
    const at = this.#wordOf(place);
    // Nobody believes it before its check fits again.
    i32[at + NeighbourWord.MAC_LOW] = low!;
    i32[at + NeighbourWord.MAC] = high!;
    i32.set([a0!, a1!, a2!, a3!], at + NeighbourWord.ADDRESS);
    i32[at + NeighbourWord.CHECK] = neighbourCheck(key, mixAddress(a0!, a1!, a2!, a3!), high!, low!);
    Atomics.store(i32, at + NeighbourWord.KEY, key);
    return place;
  }

  /** The second in which a worker saw it last, of 16 bits; what that was when it was written is 0. */
  seen(slot: number): number {
    return this.#view.i32[this.#wordOf(slot) + NeighbourWord.MAC_LOW]! >>> 16;
  }

  /** Nobody finds it any more. Slots that nothing lies behind are free again. */
  remove(slot: number): void {
    const { i32 } = this.#view;
    i32[this.#wordOf(slot)] = NEIGHBOUR_GONE;
    if (i32[this.#wordOf((slot + 1) & SLOT_MASK)] !== NEIGHBOUR_FREE) return;
    for (let one = slot; i32[this.#wordOf(one)] === NEIGHBOUR_GONE; one = (one - 1) & SLOT_MASK)
      i32[this.#wordOf(one)] = NEIGHBOUR_FREE;
  }

  /** The first place from `slot` on that nothing has. */
  #place(slot: number): number {
    for (let probe = 0; probe < NEIGHBOUR_PROBES_MAX; probe++) {
      const key = this.#view.i32[this.#wordOf((slot + probe) & SLOT_MASK)];
      if (key === NEIGHBOUR_FREE || key === NEIGHBOUR_GONE) return (slot + probe) & SLOT_MASK;
    }
    return -1;
  }

  #wordOf(slot: number): number {
    return this.#at + (slot << NEIGHBOUR_WORDS_SHIFT);
  }
}
