/**
 * One front end's connection: reads messages, has each handled before the next is read, and sends the answers. Made by guest-port.ts on
 * the main thread. It owns the socket and the descriptors of a message that isn't whole; it never blocks, and a front end that doesn't
 * read its answers, or sends nonsense, loses the connection.
 */
import { Refusal } from '../../protocols/vhost-user/message.ts';
import { type Message, MessageReader } from '../../protocols/vhost-user/reader.ts';
import type { Answer } from '../../protocols/vhost-user/session.ts';
import type { SocketNative } from './guest-native.ts';

/** Then others have their turn. */
const MESSAGES_MAX = 32;

/** Takes over the message's descriptors. A rejection ends the connection. */
export type Handle = (message: Message) => Answer | Promise<Answer>;

export class Connection {
  readonly #native: SocketNative;
  readonly #fd: number;
  readonly #handle: Handle;
  readonly #onEnd: (reason: string, refused: boolean) => void;
  readonly #reader = new MessageReader();
  #watch: { close(): void } | null = null;
  #pumping: Promise<void> | null = null;
  #ended = false;

  /** `onEnd` is called once, unless `close` was called before. */
  constructor(native: SocketNative, fd: number, handle: Handle, onEnd: (reason: string, refused: boolean) => void) {
    this.#native = native;
    this.#fd = fd;
    this.#handle = handle;
    this.#onEnd = onEnd;
    this.#await();
  }

  /** Reads what is there now. Is the front end still there? */
  async poke(): Promise<boolean> {
    // One that runs already may have looked before the front end left.
    await this.#pumping;
    await this.#pump();
    return !this.#ended;
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch?.close();
    this.#watch = null;
    for (const descriptor of this.#reader.drop()) this.#native.closeDescriptor(descriptor);
    this.#native.closeDescriptor(this.#fd);
  }

  #end(reason: string, refused: boolean): void {
    if (this.#ended) return;
    this.close();
    this.#onEnd(reason, refused);
  }

  #await(): void {
    this.#watch = this.#native.watch(this.#fd, 'read', () => void this.#pump());
  }

  /** A ready descriptor calls back until it is read, so it is not watched while a message is being handled. */
  #pump(): Promise<void> {
    if (this.#ended || this.#pumping !== null) return this.#pumping ?? Promise.resolve();
    this.#watch?.close();
    this.#watch = null;
    const done = this.#readAll()
      .catch((error: unknown) => this.#end((error as Error).message, false))
      .finally(() => {
        this.#pumping = null;
        if (!this.#ended) this.#await();
      });
    this.#pumping = done;
    return done;
  }

  async #readAll(): Promise<void> {
    for (let count = 0; count < MESSAGES_MAX && !this.#ended; ) {
      const message = this.#read();
      if (message === 'nothing') return;
      if (message === 'more') continue;
      count++;
      const answer = await this.#handle(message);
      if (this.#ended) return;
      if (answer.close) this.#end(answer.refusal ?? 'it was refused', true);
      else if (answer.reply !== null) this.#send(answer.reply);
    }
  }

  /** A message; `more` of it is to be read; or `nothing` is there, now or ever. */
  #read(): Message | 'more' | 'nothing' {
    const got = this.#native.receiveMessage(this.#fd, this.#reader.wanted);
    if (got === null) return 'nothing';
    if (got.data.length === 0) {
      for (const descriptor of got.descriptors) this.#native.closeDescriptor(descriptor);
      const { unfinished } = this.#reader;
      this.#end(unfinished === null ? 'the front end left' : `the front end left within ${unfinished}`, false);
      return 'nothing';
    }
    const message = this.#reader.push(got.data, got.descriptors);
    if (!(message instanceof Refusal)) return message ?? 'more';
    this.#end(message.reason, true);
    return 'nothing';
  }

  /** Answers have 20 bytes: one that doesn't fit into the socket's buffer is the last of thousands that nobody read. */
  #send(reply: Uint8Array): void {
    const sent = this.#native.sendMessage(this.#fd, reply, []);
    if (sent !== reply.length) this.#end('the front end does not take its answers', false);
  }
}
