// HOT: the short way for the batch that a switch sees most: every frame finished, unicast, its addresses known, its egress a device. Same
// outcome as the numbered stages, which it asks nothing of: four loops, each fact read once. One frame that is anything else, and the
// whole batch takes the stages instead, so that no frame overtakes another; until then nothing was done that the stages do not redo.
//
// Measured 2026-11-21, `vlan-64` of bench/path, one core: see bench/README.md. `& AT_MASK` tells the engine that an offset is within
// an arena of 2 GiB: sums with a constant then need no overflow check.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { LIST_COUNT_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import {
  FACT_WORDS_SHIFT,
  Fact,
  FDB_BUCKET_ENTRIES,
  FDB_BUCKET_WORDS,
  Flag,
  MEMBERSHIP_WORDS,
  PORT_WORDS,
  PortCell,
  Queue,
} from '../memory/layout.ts';
import { find, readValue, refresh, valueFor } from '../tables/fdb.ts';
import {
  bridgeBits,
  bucketOf,
  DESTINATION_MASK,
  domainBits,
  ENTRY_VALUE,
  STATIC,
  STICKY,
} from '../tables/fdb-layout.ts';
import { Form } from '../tables/flood-layout.ts';
import { PortFlag, PortWord, VlanMode } from '../tables/port-layout.ts';
import { sampleFlow } from './flows.ts';
import { formFor, shape } from './shape.ts';

const AT_MASK = 0x1fffffff;
/** The same for offsets of uint16. */
const SEEN_MASK = 0x3fffffff;
const VID_MASK = 0xfff;
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;
const TAGGED_BYTES = 18;
const UNTAGGED_BYTES = 14;
/** What survey asks of an ingress, and admit of an egress beside being up. */
const EGRESS_FLAGS = PortFlag.UP | PortFlag.PATCH | PortFlag.CUSTOMERS;
/** EGRESS as `place` leaves it: a port, and the form above it. */
const FORM_SHIFT = 16;

/** Forwards `n` slots listed at word `list`, just received on `port`; false when the stages must, with the batch as it was. */
export function express(lane: Lane, list: number, n: number, port: number): boolean {
  const bytes = survey(lane, list, n, port);
  if (bytes < 0) return false;
  warm(lane, list, n);
  if (!place(lane, list, n, port)) return false;
  sampleFlow(lane, list, n);
  deliver(lane, list, n);
  count(lane, port, PortCell.RX_FRAMES, n);
  count(lane, port, PortCell.RX_BYTES, bytes);
  count(lane, port, PortCell.RX_SEGMENTS, n);
  return true;
}

