/**
 * Bonds in the arena: how each sends, and which ports are members. Not part of the compiled tables, since a member's loss can't wait for
 * two generations: control writes single words, and workers read them as they are. Whatever a worker finds half-changed names members
 * that are there, since a member's number is used again only after every worker passed two turns.
 *
 *   record   | how | hash | seed | single | count | each | traits | own | asker | members, 32 | targets, 8 | buckets, 256 | addresses, 64 |
 */
import { BUCKETS_COUNT } from '../limits.ts';

/** Words of a bond's record. */
export const BondWord = {
  /** A number of BondSend. */
  SEND: 0,
  /** A number of Hash. */
  HASH: 1,
  SEED: 2,
  /** The only member to choose, so that no hash is needed; 0 when there are several. */
  SINGLE: 3,
  /** Members that carry, and where their port numbers stand: for round-robin and broadcast. */
  COUNT: 4,
  /** Frames in a row to one member, of round-robin. */
  EACH: 5,
  /** Bits of BondTrait. */
  TRAITS: 6,
  /** This machine's own address: bytes 0–1 as they lie in a frame, −1 for none; and bytes 2–5. Of balance-alb. */
  OWN_LOW: 7,
  OWN_HIGH: 8,
  ADDRESSES_COUNT: 9,
  /** The address as which the bond asks its targets: bytes 2–5, and bytes 0–1, as they lie in a frame. */
  ASKER: 10,
  ASKER_LOW: 11,
  MEMBERS: 16,
  /** 256 bits, one for each target of the monitor by its hash. */
  TARGETS: 48,
  /** Port numbers of members; 0: none. */
  BUCKETS: 64,
  /** Members' own addresses, two words each: those that carry as they stand in MEMBERS, then the others. */
  ADDRESSES: 320,
} as const;

export const BondSend = { NONE: 0, BUCKETS: 1, ROUND_ROBIN: 2, BROADCAST: 3 } as const;

/** What a bucket is made of. */
export const Hash = { LAYER2: 0, LAYER23: 1, LAYER34: 2, ENCAP23: 3, ENCAP34: 4, VLAN_SOURCE: 5 } as const;

export const BondTrait = {
  /** What goes out by one member may come back by another: the far side is a bridge that does not know that they belong together. */
  REFLECTS: 1,
  /** What goes to and from this machine's own address is received by all members. */
  BALANCES: 2,
} as const;

/** A port's word among the members: 0 for a port that is none; else its bond's port number, and above it what it may do. */
export const MEMBER_PORT_MASK = 0xfff;
export const MEMBER_RECEIVE_SHIFT = 12;
export const MEMBER_RECEIVE_MASK = 3;
/** Its slow-protocol frames (LACP, marker) go up to control, and its ARP and neighbour frames too. */
export const MEMBER_PUNTS_SLOW = 1 << 14;
export const MEMBER_PUNTS_NEIGHBOURS = 1 << 15;
/** Every frame has to be looked at before it enters the bond. */
export const MEMBER_SIFTS = 1 << 16;

/** What a member may receive. */
export const Receive = { NONE: 0, UNICAST: 1, ALL: 2 } as const;

/** Words of the targets' bits, and the bit of an address: its last four bytes as they lie in a frame, the first lowest. */
export const TARGETS_WORDS = 8;
export function targetBit(last: number): number {
  return mix(0, last, 0, 0) & (TARGETS_WORDS * 32 - 1);
}

/** Seconds in which a gratuitous ARP that went out by a bond is taken for a reflection when it comes back. */
export const REFLECTED_S = 5;

/** Three words into one whose every bit depends on all of theirs. */
export function mix(seed: number, a: number, b: number, c: number): number {
  let x = Math.imul(a ^ seed, 0x9e3779b1);
  x = Math.imul((x ^ (x >>> 15)) + b, 0x85ebca6b);
  x = Math.imul((x ^ (x >>> 13)) + c, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/** The bucket of a sender: its MAC's bytes 2–5 and 0–1 as they lie in a frame, and its VLAN. Control asks it too, to tell who moved. */
export function sourceBucket(seed: number, key0: number, low: number, vid: number): number {
  return mix(seed, key0, low, vid) & (BUCKETS_COUNT - 1);
}
