/*
 * Whole frames from a description: right lengths, right checksums, padded to 60 bytes. Called by tests, benches,
 * the demo, and control for what it sends itself; never per frame. Each call gives a new buffer without FCS.
 */
import { ARP_BYTES, ARP_REQUEST } from './arp.ts';
import { type ArpPacket, emitArp } from './arp-value.ts';
import { finishChecksum } from './checksum.ts';
import {
  ETHERNET_BYTES,
  ETHERTYPE_ARP,
  ETHERTYPE_AT,
  ETHERTYPE_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  PADDED_BYTES_MIN,
} from './ethernet.ts';
import { emitEthernet } from './ethernet-value.ts';
import {
  emitIcmpEcho,
  emitIcmpTooBig,
  ICMP_CHECKSUM_AT,
  ICMP_ECHO_BYTES,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_TOO_BIG_BYTES,
  ICMP_UNREACHABLE,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_TOO_BIG,
} from './icmp.ts';
import { IP_PROTOCOL_ICMP, IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IPV4_BYTES_MIN, sumPseudoIpv4 } from './ipv4.ts';
import { emitIpv4, type Ipv4Header } from './ipv4-value.ts';
import { IP_PROTOCOL_ICMPV6, IPV6_BYTES, sumPseudoIpv6 } from './ipv6.ts';
import { emitIpv6, type Ipv6Header } from './ipv6-value.ts';
import { NDP_HOP_LIMIT } from './ndp.ts';
import { emitNeighbour, type NeighbourMessage, neighbourBytes } from './ndp-value.ts';
import { TCP_ACK, TCP_BYTES_MIN, TCP_CHECKSUM_AT } from './tcp.ts';
import { emitTcp, type TcpHeader } from './tcp-value.ts';
import { UDP_BYTES, UDP_CHECKSUM_AT } from './udp.ts';
import { emitUdp } from './udp-value.ts';
import { TPID_CUSTOMER, VLAN_TAG_BYTES } from './vlan.ts';
import { emitVlanTag, type VlanTag } from './vlan-value.ts';

/** tpid 0x8100, pcp 0 and not drop eligible unless given. */
export type TagOptions = Pick<VlanTag, 'vid'> & Partial<VlanTag>;

export interface LinkOptions {
  readonly dst: string;
  readonly src: string;
  /** Outermost first. */
  readonly vlan?: readonly TagOptions[];
}

export type Ipv4Options = Pick<Ipv4Header, 'source' | 'destination'> & Partial<Omit<Ipv4Header, 'totalBytes'>>;
export type Ipv6Options = Pick<Ipv6Header, 'source' | 'destination'> & Partial<Omit<Ipv6Header, 'payloadBytes'>>;

/** Exactly one of ip4 and ip6. Defaults: TTL 64, DF, identification 0; the protocol follows the builder. */
export type PacketOptions = LinkOptions & {
  readonly payload?: Uint8Array;
  /** Leave the L4 checksum to the device: its field holds the pseudo-header's sum (VNET_F_NEEDS_CSUM). */
  readonly unfinished?: boolean;
} & ({ readonly ip4: Ipv4Options; readonly ip6?: undefined } | { readonly ip6: Ipv6Options; readonly ip4?: undefined });

export type PortOptions = Pick<TcpHeader, 'sourcePort' | 'destinationPort'>;
export type UdpOptions = PacketOptions & PortOptions;
export type TcpOptions = PacketOptions & PortOptions & Partial<Omit<TcpHeader, 'checksum'>>;
export type EchoOptions = PacketOptions & {
  readonly reply?: boolean;
  readonly identifier?: number;
  readonly sequence?: number;
};
export type TooBigOptions = PacketOptions & { readonly mtu: number; readonly packet: Uint8Array };
/** dst defaults to the target's MAC, for a request to broadcast; src to the sender's MAC. */
export type ArpOptions = Partial<LinkOptions> & ArpPacket;
/** Hop limit 255, without which nobody listens (RFC 4861, 7.1). */
export type NeighbourOptions = LinkOptions & Omit<NeighbourMessage, 'checksum'> & { readonly ip6: Ipv6Options };

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const EMPTY = new Uint8Array(0);

/** Any payload behind any EtherType. RangeError if an address, a tag or a field doesn't fit. */
export function buildFrame(link: LinkOptions, etherType: number, payload: Uint8Array): Uint8Array {
  const tags = link.vlan ?? [];
  const headerBytes = ETHERNET_BYTES + tags.length * VLAN_TAG_BYTES;
  const bytes = new Uint8Array(Math.max(PADDED_BYTES_MIN, headerBytes + payload.length));
  emitEthernet({ destination: link.dst, source: link.src, etherType }, bytes, 0);
  let at = ETHERTYPE_AT;
  for (const tag of tags) at = emitVlanTag({ tpid: TPID_CUSTOMER, pcp: 0, dropEligible: false, ...tag }, bytes, at);
  bytes[at] = etherType >>> 8;
  bytes[at + 1] = etherType;
  bytes.set(payload, at + ETHERTYPE_BYTES);
  return bytes;
}

