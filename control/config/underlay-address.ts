/**
 * Addresses of tunnels in the network that carries them: which can be a machine's, which a group's, and one spelling for each. Called by
 * the checks of tunnels; pure. What is no address at all, which the schema tells, is null here.
 */
import { isIP } from 'node:net';
import { parseIpv4Address, parseIpv6Address } from '../../dataplane/wire/text.ts';
import { normalAddress } from '../model/tunnel-document.ts';

export interface UnderlayAddress {
  /** As everybody writes it (RFC 5952). */
  readonly text: string;
  readonly family: 4 | 6;
  readonly group: boolean;
  readonly loopback: boolean;
  /** Why no machine can have it, beside that it is a group's; null: one can. */
  readonly wrong: string | null;
}

/** By its bytes and not by node:net's BlockList, which takes 8 µs an address (Node 20): a document may name 60,000. */
type Bytes = Uint8Array;

/** 224.0.0.0/4, and ff00::/8. */
function isGroup(bytes: Bytes): boolean {
  return bytes.length === 4 ? bytes[0]! >> 4 === 0xe : bytes[0] === 0xff;
}

function isZero(bytes: Bytes, from: number, to: number): boolean {
  for (let k = from; k < to; k++) if (bytes[k] !== 0) return false;
  return true;
}

/** 127.0.0.0/8, and ::1. */
function isLoopback(bytes: Bytes): boolean {
  return bytes.length === 4 ? bytes[0] === 127 : isZero(bytes, 0, 15) && bytes[15] === 1;
}

function wrong4(bytes: Bytes): string | null {
  if (bytes[0] === 0) return 'is no machine’s address';
  if (bytes.every((byte) => byte === 255)) return 'is the broadcast address';
  return bytes[0]! >> 4 === 0xf ? 'is reserved (240.0.0.0/4)' : null;
}

function wrong6(bytes: Bytes): string | null {
  if (isZero(bytes, 0, 16)) return 'is no machine’s address';
  if (isZero(bytes, 0, 10) && bytes[10] === 0xff && bytes[11] === 0xff)
    return 'is an IPv4 address in IPv6’s form: write it as IPv4';
  const linkLocal = bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
  return linkLocal ? 'is link-local: tunnels need an address that is routed' : null;
}

export function underlayAddress(value: unknown): UnderlayAddress | null {
  if (typeof value !== 'string' || value.includes('%')) return null;
  const family = isIP(value);
  if (family !== 4 && family !== 6) return null;
  const bytes = family === 4 ? parseIpv4Address(value) : parseIpv6Address(value);
  return {
    text: normalAddress(value),
    family,
    group: isGroup(bytes),
    loopback: isLoopback(bytes),
    wrong: family === 4 ? wrong4(bytes) : wrong6(bytes),
  };
}
