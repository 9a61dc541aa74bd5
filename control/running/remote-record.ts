/**
 * Records of remotes in the arena (RemoteWord) in the terms of people: addresses as text. Called by remotes.ts, which alone writes records, and
 * by whoever shows them. Main thread; pure but for the words it is given.
 */
import { PORTS_MAX } from '../../dataplane/limits.ts';
import { Header } from '../../dataplane/memory/layout.ts';
import { RemoteWord } from '../../dataplane/memory/tunnel-words.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { remoteAt } from '../../dataplane/tables/tunnel-layout.ts';
import { formatIpv4Address, formatIpv6Address, parseIpv4Address, parseIpv6Address } from '../../dataplane/wire/text.ts';

/** A remote's address is this many words, of which IPv4 uses the first. */
const ADDRESS_WORDS_COUNT = 4;

export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** The four words of an address as it lies in a packet. RangeError where it is none. */
export function addressWords(address: string): Int32Array {
  const bytes = new Uint8Array(ADDRESS_WORDS_COUNT * 4);
  bytes.set(familyOf(address) === 6 ? parseIpv6Address(address) : parseIpv4Address(address));
  return new Int32Array(bytes.buffer);
}

/** The text of four words. */
export function addressText(family: number, words: ArrayLike<number>): string {
  const bytes = new Uint8Array(Int32Array.from(words).buffer);
  return family === 6 ? formatIpv6Address(bytes, 0) : formatIpv4Address(bytes, 0);
}

/** A 16-bit number in network order, as a word of a little-endian machine. */
export function networkOrder(port: number): number {
  return ((port & 0xff) << 8) | (port >>> 8);
}

/** The port behind which a destination of the forwarding database lies: itself, or the tunnel of a remote, given back or not. */
export function portOf({ i32, layout }: View, destination: number): number {
  if (destination < PORTS_MAX) return destination;
  return i32[remoteAt(layout.words[Header.REMOTES_AT]! >> 2, destination) + RemoteWord.PORT]!;
}

/** A remote's address, and the VNI of its own; null for ports, and for remotes that were given back. */
export function remoteOf({ i32, layout }: View, destination: number): { address: string; vni: number | null } | null {
  if (destination < PORTS_MAX) return null;
  const at = remoteAt(layout.words[Header.REMOTES_AT]! >> 2, destination);
  const family = i32[at + RemoteWord.FAMILY]!;
  if (family === 0) return null;
  const words = i32.slice(at + RemoteWord.ADDRESS, at + RemoteWord.ADDRESS + ADDRESS_WORDS_COUNT);
  const vni = i32[at + RemoteWord.VNI]!;
  return { address: addressText(family, words), vni: vni === -1 ? null : vni };
}
