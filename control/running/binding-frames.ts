/**
 * What a frame says of its sender's address: ARP and neighbour discovery, read for suppression. Called for frames that a worker handed up; main
 * thread. Never throws: what is cut short, has a wrong checksum or speaks for somebody else says nothing.
 */
import {
  ARP_REPLY,
  ARP_REQUEST,
  ARP_SENDER_ADDRESS_AT,
  ARP_SENDER_MAC_AT,
  arpOperation,
  checkArp,
} from '../../dataplane/wire/arp.ts';
import { readU16 } from '../../dataplane/wire/bytes.ts';
import { Check } from '../../dataplane/wire/check.ts';
import { isChecksumRight } from '../../dataplane/wire/checksum.ts';
import {
  checkEthernet,
  ETHERTYPE_ARP,
  ETHERTYPE_AT,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV6,
  isGroup,
  MAC_BYTES,
  SOURCE_AT,
  sourceHigh,
} from '../../dataplane/wire/ethernet.ts';
import { IPV4_ADDRESS_BYTES } from '../../dataplane/wire/ipv4.ts';
import {
  checkIpv6,
  IP_PROTOCOL_ICMPV6,
  IPV6_ADDRESS_BYTES,
  IPV6_BYTES,
  IPV6_SOURCE_AT,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadBytes,
  sumPseudoIpv6,
} from '../../dataplane/wire/ipv6.ts';
import {
  checkNeighbour,
  NDP_FLAGS_AT,
  NDP_HOP_LIMIT,
  NDP_OVERRIDE,
  NDP_ROUTER,
  NDP_SOURCE_LINK,
  NDP_TARGET_AT,
  NDP_TARGET_LINK,
  NEIGHBOUR_SOLICITATION,
  neighbourLinkAt,
} from '../../dataplane/wire/ndp.ts';
import { checkVlanTag, VLAN_TAG_BYTES } from '../../dataplane/wire/vlan.ts';

export interface Binding {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly mac: Uint8Array;
  /** null: it doesn't say, so that nobody can answer in its place. */
  readonly isRouter: boolean | null;
}

/** `frame` is a frame's head, behind at most one tag. Null: it says nothing. */
export function readBinding(frame: Uint8Array): Binding | null {
  if (checkEthernet(frame, 0, frame.length) !== Check.OK || isGroup(sourceHigh(frame, 0))) return null;
  let at = ETHERTYPE_AT;
  if (checkVlanTag(frame, at, frame.length) === Check.OK) at += VLAN_TAG_BYTES;
  const type = readU16(frame, at);
  at += ETHERTYPE_BYTES;
  const said = type === ETHERTYPE_ARP ? readArp(frame, at) : type === ETHERTYPE_IPV6 ? readNdp(frame, at) : null;
  if (said === null || said.address.every((octet) => octet === 0)) return null;
  // Who speaks for another, speaks of nothing that lasts.
  return said.mac.every((octet, k) => octet === frame[SOURCE_AT + k]) ? said : null;
}

function readArp(frame: Uint8Array, at: number): Binding | null {
  if (checkArp(frame, at, frame.length) !== Check.OK) return null;
  const operation = arpOperation(frame, at);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return null;
  const address = part(frame, at + ARP_SENDER_ADDRESS_AT, IPV4_ADDRESS_BYTES);
  return { address, mac: part(frame, at + ARP_SENDER_MAC_AT, MAC_BYTES), isRouter: false };
}

/** As valid as RFC 4861, 7.1 asks. An advertisement that doesn't override speaks of an address that several have (7.2.4). */
function readNdp(frame: Uint8Array, at: number): Binding | null {
  if (checkIpv6(frame, at, frame.length, frame.length) !== Check.OK) return null;
  if (ipv6NextHeader(frame, at) !== IP_PROTOCOL_ICMPV6 || ipv6HopLimit(frame, at) !== NDP_HOP_LIMIT) return null;
  const bytes = ipv6PayloadBytes(frame, at);
  const message = at + IPV6_BYTES;
  const end = message + bytes;
  if (checkNeighbour(frame, message, end) !== Check.OK) return null;
  if (!isChecksumRight(frame, message, end, sumPseudoIpv6(frame, at, IP_PROTOCOL_ICMPV6, bytes))) return null;
  const asks = frame[message] === NEIGHBOUR_SOLICITATION;
  const flags = frame[message + NDP_FLAGS_AT]!;
  const link = neighbourLinkAt(frame, message, end, asks ? NDP_SOURCE_LINK : NDP_TARGET_LINK);
  const address = part(frame, asks ? at + IPV6_SOURCE_AT : message + NDP_TARGET_AT, IPV6_ADDRESS_BYTES);
  if (link === 0 || address[0] === 0xff || (!asks && (flags & NDP_OVERRIDE) === 0)) return null;
  return { address, mac: part(frame, link, MAC_BYTES), isRouter: asks ? null : (flags & NDP_ROUTER) !== 0 };
}

function part(frame: Uint8Array, at: number, bytes: number): Uint8Array {
  return frame.slice(at, at + bytes);
}
