/**
 * Writes captured frames as pcapng (draft-ietf-opsawg-pcapng): one section, one Ethernet interface per captured port, one enhanced
 * packet block a frame with its direction, and interface statistics that tell what the capture lost. Called by the API on the
 * main thread; pure, little-endian, every block a fresh buffer.
 */
import type { CapturedFrame } from '../switch.ts';

export const BlockType = { SECTION: 0x0a0d0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
export const PacketOption = { COMMENT: 1, FLAGS: 2 } as const;
export const StatisticsOption = { RECEIVED: 4, DROPPED: 5 } as const;
/** Bits 0–1 of epb_flags. */
export const Direction = { IN: 1, OUT: 2 } as const;

const SectionOption = { OS: 3, APPLICATION: 4 } as const;
const InterfaceOption = { COMMENT: 1, NAME: 2, DESCRIPTION: 3, RESOLUTION: 9 } as const;
const LINKTYPE_ETHERNET = 1;
const NANOSECONDS = 9;
/** Type and both lengths. */
const FRAMING_BYTES = 12;
const PACKET_FIXED_BYTES = 20;
const FLAGS_BYTES = 12;

function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}

function option(code: number, value: Uint8Array): Buffer {
  const out = Buffer.alloc(4 + padded(value.length));
  out.writeUInt16LE(code, 0);
  out.writeUInt16LE(value.length, 2);
  out.set(value, 4);
  return out;
}

function count(code: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return option(code, bytes);
}

function block(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const total = FRAMING_BYTES + parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(total, 4);
  return Buffer.concat([head, ...parts, head.subarray(4, 8)], total);
}

const END_OF_OPTIONS = Buffer.alloc(4);

/** What a capture says of itself in its first two blocks. */
export interface CaptureHeader {
  readonly bridge: string;
  readonly port: string;
  readonly snapLength: number;
  /** As `weft 0.1.0`. */
  readonly application: string;
  readonly os: string;
}

/** The section header and the one interface (number 0). */
export function pcapngHeader(header: CaptureHeader): Buffer {
  const version = Buffer.alloc(16);
  version.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  version.writeUInt16LE(1, 4);
  version.writeBigInt64LE(-1n, 8);
  const section = block(
    BlockType.SECTION,
    version,
    option(SectionOption.OS, Buffer.from(header.os)),
    option(SectionOption.APPLICATION, Buffer.from(header.application)),
    END_OF_OPTIONS,
  );
  const link = Buffer.alloc(8);
  link.writeUInt16LE(LINKTYPE_ETHERNET, 0);
  link.writeUInt32LE(header.snapLength, 4);
  const name = `${header.bridge}/${header.port}`;
  const description = block(
    BlockType.INTERFACE,
    link,
    option(InterfaceOption.NAME, Buffer.from(name)),
    option(InterfaceOption.DESCRIPTION, Buffer.from(`port ${header.port} of bridge ${header.bridge}`)),
    option(InterfaceOption.COMMENT, Buffer.from(`inbound is what the switch received from ${name}`)),
    option(InterfaceOption.RESOLUTION, Buffer.of(NANOSECONDS)),
    END_OF_OPTIONS,
  );
  return Buffer.concat([section, description]);
}

/** One frame. Written in one buffer without parts: the only block whose number has no bound. */
export function pcapngPacket(frame: CapturedFrame): Buffer {
  const captured = frame.bytes.length;
  const dataAt = 8 + PACKET_FIXED_BYTES;
  const total = FRAMING_BYTES + PACKET_FIXED_BYTES + padded(captured) + FLAGS_BYTES;
  const out = Buffer.alloc(total);
  out.writeUInt32LE(BlockType.PACKET, 0);
  out.writeUInt32LE(total, 4);
  out.writeUInt32LE(Number((frame.time >> 32n) & 0xffff_ffffn), 12);
  out.writeUInt32LE(Number(frame.time & 0xffff_ffffn), 16);
  out.writeUInt32LE(captured, 20);
  out.writeUInt32LE(frame.originalBytes, 24);
  out.set(frame.bytes, dataAt);
  const flagsAt = dataAt + padded(captured);
  out.writeUInt16LE(PacketOption.FLAGS, flagsAt);
  out.writeUInt16LE(4, flagsAt + 2);
  out.writeUInt32LE(frame.direction === 'in' ? Direction.IN : Direction.OUT, flagsAt + 4);
  out.writeUInt32LE(total, total - 4);
  return out;
}

/** How many frames the capture took and lost so far; `time` in nanoseconds since the epoch. */
export function pcapngStatistics(time: bigint, taken: number, lost: number): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt32LE(Number((time >> 32n) & 0xffff_ffffn), 4);
  fixed.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  return block(
    BlockType.STATISTICS,
    fixed,
    count(StatisticsOption.RECEIVED, taken + lost),
    count(StatisticsOption.DROPPED, lost),
    END_OF_OPTIONS,
  );
}
