/*
 * MAC, IPv4 and IPv6 addresses as people write them. Called by control, tests and printing; never per
 * frame. parse takes every common spelling, format gives exactly one, so that texts can be compared.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { MAC_BYTES } from './ethernet.ts';
import { IPV4_ADDRESS_BYTES } from './ipv4.ts';
import { IPV6_ADDRESS_BYTES } from './ipv6.ts';

const MAC_TEXT = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;
const IPV6_GROUP_COUNT = IPV6_ADDRESS_BYTES / 2;

/** `02:00:00:00:00:01`: six pairs of hex digits, with colons or with hyphens. RangeError otherwise. */
export function parseMac(text: string): Uint8Array {
  if (!MAC_TEXT.test(text)) throw new RangeError(`'${text}' is not a MAC address (like 02:00:00:00:00:01)`);
  return Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16));
}

/** Lower case, with colons. */
export function formatMac(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + MAC_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Four decimal numbers; RangeError otherwise, also for leading zeros and shortened forms. */
export function parseIpv4Address(text: string): Uint8Array {
  if (!isIPv4(text)) throw new RangeError(`'${text}' is not an IPv4 address (like 192.0.2.1)`);
  return Uint8Array.from(text.split('.'), Number);
}

export function formatIpv4Address(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + IPV4_ADDRESS_BYTES).join('.');
}

/** Every form of RFC 4291, 2.2; RangeError otherwise, also for one with a zone (`%eth0`). */
export function parseIpv6Address(text: string): Uint8Array {
  if (!isIPv6(text) || text.includes('%')) throw new RangeError(`'${text}' is not an IPv6 address (like 2001:db8::1)`);
  const [before, after] = text.split('::');
  const first = parseGroups(before);
  const last = after === undefined ? [] : parseGroups(after);
  const bytes = new Uint8Array(IPV6_ADDRESS_BYTES);
  bytes.set(first, 0);
  bytes.set(last, IPV6_ADDRESS_BYTES - last.length);
  return bytes;
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}

/** RFC 5952, 4: lower case, the first longest run of two or more zero groups as `::`, no dotted quad. */
export function formatIpv6Address(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: IPV6_GROUP_COUNT }, (_, i) => (bytes[at + 2 * i] << 8) | bytes[at + 2 * i + 1]);
  let runAt = 0;
  let runCount = 0;
  for (let i = 0; i < IPV6_GROUP_COUNT; i++) {
    let count = 0;
    while (i + count < IPV6_GROUP_COUNT && groups[i + count] === 0) count++;
    if (count > runCount) {
      runAt = i;
      runCount = count;
    }
  }
  const texts = groups.map((group) => group.toString(16));
  if (runCount < 2) return texts.join(':');
  return `${texts.slice(0, runAt).join(':')}::${texts.slice(runAt + runCount).join(':')}`;
}
