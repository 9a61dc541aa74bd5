/** Hears when native code gave a guest's device up: it broke a rule, or its memory was taken away. Made by guest-port.ts; main thread. */
import { readSync } from 'node:fs';
import type { GuestNative } from './guest-native.ts';

/** Reads an eventfd back to nothing. */
export type Drain = (fd: number) => void;

export const drainEventfd: Drain = (fd) => {
  try {
    readSync(fd, new Uint8Array(8));
  } catch {
    // Nothing was in it.
  }
};

export class Alarm {
  readonly #native: GuestNative;
  readonly #fd: number;
  readonly #watch: { close(): void } | null;

  constructor(native: GuestNative, handle: number, onAlarm: () => void, drain: Drain = drainEventfd) {
    this.#native = native;
    this.#fd = native.guestAlarm(handle);
    this.#watch =
      this.#fd < 0
        ? null
        : native.watch(this.#fd, 'read', () => {
            drain(this.#fd);
            onAlarm();
          });
  }

  close(): void {
    if (this.#watch === null) return;
    this.#watch.close();
    this.#native.closeDescriptor(this.#fd);
  }
}
