// HOT: once for every frame whose way depends on its flow.
/*
 * A 32-bit hash of the flow that a frame belongs to. Called on worker threads, where bond buckets, tunnel source
 * ports and flow counts are chosen; not symmetric, not secret, not stable between versions. Never reads at or
 * behind the head's end, whatever the frame says. Tags don't take part: a flow keeps its hash when it is tagged.
 */
import { readI32 } from './bytes.ts';
import { Check } from './check.ts';
import { DESTINATION_AT, ETHERNET_BYTES, ETHERTYPE_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from './ethernet.ts';
import {
  checkIpv4,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  isIpv4Fragment,
} from './ipv4.ts';
import { checkIpv6, IPV6_BYTES, IPV6_SOURCE_AT, ipv6NextHeader } from './ipv6.ts';
import { TCP_BYTES_MIN } from './tcp.ts';
import { UDP_BYTES } from './udp.ts';

/** The frame's end isn't known here and isn't needed: only the head is read. */
const NO_FRAME_END = 0x7fffffff;

/**
 * Hash of the frame whose head is bytes[at … at + headBytes), as int32. `etherTypeAt` is where in `bytes` the
 * EtherType behind the last tag stands. Always the MACs; of an IPv4 or IPv6 packet whose header lies in the
 * head also the addresses; of TCP and UDP whose header does too, and that is no fragment, protocol and ports.
 * Every fragment of a packet gets the same hash. IPv6 extension headers hide the ports. A head without both
 * MACs gives 0.
 */
export function flowHash(bytes: Uint8Array, at: number, headBytes: number, etherTypeAt: number): number {
  const end = (at + headBytes) | 0;
  if (headBytes < ETHERNET_BYTES) return 0;
  let hash = mix(0, readI32(bytes, at + DESTINATION_AT));
  hash = mix(hash, readI32(bytes, at + DESTINATION_AT + 4));
  hash = mix(hash, readI32(bytes, at + DESTINATION_AT + 8));
  const packetAt = (etherTypeAt + ETHERTYPE_BYTES) | 0;
  if (etherTypeAt < at || packetAt > end) return finish(hash);
  const etherType = (bytes[etherTypeAt] << 8) | bytes[etherTypeAt + 1];
  if (etherType === ETHERTYPE_IPV4) hash = mixIpv4(hash, bytes, packetAt, end);
  else if (etherType === ETHERTYPE_IPV6) hash = mixIpv6(hash, bytes, packetAt, end);
  return finish(hash);
}

function mixIpv4(hash: number, bytes: Uint8Array, at: number, end: number): number {
  if (checkIpv4(bytes, at, end, NO_FRAME_END) !== Check.OK) return hash;
  const addresses = mix(mix(hash, ipv4Source(bytes, at)), ipv4Destination(bytes, at));
  if (isIpv4Fragment(bytes, at)) return addresses;
  return mixPorts(addresses, ipv4Protocol(bytes, at), bytes, (at + ipv4HeaderBytes(bytes, at)) | 0, end);
}

function mixIpv6(hash: number, bytes: Uint8Array, at: number, end: number): number {
  if (checkIpv6(bytes, at, end, NO_FRAME_END) !== Check.OK) return hash;
  let addresses = hash;
  for (let i = IPV6_SOURCE_AT; i < IPV6_BYTES; i += 4) addresses = mix(addresses, readI32(bytes, at + i));
  return mixPorts(addresses, ipv6NextHeader(bytes, at), bytes, (at + IPV6_BYTES) | 0, end);
}

/** TCP and UDP both begin with source and destination port. */
function mixPorts(hash: number, protocol: number, bytes: Uint8Array, at: number, end: number): number {
  let l4Bytes = 0;
  if (protocol === IP_PROTOCOL_TCP) l4Bytes = TCP_BYTES_MIN;
  else if (protocol === IP_PROTOCOL_UDP) l4Bytes = UDP_BYTES;
  if (l4Bytes === 0 || end - at < l4Bytes) return hash;
  return mix(mix(hash, protocol), readI32(bytes, at));
}

/** One word in: multiply, rotate, multiply, with odd constants whose bits are spread. */
function mix(hash: number, word: number): number {
  const spread = Math.imul(word, 0x9e3779b1);
  const turned = hash ^ Math.imul((spread << 15) | (spread >>> 17), 0x85ebca77);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0x52dce729) | 0;
}

/** Every input bit reaches every output bit, so that any few bits make a good bucket. */
function finish(hash: number): number {
  const first = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  const second = Math.imul(first ^ (first >>> 15), 0x846ca68b);
  return second ^ (second >>> 16);
}
