// HOT: where the network header of a frame stands that 1-parse has not seen yet.
import { readU16 } from '../wire/bytes.ts';
import { ETHERNET_BYTES, ETHERTYPE_BYTES } from '../wire/ethernet.ts';
import { isVlanTpid, VLAN_TAG_BYTES } from '../wire/vlan.ts';

const TAGS_MAX = 2;

/** The byte behind at most two tags of the frame whose head is bytes[at … end); `end` when the head ends before it. */
export function networkAt(bytes: Uint8Array, at: number, end: number): number {
  let l3 = at + ETHERNET_BYTES;
  for (let tags = 0; tags < TAGS_MAX && l3 <= end; tags++) {
    if (!isVlanTpid(readU16(bytes, l3 - ETHERTYPE_BYTES))) return l3;
    l3 += VLAN_TAG_BYTES;
  }
  return l3 < end ? l3 : end;
}
