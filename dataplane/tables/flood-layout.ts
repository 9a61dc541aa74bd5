/**
 * Who gets a frame that goes to many. The index has a word per (bridge, VLAN): where in the pool the members stand, in words, 0 for
 * nobody. A set is its count, then a word per member: port, and above it the form that the port wants. VLANs with equal members
 * share a set.
 */
export const SET_PORT_MASK = 0xffff;
export const SET_FORM_SHIFT = 16;

/** What a frame must look like at an egress. The first three are shapes of a head; the others depend on the frame's priority. */
export const Form = {
  UNTAGGED: 0,
  TAGGED: 1,
  /** VLAN 0 in the tag, for the priority alone. */
  PRIORITY: 2,
  /** PRIORITY when the frame has one, else UNTAGGED. */
  PRIORITY_IF_NONZERO: 3,
} as const;
