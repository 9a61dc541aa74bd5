/** IPv4 and IPv6 packets as hex text, made and read by hand: what hosts say inside a tunnel, and what tunnels say to one another. Pure. */

export const IPV4 = 0x0800;
export const IPV6 = 0x86dd;
export const TCP = 6;
export const UDP = 17;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;

export interface Packet {
  /** Two addresses of one family. */
  readonly source: string;
  readonly destination: string;
  /** TOS or traffic class; 0 unless told. */
  readonly tos?: number;
  /** TTL or hop limit; 64 unless told. */
  readonly ttl?: number;
  readonly df?: boolean;
  /** 253, for experiments, unless told (RFC 3692). */
  readonly protocol?: number;
  /** Hex text. */
  readonly payload: string;
}

export interface ReadPacket extends Required<Packet> {
  readonly family: 4 | 6;
}

export function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(bytes * 2, '0');
}

/** An address as hex text: dotted IPv4, or IPv6 with at most one `::`. */
export function addressHex(address: string): string {
  if (!address.includes(':')) return address.split('.').reduce((text, part) => text + hex(Number(part), 1), '');
  const [left = '', right] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => word.padStart(4, '0')));
  const [head, tail] = [words(left), words(right ?? '')];
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0000'), ...tail].join('');
}

/** The Internet checksum of hex text (RFC 1071). */
export function checksum(text: string): number {
  const padded = text.length % 4 === 0 ? text : `${text}00`;
  let sum = 0;
  for (let at = 0; at < padded.length; at += 4) sum += Number.parseInt(padded.slice(at, at + 4), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

export function ipPacket(packet: Packet): string {
  const { source, destination, tos = 0, ttl = 64, df = false, protocol = 253, payload } = packet;
  const ends = addressHex(source) + addressHex(destination);
  const bytes = payload.length / 2;
  if (familyOf(source) === 6) {
    return hex(0x60000000 + tos * 0x100000, 4) + hex(bytes, 2) + hex(protocol, 1) + hex(ttl, 1) + ends + payload;
  }
  const head = `45${hex(tos, 1)}${hex(IPV4_BYTES + bytes, 2)}0000${df ? '4000' : '0000'}${hex(ttl, 1)}${hex(protocol, 1)}`;
  return `${head}${hex(checksum(`${head}0000${ends}`), 2)}${ends}${payload}`;
}

/** A UDP packet in an IP packet; with `finish` off its checksum is 0. */
export function udpPacket(packet: Packet, from: number, to: number, finish = true): string {
  const { source, destination, payload } = packet;
  const length = hex(8 + payload.length / 2, 2);
  const ports = hex(from, 2) + hex(to, 2);
  const pseudo = `${addressHex(source) + addressHex(destination)}00${hex(UDP, 1)}${length}`;
  const sum = finish ? checksum(`${pseudo}${ports}${length}0000${payload}`) || 0xffff : 0;
  return ipPacket({ ...packet, protocol: UDP, payload: ports + length + hex(sum, 2) + payload });
}

/** An Ethernet frame around a packet; addresses are 12 hex digits. */
export function ipFrame(destination: string, source: string, packet: string): string {
  return `${destination + source + hex(packet.startsWith('6') ? IPV6 : IPV4, 2)}${packet}`;
}

/** An IPv6 address as people write it (RFC 5952). */
function shortened(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

/** What an untagged Ethernet frame carries. Throws when it is no IP packet. */
export function readPacket(frame: string): ReadPacket {
  const type = Number.parseInt(frame.slice(24, 28), 16);
  const text = frame.slice(28);
  const number = (at: number, bytes: number) => Number.parseInt(text.slice(at * 2, (at + bytes) * 2), 16);
  if (type === IPV4) {
    const dotted = (at: number) => [0, 1, 2, 3].map((k) => number(at + k, 1)).join('.');
    return {
      ...{ family: 4, source: dotted(12), destination: dotted(16), tos: number(1, 1), ttl: number(8, 1) },
      ...{ df: (number(6, 1) & 0x40) !== 0, protocol: number(9, 1) },
      payload: text.slice((number(0, 1) & 15) * 8, number(2, 2) * 2),
    };
  }
  if (type !== IPV6) throw new Error(`no IP packet: ${frame}`);
  const colons = (at: number) => shortened(text.slice(at * 2, at * 2 + 32).replace(/(....)(?!$)/g, '$1:'));
  return {
    ...{ family: 6, source: colons(8), destination: colons(24), tos: (number(0, 2) >> 4) & 0xff, ttl: number(7, 1) },
    ...{ df: true, protocol: number(6, 1), payload: text.slice(IPV6_BYTES * 2, (IPV6_BYTES + number(4, 2)) * 2) },
  };
}
