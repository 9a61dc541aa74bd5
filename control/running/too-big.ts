/**
 * What is too long for a tunnel's path is told to its sender, as a router would: "fragmentation needed" (RFC 1191) or "packet too big" (RFC 8201).
 * Weft has no address of its own there, so the answer comes from whom the packet was for, in at the tunnel. Made once by open.ts; hears
 * frames from punts.ts; main thread. Workers bound how many come.
 */
import { Protocol, Way } from '../../dataplane/memory/layout.ts';
import { buildTooBigFrame, type LinkOptions, type TagOptions } from '../../dataplane/wire/build.ts';
import { readU16 } from '../../dataplane/wire/bytes.ts';
import { Check } from '../../dataplane/wire/check.ts';
import {
  checkEthernet,
  destinationHigh,
  ETHERTYPE_AT,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  isGroup,
} from '../../dataplane/wire/ethernet.ts';
import { parseEthernet } from '../../dataplane/wire/ethernet-value.ts';
import { ICMP_UNREACHABLE, ICMPV6_TOO_BIG } from '../../dataplane/wire/icmp.ts';
import {
  checkIpv4,
  IP_PROTOCOL_ICMP,
  IPV4_DESTINATION_AT,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_OFFSET_MASK,
  IPV4_SOURCE_AT,
  ipv4Destination,
  ipv4Fragment,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalBytes,
} from '../../dataplane/wire/ipv4.ts';
import {
  checkIpv6,
  IP_PROTOCOL_ICMPV6,
  IP_PROTOCOL_IPV6_FRAGMENT,
  IPV6_BYTES,
  IPV6_DESTINATION_AT,
  IPV6_SOURCE_AT,
  ipv6NextHeader,
  ipv6PayloadBytes,
} from '../../dataplane/wire/ipv6.ts';
import { formatIpv4Address, formatIpv6Address } from '../../dataplane/wire/text.ts';
import { checkVlanTag, VLAN_TAG_BYTES } from '../../dataplane/wire/vlan.ts';
import { parseVlanTag } from '../../dataplane/wire/vlan-value.ts';
import { isTunnel } from '../model/model.ts';
import type { Injector } from './injector.ts';
import type { PortBook } from './port-book.ts';
import type { PuntedFrame, Punts } from './punts.ts';

/** Only the head of a frame is here: its packet may be as long as it likes. */
const NO_END = 0x7fff_ffff;
const TAGS_MAX = 2;
/** Of the packet that is quoted: with its own headers, an answer has at most 576 bytes (RFC 1812, 4.3.2.3), or 1,280 (RFC 4443, 2.4 c). */
const QUOTED4_MAX = 576 - 20 - 8;
const QUOTED6_MAX = 1280 - 40 - 8;
/** Types of ICMP that tell of an error (RFC 1122, 3.2.2): to those nobody answers with another. */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);
const ICMPV6_INFORMS_FROM = 128;
const ICMPV6_REDIRECT = 137;
/** Extension headers that say how long they are, in eights beyond the first. */
const IPV6_EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60]);

export class TooBig {
  readonly #book: PortBook;
  readonly #injector: Injector;

  constructor(book: PortBook, injector: Injector, punts: Punts) {
    this.#book = book;
    this.#injector = injector;
    punts.hear(Protocol.TOO_BIG, (frame) => this.#answer(frame));
  }

  #answer({ port, vlan, about, bytes }: PuntedFrame): void {
    const model = this.#book.byNumber(port)?.model;
    if (model === undefined || !isTunnel(model)) return;
    // Where a VNI stands for the VLAN, frames come out of the tunnel without a tag, but enter the bridge with one.
    const vid = model.settings.vlans === null ? null : vlan;
    const answer = answerTooBig(bytes, about, vid);
    if (answer !== null) this.#injector.inject(port, Way.IN, answer);
  }
}

/**
 * The answer to a frame whose head this is, and of which `limit` bytes would fit, Ethernet header and tags included. It has the frame's tags, or one
 * of `vid`. Null where nobody must be told, or can: RFC 1122, 3.2.2 and RFC 4443, 2.4 (e); and where a packet was for many, since then there is no
 * address from which to tell it.
 */
