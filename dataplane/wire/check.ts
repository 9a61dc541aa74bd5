/*
 * What a length check can answer. Every `checkX(bytes, at, end)` in this folder returns one of these
 * numbers and never throws; the path turns them into drop reasons, the cold side into a RangeError.
 *
 * OK means: every accessor of that header may be called on (bytes, at) without a further look at the
 * length. It is void as soon as `at` or `end` moves, or one of the header's own length fields is written.
 * `end` is where the readable bytes stop (the head's end). Where a check also takes `frameEnd`, that is
 * where the frame stops, tail included: lengths in a header are compared with it, nothing there is read.
 */
export const Check = {
  OK: 0,
  /** The fixed part of the header, or the length that it gives itself, doesn't end before `end`. */
  SHORT: 1,
  /** A length field is below its own header's size, or reaches past the end of the frame. */
  BAD_LENGTH: 2,
  /** The version nibble is not the one that the EtherType promised. */
  BAD_VERSION: 3,
  /** A type field holds something that these accessors don't describe. */
  BAD_TYPE: 4,
  /** A virtio-net header asks for what its frame can't give. */
  BAD_OFFLOAD: 5,
} as const;

export type Check = (typeof Check)[keyof typeof Check];
