/**
 * What a session asks of whoever holds the guest's memory and runs its rings: native code behind control/devices/guest, a model in the
 * tests. Main thread. Each answers 0 (or what it says) or −errno, and never throws. A descriptor that is passed in is the callee's from
 * then on, also when it fails; −1 stands for none.
 */
import type { Region } from './message.ts';

export interface Guest {
  features(features: bigint): number;
  addRegion(descriptor: number, region: Region): number;
  removeRegion(guestAddress: bigint): number;
  clearRegions(): number;
  /** Addresses are the front end's; they are looked up in the regions anew at each call. The ring keeps its place and its descriptors. */
  ring(ring: number, place: RingPlace): number;
  /** Where to go on in the available ring; null: where the used ring ends. */
  ringBase(ring: number, base: number | null): number;
  /** The next index of the available ring. */
  ringState(ring: number): number;
  ringRun(ring: number, started: boolean, enabled: boolean): number;
  kick(ring: number, descriptor: number): number;
  call(ring: number, descriptor: number): number;
  log(descriptor: number, bytes: bigint, offset: bigint): number;
  /** Tells the bridge that this MAC is here now. */
  announce(mac: string): void;
  close(descriptor: number): void;
}

export interface RingPlace {
  readonly size: number;
  readonly descriptors: bigint;
  readonly available: bigint;
  readonly used: bigint;
  readonly log: bigint | null;
}
