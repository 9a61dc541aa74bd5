/**
 * MAC addresses as text on the cold side: lower case with colons, and a default one for every TAP that has none in its
 * document. Called by config, model and devices on the main thread.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;
const RESERVED_PREFIX = '01:80:c2:00:00:0';

/** The address in lower case with colons, or null when the text is not six octets. */
export function normalMac(text: string): string | null {
  return MAC.test(text) ? text.toLowerCase().replaceAll('-', ':') : null;
}

/** Why an address cannot be a station's own, or null. `mac` is normal. */
export function notUnicast(mac: string): string | null {
  if (mac === '00:00:00:00:00:00') return 'is all zeroes, not a station’s address';
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 ? 'is a group address, not a station’s' : null;
}

/** 0–15 for 01-80-C2-00-00-00 to -0F (IEEE 802.1Q table 8-1), −1 for any other text. */
export function reservedIndex(text: string): number {
  const mac = normalMac(text);
  return mac?.startsWith(RESERVED_PREFIX) === true ? Number.parseInt(mac.slice(-1), 16) : -1;
}

/** What tells this machine from others: machine-id(5), or its name where there is none. */
function machineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    return hostname();
  }
}

const MACHINE = machineId();

/**
 * The address of a TAP whose document names none: locally administered, the same at every start, so that a neighbour's
 * cache stays right over a restart; another on every machine, since one document may serve many. 46 bits of SHA-256 keep 1,000 ports
 * apart (a clash: 1 in 10⁸).
 */
export function defaultMac(bridge: string, port: string, machine: string = MACHINE): string {
  const digest = createHash('sha256').update(`weft:${machine}:${bridge}/${port}`).digest();
  digest[0] = (digest[0]! & 0xfc) | 0x02;
  return [...digest.subarray(0, 6)].map((octet) => octet.toString(16).padStart(2, '0')).join(':');
}

/** MAC bytes 2–5 as key0 holds them, and bytes 0–1 as the low half of key1, from text as 02:00:00:00:00:01. */
export function macKeys(mac: string): { key0: number; low: number } {
  const bytes = mac.split(':').map((octet) => Number.parseInt(octet, 16));
  return {
    key0: bytes[2]! | (bytes[3]! << 8) | (bytes[4]! << 16) | (bytes[5]! << 24),
    low: bytes[0]! | (bytes[1]! << 8),
  };
}
