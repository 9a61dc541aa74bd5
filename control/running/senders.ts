/**
 * The sockets by which tunnels send: one set for all tunnels that want the same of them, opened with the first and closed with the last. What
 * can't be opened now, since the local address is not there, is tried again. Made by tunnels.ts; main thread.
 */
import type { Addon, SenderCounts, SenderOptions, TunnelTrouble } from '../../native/binding.ts';
import { openFailure } from './tunnel-failure.ts';

export type SenderNative = Pick<Addon, 'openTunnelSender' | 'tunnelSenderCounts' | 'tunnelTroubles' | 'closeDevice'>;

const NOTHING: SenderCounts = { datagrams: 0, messages: 0, errors: 0 };

/** Sockets that tunnels share. */
export class Sender {
  readonly options: SenderOptions;
  readonly key: string;
  handle: number | null = null;
  /** Why it is not open. */
  reason: string | null = null;
  readonly users = new Set<() => void>();

  constructor(key: string, options: SenderOptions) {
    this.key = key;
    this.options = options;
  }
}

export class Senders {
  readonly #native: SenderNative;
  readonly #open = new Map<string, Sender>();

  constructor(native: SenderNative) {
    this.#native = native;
  }

  /** `changed` is called when it opens later. */
  acquire(options: SenderOptions, changed: () => void): Sender {
    const key = JSON.stringify([options.kind, options.local, options.df, options.checksum, options.scope]);
    let sender = this.#open.get(key);
    if (sender === undefined) {
      sender = new Sender(key, options);
      this.#open.set(key, sender);
    }
    if (sender.handle === null) this.#try(sender);
    sender.users.add(changed);
    return sender;
  }

  /** No worker sends by it any more for this user. */
  release(sender: Sender, changed: () => void): void {
    if (!sender.users.delete(changed) || sender.users.size > 0) return;
    this.#open.delete(sender.key);
    if (sender.handle !== null) this.#native.closeDevice(sender.handle);
    sender.handle = null;
  }

  /** Tries those again that could not be opened. */
  retry(): void {
    for (const sender of this.#open.values()) {
      if (sender.handle !== null || !this.#try(sender)) continue;
      for (const changed of [...sender.users]) changed();
    }
  }

  counts({ handle }: Sender): SenderCounts {
    return handle === null ? NOTHING : this.#native.tunnelSenderCounts(handle);
  }

  all(): Sender[] {
    return [...this.#open.values()];
  }

  /** What came back since the last call, by the address from which it was sent. */
  *troubles(): Generator<readonly [local: string, troubles: readonly TunnelTrouble[]]> {
    for (const { handle, options } of this.#open.values()) {
      const troubles = handle === null ? [] : this.#native.tunnelTroubles(handle);
      if (troubles.length > 0) yield [options.local, troubles];
    }
  }

  #try(sender: Sender): boolean {
    try {
      sender.handle = this.#native.openTunnelSender(sender.options);
      sender.reason = null;
      return true;
    } catch (error) {
      sender.reason = openFailure(error, sender.options);
      return false;
    }
  }
}
