// HOT: a sender's virtio_net_hdr, checked once and turned into facts. The header is untrusted: what it says must fit the frame, lie in
// the head and name protocols that we can finish; otherwise the frame drops as bad-offload. Rebuilt, never passed on, at transmit.
//
//   before the head:  | flags | gso_type | hdr_len (2) | gso_size (2) | csum_start (2) | csum_offset (2) | num_buffers (2) |
//   virtio 1.2, section 5.1.6; little-endian on every host that Weft runs on
import { Drop } from '../drop.ts';
import type { Lane } from '../memory/lane.ts';
import { Fact, Flag } from '../memory/layout.ts';

const VNET_BYTES = 12;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;
const GSO_ECN = 0x80;
const UDP_BYTES = 8;
const TCP_BYTES_MIN = 20;
const TCP_DATA_OFFSET_AT = 12;
const TCP_CHECKSUM_AT = 16;
const ETHERTYPE_IPV4_LE = 0x0008;
const ETHERTYPE_IPV6_LE = 0xdd86;
const IPV4_BYTES_MIN = 20;
const IPV4_PROTOCOL_AT = 9;
const IPV6_BYTES = 40;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const UDP_CHECKSUM_AT = 6;

/** Needs FLAGS, L3 and LENGTH; writes GSO, CHECKSUM, SEGMENTS, WIRE_BYTES and the checksum flag. 0, or the reason to drop. */
export function parseOffload(lane: Lane, facts: number): number {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]!;
  const half = (at - VNET_BYTES) >> 1;
  const first = lane.u16[half]!;
  const size = lane.u16[half + 2]!;
  const start = lane.u16[half + 3]!;
  const offset = lane.u16[half + 4]!;
  const gso = first >>> 8;
  const needsChecksum = (first & 1) !== 0;
  const head = i32[facts + Fact.HEAD_BYTES]!;
  if (needsChecksum) {
    // The field itself is rewritten when the checksum is finished, so it lies in the head, behind the network header's start.
    if (start < i32[facts + Fact.L3]! || start + offset + 2 > head) return Drop.BAD_OFFLOAD;
    i32[facts + Fact.CHECKSUM] = start | (offset << 16);
    i32[facts + Fact.FLAGS] = i32[facts + Fact.FLAGS]! | Flag.NEEDS_CHECKSUM;
  }
  if (gso === GSO_NONE) return 0;
  return needsChecksum ? parseSegments(lane, facts, gso, size, start, offset) : Drop.BAD_OFFLOAD;
}

function parseSegments(lane: Lane, facts: number, gso: number, size: number, start: number, offset: number): number {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]!;
  const type = gso & ~GSO_ECN;
  let headers = 0;
  if (type === GSO_TCPV4 || type === GSO_TCPV6) {
    if (offset !== TCP_CHECKSUM_AT || start + TCP_BYTES_MIN > i32[facts + Fact.HEAD_BYTES]!) return Drop.BAD_OFFLOAD;
    const tcp = (lane.u8[at + start + TCP_DATA_OFFSET_AT]! >>> 4) << 2;
    if (tcp < TCP_BYTES_MIN) return Drop.BAD_OFFLOAD;
    headers = start + tcp;
  } else if (gso === GSO_UDP_L4) {
    if (offset !== UDP_CHECKSUM_AT) return Drop.BAD_OFFLOAD;
    headers = start + UDP_BYTES;
  } else {
    return Drop.BAD_OFFLOAD;
  }
  const length = i32[facts + Fact.LENGTH]!;
  if (!isOver(lane, facts, type, start)) return Drop.BAD_OFFLOAD;
  if (size === 0 || headers > i32[facts + Fact.HEAD_BYTES]! || length < headers) return Drop.BAD_OFFLOAD;
  const payload = length - headers;
  if (payload <= size) {
    // One segment is a plain frame with an unfinished checksum.
    return 0;
  }
  i32[facts + Fact.GSO] = gso | (size << 16);
  i32[facts + Fact.SEGMENTS] = ((payload + size - 1) / size) | 0;
  i32[facts + Fact.WIRE_BYTES] = headers + size;
  return 0;
}

/** Whether the packet is of the family and protocol that a segmentation type names, with the L4 header at `start`. */
function isOver(lane: Lane, facts: number, type: number, start: number): boolean {
  const l3 = lane.i32[facts + Fact.L3]!;
  const at = lane.i32[facts + Fact.HEAD_AT]! + l3;
  const etherType = lane.u16[(at - 2) >> 1]!;
  if (etherType === ETHERTYPE_IPV6_LE) {
    // What lies between is extension headers: whoever segments walks them.
    return type !== GSO_TCPV4 && start >= l3 + IPV6_BYTES && lane.u8[at]! >>> 4 === 6;
  }
  if (etherType !== ETHERTYPE_IPV4_LE || type === GSO_TCPV6 || start < l3 + IPV4_BYTES_MIN) return false;
  const first = lane.u8[at]!;
  if (first >>> 4 !== 4 || start !== l3 + ((first & 15) << 2)) return false;
  return lane.u8[at + IPV4_PROTOCOL_AT] === (type === GSO_TCPV4 ? PROTOCOL_TCP : PROTOCOL_UDP);
}
