/**
 * Why frames are lost: one closed, numbered table. Numbers are never reused; a new reason takes the next one. Every loss in the
 * dataplane passes `drop` in counters.ts with one of these, and metrics, CLI and tests print name and sentence from here.
 */

export const Drop = {
  RUNT: 1,
  GIANT: 2,
  TRUNCATED: 3,
  HEADER_TOO_DEEP: 4,
  BAD_OFFLOAD: 5,
  BAD_TAG: 6,
  VLAN_NOT_ADMITTED: 7,
  TAGGED_ON_ACCESS: 8,
  INGRESS_DOWN: 9,
  RESERVED_ADDRESS: 10,
  BAD_SOURCE: 11,
  SAME_PORT: 12,
  NO_EGRESS: 13,
  EGRESS_VLAN: 14,
  EGRESS_DOWN: 15,
  PROTECTED: 16,
  MTU_EXCEEDED: 17,
  EGRESS_FULL: 18,
  EGRESS_BUSY: 19,
  EGRESS_ERROR: 20,
  EGRESS_REFUSED: 21,
  NO_SLOT: 22,
  PATCH_LOOP: 23,
  PUNT_LIMITED: 24,
  NO_HEADROOM: 25,
  FAULT_INJECTED: 26,
  UNKNOWN_PORT: 27,
} as const;

/** A number of the table above; 0 means "not dropped". */
export type DropReason = number;

/** Room for every reason that will ever be: columns of the drop counters. */
export const REASONS_COUNT = 64;

/** Name and one sentence, indexed by number. */
export const DROPS: readonly { readonly name: string; readonly sentence: string }[] = [
  { name: 'none', sentence: 'Not dropped.' },
  { name: 'runt', sentence: 'The frame is shorter than an Ethernet header.' },
  { name: 'giant', sentence: "The frame is longer than its ingress port's MTU allows." },
  { name: 'truncated', sentence: 'The device handed over less than the whole frame.' },
  { name: 'header-too-deep', sentence: 'A header that must be changed lies beyond the head of the frame.' },
  { name: 'bad-offload', sentence: "The sender's offload header contradicts the frame." },
  { name: 'bad-tag', sentence: 'The VLAN tag is cut off or names VLAN 4095.' },
  { name: 'vlan-not-admitted', sentence: 'The ingress port does not carry the VLAN of the frame.' },
  { name: 'tagged-on-access', sentence: 'A tagged frame came in on an access port.' },
  { name: 'ingress-down', sentence: 'The ingress port is down or was just removed.' },
  {
    name: 'reserved-address',
    sentence: 'The destination is a reserved address (01-80-C2-00-00-0x) that bridges do not forward.',
  },
  { name: 'bad-source', sentence: 'The source address is a group address or zero.' },
  { name: 'same-port', sentence: 'The destination lives on the port that the frame came from.' },
  { name: 'no-egress', sentence: 'No other port takes this frame: the VLAN has no other member that floods it.' },
  { name: 'egress-vlan', sentence: 'The port of the destination does not carry the VLAN of the frame.' },
  { name: 'egress-down', sentence: 'The egress port is down.' },
  { name: 'protected', sentence: 'Ingress and egress are both protected ports.' },
  { name: 'mtu-exceeded', sentence: "The frame is longer than the egress port's MTU." },
  { name: 'egress-full', sentence: "The egress port's queue is full." },
  { name: 'egress-busy', sentence: 'Another worker held the egress queue for too long.' },
  { name: 'egress-error', sentence: 'The egress device failed to take the frame.' },
  { name: 'egress-refused', sentence: 'The egress device refused this frame as invalid.' },
  { name: 'no-slot', sentence: 'No free slot was left to make a copy of the head in another form.' },
  { name: 'patch-loop', sentence: 'The frame passed more than 8 patch ports.' },
  { name: 'punt-limited', sentence: 'More frames for the control plane than its policer lets through.' },
  { name: 'no-headroom', sentence: 'No room was left before the frame for a tag or tunnel header.' },
  { name: 'fault-injected', sentence: 'A test injected this fault.' },
  { name: 'unknown-port', sentence: 'The frame belongs to a port that the tables no longer know.' },
];
