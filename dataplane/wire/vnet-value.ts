/*
 * The virtio-net header as a plain value. Called by tests and printing; never per frame.
 */
import { bounded, refuse, roomFor } from './malformed.ts';
import {
  checkVnet,
  setVnetBufferCount,
  VNET_BYTES,
  vnetBufferCount,
  vnetChecksumOffset,
  vnetChecksumStart,
  vnetFlags,
  vnetGsoBytes,
  vnetGsoType,
  vnetHeaderBytes,
  writeVnet,
} from './vnet.ts';

export interface VnetHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly headerBytes: number;
  readonly gsoBytes: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
  readonly bufferCount: number;
}

/** The header at `at` and the frame behind it up to `end`. Throws RangeError where checkVnet refuses. */
export function parseVnet(bytes: Uint8Array, at: number, end: number): VnetHeader {
  refuse('virtio-net header', checkVnet(bytes, at, end), at, end);
  return {
    flags: vnetFlags(bytes, at),
    gsoType: vnetGsoType(bytes, at),
    headerBytes: vnetHeaderBytes(bytes, at),
    gsoBytes: vnetGsoBytes(bytes, at),
    checksumStart: vnetChecksumStart(bytes, at),
    checksumOffset: vnetChecksumOffset(bytes, at),
    bufferCount: vnetBufferCount(bytes, at),
  };
}

/** Writes twelve bytes and returns the offset behind them. Doesn't look at the frame. */
export function emitVnet(header: VnetHeader, bytes: Uint8Array, at: number): number {
  const next = roomFor('virtio-net header', bytes, at, VNET_BYTES);
  writeVnet(
    bytes,
    at,
    bounded('vnet flags', header.flags, 0xff),
    bounded('vnet gso_type', header.gsoType, 0xff),
    bounded('vnet hdr_len', header.headerBytes, 0xffff),
    bounded('vnet gso_size', header.gsoBytes, 0xffff),
    bounded('vnet csum_start', header.checksumStart, 0xffff),
    bounded('vnet csum_offset', header.checksumOffset, 0xffff),
  );
  setVnetBufferCount(bytes, at, bounded('vnet num_buffers', header.bufferCount, 0xffff));
  return next;
}