/** A request unless `operation` says otherwise. */
export function buildArpFrame(options: ArpOptions): Uint8Array {
  const payload = new Uint8Array(ARP_BYTES);
  emitArp(options, payload, 0);
  const dst = options.dst ?? (options.operation === ARP_REQUEST ? BROADCAST : options.targetMac);
  return buildFrame({ dst, src: options.src ?? options.senderMac, vlan: options.vlan }, ETHERTYPE_ARP, payload);
}

export function buildUdpFrame(options: UdpOptions): Uint8Array {
  const payload = options.payload ?? EMPTY;
  const segment = new Uint8Array(UDP_BYTES + payload.length);
  const { sourcePort, destinationPort } = options;
  segment.set(payload, emitUdp({ sourcePort, destinationPort, length: segment.length, checksum: 0 }, segment, 0));
  return buildPacket(options, IP_PROTOCOL_UDP, segment, UDP_CHECKSUM_AT);
}

/** An ACK with sequence numbers 0 and a full window unless given. */
export function buildTcpFrame(options: TcpOptions): Uint8Array {
  const payload = options.payload ?? EMPTY;
  const header: TcpHeader = {
    sourcePort: options.sourcePort,
    destinationPort: options.destinationPort,
    sequence: options.sequence ?? 0,
    acknowledgment: options.acknowledgment ?? 0,
    flags: options.flags ?? TCP_ACK,
    window: options.window ?? 0xffff,
    checksum: 0,
    urgent: options.urgent ?? 0,
    options: options.options ?? EMPTY,
  };
  const segment = new Uint8Array(TCP_BYTES_MIN + header.options.length + payload.length);
  segment.set(payload, emitTcp(header, segment, 0));
  return buildPacket(options, IP_PROTOCOL_TCP, segment, TCP_CHECKSUM_AT);
}

/** Ping of the family that the addresses have. */
export function buildEchoFrame(options: EchoOptions): Uint8Array {
  const payload = options.payload ?? EMPTY;
  const request = options.ip4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
  const type = options.reply ? (options.ip4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY) : request;
  const segment = new Uint8Array(ICMP_ECHO_BYTES + payload.length);
  const { identifier = 0, sequence = 0 } = options;
  segment.set(payload, emitIcmpEcho({ type, code: 0, checksum: 0, identifier, sequence }, segment, 0));
  return buildPacket(options, options.ip4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMPV6, segment, ICMP_CHECKSUM_AT);
}

export function buildNeighbourFrame(options: NeighbourOptions): Uint8Array {
  const segment = new Uint8Array(neighbourBytes(options));
  emitNeighbour({ ...options, checksum: 0 }, segment, 0);
  const ip6 = { hopLimit: NDP_HOP_LIMIT, ...options.ip6 };
  return buildPacket({ ...options, ip6 }, IP_PROTOCOL_ICMPV6, segment, ICMP_CHECKSUM_AT);
}

/** To the sender of `packet`, which begins with its IP header and may be cut off: what is longer than `mtu` does not pass. */
export function buildTooBigFrame(options: TooBigOptions): Uint8Array {
  const segment = new Uint8Array(ICMP_TOO_BIG_BYTES + options.packet.length);
  const isV4 = options.ip4 !== undefined;
  const type = isV4 ? ICMP_UNREACHABLE : ICMPV6_TOO_BIG;
  const code = isV4 ? ICMP_FRAGMENTATION_NEEDED : 0;
  segment.set(options.packet, emitIcmpTooBig({ type, code, checksum: 0, mtu: options.mtu }, segment, 0));
  return buildPacket(options, isV4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMPV6, segment, ICMP_CHECKSUM_AT);
}

/** IP header before `segment`, whose checksum field (still 0) is filled; ICMP over IPv4 has no pseudo-header. */
function buildPacket(options: PacketOptions, protocol: number, segment: Uint8Array, checksumAt: number): Uint8Array {
  const isV4 = options.ip4 !== undefined;
  const l4At = options.ip4 ? IPV4_BYTES_MIN + (options.ip4.options?.length ?? 0) : IPV6_BYTES;
  const packet = new Uint8Array(l4At + segment.length);
  packet.set(segment, l4At);
  if (options.ip4) emitIpv4(ipv4Header(options.ip4, protocol, packet.length), packet, 0);
  else emitIpv6(ipv6Header(options.ip6, protocol, segment.length), packet, 0);
  const sumPseudo = isV4 ? sumPseudoIpv4 : sumPseudoIpv6;
  const pseudoSum = isV4 && protocol === IP_PROTOCOL_ICMP ? 0 : sumPseudo(packet, 0, protocol, segment.length);
  packet[l4At + checksumAt] = pseudoSum >>> 8;
  packet[l4At + checksumAt + 1] = pseudoSum;
  if (!options.unfinished) finishChecksum(packet, l4At, l4At + checksumAt, packet.length);
  return buildFrame(options, isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, packet);
}

function ipv4Header(options: Ipv4Options, protocol: number, totalBytes: number): Ipv4Header {
  return {
    trafficClass: 0,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentAt: 0,
    ttl: 64,
    protocol,
    options: EMPTY,
    ...options,
    totalBytes,
  };
}

function ipv6Header(options: Ipv6Options, nextHeader: number, payloadBytes: number): Ipv6Header {
  return { trafficClass: 0, flowLabel: 0, nextHeader, hopLimit: 64, ...options, payloadBytes };
}
