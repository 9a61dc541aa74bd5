/*
 * The TCP header as a plain value. Called by tests, control and printing; never per frame. The checksum is
 * written as given: it depends on the IP header and the payload (finishChecksum).
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.ts';
import { bounded, refuse, roomFor } from './malformed.ts';
import {
  checkTcp,
  setTcpChecksum,
  setTcpFlags,
  setTcpSequence,
  TCP_ACKNOWLEDGMENT_AT,
  TCP_BYTES_MAX,
  TCP_BYTES_MIN,
  TCP_DATA_OFFSET_AT,
  TCP_DESTINATION_PORT_AT,
  TCP_SOURCE_PORT_AT,
  TCP_URGENT_AT,
  TCP_WINDOW_AT,
  tcpChecksum,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderBytes,
  tcpSequence,
  tcpSourcePort,
} from './tcp.ts';

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** TCP_SYN and so on. The four bits beside the data offset are written as 0. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  /** As they stand in the header, 0 to 40 bytes in words of four. */
  readonly options: Uint8Array;
}

const OPTIONS_BYTES_MAX = TCP_BYTES_MAX - TCP_BYTES_MIN;

/** Throws RangeError when malformed. */
export function parseTcp(bytes: Uint8Array, at: number, end: number): TcpHeader {
  refuse('TCP header', checkTcp(bytes, at, end), at, end);
  return {
    sourcePort: tcpSourcePort(bytes, at),
    destinationPort: tcpDestinationPort(bytes, at),
    sequence: tcpSequence(bytes, at) >>> 0,
    acknowledgment: readI32(bytes, at + TCP_ACKNOWLEDGMENT_AT) >>> 0,
    flags: tcpFlags(bytes, at),
    window: readU16(bytes, at + TCP_WINDOW_AT),
    checksum: tcpChecksum(bytes, at),
    urgent: readU16(bytes, at + TCP_URGENT_AT),
    options: bytes.slice(at + TCP_BYTES_MIN, at + tcpHeaderBytes(bytes, at)),
  };
}

/** Writes header and options; returns the offset behind them. */
export function emitTcp(header: TcpHeader, bytes: Uint8Array, at: number): number {
  const words = bounded('words of TCP options', header.options.length / 4, OPTIONS_BYTES_MAX / 4);
  const headerBytes = TCP_BYTES_MIN + words * 4;
  const next = roomFor('TCP header', bytes, at, headerBytes);
  writeU16(bytes, at + TCP_SOURCE_PORT_AT, bounded('TCP source port', header.sourcePort, 0xffff));
  writeU16(bytes, at + TCP_DESTINATION_PORT_AT, bounded('TCP destination port', header.destinationPort, 0xffff));
  setTcpSequence(bytes, at, bounded('TCP sequence', header.sequence, 0xffffffff));
  writeI32(bytes, at + TCP_ACKNOWLEDGMENT_AT, bounded('TCP acknowledgment', header.acknowledgment, 0xffffffff));
  bytes[at + TCP_DATA_OFFSET_AT] = (headerBytes >>> 2) << 4;
  setTcpFlags(bytes, at, bounded('TCP flags', header.flags, 0xff));
  writeU16(bytes, at + TCP_WINDOW_AT, bounded('TCP window', header.window, 0xffff));
  setTcpChecksum(bytes, at, bounded('TCP checksum', header.checksum, 0xffff));
  writeU16(bytes, at + TCP_URGENT_AT, bounded('TCP urgent pointer', header.urgent, 0xffff));
  bytes.set(header.options, at + TCP_BYTES_MIN);
  return next;
}
