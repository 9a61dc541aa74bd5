/*
 * The Ethernet header as a plain value. Called by tests, control and printing; never per frame.
 */
import { writeU16 } from './bytes.ts';
import { checkEthernet, DESTINATION_AT, ETHERNET_BYTES, ETHERTYPE_AT, etherType, SOURCE_AT } from './ethernet.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import { formatMac, parseMac } from './text.ts';

export interface EthernetHeader {
  /** MAC addresses as formatMac writes them. */
  readonly destination: string;
  readonly source: string;
  /** The 16 bits behind the addresses: a type, a length or a TPID. */
  readonly etherType: number;
}

/** Throws RangeError when cut short. */
export function parseEthernet(bytes: Uint8Array, at: number, end: number): EthernetHeader {
  refuse('Ethernet header', checkEthernet(bytes, at, end), at, end);
  return {
    destination: formatMac(bytes, at + DESTINATION_AT),
    source: formatMac(bytes, at + SOURCE_AT),
    etherType: etherType(bytes, at),
  };
}

/** Writes 14 bytes and returns the offset behind them. */
export function emitEthernet(header: EthernetHeader, bytes: Uint8Array, at: number): number {
  const next = roomFor('Ethernet header', bytes, at, ETHERNET_BYTES);
  bytes.set(parseMac(header.destination), at + DESTINATION_AT);
  bytes.set(parseMac(header.source), at + SOURCE_AT);
  writeU16(bytes, at + ETHERTYPE_AT, bounded('EtherType', header.etherType, 0xffff));
  return next;
}