/** What stages 1 and 2 find out, and the buckets. Answers the frames' bytes, or −1 at the first that isn't plain. */
function survey(lane: Lane, list: number, n: number, port: number): number {
  const i32 = lane.i32;
  const record = (lane.portsAt + port * PORT_WORDS) & AT_MASK;
  const mode = i32[record + PortWord.MODE]!;
  if ((i32[record + PortWord.FLAGS]! & PortFlag.UP) === 0 || mode === VlanMode.TUNNEL) return -1;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const native = i32[record + PortWord.VLAN]! | (i32[record + PortWord.TPID]! << 16);
  const mtu = i32[record + PortWord.MTU]!;
  const members = (lane.membershipAt + port * MEMBERSHIP_WORDS) & AT_MASK;
  const mask = lane.fdbBucketMask & AT_MASK;
  const factsAt = lane.factsAt & AT_MASK;
  let bytes = 0;
  for (let k = 0; k < n; k++) {
    const facts = (factsAt + (i32[(list + k) & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
    const at = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
    const length = i32[facts + Fact.LENGTH]!;
    const w0 = i32[at]!;
    const w1 = i32[at + 1]!;
    const w2 = i32[at + 2]!;
    const w3 = i32[at + 3]!;
    let flags = i32[facts + Fact.FLAGS]! & Flag.VNET;
    // A group's frame, a group's or no source, a cut-off tag, an offload: none is plain.
    if (((w0 & 1) | (w1 & 0x10000)) !== 0 || ((w1 >>> 16) | w2) === 0 || length < TAGGED_BYTES) return -1;
    if (flags !== 0 && (i32[(at - 3) & AT_MASK]! & 0xff01) !== 0) return -1;
    let tag = native;
    let l3 = UNTAGGED_BYTES;
    const type = w3 & 0xffff;
    if (type === TPID_8021AD_LE) return -1;
    if (type === TPID_8021Q_LE) {
      const tci = ((w3 >>> 8) & 0xff00) | (w3 >>> 24);
      const inner = i32[at + 4]! & 0xffff;
      if (mode === VlanMode.ACCESS || (tci & VID_MASK) === 0 || (tci & VID_MASK) === VID_MASK) return -1;
      if (inner === TPID_8021Q_LE || inner === TPID_8021AD_LE) return -1;
      tag = tci | (0x8100 << 16);
      l3 = TAGGED_BYTES;
      flags |= Flag.TAGGED;
    }
    const vid = tag & VID_MASK;
    if (length - l3 > mtu || (i32[members + (vid >>> 5)]! & (1 << (vid & 31))) === 0) return -1;
    bytes = (bytes + length) | 0;
    i32[facts + Fact.FLAGS] = flags;
    i32[facts + Fact.TAG] = tag;
    i32[facts + Fact.L3] = l3;
    i32[facts + Fact.GSO] = 0;
    i32[facts + Fact.SEGMENTS] = 1;
    i32[facts + Fact.WIRE_BYTES] = length;
    const domain = domainBits(bridge, vid);
    i32[facts + Fact.SOURCE_SET] = bucketOf(w2, (w1 >>> 16) | domain, mask);
    i32[facts + Fact.DESTINATION_SET] = bucketOf((w0 >>> 16) | (w1 << 16), (w0 & 0xffff) | domain, mask);
  }
  return bytes;
}

/**
 * Touches what `place` will read of the database. A loop of its own, because it is so short that a dozen frames' cache misses are under
 * way at once: in survey's loop only two were.
 */
function warm(lane: Lane, list: number, n: number): void {
  const i32 = lane.i32;
  const u16 = lane.u16;
  const factsAt = lane.factsAt & AT_MASK;
  const fdb = lane.fdbAt & AT_MASK;
  const seen = lane.fdbSeenAt & SEEN_MASK;
  let sum = 0;
  for (let k = 0; k < n; k++) {
    const facts = (factsAt + (i32[(list + k) & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
    const source = i32[facts + Fact.SOURCE_SET]!;
    const destination = i32[facts + Fact.DESTINATION_SET]!;
    sum ^=
      i32[(fdb + Math.imul(source, FDB_BUCKET_WORDS)) & AT_MASK]! ^
      i32[(fdb + Math.imul(destination, FDB_BUCKET_WORDS)) & AT_MASK]! ^
      u16[(seen + Math.imul(source, FDB_BUCKET_ENTRIES)) & SEEN_MASK]!;
  }
  lane.touched = sum;
}

/** What stages 3 and 4 find out: true when every source lives here already and every destination on a device that takes the frame. */
function place(lane: Lane, list: number, n: number, port: number): boolean {
  const i32 = lane.i32;
  const record = (lane.portsAt + port * PORT_WORDS) & AT_MASK;
  const learns = (i32[record + PortWord.FLAGS]! & PortFlag.LEARN) !== 0;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const bits = bridgeBits(bridge);
  const here = valueFor(lane, port, bits);
  const factsAt = lane.factsAt & AT_MASK;
  let there = 0;
  let lastVid = -1;
  let form = 0;
  let mtu = 0;
  for (let k = 0; k < n; k++) {
    const facts = (factsAt + (i32[(list + k) & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
    const at = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
    const w0 = i32[at]!;
    const w1 = i32[at + 1]!;
    const vid = i32[facts + Fact.TAG]! & VID_MASK;
    const domain = domainBits(bridge, vid);
    if (learns) {
      const entry = find(lane, i32[facts + Fact.SOURCE_SET]!, i32[at + 2]!, (w1 >>> 16) | domain, bits);
      if (entry === 0 || (i32[entry + ENTRY_VALUE]! & ~(STATIC | STICKY)) !== here) return false;
      refresh(lane, entry);
    }
    const key0 = (w0 >>> 16) | (w1 << 16);
    const value =
      readValue(lane, i32[facts + Fact.DESTINATION_SET]!, key0, (w0 & 0xffff) | domain, bits) & ~(STATIC | STICKY);
    if (value !== there || vid !== lastVid) {
      const egress = value & DESTINATION_MASK;
      if (egress === 0 || egress === port || value !== valueFor(lane, egress, bits)) return false;
      if (!takes(lane, egress, record, vid)) return false;
      form = formFor(lane, egress, vid);
      if (form > Form.TAGGED) return false;
      mtu = i32[lane.portsAt + egress * PORT_WORDS + PortWord.MTU]!;
      there = value;
      lastVid = vid;
    }
    if (i32[facts + Fact.WIRE_BYTES]! - i32[facts + Fact.L3]! > mtu) return false;
    i32[facts + Fact.EGRESS] = (there & DESTINATION_MASK) | (form << FORM_SHIFT);
  }
  return true;
}

/** Whether a frame of this VLAN from the port with this record may leave at `egress`, and without a stage's help. */
function takes(lane: Lane, egress: number, ingressRecord: number, vid: number): boolean {
  const i32 = lane.i32;
  const record = lane.portsAt + egress * PORT_WORDS;
  const flags = i32[record + PortWord.FLAGS]!;
  if ((flags & EGRESS_FLAGS) !== PortFlag.UP) return false;
  if ((flags & i32[ingressRecord + PortWord.FLAGS]! & PortFlag.PROTECTED) !== 0) return false;
  if (i32[record + PortWord.BRIDGE] !== i32[ingressRecord + PortWord.BRIDGE]) return false;
  return (i32[lane.membershipAt + egress * MEMBERSHIP_WORDS + (vid >>> 5)]! & (1 << (vid & 31))) !== 0;
}

/** Stages 6 and 7: the form is made, the slot is listed. A queue's count is read and written once per run of frames to it. */
function deliver(lane: Lane, list: number, n: number): void {
  const i32 = lane.i32;
  const factsAt = lane.factsAt & AT_MASK;
  let egress = 0;
  let queue = 0;
  let target = 0;
  let listed = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[(list + k) & AT_MASK]!;
    const facts = (factsAt + (slot << FACT_WORDS_SHIFT)) & AT_MASK;
    const to = i32[facts + Fact.EGRESS]!;
    if ((to & DESTINATION_MASK) !== egress) {
      if (egress !== 0) i32[queue + Queue.COUNT] = listed;
      egress = to & DESTINATION_MASK;
      queue = (lane.queuesAt + Math.imul(egress, Queue.WORDS)) & AT_MASK;
      target = (lane.listsAt + Math.imul(egress, LIST_COUNT_MAX)) & AT_MASK;
      listed = i32[queue + Queue.COUNT]!;
      if (listed === 0) {
        i32[lane.dirtyAt + lane.dirtyCount] = egress;
        lane.dirtyCount = (lane.dirtyCount + 1) | 0;
      }
    }
    // Flag.TAGGED and Form.TAGGED are both 1.
    if ((i32[facts + Fact.FLAGS]! & Flag.TAGGED) !== to >>> FORM_SHIFT) shape(lane, slot, to >>> FORM_SHIFT);
    if (listed < LIST_COUNT_MAX) {
      i32[(target + listed) & AT_MASK] = slot;
      listed = (listed + 1) | 0;
    } else {
      drop(lane, egress, Drop.EGRESS_FULL);
    }
  }
  if (egress !== 0) i32[queue + Queue.COUNT] = listed;
}
