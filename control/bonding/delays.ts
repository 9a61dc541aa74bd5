/**
 * A member's link as its bond sees it: what the device tells, held back by updelay and downdelay as Linux bonding does. A link that comes
 * and goes within its delay was never up, and one that goes and comes was never down. Pure; called by member.ts; time is passed in, and a
 * late call gives what a punctual one had given.
 */

/** Milliseconds. */
export interface Delays {
  readonly updelayMs: number;
  readonly downdelayMs: number;
}

export class LinkDelay {
  #link = false;
  #up = false;
  /** When `#up` follows `#link`; Infinity where they agree. */
  #followsAt = Number.POSITIVE_INFINITY;

  get up(): boolean {
    return this.#up;
  }

  /** The link is there, but not yet for updelay. */
  get waiting(): boolean {
    return this.#link && !this.#up;
  }

  get wakeAt(): number {
    return this.#followsAt;
  }

  /** What the device tells, again or anew. */
  hear(link: boolean, delays: Delays, now: number): void {
    this.advance(now);
    if (link === this.#link) return;
    this.#link = link;
    this.#followsAt = link === this.#up ? Number.POSITIVE_INFINITY : now + pauseOf(link, delays);
    this.advance(now);
  }

  /** The link is gone for good: nothing is waited for. */
  cut(): void {
    this.#link = false;
    this.#follow();
  }

  advance(now: number): void {
    if (now >= this.#followsAt) this.#follow();
  }

  /** Ends the wait for updelay: with no member up, one too early is better than none. */
  hurry(): void {
    if (this.waiting) this.#follow();
  }

  /** Other delays are in force: a wait gets shorter, but never longer. */
  retime(delays: Delays, now: number): void {
    if (this.#link !== this.#up) this.#followsAt = Math.min(this.#followsAt, now + pauseOf(this.#link, delays));
    this.advance(now);
  }

  #follow(): void {
    this.#up = this.#link;
    this.#followsAt = Number.POSITIVE_INFINITY;
  }
}

function pauseOf(link: boolean, { updelayMs, downdelayMs }: Delays): number {
  return link ? updelayMs : downdelayMs;
}
