/**
 * What a received frame says about IP addresses: ARP and neighbour discovery, read for a bond's monitor. Called for punted frames, on the
 * main thread. Never throws: what is cut short, has a wrong checksum or isn't one of the two says nothing.
 */
import { ARP_REPLY, ARP_REQUEST, checkArp } from '../../dataplane/wire/arp.ts';
import { parseArp } from '../../dataplane/wire/arp-value.ts';
import { Check } from '../../dataplane/wire/check.ts';
import { isChecksumRight } from '../../dataplane/wire/checksum.ts';
import {
  checkEthernet,
  ETHERTYPE_ARP,
  ETHERTYPE_AT,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV6,
} from '../../dataplane/wire/ethernet.ts';
import { parseEthernet } from '../../dataplane/wire/ethernet-value.ts';
import {
  checkIpv6,
  IP_PROTOCOL_ICMPV6,
  IPV6_BYTES,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadBytes,
  sumPseudoIpv6,
} from '../../dataplane/wire/ipv6.ts';
import { parseIpv6 } from '../../dataplane/wire/ipv6-value.ts';
import { checkNeighbour, NDP_HOP_LIMIT, NEIGHBOUR_SOLICITATION } from '../../dataplane/wire/ndp.ts';
import { parseNeighbour } from '../../dataplane/wire/ndp-value.ts';
import { checkVlanTag, tci, tciVid, VID_PRIORITY, VLAN_TAG_BYTES } from '../../dataplane/wire/vlan.ts';

export interface Said {
  /** Of the outermost tag; 0 for untagged and priority-tagged frames. */
  readonly vid: number;
  /** The frame's own source address. */
  readonly from: string;
  /** A request or solicitation, or an answer to one. */
  readonly asks: boolean;
  /** Who speaks; 0.0.0.0 or :: when it has no address yet. */
  readonly sender: string;
  /** Who is looked for; an advertisement tells of its sender. */
  readonly target: string;
  /** Whom an answer is for: the MAC address in the ARP reply, or the frame's destination. */
  readonly to: string;
}

/** `frame` is a whole Ethernet frame. Null: it says nothing of addresses. */
export function readSaid(frame: Uint8Array): Said | null {
  if (checkEthernet(frame, 0, frame.length) !== Check.OK) return null;
  const { source, destination } = parseEthernet(frame, 0, frame.length);
  let at = ETHERTYPE_AT;
  let vid = VID_PRIORITY;
  if (checkVlanTag(frame, at, frame.length) === Check.OK) {
    vid = tciVid(tci(frame, at));
    at += VLAN_TAG_BYTES;
  }
  const type = (frame[at]! << 8) | frame[at + 1]!;
  at += ETHERTYPE_BYTES;
  const said = type === ETHERTYPE_ARP ? readArp(frame, at) : type === ETHERTYPE_IPV6 ? readNdp(frame, at) : null;
  return said === null ? null : { vid, from: source, to: destination, ...said };
}

type Part = Pick<Said, 'asks' | 'sender' | 'target'> & Partial<Pick<Said, 'to'>>;

function readArp(frame: Uint8Array, at: number): Part | null {
  if (checkArp(frame, at, frame.length) !== Check.OK) return null;
  const { operation, senderAddress, targetAddress, targetMac } = parseArp(frame, at, frame.length);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return null;
  const asks = operation === ARP_REQUEST;
  return asks
    ? { asks, sender: senderAddress, target: targetAddress }
    : { asks, sender: senderAddress, target: targetAddress, to: targetMac };
}

/** As valid as RFC 4861, 7.1 asks: hop limit 255, so that no router passed it on, a right checksum, whole options. */
function readNdp(frame: Uint8Array, at: number): Part | null {
  if (checkIpv6(frame, at, frame.length, frame.length) !== Check.OK) return null;
  if (ipv6NextHeader(frame, at) !== IP_PROTOCOL_ICMPV6 || ipv6HopLimit(frame, at) !== NDP_HOP_LIMIT) return null;
  const bytes = ipv6PayloadBytes(frame, at);
  const message = at + IPV6_BYTES;
  const end = message + bytes;
  if (checkNeighbour(frame, message, end) !== Check.OK) return null;
  if (!isChecksumRight(frame, message, end, sumPseudoIpv6(frame, at, IP_PROTOCOL_ICMPV6, bytes))) return null;
  const { type, target } = parseNeighbour(frame, message, end);
  const asks = type === NEIGHBOUR_SOLICITATION;
  return { asks, sender: asks ? parseIpv6(frame, at, frame.length).source : target, target };
}
