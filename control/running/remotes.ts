/**
 * Remotes in the arena: gives each a destination of the forwarding database, writes its record and its word in the index, and takes them back.
 * The only writer of both; workers read them at any time, so a record is complete before the index names it. Called by tunnel-device.ts on
 * the main thread.
 *
 * A number that was given back rests: what was learned or listed under it must be forgotten before somebody else has it.
 */
import {
  DESTINATIONS_COUNT,
  PORTS_MAX,
  REMOTE_PROBES_MAX,
  REMOTE_SLOTS_COUNT,
  REMOTES_MAX,
} from '../../dataplane/limits.ts';
import { Header } from '../../dataplane/memory/layout.ts';
import { RemoteWord } from '../../dataplane/memory/tunnel-words.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { GENERATIONS_AT } from '../../dataplane/tables/fdb-layout.ts';
import { remoteAt, remoteSlot } from '../../dataplane/tables/tunnel-layout.ts';
import { addressWords, familyOf, networkOrder } from './remote-record.ts';

export const REST_MS = 30_000;
const UNUSED = 0;
const GIVEN_BACK = -1;

export interface RemoteSpec {
  /** The tunnel's port number. */
  readonly port: number;
  readonly address: string;
  /** 0 for GRE. */
  readonly udpPort: number;
  /** Interface index of groups and link-local addresses; 0: none. */
  readonly scope: number;
  /** One that only this remote's frames have; null: the port's. Such a remote is not found by its address. */
  readonly vni: number | null;
  /** The longest frame that fits the path, in bytes; 0: unreachable. */
  readonly frameBytesMax: number;
}

export class Remotes {
  readonly #i32: Int32Array;
  readonly #remotesAt: number;
  readonly #indexAt: number;
  readonly #generationsAt: number;
  readonly #now: () => number;
  /** The lowest number that nobody has had yet. */
  #fresh = PORTS_MAX;
  /** Numbers that were given back, oldest first. */
  #resting: { readonly destination: number; readonly since: number }[] = [];
  readonly #ofPort = new Map<number, Set<number>>();

  /** `now`: milliseconds of a steady clock. */
  constructor(view: View, now: () => number = () => performance.now()) {
    const { words } = view.layout;
    this.#i32 = view.i32;
    this.#remotesAt = words[Header.REMOTES_AT]! >> 2;
    this.#indexAt = words[Header.REMOTE_INDEX_AT]! >> 2;
    this.#generationsAt = (words[Header.FDB_COUNTS_AT]! >> 2) + GENERATIONS_AT;
    this.#now = now;
  }

  /** Destinations of a port's remotes. */
  of(port: number): ReadonlySet<number> {
    return this.#ofPort.get(port) ?? new Set();
  }

