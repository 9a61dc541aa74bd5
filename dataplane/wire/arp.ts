// HOT: read where ARP is answered or suppressed.
/*
 * ARP for IPv4 over Ethernet (RFC 826; numbers: RFC 5494). Called by the path on worker threads, and by
 * the cold side through arp-value.ts. Never holds for other hardware or protocol types: checkArp refuses them.
 *
 *    0          2          4      5      6           8             14           18           24           28
 *   +----------+----------+------+------+-----------+-------------+------------+------------+------------+
 *   | hardware | protocol | hlen | plen | operation | sender MAC  | sender IP  | target MAC | target IP  |
 *   +----------+----------+------+------+-----------+-------------+------------+------------+------------+
 */
import { readI32, readU16 } from './bytes.ts';
import { Check } from './check.ts';
import { ETHERTYPE_IPV4, MAC_BYTES } from './ethernet.ts';
import { IPV4_ADDRESS_BYTES } from './ipv4.ts';

export const ARP_HARDWARE_AT = 0;
export const ARP_PROTOCOL_AT = ARP_HARDWARE_AT + 2;
export const ARP_HARDWARE_BYTES_AT = ARP_PROTOCOL_AT + 2;
export const ARP_PROTOCOL_BYTES_AT = ARP_HARDWARE_BYTES_AT + 1;
export const ARP_OPERATION_AT = ARP_PROTOCOL_BYTES_AT + 1;
export const ARP_SENDER_MAC_AT = ARP_OPERATION_AT + 2;
export const ARP_SENDER_ADDRESS_AT = ARP_SENDER_MAC_AT + MAC_BYTES;
export const ARP_TARGET_MAC_AT = ARP_SENDER_ADDRESS_AT + IPV4_ADDRESS_BYTES;
export const ARP_TARGET_ADDRESS_AT = ARP_TARGET_MAC_AT + MAC_BYTES;
export const ARP_BYTES = ARP_TARGET_ADDRESS_AT + IPV4_ADDRESS_BYTES;

export const ARP_HARDWARE_ETHERNET = 1;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** OK: all fields can be read. SHORT: they can't. BAD_TYPE: not Ethernet and IPv4 with their address lengths. */
export function checkArp(bytes: Uint8Array, at: number, end: number): Check {
  if (end - at < ARP_BYTES) return Check.SHORT;
  if (readU16(bytes, at + ARP_HARDWARE_AT) !== ARP_HARDWARE_ETHERNET) return Check.BAD_TYPE;
  if (readU16(bytes, at + ARP_PROTOCOL_AT) !== ETHERTYPE_IPV4) return Check.BAD_TYPE;
  if (bytes[at + ARP_HARDWARE_BYTES_AT] !== MAC_BYTES) return Check.BAD_TYPE;
  return bytes[at + ARP_PROTOCOL_BYTES_AT] === IPV4_ADDRESS_BYTES ? Check.OK : Check.BAD_TYPE;
}

export function arpOperation(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at + ARP_OPERATION_AT);
}

/** As int32. */
export function arpSenderAddress(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + ARP_SENDER_ADDRESS_AT);
}

/** As int32. */
export function arpTargetAddress(bytes: Uint8Array, at: number): number {
  return readI32(bytes, at + ARP_TARGET_ADDRESS_AT);
}
