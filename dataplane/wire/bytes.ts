// HOT: read and written for every frame.
/*
 * 16- and 32-bit fields in network order at any alignment, and 16-bit little-endian ones for virtio.
 * Called by every header file here, on worker threads. Never checks a length: callers did.
 */

/** 0 … 65535. */
export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Writes the low 16 bits of value. */
export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** The 32 bits as an int32, so that they stay a small integer in hot code; `>>> 0` gives the number. */
export function readI32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Writes the low 32 bits of value, signed or not. */
export function writeI32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** 0 … 65535, least significant byte first. */
export function readU16Little(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

/** Writes the low 16 bits of value, least significant byte first. */
export function writeU16Little(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}
