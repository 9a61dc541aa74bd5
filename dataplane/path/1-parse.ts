// HOT: stage 1. Checks the length once, reads tags and offload header, notes the facts that later stages use. What doesn't hold up
// drops with its reason; the list is compacted in place, order kept. Afterwards: LENGTH ≥ 14, the Ethernet header and up to two tags
// lie in the head, L3 points behind them, offload facts are within the head.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { FRAME_BYTES_MIN } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell, RECEIVED_FLAGS } from '../memory/layout.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import { parseOffload } from './offload.ts';

const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
/** EtherTypes as a little-endian read of the frame gives them. */
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;

/** Parses `n` slots listed at word `list`, all received on `port`; answers how many are left. */
export function parse(lane: Lane, list: number, n: number, port: number): number {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  const up = (i32[record + PortWord.FLAGS]! & PortFlag.UP) !== 0;
  const mtu = i32[record + PortWord.MTU]!;
  let kept = 0;
  let bytes = 0;
  let segments = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const length = i32[facts + Fact.LENGTH]!;
    bytes += length;
    const reason = up ? parseOne(lane, facts, length, mtu) : Drop.INGRESS_DOWN;
    segments += reason === 0 ? i32[facts + Fact.SEGMENTS]! : 1;
    if (reason !== 0) {
      drop(lane, port, reason);
    } else {
      i32[list + kept] = slot;
      kept++;
    }
  }
  count(lane, port, PortCell.RX_FRAMES, n);
  count(lane, port, PortCell.RX_BYTES, bytes);
  count(lane, port, PortCell.RX_SEGMENTS, segments);
  return kept;
}

function parseOne(lane: Lane, facts: number, length: number, mtu: number): number {
  const i32 = lane.i32;
  if (length < FRAME_BYTES_MIN)
    return (i32[facts + Fact.FLAGS]! & Flag.SPOILT) !== 0 ? i32[facts + Fact.TAG]! : Drop.RUNT;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  const w0 = i32[at]!;
  const w3 = i32[at + 3]!;
  let flags = i32[facts + Fact.FLAGS]! & RECEIVED_FLAGS;
  if ((w0 & 1) !== 0) {
    flags |= Flag.GROUP;
    if (w0 === -1 && (i32[at + 1]! & 0xffff) === 0xffff) flags |= Flag.BROADCAST;
  }
  let l3 = ETHERNET_BYTES;
  const type = w3 & 0xffff;
  if (type === TPID_8021Q_LE || type === TPID_8021AD_LE) {
    l3 = ETHERNET_BYTES + TAG_BYTES;
    if (length < l3) return Drop.BAD_TAG;
    const tci = ((w3 >>> 8) & 0xff00) | (w3 >>> 24);
    if ((tci & 0xfff) === 0xfff) return Drop.BAD_TAG;
    i32[facts + Fact.TAG] = tci | (type === TPID_8021Q_LE ? 0x8100 << 16 : 0x88a8 << 16);
    flags |= Flag.TAGGED;
    const inner = i32[at + 4]! & 0xffff;
    if (inner === TPID_8021Q_LE || inner === TPID_8021AD_LE) {
      l3 = ETHERNET_BYTES + 2 * TAG_BYTES;
      if (length < l3) return Drop.BAD_TAG;
      flags |= Flag.INNER;
    }
  }
  i32[facts + Fact.FLAGS] = flags;
  i32[facts + Fact.L3] = l3;
  i32[facts + Fact.GSO] = 0;
  i32[facts + Fact.SEGMENTS] = 1;
  i32[facts + Fact.WIRE_BYTES] = length;
  if ((flags & Flag.VNET) !== 0 && (i32[at - 3]! & 0xff01) !== 0) {
    const reason = parseOffload(lane, facts);
    if (reason !== 0) return reason;
  }
  if (i32[facts + Fact.WIRE_BYTES]! - l3 > mtu) return Drop.GIANT;
  return 0;
}
