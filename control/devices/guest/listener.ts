/**
 * Server mode: listens at a path and hands on whoever connects. Made by the opener on the main thread. A file that a dead weft left is
 * taken over, one at which somebody listens is not; the mode is 0600, since whoever may connect can show weft any memory, or 0660 with a
 * group that the document names.
 */
import { lstatSync, rmSync, type Stats } from 'node:fs';
import { isAlive } from '../../api/socket.ts';
import { DeviceError } from '../../errors.ts';
import { giveSocket, knownGroup } from '../../groups.ts';
import type { WatchClock } from '../link-watch.ts';
import type { Endpoint, OnClient } from './endpoint.ts';
import type { SocketNative } from './guest-native.ts';

const OWNER_ONLY = 0o177;
/** −EAGAIN. */
const NOBODY = -11;
const PAUSE_MS = 1000;

const HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'Make its folder first.',
  ENOTDIR: 'What stands for its folder is a file: give it another path.',
  EACCES: 'Weft may not write into that folder.',
  EROFS: 'The folder is read-only.',
  EMFILE: 'Raise the limit of open files (ulimit -n, LimitNOFILE=).',
};

/** What the document says of it. */
export interface ListenAt {
  readonly socket: string;
  /** Who may connect beside the owner. */
  readonly group: string | null;
}

export class Listener implements Endpoint {
  readonly reason: string;
  readonly #native: SocketNative;
  readonly #path: string;
  readonly #fd: number;
  readonly #inode: bigint | null;
  readonly #onClient: OnClient;
  readonly #clock: WatchClock;
  #watch: { close(): void } | null = null;
  #cancel: (() => void) | null = null;
  #closed = false;

  private constructor(native: SocketNative, path: string, onClient: OnClient, clock: WatchClock) {
    this.#native = native;
    this.#path = path;
    this.#onClient = onClient;
    this.#clock = clock;
    this.#fd = native.listenUnix(path, 'stream');
    this.#inode = inodeOf(path);
    this.reason = `no front end is connected to ${path}`;
    this.#await();
  }

  /** `subject` begins messages: `br0/vm1`. Rejects with a DeviceError. */
  static async open(
    native: SocketNative,
    subject: string,
    { socket, group }: ListenAt,
    onClient: OnClient,
    clock: WatchClock,
  ): Promise<Listener> {
    const id = group === null ? null : knownGroup(subject, group);
    await clear(subject, socket);
    const listener = Listener.#listen(native, subject, socket, onClient, clock);
    try {
      if (group !== null && id !== null) giveSocket(subject, socket, group, id);
    } catch (error) {
      listener.close();
      throw error;
    }
    return listener;
  }

  static #listen(native: SocketNative, subject: string, path: string, onClient: OnClient, clock: WatchClock): Listener {
    const mask = process.umask(OWNER_ONLY);
    try {
      return new Listener(native, path, onClient, clock);
    } catch (error) {
      throw cannotHave(`${subject}: weft can't listen at ${path}`, error);
    } finally {
      process.umask(mask);
    }
  }

  released(): void {
    // Whoever comes next connects by itself.
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.close();
    this.#cancel?.();
    this.#native.closeDescriptor(this.#fd);
    // The file may be another's by now.
    if (this.#inode !== null && inodeOf(this.#path) === this.#inode) rmSync(this.#path, { force: true });
  }

  #await(): void {
    this.#cancel = null;
    this.#watch = this.#native.watch(this.#fd, 'read', () => this.#accept());
  }

  #accept(): void {
    let client = this.#native.acceptUnix(this.#fd);
    for (; client >= 0; client = this.#native.acceptUnix(this.#fd)) this.#onClient(client);
    if (client === NOBODY || this.#closed) return;
    // Out of descriptors: whoever waits stays ready, and would call back without end.
    this.#watch?.close();
    this.#watch = null;
    this.#cancel = this.#clock.after(PAUSE_MS, () => this.#await());
  }
}

/** Is a socket's file at `path`? Throws a DeviceError when that can't be seen, and when something else is there. */
export function isSocketThere(subject: string, path: string): boolean {
  let found: Stats | undefined;
  try {
    found = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw cannotHave(`${subject}: weft can't have a socket at ${path}`, error);
  }
  if (found === undefined || found.isSocket()) return found !== undefined;
  throw new DeviceError('socket-taken', `${subject}: ${path} is there, and is no socket`, 'Give it another path.');
}

/** What the system said when a socket was to be made, with the remedy for the usual causes. */
export function cannotHave(text: string, error: unknown): DeviceError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new DeviceError('socket-failed', `${text}: ${message}`, HINTS[code] ?? null, error);
}

async function clear(subject: string, path: string): Promise<void> {
  if (!isSocketThere(subject, path)) return;
  if (await isAlive(path)) {
    throw new DeviceError('socket-in-use', `${subject}: somebody listens at ${path}`, 'Is another weft running?');
  }
  rmSync(path, { force: true });
}

export function inodeOf(path: string): bigint | null {
  return lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ino ?? null;
}
