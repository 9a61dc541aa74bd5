// HOT: who has which address behind tunnels, read side. Called by path/bindings.ts and path/suppress.ts; layout and meaning are in
// neighbour-layout.ts. Control writes entries while they are read.
import type { Lane } from '../memory/lane.ts';
import { NEIGHBOUR_SLOTS_COUNT, NEIGHBOUR_WORDS_SHIFT } from '../memory/layout.ts';
import {
  MAC_LOW_MASK,
  mixAddress,
  NEIGHBOUR_FREE,
  NEIGHBOUR_IPV6,
  NEIGHBOUR_PROBES_MAX,
  NEIGHBOUR_ROUTER,
  NeighbourWord,
  neighbourCheck,
  neighbourSlot,
} from './neighbour-layout.ts';

/** Four bytes at any place as a word: the first lowest. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** The first two bytes of a MAC, as the forwarding database has them. */
export function lowAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/**
 * The entry of the address that stands at byte `address` of the arena, in the bridge and VLAN of `key` (without the router's bit), as a word
 * offset; 0: there is none. What it says holds for those who find it whole.
 */
export function findNeighbour(lane: Lane, key: number, address: number): number {
  const i32 = lane.i32;
  const isIpv6 = (key & NEIGHBOUR_IPV6) !== 0;
  const a0 = wordAt(lane.u8, address);
  const a1 = isIpv6 ? wordAt(lane.u8, address + 4) : 0;
  const a2 = isIpv6 ? wordAt(lane.u8, address + 8) : 0;
  const a3 = isIpv6 ? wordAt(lane.u8, address + 12) : 0;
  let slot = neighbourSlot(key, a0, a1, a2, a3);
  for (let probe = 0; probe < NEIGHBOUR_PROBES_MAX; probe++) {
    const at = lane.neighboursAt + (slot << NEIGHBOUR_WORDS_SHIFT);
    const found = i32[at]!;
    if (found === NEIGHBOUR_FREE) return 0;
    if (
      (found & ~NEIGHBOUR_ROUTER) === key &&
      i32[at + NeighbourWord.ADDRESS] === a0 &&
      i32[at + NeighbourWord.ADDRESS + 1] === a1 &&
      i32[at + NeighbourWord.ADDRESS + 2] === a2 &&
      i32[at + NeighbourWord.ADDRESS + 3] === a3
    )
      return at;
    slot = (slot + 1) & (NEIGHBOUR_SLOTS_COUNT - 1);
  }
  return 0;
}

/**
 * Whether `key`, `mac` and `macLow`, just read from an entry that was found, were written together, and for the address that was looked for:
 * meanwhile the entry may be another's.
 */
export function isWhole(
  lane: Lane,
  entry: number,
  key: number,
  mac: number,
  macLow: number,
  wanted: number,
  address: number,
): boolean {
  if ((key & ~NEIGHBOUR_ROUTER) !== wanted) return false;
  const u8 = lane.u8;
  const a0 = wordAt(u8, address);
  const mixed =
    (wanted & NEIGHBOUR_IPV6) === 0
      ? mixAddress(a0, 0, 0, 0)
      : mixAddress(a0, wordAt(u8, address + 4), wordAt(u8, address + 8), wordAt(u8, address + 12));
  return lane.i32[entry + NeighbourWord.CHECK] === neighbourCheck(key, mixed, mac, macLow & MAC_LOW_MASK);
}

/** Marks an entry as seen in this second; writes only when that is news. */
export function see(lane: Lane, entry: number): void {
  const cell = ((entry + NeighbourWord.MAC_LOW) << 1) + 1;
  const now = lane.nowS & 0xffff;
  if (lane.u16[cell] !== now) lane.u16[cell] = now;
}
