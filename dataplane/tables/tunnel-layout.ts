/**
 * Tunnels in the arena. A tunnel's port is compiled like any other, with its VNI, its header and the remotes that get floods; VNIs have a
 * table of their own in each copy. **Remotes** are in no copy, since they are learned under traffic: control alone writes a record and then
 * its word in the index, and workers read them as they are. A remote's number, its destination in the forwarding database, is used again
 * only long after it was given back.
 *
 *   VNI slot      | port, 0: free | VNI | endpoint | VLAN, −1: none |       found from vniSlot on, one after the other
 *   index word    destination, 0: never used, −1: given back                found from remoteSlot on, likewise
 */
import { PORTS_MAX, REMOTE_SLOTS_COUNT, VNI_SLOTS_COUNT } from '../limits.ts';
import { REMOTE_WORDS_SHIFT } from '../memory/layout.ts';
import { mix } from './bond-layout.ts';

/** How a port's header is made, its VNI included (PortWord.HEADER): which kind, in the low bits of OUTER how many words it has. */
export const TunnelHeader = { VXLAN: 1, GENEVE: 2, GRE: 3, GRE_KEY: 4 } as const;

/** Bits of PortWord.OUTER: TTL (0: the system's) or that it is the inner packet's; TOS without ECN, or that it is the inner packet's. */
export const PortOuter = { TTL_MASK: 0xff, TTL_INHERIT: 1 << 8, TOS_SHIFT: 16, TOS_INHERIT: 1 << 24 } as const;

/** Words of a slot among the VNIs. The endpoint is the port number of the sockets that receive. */
export const VniWord = { PORT: 0, VNI: 1, ENDPOINT: 2, VLAN: 3 } as const;
/** The VNI of a GRE tunnel without a key. */
export const NO_KEY = -1;

/** Where the record of a destination from PORTS_MAX up lies, in words from the arena's start. */
export function remoteAt(remotesAt: number, destination: number): number {
  return remotesAt + ((destination - PORTS_MAX) << REMOTE_WORDS_SHIFT);
}

/** Where to begin looking for the remote of `port` with this address. Records of remotes with a VNI of their own stand not in the index. */
export function remoteSlot(port: number, a0: number, a1: number, a2: number, a3: number): number {
  return mix(port, a0, a1 ^ Math.imul(a2, 0x27d4eb2f), a3) & (REMOTE_SLOTS_COUNT - 1);
}

export function vniSlot(endpoint: number, vni: number): number {
  return mix(0, endpoint, vni, 0) & (VNI_SLOTS_COUNT - 1);
}

/**
 * The word REMOTE of a listed frame: a destination; or, for all of a set, the set's place in words from the arena's start, complemented:
 * a count, then destinations.
 */
export function toSet(at: number): number {
  return ~at;
}

/** A word among the members (bond-layout.ts): the port is none of a bond's but an endpoint, whose datagrams are looked at by path/arrival.ts. */
export const ENDPOINT = 1 << 17;
/** Kinds of endpoints, above it. */
export const ENDPOINT_KIND_SHIFT = 18;
export const EndpointKind = { VXLAN: 1, GENEVE: 2, GRE: 3 } as const;
