/** What path and native tell each other of a tunnel's frames, and how both see a remote: words beside those of layout.ts. */

/**
 * What native tells of a datagram beside the frame in it: words before the frame's head, where the vnet header leaves room. The address
 * has four words, of IPv4 only the first, as it lies in a packet; so have the first eight bytes of the tunnel header.
 */
export const Arrival = { ADDRESS: -11, OUTER: -7, HEADER: -6, KEY: -5 } as const;
/** Bits of the OUTER word of what arrived: TOS or traffic class; a critical option is there; the tunnel header is none of its kind. */
export const ARRIVAL_TOS_MASK = 0xff;
export const ARRIVAL_CRITICAL = 256;
export const ARRIVAL_BAD = 512;

/**
 * What native does with a frame listed at a tunnel: which of a worker's sockets sends it (by its flow), TOS, TTL (0: the system's), and how
 * many words of tunnel header lie right before the head.
 */
export const Outer = { FLOW_MASK: 0xff, TOS_SHIFT: 8, TTL_SHIFT: 16, HEADER_WORDS_SHIFT: 24 } as const;

/** Words of a remote's record. While FAMILY is not 0 only SCOPE, VNI and FRAME_BYTES_MAX may change: the others are read one by one. */
export const RemoteWord = {
  /** The tunnel's port number; stays when the remote is given back. */
  PORT: 0,
  /** 4 or 6; 0: given back. */
  FAMILY: 1,
  /** Four words as the address lies in a packet; of IPv4 the first, and the others 0. */
  ADDRESS: 2,
  /** UDP port in network order. */
  UDP_PORT: 6,
  /** Index of the interface, of groups and link-local addresses; 0: none. */
  SCOPE: 7,
  /** A VNI that only frames to this remote have; −1: the port's. */
  VNI: 8,
  /** The longest frame that fits the path; 0: there is none, the remote is unreachable. */
  FRAME_BYTES_MAX: 9,
} as const;

/** Words of a run of arrivals (path/arrival.ts), and the places by which runs are found, a power of two. */
export const RUN_WORDS = 4;
export const RUN_PLACES_COUNT = 256;
