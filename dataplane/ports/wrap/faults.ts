/**
 * Seeded faults at one port, for simulation and tests: frames lost, corrupted or cut short as they are received, and lost as they are
 * sent. Wraps lists as capture does, so that the path has no branch for it. Never duplicates and never reorders: those are a link's
 * faults. What is lost counts as fault-injected, so that accounting holds.
 */
import { count, drop } from '../../counters.ts';
import { Drop } from '../../drop.ts';
import type { Lane } from '../../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, PortCell } from '../../memory/layout.ts';

/** Chances in 65,536ths. A frame gets at most one fault a way. */
export interface FaultShares {
  readonly dropReceived: number;
  readonly dropSending: number;
  readonly corrupt: number;
  readonly truncate: number;
}

export const CERTAIN = 0x10000;

export class Faults {
  readonly port: number;
  readonly #shares: FaultShares;
  #state: number;
  dropped = 0;
  corrupted = 0;
  truncated = 0;

  constructor(port: number, shares: Partial<FaultShares>, seed: number) {
    this.port = port;
    this.#shares = { dropReceived: 0, dropSending: 0, corrupt: 0, truncate: 0, ...shares };
    this.#state = seed | 0;
  }

  /** After receive: answers how many of the list's slots stay, in order. */
  received(lane: Lane, list: number, n: number, port: number): number {
    if (port !== this.port) return n;
    const { i32 } = lane;
    let kept = 0;
    for (let k = 0; k < n; k++) {
      const slot = i32[list + k]!;
      const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
      if (this.#happens(this.#shares.dropReceived)) {
        // Received it was: the path doesn't see it any more, so it is counted here.
        count(lane, port, PortCell.RX_FRAMES, 1);
        count(lane, port, PortCell.RX_BYTES, i32[facts + Fact.LENGTH]!);
        count(lane, port, PortCell.RX_SEGMENTS, 1);
        drop(lane, port, Drop.FAULT_INJECTED);
        this.dropped++;
        continue;
      }
      if (this.#happens(this.#shares.corrupt)) this.#corrupt(lane, facts);
      else if (this.#happens(this.#shares.truncate)) this.#truncate(lane, facts);
      i32[list + kept] = slot;
      kept++;
    }
    return kept;
  }

  /** Before transmit. Heads are shared between egresses by now, so a frame is lost here or goes as it is. */
  sending(lane: Lane, list: number, n: number, port: number): number {
    if (port !== this.port) return n;
    let kept = 0;
    for (let k = 0; k < n; k++) {
      if (this.#happens(this.#shares.dropSending)) {
        drop(lane, port, Drop.FAULT_INJECTED);
        this.dropped++;
        continue;
      }
      lane.i32[list + kept] = lane.i32[list + k]!;
      kept++;
    }
    return kept;
  }

  /** Flips one bit of the head; of the vnet header too, where there is one. */
  #corrupt(lane: Lane, facts: number): void {
    const { i32, u8 } = lane;
    const vnet = (i32[facts + Fact.FLAGS]! & Flag.VNET) !== 0 ? 12 : 0;
    const head = i32[facts + Fact.HEAD_BYTES]!;
    if (head + vnet === 0) return;
    const at = i32[facts + Fact.HEAD_AT]! - vnet + this.#below(head + vnet);
    u8[at] = u8[at]! ^ (1 << this.#below(8));
    this.corrupted++;
  }

  /** Cuts the frame anywhere, down to nothing. */
  #truncate(lane: Lane, facts: number): void {
    const { i32 } = lane;
    const length = this.#below(i32[facts + Fact.LENGTH]! + 1);
    i32[facts + Fact.LENGTH] = length;
    if (length < i32[facts + Fact.HEAD_BYTES]!) i32[facts + Fact.HEAD_BYTES] = length;
    this.truncated++;
  }

  #happens(share: number): boolean {
    return share > 0 && this.#below(CERTAIN) < share;
  }

  /** splitmix32. */
  #below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state ^ (this.#state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) % limit;
  }
}
