/**
 * Cuts what a stream socket gives into messages: bytes in any pieces, descriptors with whichever piece they come. Made for each
 * connection by control/devices/guest on the main thread. It owns the descriptors of the message that is not yet whole; `drop` hands
 * them back when the connection ends. It never reads past the message at hand, so no descriptor can be taken for another message's.
 */
import { HEADER_BYTES, type Header, nameOf, parseHeader, Refusal } from './message.ts';

/** A whole message, its payload not yet looked at. */
export interface Message {
  readonly header: Header;
  readonly payload: Uint8Array;
  /** Whoever takes the message owns them. */
  readonly descriptors: readonly number[];
}

/** As many as SET_MEM_TABLE may have; more are held by nobody. */
const DESCRIPTORS_MAX = 8;

export class MessageReader {
  #header: Header | null = null;
  #bytes: Uint8Array = new Uint8Array(HEADER_BYTES);
  #filled = 0;
  #descriptors: number[] = [];

  /** How many bytes to read next, at least 1. */
  get wanted(): number {
    return this.#bytes.length - this.#filled;
  }

  /** At most `wanted` bytes. null until a message is whole; after a Refusal the connection has to end. */
  push(bytes: Uint8Array, descriptors: readonly number[]): Message | Refusal | null {
    this.#descriptors.push(...descriptors);
    if (bytes.length > this.wanted) return new Refusal('more bytes than were asked for');
    this.#bytes.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#descriptors.length > DESCRIPTORS_MAX) {
      return new Refusal(`${this.#descriptors.length} descriptors with one message; at most ${DESCRIPTORS_MAX}`);
    }
    if (this.wanted > 0) return null;
    if (this.#header !== null) return this.#finish(this.#header);
    const header = parseHeader(this.#bytes);
    if (header instanceof Refusal) return header;
    if (header.payloadBytes === 0) return this.#finish(header, new Uint8Array(0));
    this.#header = header;
    this.#bytes = new Uint8Array(header.payloadBytes);
    this.#filled = 0;
    return null;
  }

  /** What is left when the stream ends within a message: its name, or null between two. */
  get unfinished(): string | null {
    if (this.#header !== null) return nameOf(this.#header.request);
    return this.#filled > 0 || this.#descriptors.length > 0 ? 'a message' : null;
  }

  /** The descriptors that no message took; the caller closes them. */
  drop(): readonly number[] {
    const descriptors = this.#descriptors;
    this.#descriptors = [];
    return descriptors;
  }

  #finish(header: Header, payload: Uint8Array = this.#bytes): Message {
    const message = { header, payload, descriptors: this.#descriptors };
    this.#header = null;
    this.#bytes = new Uint8Array(HEADER_BYTES);
    this.#filled = 0;
    this.#descriptors = [];
    return message;
  }
}
