/**
 * What native code would hold of a guest: memory, rings and descriptors. It throws on what a session must never ask: a descriptor that it
 * doesn't own, a ring that runs without a place, overlapping memory; so a test that ends proves that none of it happened.
 */
import type { Guest, RingPlace } from '../../../../control/protocols/vhost-user/guest.ts';
import type { Region } from '../../../../control/protocols/vhost-user/message.ts';

const EFAULT = -14;
const EINVAL = -22;

export interface ModelRing {
  place: RingPlace | null;
  base: number | null;
  next: number;
  started: boolean;
  enabled: boolean;
  kick: number;
  call: number;
}

export class ModelGuest implements Guest {
  readonly calls: string[] = [];
  readonly rings: ModelRing[];
  readonly announced: string[] = [];
  readonly closed: number[] = [];
  regions: Region[] = [];
  agreed = 0n;
  logged: number = -1;
  /** Handed to the session and neither kept nor closed yet. */
  readonly #loose = new Set<number>();
  readonly #kept = new Set<number>();
  /** What an operation answers instead of success. */
  readonly #fails: (operation: string) => number;
  #nextDescriptor = 1000;

  constructor(rings: number, fails: (operation: string) => number = () => 0) {
    this.#fails = fails;
    this.rings = Array.from({ length: rings }, () => {
      return { place: null, base: null, next: 0, started: false, enabled: false, kick: -1, call: -1 };
    });
  }

  /** Descriptors as they come with a message. */
  give(count: number): number[] {
    return Array.from({ length: count }, () => {
      const descriptor = this.#nextDescriptor++;
      this.#loose.add(descriptor);
      return descriptor;
    });
  }

  /** Throws when a descriptor of a message was left behind. */
  checkLoose(): void {
    if (this.#loose.size > 0) throw new Error(`left behind: ${[...this.#loose]}`);
  }

  /** How many descriptors are in use. */
  get kept(): number {
    return this.#kept.size;
  }

  features(features: bigint): number {
    const result = this.#ask(`features 0x${features.toString(16)}`);
    if (result === 0) this.agreed = features;
    return result;
  }

  addRegion(descriptor: number, region: Region): number {
    this.#take(descriptor);
    // A mapping outlives its descriptor.
    this.#close(descriptor);
    const result = this.#ask(`add ${hex(region.guestAddress)}`);
    if (result < 0) return result;
    if (region.bytes === 0n || region.guestAddress + region.bytes > 1n << 64n) throw new Error('an impossible region');
    const inside = (a: bigint, b: bigint, other: Region) => a < b + other.bytes && b < a + region.bytes;
    for (const other of this.regions) {
      if (inside(region.guestAddress, other.guestAddress, other)) throw new Error('regions overlap');
      if (inside(region.userAddress, other.userAddress, other)) throw new Error('regions overlap for the front end');
    }
    this.regions.push(region);
    return 0;
  }

  removeRegion(guestAddress: bigint): number {
    const before = this.regions.length;
    this.regions = this.regions.filter((region) => region.guestAddress !== guestAddress);
    if (this.regions.length !== before - 1) throw new Error('no such region');
    return this.#ask(`remove ${hex(guestAddress)}`);
  }

  clearRegions(): number {
    this.regions = [];
    for (const ring of this.rings) ring.place = null;
    return this.#ask('clear');
  }

  ring(index: number, place: RingPlace): number {
    const ring = this.rings[index]!;
    ring.place = null;
    const result = this.#ask(`ring ${index}`);
    if (result < 0) return result;
    const { size, descriptors, available, used } = place;
    if (size < 1 || size > 32768 || (size & (size - 1)) !== 0) return EINVAL;
    const fits =
      this.#holds(descriptors, size * 16) && this.#holds(available, size * 2 + 6) && this.#holds(used, size * 8 + 6);
    if (!fits) return EFAULT;
    ring.place = place;
    return 0;
  }

  ringBase(index: number, base: number | null): number {
    if (this.rings[index]!.place === null) throw new Error(`ring ${index} has no place`);
    if (base !== null && (base < 0 || base > 0xffff)) throw new Error(`an index of ${base}`);
    this.rings[index]!.base = base;
    return this.#ask(`base ${index} ${base}`);
  }

  ringState(index: number): number {
    if (this.rings[index]!.started) throw new Error(`ring ${index} still runs`);
    const result = this.#ask(`state ${index}`);
    return result < 0 ? result : this.rings[index]!.next;
  }

  ringRun(index: number, started: boolean, enabled: boolean): number {
    const ring = this.rings[index]!;
    if (started && ring.place === null) throw new Error(`ring ${index} runs without a place`);
    if (enabled && !started) throw new Error(`ring ${index} is enabled, not started`);
    Object.assign(ring, { started, enabled });
    return this.#ask(`run ${index} ${started} ${enabled}`);
  }

  kick(index: number, descriptor: number): number {
    this.rings[index]!.kick = this.#swap(this.rings[index]!.kick, descriptor);
    return this.#ask(`kick ${index} ${descriptor >= 0}`);
  }

  call(index: number, descriptor: number): number {
    this.rings[index]!.call = this.#swap(this.rings[index]!.call, descriptor);
    return this.#ask(`call ${index} ${descriptor >= 0}`);
  }

  log(descriptor: number, bytes: bigint, offset: bigint): number {
    this.logged = this.#swap(this.logged, descriptor);
    return this.#ask(`log ${bytes} ${offset}`);
  }

  announce(mac: string): void {
    this.announced.push(mac);
  }

  close(descriptor: number): void {
    this.#take(descriptor);
    this.#close(descriptor);
  }

  #ask(operation: string): number {
    this.calls.push(operation);
    return this.#fails(operation);
  }

  #holds(userAddress: bigint, bytes: number): boolean {
    const holds = ({ userAddress: start, bytes: length }: Region) =>
      userAddress >= start && userAddress + BigInt(bytes) <= start + length;
    return this.regions.some(holds);
  }

  #take(descriptor: number): void {
    if (!this.#loose.delete(descriptor)) throw new Error(`descriptor ${descriptor} is not the session's to give`);
    this.#kept.add(descriptor);
  }

  #close(descriptor: number): void {
    if (!this.#kept.delete(descriptor)) throw new Error(`descriptor ${descriptor} closed twice`);
    this.closed.push(descriptor);
  }

  #swap(before: number, after: number): number {
    if (after >= 0) this.#take(after);
    if (before >= 0) this.#close(before);
    return after;
  }
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
