/**
 * Every limit of the dataplane, with the assertions that relate them. Nothing here changes while a switch runs; what depends on
 * the configuration (workers, FDB size) is in the arena's header instead. The addon exports its own idea of the shared ones.
 */

/** Worker threads of one daemon. */
export const WORKERS_MAX = 16;
/** Port numbers run from 1 to PORTS_MAX - 1; 0 means "none". A bond's members and a tunnel are ports too. */
export const PORTS_MAX = 4096;
export const BRIDGES_MAX = 256;
export const VLANS_COUNT = 4096;

/** Bytes free before a received frame: vnet header, pushed tags, a tunnel header; and of what a tunnel received its `Arrival`. */
export const HEADROOM_BYTES = 128;
/** How much of a frame lies in its head: enough for Ethernet, two tags, IPv6 with options and TCP, twice over in a tunnel. */
export const HEAD_BYTES = 256;
export const HEAD_STRIDE_BYTES = HEADROOM_BYTES + HEAD_BYTES;
/** A large buffer holds head and tail in one piece: what a TAP reads. The odd KiB spreads heads over cache sets. */
export const LARGE_STRIDE_BYTES = 66_560;
/** The longest frame: 65,535 bytes of IP, an Ethernet header and two tags. */
export const FRAME_BYTES_MAX = 65_535 + 14 + 8;
export const FRAME_BYTES_MIN = 14;

/** Frames that one worker may receive in one turn. */
export const RECEIVE_SLOTS_COUNT = 512;
/** Copies of heads (one per distinct form) that one worker may make in one turn. */
export const REPLICA_SLOTS_COUNT = 512;
export const SLOTS_COUNT = RECEIVE_SLOTS_COUNT + REPLICA_SLOTS_COUNT;
/** Large buffers of one worker; a received frame that needs one and finds none stays in the kernel's queue. */
export const LARGE_COUNT = 256;
/** Entries of one transmit list. */
export const LIST_COUNT_MAX = 1024;
/** List entries of one turn above which the next one receives less: a flood to a thousand ports must not make a turn of seconds. */
export const TURN_ENTRIES_MAX = 4096;
/** Frames read from one queue in one turn, so that one busy port can't starve the others. */
export const BATCH_COUNT_MAX = 64;

/** Patch ports that one frame may pass. */
export const PATCH_HOPS_MAX = 8;

/** Bonds of one daemon, counted from 1; members of one; and buckets, over which a bond's flows are spread. */
export const BONDS_MAX = 256;
export const MEMBERS_MAX = 32;
export const BUCKETS_COUNT = 256;
/** The unit in which what a bucket sent is counted: a word of them lasts for 256 GiB. */
export const UNIT_BYTES_SHIFT = 6;

/**
 * What the forwarding database may name: ports, and behind them remotes, each of one tunnel port. A remote that is no more keeps its number
 * for a while, so that nobody takes its addresses for another's.
 */
export const DESTINATIONS_COUNT = 0x10000;
export const REMOTES_MAX = DESTINATIONS_COUNT - PORTS_MAX;
/** VNIs of one daemon; slots of the table in which they are looked up, a power of two, and how many of them a look tries. */
export const VNIS_MAX = 16_384;
export const VNI_SLOTS_COUNT = 2 * VNIS_MAX;
export const VNI_PROBES_MAX = 64;
/** The same for remotes. */
export const REMOTE_SLOTS_COUNT = 1 << 17;
export const REMOTE_PROBES_MAX = 64;

/** Frames of one protocol that a worker hands up from one member in a second: a fast partner sends 1, in haste 3. */
export const PUNTS_PER_S_MAX = 64;

/** Bytes of a worker's ring of captured frames, and of its ring of frames from control; powers of two. */
export const CAPTURE_RING_BYTES = 4 << 20;
export const INJECT_RING_BYTES = 256 << 10;
/** And of its ring of punts: a frame's head each. */
export const PUNT_RING_BYTES = 64 << 10;

export const FDB_ENTRIES_MAX = 1_000_000;
export const FDB_ENTRIES_MIN = 1024;

/** A worker sleeps no longer than this in one native wait, so that it can be ended. */
export const WAIT_MS_MAX = 250;

if (PORTS_MAX > 0x1000) throw new Error('limits: a member’s word has 12 bits for its bond’s port number');
if (REMOTES_MAX * 2 > REMOTE_SLOTS_COUNT)
  throw new Error('limits: remotes are not found in a table that is more than half full');
if (SLOTS_COUNT > LIST_COUNT_MAX) throw new Error('limits: a list must hold every slot of a turn');
if (LARGE_STRIDE_BYTES < HEADROOM_BYTES + FRAME_BYTES_MAX) throw new Error('limits: a large buffer must hold a frame');
if (LARGE_COUNT > RECEIVE_SLOTS_COUNT) throw new Error('limits: more large buffers than slots to name them');
if (HEAD_BYTES < 192) throw new Error('limits: a head holds at least 192 bytes');