  get count(): number {
    return [...this.#ofPort.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The destination of a new remote; 0 when there is no room: no number, or no place in the index near enough. */
  add(spec: RemoteSpec): number {
    const words = addressWords(spec.address);
    const slot = spec.vni === null ? this.#freeSlot(spec.port, words) : -1;
    if (slot === null) return 0;
    const destination = this.#take();
    if (destination === 0) return 0;
    this.#write(destination, spec, words);
    if (slot >= 0) Atomics.store(this.#i32, this.#indexAt + slot, destination);
    const known = this.#ofPort.get(spec.port);
    if (known === undefined) this.#ofPort.set(spec.port, new Set([destination]));
    else known.add(destination);
    return destination;
  }

  /** Another longest frame fits the path; 0: the remote can't be reached. */
  limit(destination: number, frameBytesMax: number): void {
    Atomics.store(this.#i32, this.#record(destination) + RemoteWord.FRAME_BYTES_MAX, frameBytesMax);
  }

  /** It is reached by another interface from now on. */
  rescope(destination: number, scope: number): void {
    Atomics.store(this.#i32, this.#record(destination) + RemoteWord.SCOPE, scope);
  }

  /** What is known of addresses behind it is forgotten, and no frame leaves for it any more. */
  remove(destination: number): void {
    const at = this.#record(destination);
    const port = this.#i32[at + RemoteWord.PORT]!;
    const words = this.#i32.slice(at + RemoteWord.ADDRESS, at + RemoteWord.ADDRESS + 4);
    const isIndexed = this.#i32[at + RemoteWord.VNI] === -1;
    // Nobody finds it any more before what was learned is forgotten: else a worker in between would learn it anew.
    Atomics.store(this.#i32, at + RemoteWord.FAMILY, 0);
    if (isIndexed) this.#unindex(port, words, destination);
    this.#forgetAddresses(destination);
    const known = this.#ofPort.get(port);
    known?.delete(destination);
    if (known?.size === 0) this.#ofPort.delete(port);
    this.#resting.push({ destination, since: this.#now() });
  }

  /** Makes every address behind a port's remotes count as absent from now on. */
  flush(port: number): void {
    for (const destination of this.of(port)) this.#forgetAddresses(destination);
  }

  #record(destination: number): number {
    return remoteAt(this.#remotesAt, destination);
  }

  #forgetAddresses(destination: number): void {
    Atomics.add(this.#i32, this.#generationsAt + destination, 1);
  }

  /** 0 when there is none. */
  #take(): number {
    if (this.#fresh < DESTINATIONS_COUNT) return this.#fresh++;
    const [oldest] = this.#resting;
    if (oldest === undefined || this.#now() - oldest.since < REST_MS) return 0;
    this.#resting.shift();
    // A worker may have learned an address for it after it was flushed, from a look before.
    this.#forgetAddresses(oldest.destination);
    return oldest.destination;
  }

  #write(destination: number, spec: RemoteSpec, words: Int32Array): void {
    const i32 = this.#i32;
    const at = this.#record(destination);
    i32[at + RemoteWord.PORT] = spec.port;
    i32.set(words, at + RemoteWord.ADDRESS);
    i32[at + RemoteWord.UDP_PORT] = networkOrder(spec.udpPort);
    i32[at + RemoteWord.SCOPE] = spec.scope;
    i32[at + RemoteWord.VNI] = spec.vni ?? -1;
    i32[at + RemoteWord.FRAME_BYTES_MAX] = spec.frameBytesMax;
    Atomics.store(i32, at + RemoteWord.FAMILY, familyOf(spec.address));
  }

  /** The first slot that a reader gets to and nobody has; null: none near enough. */
  #freeSlot(port: number, words: Int32Array): number | null {
    const start = remoteSlot(port, words[0]!, words[1]!, words[2]!, words[3]!);
    for (let k = 0; k < REMOTE_PROBES_MAX; k++) {
      const slot = (start + k) & (REMOTE_SLOTS_COUNT - 1);
      if (this.#i32[this.#indexAt + slot]! <= UNUSED) return slot;
    }
    return null;
  }

  #unindex(port: number, words: Int32Array, destination: number): void {
    const start = remoteSlot(port, words[0]!, words[1]!, words[2]!, words[3]!);
    for (let k = 0; k < REMOTE_PROBES_MAX; k++) {
      const slot = (start + k) & (REMOTE_SLOTS_COUNT - 1);
      if (this.#i32[this.#indexAt + slot] !== destination) continue;
      Atomics.store(this.#i32, this.#indexAt + slot, GIVEN_BACK);
      this.#tidy(slot);
      return;
    }
  }

  /** Slots that were given back and before one that nobody ever used lead nowhere: else strangers would be sought further and further. */
  #tidy(last: number): void {
    const mask = REMOTE_SLOTS_COUNT - 1;
    if (this.#i32[this.#indexAt + ((last + 1) & mask)] !== UNUSED) return;
    for (let slot = last; this.#i32[this.#indexAt + slot] === GIVEN_BACK; slot = (slot - 1) & mask)
      Atomics.store(this.#i32, this.#indexAt + slot, UNUSED);
  }
}

if (PORTS_MAX + REMOTES_MAX !== DESTINATIONS_COUNT) throw new Error('remotes: destinations are ports and remotes');
