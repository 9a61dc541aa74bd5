/**
 * Echo requests from one local address, each with its answer, the ICMP error that came in its place, or silence. Made by the API for
 * `weft doctor mtu`; main thread. Never blocks, keeps nothing when it is closed.
 */
import { randomInt } from 'node:crypto';
import { getSystemErrorName } from 'node:util';
import { addon, type EchoCalls, type EchoNotice, type WatchCallback } from '../../native/binding.ts';

/** What became of a request. */
export type EchoOutcome =
  | { readonly type: 'answered'; readonly ms: number }
  | { readonly type: 'silent' }
  /** `by` null: our own machine refuses it. `mtu` 0: it tells none. `code` as EMSGSIZE, EHOSTUNREACH. */
  | { readonly type: 'refused'; readonly code: string; readonly mtu: number; readonly by: string | null };

export interface Echo {
  /** Sends a request of so many bytes of IP packet, with DF, and waits for what comes of it. Never rejects. */
  ask(remote: string, bytes: number, waitMs: number): Promise<EchoOutcome>;
  close(): void;
}

/** Throws an Error with `code` when the address is not this machine's, or nothing may send echo requests. */
export type OpenEcho = (local: string) => Echo;

/** The part of the addon that is used. */
export interface EchoNative extends EchoCalls {
  watch(fd: number, what: 'read', callback: WatchCallback): { close(): void };
  closeDescriptor(fd: number): void;
}

const IDS = 0x1_0000;

export class EchoSocket implements Echo {
  readonly #native: EchoNative;
  readonly #fd: number;
  readonly #id = randomInt(IDS);
  #watch: { close(): void };
  /** Who waits, by sequence number. */
  readonly #waiting = new Map<number, (outcome: EchoOutcome) => void>();
  #sequence = 0;

  constructor(native: EchoNative, local: string) {
    this.#native = native;
    this.#fd = native.openEcho(local);
    this.#watch = this.#listen();
  }

  /** An error, as an ICMP message is one, ends a watch: what comes after it needs another. */
  #listen(): { close(): void } {
    return this.#native.watch(this.#fd, 'read', (_readable, isError) => {
      const notices = this.#native.readEchoes(this.#fd, this.#id);
      if (isError) {
        this.#watch.close();
        this.#watch = this.#listen();
      }
      for (const notice of notices) this.#hear(notice);
    });
  }

  #hear({ sequence, error, mtu, address }: EchoNotice): void {
    const code = error === 0 ? null : getSystemErrorName(-error);
    this.#waiting.get(sequence)?.(
      code === null ? { type: 'answered', ms: 0 } : { type: 'refused', code, mtu, by: address },
    );
  }

  ask(remote: string, bytes: number, waitMs: number): Promise<EchoOutcome> {
    this.#sequence = (this.#sequence + 1) % IDS;
    const sequence = this.#sequence;
    const began = performance.now();
    return new Promise((resolve) => {
      const end = (outcome: EchoOutcome): void => {
        clearTimeout(timer);
        this.#waiting.delete(sequence);
        resolve(outcome.type === 'answered' ? { type: 'answered', ms: performance.now() - began } : outcome);
      };
      const timer = setTimeout(end, waitMs, { type: 'silent' });
      this.#waiting.set(sequence, end);
      const sent = this.#native.sendEcho(this.#fd, remote, this.#id, sequence, bytes);
      if (sent < 0) end({ type: 'refused', code: getSystemErrorName(sent), mtu: 0, by: null });
    });
  }

  close(): void {
    for (const end of [...this.#waiting.values()]) end({ type: 'silent' });
    this.#watch.close();
    this.#native.closeDescriptor(this.#fd);
  }
}

export const openEcho: OpenEcho = (local) => new EchoSocket(addon(), local);
