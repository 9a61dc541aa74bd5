/**
 * Why frames are lost: one closed, numbered table. Numbers are never reused; a new reason takes the next one. Every loss in the
 * dataplane passes `drop` in counters.ts with one of these, and metrics, CLI and tests print name and sentence from here.
 */

export const Drop = {
  RUNT: 1,
  GIANT: 2,
  BAD_OFFLOAD: 3,
  BAD_TAG: 4,
  VLAN_NOT_ADMITTED: 5,
  TAGGED_ON_ACCESS: 6,
  INGRESS_DOWN: 7,
  RESERVED_ADDRESS: 8,
  BAD_SOURCE: 9,
  SAME_PORT: 10,
  NO_EGRESS: 11,
  EGRESS_VLAN: 12,
  EGRESS_DOWN: 13,
  PROTECTED: 14,
  MTU_EXCEEDED: 15,
  EGRESS_FULL: 16,
  EGRESS_ERROR: 17,
  EGRESS_REFUSED: 18,
  NO_SLOT: 19,
  PATCH_LOOP: 20,
  FAULT_INJECTED: 21,
  WORKER_DIED: 22,
  TRUNCATED: 23,
  BAD_DESCRIPTOR: 24,
  EGRESS_BUSY: 25,
  MEMBER_INACTIVE: 26,
  REFLECTED: 27,
  PUNT_LIMITED: 28,
  UNKNOWN_VNI: 29,
  BAD_TUNNEL_HEADER: 30,
  TUNNEL_OPTION: 31,
  BAD_ECN: 32,
  SPLIT_HORIZON: 33,
  NO_REMOTE: 34,
  REMOTE_UNREACHABLE: 35,
  PATH_MTU: 36,
  ANSWERED: 37,
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
  { name: 'egress-error', sentence: 'The egress device failed to take the frame.' },
  { name: 'egress-refused', sentence: 'The egress device refused this frame as invalid.' },
  { name: 'no-slot', sentence: 'No free slot was left to make a copy of the head in another form.' },
  { name: 'patch-loop', sentence: 'The frame passed more than 8 patch ports.' },
  { name: 'fault-injected', sentence: 'A test injected this fault.' },
  { name: 'worker-died', sentence: 'The frame was waiting to be sent when its worker died.' },
  { name: 'truncated', sentence: 'The kernel cut the frame short before it could be read.' },
  { name: 'bad-descriptor', sentence: "The guest's descriptors break the rules or point outside its memory." },
  { name: 'egress-busy', sentence: "Another worker held the egress port's only queue for too long." },
  { name: 'member-inactive', sentence: "The frame came in on a bond's member that does not receive such frames now." },
  {
    name: 'reflected',
    sentence: "The sender lives elsewhere: a bond's own frame came back by another of its members.",
  },
  { name: 'punt-limited', sentence: 'More frames of a protocol came than the control plane takes in a second.' },
  { name: 'unknown-vni', sentence: 'No tunnel port has the network identifier (VNI or key) of the datagram.' },
  {
    name: 'bad-tunnel-header',
    sentence: 'The datagram has no tunnel header of this kind, or a frame that is cut off.',
  },
  { name: 'tunnel-option', sentence: 'The Geneve header has a critical option that is not known.' },
  {
    name: 'bad-ecn',
    sentence: 'The outer packet says that congestion was met, the inner one that it can not say so (RFC 6040).',
  },
  { name: 'split-horizon', sentence: 'The frame came in on a tunnel and does not go out by another.' },
  { name: 'no-remote', sentence: 'The tunnel has no remote that takes the frame.' },
  { name: 'remote-unreachable', sentence: 'There is no way to the remote, or it says that nobody listens there.' },
  { name: 'path-mtu', sentence: 'The frame, with the tunnel’s headers, is longer than the path to the remote takes.' },
  { name: 'answered', sentence: 'The switch answered this ARP request or neighbour solicitation itself.' },
];
