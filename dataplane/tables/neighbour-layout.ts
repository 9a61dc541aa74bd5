/**
 * Who has which address behind tunnels: (bridge, VLAN, IPv4 or IPv6 address) → MAC, in the arena, in no copy of the tables. Control alone
 * writes entries, from what workers hand up; workers answer from them, and write when they saw one last. An entry whose check doesn't fit is
 * half-written and counts as none. Whether its MAC still lives behind a tunnel, only the forwarding database says.
 *
 *   | key | address × 4 | MAC bytes 2–5 | MAC bytes 0–1, seen | check |      found from neighbourSlot on, one after the other
 *
 *   key   VLAN (12) | bridge (8) | router | IPv6 | used;  0: never used, −1: given back
 *   seen  a uint16 of seconds, in the high half of its word; the check doesn't cover it
 */
import { NEIGHBOUR_SLOTS_COUNT } from '../memory/layout.ts';
import { mix } from './bond-layout.ts';

/** Words of a slot. An address lies there as in a packet, an IPv4 address in the first word and zeros behind it. */
export const NeighbourWord = { KEY: 0, ADDRESS: 1, MAC: 5, MAC_LOW: 6, CHECK: 7 } as const;

export const NEIGHBOUR_FREE = 0;
/** Looked past: what was behind it is still there. */
export const NEIGHBOUR_GONE = -1;
const BRIDGE_SHIFT = 12;
/** It said so itself, in its advertisement; who answers for it must say so too (RFC 4861, 4.4). */
export const NEIGHBOUR_ROUTER = 1 << 20;
/** The address has four words. */
export const NEIGHBOUR_IPV6 = 1 << 21;
const USED = 1 << 22;
/** Bits of MAC_LOW that belong to the address. */
export const MAC_LOW_MASK = 0xffff;

/** Entries that are kept, so that the table is never more than half full; and how many slots a look tries. */
export const NEIGHBOURS_MAX = NEIGHBOUR_SLOTS_COUNT / 2;
export const NEIGHBOUR_PROBES_MAX = 64;

/** The key of an address in this bridge and VLAN, without the router's bit. */
export function neighbourKey(bridge: number, vlan: number, isIpv6: boolean): number {
  return vlan | (bridge << BRIDGE_SHIFT) | USED | (isIpv6 ? NEIGHBOUR_IPV6 : 0);
}

/** Where to begin looking, a slot's number. `key` with or without the router's bit. */
export function neighbourSlot(key: number, a0: number, a1: number, a2: number, a3: number): number {
  return mix(key & ~NEIGHBOUR_ROUTER, a0, a1 ^ Math.imul(a2, 0x27d4eb2f), a3) & (NEIGHBOUR_SLOTS_COUNT - 1);
}

/** What the check of an entry must be: `address` is a mix of the address's four words, `macLow` has 16 bits. */
export function neighbourCheck(key: number, address: number, mac: number, macLow: number): number {
  return mix(address, key, mac, macLow);
}

export function mixAddress(a0: number, a1: number, a2: number, a3: number): number {
  return mix(a0, a1, a2, a3);
}
