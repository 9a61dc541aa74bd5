/**
 * One captured frame as one line for a terminal. Called by the CLI. Tolerant: a frame cut by the snap length, or one that is
 * malformed, shows what can be read of it and never throws.
 */
import { parseArp } from '../../dataplane/wire/arp-value.ts';
import { ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../../dataplane/wire/ethernet.ts';
import { parseEthernet } from '../../dataplane/wire/ethernet-value.ts';
import { formatIpv4Address, formatIpv6Address } from '../../dataplane/wire/text.ts';
import { parseVlanTag } from '../../dataplane/wire/vlan-value.ts';

const TAG_BYTES = 4;
const TAGS_MAX = 8;
const TPIDS: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  2: 'IGMP',
  6: 'TCP',
  17: 'UDP',
  47: 'GRE',
  58: 'ICMPv6',
  132: 'SCTP',
};
const TCP_FLAGS = ['F', 'S', 'R', 'P', '.'] as const;

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}

function transport(bytes: Uint8Array, at: number, protocol: number, from: string, to: string): string {
  const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
  const ports = protocol === 6 || protocol === 17;
  if (!ports || at + 4 > bytes.length) return `${from} > ${to} ${name}`;
  const line = `${from}:${u16(bytes, at)} > ${to}:${u16(bytes, at + 2)} ${name}`;
  if (protocol === 17 || at + 14 > bytes.length) return line;
  const flags = bytes[at + 13]!;
  return `${line} [${TCP_FLAGS.filter((_, bit) => ((flags >> bit) & 1) === 1).join('')}]`;
}

function ipv4(bytes: Uint8Array, at: number): string {
  if (at + 20 > bytes.length) return 'IPv4';
  const from = formatIpv4Address(bytes, at + 12);
  const to = formatIpv4Address(bytes, at + 16);
  const protocol = bytes[at + 9]!;
  const offset = u16(bytes, at + 6) & 0x1fff;
  if (offset !== 0) return `${from} > ${to} ${PROTOCOLS[protocol] ?? `protocol ${protocol}`} fragment at ${offset * 8}`;
  return transport(bytes, at + (bytes[at]! & 15) * 4, protocol, from, to);
}

function ipv6(bytes: Uint8Array, at: number): string {
  if (at + 40 > bytes.length) return 'IPv6';
  const from = formatIpv6Address(bytes, at + 8);
  const to = formatIpv6Address(bytes, at + 24);
  const next = bytes[at + 6]!;
  return transport(
    bytes,
    at + 40,
    next,
    next === 6 || next === 17 ? `[${from}]` : from,
    next === 6 || next === 17 ? `[${to}]` : to,
  );
}

function arp(bytes: Uint8Array, at: number): string {
  try {
    const { operation, senderMac, senderAddress, targetAddress } = parseArp(bytes, at, bytes.length);
    return operation === 1
      ? `ARP who has ${targetAddress}? tell ${senderAddress}`
      : `ARP ${senderAddress} is at ${senderMac}`;
  } catch {
    return 'ARP';
  }
}

function payload(bytes: Uint8Array, at: number, type: number): string {
  if (type === ETHERTYPE_IPV4) return ipv4(bytes, at);
  if (type === ETHERTYPE_IPV6) return ipv6(bytes, at);
  if (type === ETHERTYPE_ARP) return arp(bytes, at);
  return type < 0x600 ? `802.3 length ${type}` : `type ${hex(type)}`;
}

/** `02:… > 02:… vlan 10 10.0.0.1:80 > 10.0.0.2:4000 TCP [S.]`, without time, direction and length. */
export function summarise(bytes: Uint8Array): string {
  if (bytes.length < ETHERNET_BYTES) return 'too short for an Ethernet header';
  const { source, destination } = parseEthernet(bytes, 0, bytes.length);
  let type = u16(bytes, 12);
  let at = ETHERNET_BYTES;
  let tags = '';
  for (let tag = 0; tag < TAGS_MAX && TPIDS.has(type) && at + TAG_BYTES <= bytes.length; tag++) {
    const { vid, pcp } = parseVlanTag(bytes, at - 2, bytes.length);
    tags += ` vlan ${vid}${pcp === 0 ? '' : ` priority ${pcp}`}`;
    type = u16(bytes, at + 2);
    at += TAG_BYTES;
  }
  return `${source} > ${destination}${tags} ${payload(bytes, at, type)}`;
}
