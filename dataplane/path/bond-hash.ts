// HOT: which of a bond's 256 buckets a frame belongs to. What a policy names is mixed, and nothing else: so a flow stays in its bucket, tagged
// or not, segmented or not, by the short way or by the stages. Not the kernel's numbers, which nobody can rely on either.
//
// Measured: `bond-64` of bench/path, see bench/README.md. Headers begin two bytes behind a word's start, so fields are put together from two words.
import { BUCKETS_COUNT } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { Hash, mix, sourceBucket } from '../tables/bond-layout.ts';
import { encapsulatedHash } from './encapsulated-hash.ts';

const AT_MASK = 0x1fffffff;
const BUCKETS_MASK = BUCKETS_COUNT - 1;
const IPV4_LE = 0x0008;
const IPV6_LE = 0xdd86;
const TCP = 6;
const UDP = 17;
/** From the word that holds the EtherType: how many bytes of the frame must be there for addresses, and for ports. */
const IPV4_BYTES = 22;
const IPV6_BYTES = 42;
const PORTS_BYTES = 4;
/** Bits of the fragment word that make a packet one of several, as a little-endian read gives them. */
const FRAGMENT_LE = 0xff3f;

/**
 * The bucket of a frame. `at`: the word where its head starts; `bytes`: of the head; `l3`: from its start to the network header; `vid`: its
 * VLAN. `policy` is a number of Hash.
 */
export function bucketFor(
  lane: Lane,
  at: number,
  bytes: number,
  l3: number,
  vid: number,
  policy: number,
  seed: number,
): number {
  const i32 = lane.i32;
  if (policy === Hash.VLAN_SOURCE) return sourceBucket(seed, i32[at + 2]!, i32[at + 1]! >>> 16, vid);
  // The word whose low half is the EtherType.
  const p = (at + ((l3 - 2) >> 2)) & AT_MASK;
  let hash = seed;
  if (policy === Hash.LAYER34) {
    const left = bytes - l3 + 2;
    if ((i32[p]! & 0xff_ffff) === (IPV4_LE | (0x45 << 16)) && left >= IPV4_BYTES + PORTS_BYTES) {
      const source = (i32[p + 3]! >>> 16) | (i32[p + 4]! << 16);
      const destination = (i32[p + 4]! >>> 16) | (i32[p + 5]! << 16);
      const protocol = i32[p + 2]! >>> 24;
      const hasPorts = (protocol === TCP || protocol === UDP) && (i32[p + 2]! & FRAGMENT_LE) === 0;
      const ports = hasPorts ? (i32[p + 5]! >>> 16) | (i32[p + 6]! << 16) : 0;
      return mix(seed, source, destination, ports) & BUCKETS_MASK;
    }
  } else if (policy === Hash.ENCAP23 || policy === Hash.ENCAP34) {
    const inner = encapsulatedHash(lane, at << 2, bytes, l3, seed, policy);
    if (inner !== 0) return inner & BUCKETS_MASK;
  }
  if (policy !== Hash.LAYER34 && policy !== Hash.ENCAP34) hash = mix(seed, i32[at]!, i32[at + 1]!, i32[at + 2]!);
  if (policy === Hash.LAYER2) return mix(hash, i32[p]! & 0xffff, 0, 0) & BUCKETS_MASK;
  return networkHash(lane, at, bytes, l3, policy, hash, seed) & BUCKETS_MASK;
}

/** The addresses of an IP packet, for a policy that wants them also its ports; of anything else the MACs and the type. */
function networkHash(
  lane: Lane,
  at: number,
  bytes: number,
  l3: number,
  policy: number,
  hash: number,
  seed: number,
): number {
  const i32 = lane.i32;
  const p = (at + ((l3 - 2) >> 2)) & AT_MASK;
  const type = i32[p]! & 0xffff;
  const left = bytes - l3 + 2;
  const wantsPorts = policy === Hash.LAYER34 || policy === Hash.ENCAP34;
  if (type === IPV4_LE && left >= IPV4_BYTES) {
    const source = (i32[p + 3]! >>> 16) | (i32[p + 4]! << 16);
    const destination = (i32[p + 4]! >>> 16) | (i32[p + 5]! << 16);
    const protocol = i32[p + 2]! >>> 24;
    const header = ((i32[p]! >>> 16) & 0xf) << 2;
    let ports = 0;
    if (wantsPorts && (protocol === TCP || protocol === UDP) && (i32[p + 2]! & FRAGMENT_LE) === 0)
      ports = left >= header + 2 + PORTS_BYTES && header >= 20 ? portsAt(lane, (p << 2) + 2 + header) : 0;
    return mix(hash, source, destination, ports);
  }
  if (type === IPV6_LE && left >= IPV6_BYTES) {
    const a = mix(
      hash,
      (i32[p + 2]! >>> 16) | (i32[p + 3]! << 16),
      (i32[p + 3]! >>> 16) | (i32[p + 4]! << 16),
      (i32[p + 4]! >>> 16) | (i32[p + 5]! << 16),
    );
    const b = mix(
      a,
      (i32[p + 5]! >>> 16) | (i32[p + 6]! << 16),
      (i32[p + 6]! >>> 16) | (i32[p + 7]! << 16),
      (i32[p + 7]! >>> 16) | (i32[p + 8]! << 16),
    );
    const next = i32[p + 2]! & 0xff;
    const ports =
      wantsPorts && (next === TCP || next === UDP) && left >= IPV6_BYTES + PORTS_BYTES
        ? portsAt(lane, (p << 2) + 42)
        : 0;
    return mix(b, (i32[p + 8]! >>> 16) | (i32[p + 9]! << 16), (i32[p + 9]! >>> 16) | (i32[p + 10]! << 16), ports);
  }
  return mix(mix(seed, i32[at]!, i32[at + 1]!, i32[at + 2]!), type, 0, 0);
}

/** Source and destination port, as the bytes lie. */
function portsAt(lane: Lane, at: number): number {
  const u8 = lane.u8;
  return u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24);
}
