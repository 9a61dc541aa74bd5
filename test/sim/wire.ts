/** A link between two switches of a simulation: it delays, keeps the order, loses its carrier, or falls silent one way or both. */
export class Wire {
  readonly delayMs: number;
  carrier = true;
  /** What is sent by this end is lost, and nobody is told. */
  readonly quiet: [boolean, boolean] = [false, false];
  #under: { readonly at: number; readonly end: 0 | 1; readonly bytes: Uint8Array }[] = [];

  constructor(delayMs: number) {
    this.delayMs = delayMs;
  }

  get isWhole(): boolean {
    return this.carrier && !this.quiet[0] && !this.quiet[1];
  }

  send(from: 0 | 1, bytes: Uint8Array, nowMs: number): void {
    if (this.carrier && !this.quiet[from])
      this.#under.push({ at: nowMs + this.delayMs, end: from === 0 ? 1 : 0, bytes });
  }

  cut(): void {
    this.carrier = false;
    this.#under = [];
  }

  due(nowMs: number): { readonly end: 0 | 1; readonly bytes: Uint8Array }[] {
    const due = this.#under.filter(({ at }) => at <= nowMs);
    this.#under = this.#under.filter(({ at }) => at > nowMs);
    return due;
  }
}