export function answerTooBig(head: Uint8Array, limit: number, vid: number | null): Uint8Array | null {
  if (checkEthernet(head, 0, head.length) !== Check.OK || isGroup(destinationHigh(head, 0))) return null;
  const { source: dst, destination: src } = parseEthernet(head, 0, head.length);
  const vlan: TagOptions[] = vid === null ? [] : [{ vid }];
  let at = ETHERTYPE_AT;
  for (let tags = 0; tags < TAGS_MAX && checkVlanTag(head, at, head.length) === Check.OK; tags++) {
    vlan.push(parseVlanTag(head, at, head.length));
    at += VLAN_TAG_BYTES;
  }
  const type = readU16(head, at);
  at += ETHERTYPE_BYTES;
  // ICMP has 16 bits for it.
  const mtu = Math.min(limit - at, 0xffff);
  if (mtu <= 0) return null;
  if (type === ETHERTYPE_IPV4) return answerIpv4(head, at, mtu, { dst, src, vlan });
  return type === ETHERTYPE_IPV6 ? answerIpv6(head, at, mtu, { dst, src, vlan }) : null;
}

function answerIpv4(head: Uint8Array, at: number, mtu: number, link: LinkOptions): Uint8Array | null {
  if (checkIpv4(head, at, head.length, NO_END) !== Check.OK) return null;
  const fragment = ipv4Fragment(head, at);
  if ((fragment & IPV4_DONT_FRAGMENT) === 0 || (fragment & IPV4_FRAGMENT_OFFSET_MASK) !== 0) return null;
  if (!isHost4(ipv4Source(head, at)) || !isHost4(ipv4Destination(head, at))) return null;
  const payload = at + ipv4HeaderBytes(head, at);
  if (ipv4Protocol(head, at) === IP_PROTOCOL_ICMP && ICMP_ERRORS.has(head[payload] ?? ICMP_UNREACHABLE)) return null;
  const [source, destination] = [IPV4_SOURCE_AT, IPV4_DESTINATION_AT].map((from) => formatIpv4Address(head, at + from));
  const packet = head.subarray(at, at + Math.min(ipv4TotalBytes(head, at), QUOTED4_MAX));
  return buildTooBigFrame({ ...link, ip4: { source: destination!, destination: source! }, mtu, packet });
}

/** Neither nobody, nor this machine, nor many: not of 0/8, 127/8, 224/4 or 240/4. */
function isHost4(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

function answerIpv6(head: Uint8Array, at: number, mtu: number, link: LinkOptions): Uint8Array | null {
  if (checkIpv6(head, at, head.length, NO_END) !== Check.OK) return null;
  if (!isHost6(head, at + IPV6_SOURCE_AT) || !isHost6(head, at + IPV6_DESTINATION_AT)) return null;
  const icmp = icmpv6At(head, at);
  if (icmp !== 0) {
    const type = head[icmp] ?? ICMPV6_TOO_BIG;
    if (type < ICMPV6_INFORMS_FROM || type === ICMPV6_REDIRECT) return null;
  }
  const [source, destination] = [IPV6_SOURCE_AT, IPV6_DESTINATION_AT].map((from) => formatIpv6Address(head, at + from));
  const packet = head.subarray(at, at + Math.min(IPV6_BYTES + ipv6PayloadBytes(head, at), QUOTED6_MAX));
  return buildTooBigFrame({ ...link, ip6: { source: destination!, destination: source! }, mtu, packet });
}

/** Neither ::, nor ::1, nor a group. */
function isHost6(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === 0xff) return false;
  const address = bytes.subarray(at, at + 16);
  return !address.subarray(0, 15).every((octet) => octet === 0) || address[15]! > 1;
}

/** Where an ICMPv6 message stands, or would behind the head's end; 0: the packet has none. Of a later fragment nobody knows: it is taken for one. */
function icmpv6At(head: Uint8Array, at: number): number {
  let next = ipv6NextHeader(head, at);
  let header = at + IPV6_BYTES;
  while (header + 8 <= head.length) {
    if (next === IP_PROTOCOL_IPV6_FRAGMENT) {
      if ((readU16(head, header + 2) & ~7) !== 0) return head.length;
      next = head[header]!;
      header += 8;
    } else if (IPV6_EXTENSIONS.has(next)) {
      next = head[header]!;
      header += 8 * (head[header + 1]! + 1);
    } else break;
  }
  return next === IP_PROTOCOL_ICMPV6 ? header : 0;
}
