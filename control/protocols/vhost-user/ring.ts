/**
 * What a session knows of one virtqueue, and which sizes, places and indices can't be. Owned by session.ts; the numbers that come in are
 * the front end's. Rings are counted as in virtio-net: 2n is where the guest receives, 2n + 1 where it transmits.
 */
import type { RingAddress } from './message.ts';

export const RING_SIZE_MAX = 32_768;
export const INDEX_MAX = 0xffff;

export interface Ring {
  size: number | null;
  address: RingAddress | null;
  /** Where to begin at the next start; null: nobody said. */
  base: number | null;
  /** What GET_VRING_BASE answers while the ring is stopped. */
  last: number;
  /** As SET_VRING_ENABLE said last; it outlives a stop. */
  enabled: boolean;
  /** From the first kick descriptor until GET_VRING_BASE. */
  started: boolean;
  /** Its addresses lie in the guest's memory. A started ring that lost them rests until memory comes back. */
  mapped: boolean;
}

export function newRing(): Ring {
  return { size: null, address: null, base: null, last: 0, enabled: false, started: false, mapped: false };
}

export function sizeFault(size: number): string | null {
  const fits = size >= 1 && size <= RING_SIZE_MAX && (size & (size - 1)) === 0;
  return fits ? null : `a size of ${size}, not a power of two from 1 to ${RING_SIZE_MAX}`;
}

/** VIRTIO 1.2, section 2.7: alignments of the three parts. */
export function addressFault({ descriptors, available, used }: RingAddress): string | null {
  if (descriptors % 16n !== 0n) return `a descriptor table at 0x${descriptors.toString(16)}, not aligned to 16`;
  if (available % 2n !== 0n) return `an available ring at 0x${available.toString(16)}, not aligned to 2`;
  if (used % 4n !== 0n) return `a used ring at 0x${used.toString(16)}, not aligned to 4`;
  return null;
}

/** The log may change while a ring runs, for a migration; its place may not. */
export function samePlace(a: RingAddress, b: RingAddress): boolean {
  return a.descriptors === b.descriptors && a.available === b.available && a.used === b.used;
}
