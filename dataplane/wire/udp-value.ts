/*
 * The UDP header as a plain value. Called by tests, control and printing; never per frame. The checksum is
 * written as given: it depends on the IP header and the payload (finishChecksum).
 */
import { bounded, refuse, roomFor } from './malformed.ts';
import {
  checkUdp,
  setUdpChecksum,
  setUdpDestinationPort,
  setUdpLength,
  setUdpSourcePort,
  UDP_BYTES,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
} from './udp.ts';

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Header and payload, in bytes. */
  readonly length: number;
  readonly checksum: number;
}

/** `end` is the frame's end. Throws RangeError when malformed. */
export function parseUdp(bytes: Uint8Array, at: number, end: number): UdpHeader {
  refuse('UDP header', checkUdp(bytes, at, end, end), at, end);
  return {
    sourcePort: udpSourcePort(bytes, at),
    destinationPort: udpDestinationPort(bytes, at),
    length: udpLength(bytes, at),
    checksum: udpChecksum(bytes, at),
  };
}

/** Writes eight bytes and returns the offset behind them. */
export function emitUdp(header: UdpHeader, bytes: Uint8Array, at: number): number {
  const next = roomFor('UDP header', bytes, at, UDP_BYTES);
  setUdpSourcePort(bytes, at, bounded('UDP source port', header.sourcePort, 0xffff));
  setUdpDestinationPort(bytes, at, bounded('UDP destination port', header.destinationPort, 0xffff));
  setUdpLength(bytes, at, bounded('UDP length', header.length, 0xffff));
  setUdpChecksum(bytes, at, bounded('UDP checksum', header.checksum, 0xffff));
  return next;
}
