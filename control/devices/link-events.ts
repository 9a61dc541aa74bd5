/**
 * Hands what the link watch hears to everybody who follows an interface of their own. Made by open.ts; the running switch tells, devices
 * listen. Main thread.
 */
import type { LinkEvent } from './link-state.ts';

export class LinkEvents {
  readonly #listeners = new Set<(event: LinkEvent) => void>();

  /** Answers a function that ends it. */
  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(event: LinkEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
