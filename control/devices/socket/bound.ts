/**
 * A datagram socket with a path of its own, where a `socket` port of type dgram receives. Made by dgram-port.ts on the main thread. A file
 * that a dead process left is taken over; one that somebody has is not.
 */
import { rmSync } from 'node:fs';
import type { Addon } from '../../../native/binding.ts';
import { DeviceError } from '../../errors.ts';
import { giveSocket, knownGroup } from '../../groups.ts';
import { cannotHave, inodeOf, isSocketThere, type ListenAt } from '../guest/listener.ts';

const OWNER_ONLY = 0o177;

export type BoundNative = Pick<Addon, 'listenUnix' | 'connectUnix' | 'closeDescriptor'>;

export class Bound {
  readonly fd: number;
  readonly #native: BoundNative;
  readonly #path: string;
  readonly #inode: bigint | null;

  /** `subject` begins messages: `br0/vm1`. Throws a DeviceError. */
  constructor(native: BoundNative, subject: string, { socket: path, group }: ListenAt) {
    const id = group === null ? null : knownGroup(subject, group);
    this.#native = native;
    this.#path = path;
    const mask = process.umask(OWNER_ONLY);
    try {
      clear(native, subject, path);
      this.fd = native.listenUnix(path, 'dgram');
      this.#inode = inodeOf(path);
      this.#give(subject, group, id);
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      throw cannotHave(`${subject}: weft can't receive at ${path}`, error);
    } finally {
      process.umask(mask);
    }
  }

  #give(subject: string, group: string | null, id: number | null): void {
    if (group === null || id === null) return;
    try {
      giveSocket(subject, this.#path, group, id);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#native.closeDescriptor(this.fd);
    // The file may be another's by now.
    if (this.#inode !== null && inodeOf(this.#path) === this.#inode) rmSync(this.#path, { force: true });
  }
}

function clear(native: BoundNative, subject: string, path: string): void {
  if (!isSocketThere(subject, path)) return;
  try {
    native.closeDescriptor(native.connectUnix(path, 'dgram'));
  } catch (error) {
    // Refused: nobody has it any more. Any other answer is somebody's.
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
      rmSync(path, { force: true });
      return;
    }
  }
  throw new DeviceError('socket-in-use', `${subject}: somebody receives at ${path}`, 'Is another weft running?');
}
