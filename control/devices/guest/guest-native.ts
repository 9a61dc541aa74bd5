/**
 * What vhost-user ports need of the addon, and that part of it as the Guest of a session. Main thread; a fake stands in for it in the
 * tests. Changes are made only while no worker serves the device: native code refuses them otherwise (−EBUSY).
 */
import type { Addon } from '../../../native/binding.ts';
import type { Guest, RingPlace } from '../../protocols/vhost-user/guest.ts';
import type { Region } from '../../protocols/vhost-user/message.ts';

/** The sockets' part, which listener.ts, dialer.ts and connection.ts use. */
export type SocketNative = Pick<
  Addon,
  'listenUnix' | 'connectUnix' | 'acceptUnix' | 'receiveMessage' | 'sendMessage' | 'closeDescriptor' | 'watch'
>;

export type GuestNative = SocketNative &
  Pick<
    Addon,
    | 'openGuest'
    | 'closeDevice'
    | 'guestAddRegion'
    | 'guestRemoveRegion'
    | 'guestClearRegions'
    | 'guestFeatures'
    | 'guestRing'
    | 'guestRingBase'
    | 'guestRingState'
    | 'guestRingRun'
    | 'guestKick'
    | 'guestCall'
    | 'guestLog'
    | 'guestStatus'
    | 'guestAlarm'
  >;

export class NativeGuest implements Guest {
  readonly #native: GuestNative;
  readonly #handle: number;
  readonly #announce: (mac: string) => void;

  constructor(native: GuestNative, handle: number, announce: (mac: string) => void) {
    this.#native = native;
    this.#handle = handle;
    this.#announce = announce;
  }

  features(features: bigint): number {
    return this.#native.guestFeatures(this.#handle, features);
  }

  addRegion(descriptor: number, { guestAddress, bytes, userAddress, offset }: Region): number {
    return this.#native.guestAddRegion(this.#handle, descriptor, guestAddress, bytes, userAddress, offset);
  }

  removeRegion(guestAddress: bigint): number {
    return this.#native.guestRemoveRegion(this.#handle, guestAddress);
  }

  clearRegions(): number {
    return this.#native.guestClearRegions(this.#handle);
  }

  ring(ring: number, { size, descriptors, available, used, log }: RingPlace): number {
    return this.#native.guestRing(this.#handle, ring, size, descriptors, available, used, log);
  }

  ringBase(ring: number, base: number | null): number {
    return this.#native.guestRingBase(this.#handle, ring, base);
  }

  ringState(ring: number): number {
    return this.#native.guestRingState(this.#handle, ring);
  }

  ringRun(ring: number, started: boolean, enabled: boolean): number {
    return this.#native.guestRingRun(this.#handle, ring, started, enabled);
  }

  kick(ring: number, descriptor: number): number {
    return this.#native.guestKick(this.#handle, ring, descriptor);
  }

  call(ring: number, descriptor: number): number {
    return this.#native.guestCall(this.#handle, ring, descriptor);
  }

  log(descriptor: number, bytes: bigint, offset: bigint): number {
    return this.#native.guestLog(this.#handle, descriptor, bytes, offset);
  }

  announce(mac: string): void {
    this.#announce(mac);
  }

  close(descriptor: number): void {
    this.#native.closeDescriptor(descriptor);
  }
}
