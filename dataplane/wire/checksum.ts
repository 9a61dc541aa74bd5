// HOT: sums heads where a checksum is finished or brought up to date.
/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3). Called on worker
 * threads and by the cold side. Sums are plain ints of 16-bit words in network order, carried on between
 * calls; the pseudo-headers are in ipv4.ts and ipv6.ts. Never sums what is not in memory here: a tail is
 * native's.
 */
import { writeU16 } from './bytes.ts';

/**
 * Adds bytes[at … end) to `sum`, an odd last byte as the upper half of a word, and folds. So only the last of several
 * pieces may be odd. At most 131,072 bytes at once: 65,536 words and a folded sum are just below 2^32, which the int32
 * in between holds as its bits.
 */
export function sumBytes(bytes: Uint8Array, at: number, end: number, sum: number): number {
  let total = foldSum(sum);
  let i = at;
  for (const pairsEnd = end - 1; i < pairsEnd; i += 2) total = (total + ((bytes[i] << 8) | bytes[i + 1])) | 0;
  if (i < end) total = (total + (bytes[i] << 8)) | 0;
  return foldSum(total);
}

/** Carries brought round, the sum read as 32 unsigned bits: 0 … 65535. Its complement is the checksum. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** A checksum after one covered 16-bit word changed from `before` to `after`. */
export function updateChecksum(checksum: number, before: number, after: number): number {
  return ~foldSum((~checksum & 0xffff) + (~before & 0xffff) + (after & 0xffff)) & 0xffff;
}

/**
 * Finishes what a sender left to the device (virtio 1.2, 5.1.6.2): the field at `fieldAt` holds the sum of
 * the pseudo-header, everything from `startAt` to `end` is added, the complement goes into the field. A zero
 * is written as 0xffff, which means the same sum and doesn't mean "none" in UDP (RFC 768).
 */
export function finishChecksum(bytes: Uint8Array, startAt: number, fieldAt: number, end: number): void {
  const checksum = ~sumBytes(bytes, startAt, end, 0) & 0xffff;
  writeU16(bytes, fieldAt, checksum === 0 ? 0xffff : checksum);
}

/** Whether the checksum within bytes[startAt … end) fits the pseudo-header's sum. */
export function isChecksumRight(bytes: Uint8Array, startAt: number, end: number, pseudoSum: number): boolean {
  return sumBytes(bytes, startAt, end, pseudoSum) === 0xffff;
}
