/** What tunnels send to one another, as hex text: frames of the underlay made by hand with an inner frame in them, and read again. Pure. */
import {
  addressHex,
  checksum,
  hex,
  ipFrame,
  ipPacket,
  type ReadPacket,
  readPacket,
  UDP,
  udpPacket,
} from './packets.ts';

export const VXLAN_PORT = 4789;
export const GENEVE_PORT = 6081;
/** RFC 7348 section 5: the flag I. */
export const VXLAN_FLAGS = 0x08;
/** RFC 8926 section 3.4: an Ethernet frame inside. */
const GENEVE_ETHERNET = 0x6558;
const GRE = 47;

export interface OuterOptions {
  /** Addresses of the underlay's devices, 12 hex digits. */
  readonly from: string;
  readonly to: string;
  readonly source: string;
  readonly destination: string;
  readonly vni: number;
  readonly inner: string;
  readonly tos?: number;
  readonly ttl?: number;
  readonly sourcePort?: number;
  readonly port?: number;
  /** UDP checksum; made unless told otherwise. */
  readonly finish?: boolean;
  /** Instead of the flags of RFC 7348, and what follows them. */
  readonly header?: string;
}

export interface Outer extends ReadPacket {
  readonly sourcePort: number;
  readonly port: number;
  /** As it came; 0: none. */
  readonly checksum: number;
  /** Of a checksum other than 0. */
  readonly isGood: boolean;
  /** The first byte of the tunnel's header. */
  readonly flags: number;
  readonly vni: number;
  readonly inner: string;
}

export function vxlanHeader(vni: number, flags = VXLAN_FLAGS): string {
  return `${hex(flags, 1)}000000${hex(vni, 3)}00`;
}

/** `options` are whole words of hex text. */
export function geneveHeader(vni: number, { options = '', critical = false } = {}): string {
  return `${hex(options.length / 8, 1)}${critical ? '40' : '00'}${hex(GENEVE_ETHERNET, 2)}${hex(vni, 3)}00${options}`;
}

/** A frame of the underlay with a VXLAN datagram, or one with the header that was given. */
export function datagram(options: OuterOptions): string {
  const { from, to, vni, inner, sourcePort = 49_152, port = VXLAN_PORT, header = vxlanHeader(vni) } = options;
  return ipFrame(to, from, udpPacket({ ...options, payload: header + inner }, sourcePort, port, options.finish));
}

/** A frame of the underlay with an Ethernet frame in GRE (RFC 2784, RFC 2890). */
export function greFrame(options: Omit<OuterOptions, 'vni'> & { readonly key?: number }): string {
  const { from, to, inner, key } = options;
  const header = key === undefined ? '00006558' : `20006558${hex(key, 4)}`;
  return ipFrame(to, from, ipPacket({ ...options, protocol: GRE, payload: header + inner }));
}

/** A VXLAN or Geneve datagram on the underlay, Geneve without options. Throws when it is something else. */
export function readOuter(frame: string): Outer {
  const packet = readPacket(frame);
  if (packet.protocol !== UDP) throw new Error(`no UDP: ${frame}`);
  const { payload, source, destination } = packet;
  const word = (at: number) => Number.parseInt(payload.slice(at * 2, at * 2 + 4), 16);
  const pseudo = `${addressHex(source) + addressHex(destination)}00${hex(UDP, 1)}${hex(word(4), 2)}`;
  return {
    ...packet,
    ...{ sourcePort: word(0), port: word(2), checksum: word(6) },
    isGood: checksum(pseudo + payload) === 0,
    flags: Number.parseInt(payload.slice(16, 18), 16),
    vni: Number.parseInt(payload.slice(24, 30), 16),
    inner: payload.slice(32),
  };
}
