/*
 * An ARP packet as a plain value. Called by tests, control and printing; never per frame.
 */
import {
  ARP_BYTES,
  ARP_HARDWARE_AT,
  ARP_HARDWARE_BYTES_AT,
  ARP_HARDWARE_ETHERNET,
  ARP_OPERATION_AT,
  ARP_PROTOCOL_AT,
  ARP_PROTOCOL_BYTES_AT,
  ARP_SENDER_ADDRESS_AT,
  ARP_SENDER_MAC_AT,
  ARP_TARGET_ADDRESS_AT,
  ARP_TARGET_MAC_AT,
  arpOperation,
  checkArp,
} from './arp.ts';
import { writeU16 } from './bytes.ts';
import { ETHERTYPE_IPV4, MAC_BYTES } from './ethernet.ts';
import { IPV4_ADDRESS_BYTES } from './ipv4.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatIpv4Address, formatMac, parseIpv4Address, parseMac } from './text.ts';

export interface ArpPacket {
  readonly operation: number;
  /** Addresses as text.ts writes them. */
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetMac: string;
  readonly targetAddress: string;
}

/** Throws RangeError when cut short, or not for IPv4 over Ethernet. */
export function parseArp(bytes: Uint8Array, at: number, end: number): ArpPacket {
  refuse('ARP packet', checkArp(bytes, at, end), at, end);
  return {
    operation: arpOperation(bytes, at),
    senderMac: formatMac(bytes, at + ARP_SENDER_MAC_AT),
    senderAddress: formatIpv4Address(bytes, at + ARP_SENDER_ADDRESS_AT),
    targetMac: formatMac(bytes, at + ARP_TARGET_MAC_AT),
    targetAddress: formatIpv4Address(bytes, at + ARP_TARGET_ADDRESS_AT),
  };
}

/** Writes 28 bytes and returns the offset behind them. */
export function emitArp(packet: ArpPacket, bytes: Uint8Array, at: number): number {
  const next = roomFor('ARP packet', bytes, at, ARP_BYTES);
  writeU16(bytes, at + ARP_HARDWARE_AT, ARP_HARDWARE_ETHERNET);
  writeU16(bytes, at + ARP_PROTOCOL_AT, ETHERTYPE_IPV4);
  bytes[at + ARP_HARDWARE_BYTES_AT] = MAC_BYTES;
  bytes[at + ARP_PROTOCOL_BYTES_AT] = IPV4_ADDRESS_BYTES;
  writeU16(bytes, at + ARP_OPERATION_AT, bounded('ARP operation', packet.operation, 0xffff));
  bytes.set(parseMac(packet.senderMac), at + ARP_SENDER_MAC_AT);
  bytes.set(parseIpv4Address(packet.senderAddress), at + ARP_SENDER_ADDRESS_AT);
  bytes.set(parseMac(packet.targetMac), at + ARP_TARGET_MAC_AT);
  bytes.set(parseIpv4Address(packet.targetAddress), at + ARP_TARGET_ADDRESS_AT);
  return next;
}
