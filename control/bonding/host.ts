/**
 * What the bond machine is told and what it asks for: plain types between bond.ts and whoever runs it (control/running, simulations in
 * tests). Nothing here knows devices, sockets or workers.
 */

export interface MemberLink {
  readonly up: boolean;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
  /** The device's address, lower case. */
  readonly mac: string;
  /** Its port is being taken away: no delay keeps it, and LACP's partner hears of it while frames still leave. */
  readonly leaving?: boolean;
}

/** What a member may receive. `unicast`: no group frames, and no sender that is known to live elsewhere (our own frames come back). */
export type Reception = 'none' | 'unicast' | 'all';

export interface Steering {
  readonly send: 'none' | 'buckets' | 'round-robin' | 'broadcast';
  /** Members that carry, in the order of the settings. */
  readonly carrying: readonly string[];
  /** 256 indexes into `carrying`; meaningful for `buckets`. */
  readonly buckets: Uint8Array;
  /** For every member. */
  readonly receive: ReadonlyMap<string, Reception>;
  /** Who takes frames to many of slb, tlb and alb, and everything of active-backup; null none. */
  readonly active: string | null;
  /** Frames of our own may come back by other members: each that comes in is looked at. */
  readonly reflects: boolean;
}

/** Called from within the bond's methods; none of these may call the bond back before it has returned. */
export interface BondHost {
  /** Obeyed by workers at once. */
  steer(steering: Steering): void;
  /** A frame as it is: LACPDUs, probes. */
  sendMember(member: string, frame: Uint8Array): void;
  /** Tell upstream that our hosts' addresses are reached elsewhere now; buckets that moved, or null for all. */
  announce(buckets: ReadonlySet<number> | null): void;
  /** Frames that a member received so far, of any kind. */
  received(member: string): number;
  /** Units of 64 bytes that each of the 256 buckets sent so far. */
  loads(): Float64Array;
  /** Up, down, another active member, other carrying ones; `reason` is a sentence without full stop. */
  changed(reason: string): void;
}
