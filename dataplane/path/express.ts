// HOT: the short way for the frames that a switch sees most: finished, unicast, both addresses known, the egress a device. Same outcome
// as the numbered stages, in loops that keep a frame's words in registers. It stops at the first frame that is anything else; the
// stages go on from there, so no frame overtakes another. A new case in a stage that could concern such a frame must stop it here.
//
// Measured: `vlan-64` of bench/path, see bench/README.md. `& AT_MASK` tells the engine that an offset is within an arena of 2 GiB: sums
// with a constant then need no overflow check.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { LIST_COUNT_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import {
  FACT_WORDS_SHIFT,
  Fact,
  FDB_BUCKET_WORDS,
  Flag,
  MEMBERSHIP_WORDS,
  PORT_WORDS,
  PortCell,
  Queue,
  RECEIVED_FLAGS,
} from '../memory/layout.ts';
import { BondSend, BondWord } from '../tables/bond-layout.ts';
import { find, portOf, readValue, valueFor } from '../tables/fdb.ts';
import {
  bridgeBits,
  bucketOf,
  DESTINATION_MASK,
  domainBits,
  ENTRY_SEALED,
  ENTRY_VALUE,
  FDB_SUM_AT,
  STATIC,
  STICKY,
  sealOf,
  seenAt,
} from '../tables/fdb-layout.ts';
import { Form } from '../tables/flood-layout.ts';
import { PortFlag, PortWord, VlanMode } from '../tables/port-layout.ts';
import { APART } from './4-decide.ts';
import { memberFor, recordOfBond } from './bond.ts';
import { encapsulate } from './encapsulate.ts';
import { sampleFlow } from './flows.ts';
import { formFor } from './shape.ts';

const AT_MASK = 0x1fffffff;
const VID_MASK = 0xfff;
const TPID_8021Q = 0x8100 << 16;
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;
const TAGGED_BYTES = 18;
const UNTAGGED_BYTES = 14;
const TAG_BYTES = 4;
const LEARNED_MASK = ~(STATIC | STICKY);
/** A port that takes a frame here is up, no patch, and asks nothing of inner tags; a bond that does not go by buckets is left to the stages. */
const EGRESS_FLAGS = PortFlag.UP | PortFlag.PATCH | PortFlag.CUSTOMERS;
/** A port whose frames may go the short way is up, and its senders are learned. */
const PLAIN_FLAGS = PortFlag.UP | PortFlag.LEARN;
/** Addresses from which on the database does not stay in the cache by itself: its lines are then asked for ahead. */
const WARM_ENTRIES = 8192;

/** Forwards the first of `n` slots listed at word `list`, just received on `port` from `source`; answers how many, up to the first it can't. */
export function express(lane: Lane, list: number, n: number, port: number, source: number): number {
  const record = (lane.portsAt + port * PORT_WORDS) & AT_MASK;
  const flags = lane.i32[record + PortWord.FLAGS]!;
  if ((flags & PLAIN_FLAGS) !== PLAIN_FLAGS || source === 0 || lane.i32[record + PortWord.MODE] === VlanMode.TUNNEL)
    return 0;
  if (lane.i32[lane.fdbCountsAt + FDB_SUM_AT]! > WARM_ENTRIES) warm(lane, list, n, record);
  lane.expressBytes = 0;
  const here = valueHere(lane, source, record);
  let done = 0;
  while (done < n) {
    const isTrain = beginsAlike(lane, list + done, n - done);
    const asked = isTrain ? 1 : n - done;
    const listed = run(lane, list + done, asked, port, record, here);
    done += listed;
    if (listed < asked || !isTrain) break;
    if (lane.expressBond === 0 && lane.expressRemote === 0) done += follow(lane, list + done, n - done, record);
    else done += run(lane, list + done, n - done, port, record, here);
  }
  if (done === 0) return 0;
  sampleFlow(lane, list, done);
  count(lane, port, PortCell.RX_FRAMES, done);
  count(lane, port, PortCell.RX_BYTES, lane.expressBytes);
  count(lane, port, PortCell.RX_SEGMENTS, done);
  return done;
}

/** Whether a list's second frame begins as its first does, in 16 bytes: frames come in trains, which need one decision. */
function beginsAlike(lane: Lane, list: number, n: number): boolean {
  if (n < 2) return false;
  const i32 = lane.i32;
  const one = headOf(lane, list);
  const other = headOf(lane, list + 1);
  return (
    ((i32[one]! ^ i32[other]!) |
      (i32[one + 1]! ^ i32[other + 1]!) |
      (i32[one + 2]! ^ i32[other + 2]!) |
      (i32[one + 3]! ^ i32[other + 3]!)) ===
    0
  );
}

/** The facts of the slot listed at word `list`. */
function factsOf(lane: Lane, list: number): number {
  return ((lane.factsAt & AT_MASK) + (lane.i32[list & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
}

/** Where its head begins. */
function headOf(lane: Lane, list: number): number {
  return (lane.i32[factsOf(lane, list) + Fact.HEAD_AT]! >>> 2) & AT_MASK;
}

/** What a learned entry of this source looks like. */
function valueHere(lane: Lane, source: number, record: number): number {
  return valueFor(lane, source, bridgeBits(lane.i32[record + PortWord.BRIDGE]!));
}

/**
 * Touches what `run` will read of the database, in two loops of their own: one reckons where it lies, the other does nothing but touch it. That
 * one is so short that the cache misses of two dozen frames are under way at once (161 -> 130 ns a frame at a million addresses). The VLAN is
 * the tag's or the native one; for a frame that isn't plain the wrong line is touched, no more.
 */
function warm(lane: Lane, list: number, n: number, record: number): void {
  const i32 = lane.i32;
  const mask = lane.fdbBucketMask & AT_MASK;
  const factsAt = lane.factsAt & AT_MASK;
  const fdb = lane.fdbAt & AT_MASK;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const native = i32[record + PortWord.VLAN]!;
  let sum = 0;
  for (let k = 0; k < n; k++) {
    const facts = (factsAt + (i32[(list + k) & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
    const at = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
    const w0 = i32[at]!;
    const w1 = i32[at + 1]!;
    const w3 = i32[at + 3]!;
    const vid = (w3 & 0xffff) === TPID_8021Q_LE ? ((w3 >>> 8) & 0xf00) | (w3 >>> 24) : native;
    const domain = domainBits(bridge, vid);
    const source = bucketOf(i32[at + 2]!, (w1 >>> 16) | domain, mask);
    const destination = bucketOf((w0 >>> 16) | (w1 << 16), (w0 & 0xffff) | domain, mask);
    i32[facts + Fact.SOURCE_SET] = (fdb + Math.imul(source, FDB_BUCKET_WORDS)) & AT_MASK;
    i32[facts + Fact.DESTINATION_SET] = (fdb + Math.imul(destination, FDB_BUCKET_WORDS)) & AT_MASK;
  }
  for (let k = 0; k < n; k++) {
    const facts = (factsAt + (i32[(list + k) & AT_MASK]! << FACT_WORDS_SHIFT)) & AT_MASK;
    sum ^= i32[i32[facts + Fact.SOURCE_SET]! & AT_MASK]! ^ i32[i32[facts + Fact.DESTINATION_SET]! & AT_MASK]!;
  }
  lane.touched = sum;
}

/** The loop. Answers how many frames were listed; their bytes are added to the lane's. */
function run(lane: Lane, list: number, n: number, port: number, record: number, here: number): number {
  const i32 = lane.i32;
  const factsAt = lane.factsAt & AT_MASK;
  const members = (lane.membershipAt + port * MEMBERSHIP_WORDS) & AT_MASK;
  const mask = lane.fdbBucketMask & AT_MASK;
  const mtu = i32[record + PortWord.MTU]!;
  const isAccess = i32[record + PortWord.MODE] === VlanMode.ACCESS;
  const native = i32[record + PortWord.VLAN]! | (i32[record + PortWord.TPID]! << 16);
  const bridge = i32[record + PortWord.BRIDGE]!;
  const bits = bridgeBits(bridge);
  // Neither is any value, nor any VLAN.
  let there = -1;
  let lastVid = -1;
  let bytes = 0;
  let k = 0;
  for (; k < n; k++) {
    const slot = i32[(list + k) & AT_MASK]!;
    const facts = (factsAt + (slot << FACT_WORDS_SHIFT)) & AT_MASK;
    const at = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
    const length = i32[facts + Fact.LENGTH]!;
    const flags = i32[facts + Fact.FLAGS]! & RECEIVED_FLAGS;
    const w0 = i32[at]!;
    const w1 = i32[at + 1]!;
    const w2 = i32[at + 2]!;
    const w3 = i32[at + 3]!;
    // A group's frame, a group's or no source, a cut-off tag, an offload: none is plain.
    if (((w0 & 1) | (w1 & 0x10000)) !== 0 || ((w1 >>> 16) | w2) === 0 || length < TAGGED_BYTES) break;
    if ((flags & Flag.VNET) !== 0 && (i32[(at - 3) & AT_MASK]! & 0xff01) !== 0) break;
    let tag = native;
    let tagged = 0;
    const type = w3 & 0xffff;
    if (type === TPID_8021Q_LE) {
      const inner = i32[at + 4]! & 0xffff;
      tag = ((w3 >>> 8) & 0xff00) | (w3 >>> 24) | TPID_8021Q;
      if (isAccess || (tag & VID_MASK) === 0 || (tag & VID_MASK) === VID_MASK) break;
      if (isTag(inner)) break;
      tagged = 1;
    } else if (type === TPID_8021AD_LE) break;
    const vid = tag & VID_MASK;
    const payload = (length - UNTAGGED_BYTES - (tagged << 2)) | 0;
    if (payload > mtu || (i32[members + (vid >>> 5)]! & (1 << (vid & 31))) === 0) break;
    const domain = domainBits(bridge, vid);
    if (!isHere(lane, w2, (w1 >>> 16) | domain, bits, here, mask)) break;
    const key0 = (w0 >>> 16) | (w1 << 16);
    const key1 = (w0 & 0xffff) | domain;
    const value = readValue(lane, bucketOf(key0, key1, mask), key0, key1, bits) & LEARNED_MASK;
    if (value !== there) {
      if (!turnTo(lane, value, record, vid, port, bits)) break;
      there = value;
      lastVid = vid;
    } else if (vid !== lastVid) {
      if (!turnVlan(lane, lane.expressEgress, vid)) break;
      lastVid = vid;
    }
    if (payload > lane.expressMtu) break;
    bytes = (bytes + length) | 0;
    i32[facts + Fact.TAG] = tag;
    i32[facts + Fact.GSO] = 0;
    i32[facts + Fact.SEGMENTS] = 1;
    enlist(lane, slot, facts, at, length, flags, tagged);
  }
  lane.expressBytes = (lane.expressBytes + bytes) | 0;
  return k;
}

/**
 * The loop for those that go where the frame before `list` went, since they begin as it does: answers how many, their bytes likewise. Not
 * for a bond or a tunnel, whose frames part ways again.
 */
function follow(lane: Lane, list: number, n: number, record: number): number {
  const i32 = lane.i32;
  const factsAt = lane.factsAt & AT_MASK;
  const tag = i32[(factsOf(lane, list - 1) + Fact.TAG) & AT_MASK]!;
  const mtu = Math.min(i32[record + PortWord.MTU]!, lane.expressMtu);
  const egress = lane.expressEgress;
  const queue = (lane.queuesAt + Math.imul(egress, Queue.WORDS)) & AT_MASK;
  const entries = (lane.listsAt + Math.imul(egress, LIST_COUNT_MAX)) & AT_MASK;
  const wanted = lane.expressTagged;
  // A pushed or popped tag moved the words of the first frame; the second, which begins alike, still has them.
  const head = headOf(lane, list);
  const w0 = i32[head]!;
  const w1 = i32[head + 1]!;
  const w2 = i32[head + 2]!;
  const w3 = i32[head + 3]!;
  const tagged = (w3 & 0xffff) === TPID_8021Q_LE ? 1 : 0;
  let listed = i32[queue + Queue.COUNT]!;
  let bytes = 0;
  let k = 0;
  for (; k < n && listed < LIST_COUNT_MAX; k++) {
    const slot = i32[(list + k) & AT_MASK]!;
    const facts = (factsAt + (slot << FACT_WORDS_SHIFT)) & AT_MASK;
    const at = (i32[facts + Fact.HEAD_AT]! >>> 2) & AT_MASK;
    const length = i32[facts + Fact.LENGTH]!;
    const flags = i32[facts + Fact.FLAGS]! & RECEIVED_FLAGS;
    if (((i32[at]! ^ w0) | (i32[at + 1]! ^ w1) | (i32[at + 2]! ^ w2) | (i32[at + 3]! ^ w3)) !== 0) break;
    if (length < TAGGED_BYTES || length - UNTAGGED_BYTES - (tagged << 2) > mtu) break;
    if ((flags & Flag.VNET) !== 0 && (i32[(at - 3) & AT_MASK]! & 0xff01) !== 0) break;
    if (tagged !== 0 && isTag(i32[at + 4]! & 0xffff)) break;
    bytes = (bytes + length) | 0;
    i32[facts + Fact.TAG] = tag;
    i32[facts + Fact.GSO] = 0;
    i32[facts + Fact.SEGMENTS] = 1;
    if (tagged !== wanted) retag(lane, facts, at, wanted);
    i32[facts + Fact.FLAGS] = flags | wanted;
    i32[facts + Fact.L3] = UNTAGGED_BYTES + (wanted << 2);
    i32[facts + Fact.WIRE_BYTES] = i32[facts + Fact.LENGTH]!;
    i32[(entries + listed) & AT_MASK] = slot;
    listed = (listed + 1) | 0;
  }
  i32[queue + Queue.COUNT] = listed;
  lane.expressBytes = (lane.expressBytes + bytes) | 0;
  return k;
}

function isTag(type: number): boolean {
  return type === TPID_8021Q_LE || type === TPID_8021AD_LE;
}

/** Whether a source is known to live where `here` says; notes that it was seen. A torn entry only puts learning off by a frame. */
function isHere(lane: Lane, key0: number, key1: number, bits: number, here: number, mask: number): boolean {
  const i32 = lane.i32;
  const bucket = bucketOf(key0, key1, mask);
  let entry = (lane.fdbAt + Math.imul(bucket, FDB_BUCKET_WORDS)) & AT_MASK;
  const value = i32[entry + ENTRY_VALUE]!;
  if (
    i32[entry] !== key0 ||
    (i32[entry + ENTRY_SEALED]! ^ sealOf(key0, value)) !== key1 ||
    (value & LEARNED_MASK) !== here
  ) {
    entry = find(lane, bucket, key0, key1, bits) & AT_MASK;
    if (entry === 0 || (i32[entry + ENTRY_VALUE]! & LEARNED_MASK) !== here) return false;
  }
  const cell = seenAt(entry);
  const now = lane.nowS & 0xffff;
  if (lane.u16[cell] !== now) lane.u16[cell] = now;
  return true;
}

/**
 * Makes the destination with this value the egress: whether it may be, its form, MTU and list, kept in the lane for the frames that go
 * there too. False when the stages must decide.
 */
function turnTo(lane: Lane, value: number, ingress: number, vid: number, port: number, bits: number): boolean {
  const i32 = lane.i32;
  const destination = value & DESTINATION_MASK;
  if (destination === 0 || value !== valueFor(lane, destination, bits)) return false;
  const egress = portOf(lane, destination);
  if (egress === port) return false;
  const record = lane.portsAt + egress * PORT_WORDS;
  const flags = i32[record + PortWord.FLAGS]!;
  if ((flags & EGRESS_FLAGS) !== PortFlag.UP) return false;
  if ((flags & i32[ingress + PortWord.FLAGS]! & APART) !== 0) return false;
  if (i32[record + PortWord.BRIDGE] !== i32[ingress + PortWord.BRIDGE]) return false;
  if (!turnVlan(lane, egress, vid)) return false;
  lane.expressBond = 0;
  if ((flags & PortFlag.BOND) !== 0) {
    const bond = recordOfBond(lane, egress);
    if (i32[bond + BondWord.SEND] !== BondSend.BUCKETS || i32[bond + BondWord.TRAITS] !== 0) return false;
    lane.expressBond = bond;
  }
  lane.expressRemote = (flags & PortFlag.TUNNEL) !== 0 ? destination : 0;
  lane.expressEgress = egress;
  lane.expressMtu = i32[record + PortWord.MTU]!;
  return true;
}

/** Whether the egress carries this VLAN, in a form that goes the short way; that form is kept in the lane. */
function turnVlan(lane: Lane, egress: number, vid: number): boolean {
  if ((lane.i32[lane.membershipAt + egress * MEMBERSHIP_WORDS + (vid >>> 5)]! & (1 << (vid & 31))) === 0) return false;
  const form = formFor(lane, egress, vid);
  if (form > Form.TAGGED) return false;
  lane.expressTagged = form;
  return true;
}

/** Stages 5 to 7: the tag is pushed or popped, the slot listed. */
function enlist(
  lane: Lane,
  slot: number,
  facts: number,
  at: number,
  length: number,
  flags: number,
  tagged: number,
): void {
  const i32 = lane.i32;
  const wanted = lane.expressTagged;
  let egress = lane.expressEgress;
  let head = at;
  if (tagged !== wanted) {
    head = retag(lane, facts, at, wanted);
    length = i32[facts + Fact.LENGTH]!;
  }
  i32[facts + Fact.FLAGS] = flags | wanted;
  i32[facts + Fact.L3] = UNTAGGED_BYTES + (wanted << 2);
  i32[facts + Fact.WIRE_BYTES] = length;
  if (lane.expressBond !== 0) {
    egress = memberOf(lane, facts, head, wanted, length);
    if (egress === 0) return;
  }
  if (lane.expressRemote !== 0 && !encapsulate(lane, slot, egress, lane.expressRemote)) return;
  const queue = (lane.queuesAt + Math.imul(egress, Queue.WORDS)) & AT_MASK;
  const listed = i32[queue + Queue.COUNT]!;
  if (listed >= LIST_COUNT_MAX) {
    drop(lane, egress, Drop.EGRESS_FULL);
    return;
  }
  i32[(lane.listsAt + Math.imul(egress, LIST_COUNT_MAX) + listed) & AT_MASK] = slot;
  i32[queue + Queue.COUNT] = listed + 1;
  if (listed === 0) {
    i32[lane.dirtyAt + lane.dirtyCount] = egress;
    lane.dirtyCount = (lane.dirtyCount + 1) | 0;
  }
}

/** Pushes a tag, or pops one: moves the addresses of the frame at word `at` by it, and answers where they are. */
function retag(lane: Lane, facts: number, at: number, wanted: number): number {
  const i32 = lane.i32;
  const w0 = i32[at]!;
  const w1 = i32[at + 1]!;
  const w2 = i32[at + 2]!;
  const by = wanted === 1 ? 1 : -1;
  const to = (at - by) & AT_MASK;
  i32[to] = w0;
  i32[to + 1] = w1;
  i32[to + 2] = w2;
  if (wanted === 1) {
    const tag = i32[facts + Fact.TAG]!;
    i32[to + 3] = (tag >>> 24) | ((tag >>> 8) & 0xff00) | ((tag & 0xff00) << 8) | (tag << 24);
  }
  i32[facts + Fact.HEAD_AT] = to << 2;
  i32[facts + Fact.HEAD_BYTES] = (i32[facts + Fact.HEAD_BYTES]! + by * TAG_BYTES) | 0;
  i32[facts + Fact.LENGTH] = (i32[facts + Fact.LENGTH]! + by * TAG_BYTES) | 0;
  return to;
}

/** The member that carries a frame to the bond that is the egress; 0 when none does, and then the frame is counted as lost. */
function memberOf(lane: Lane, facts: number, head: number, wanted: number, length: number): number {
  const i32 = lane.i32;
  const bytes = i32[facts + Fact.HEAD_BYTES]!;
  const vid = i32[facts + Fact.TAG]! & VID_MASK;
  const member = memberFor(lane, lane.expressBond, head, bytes, UNTAGGED_BYTES + (wanted << 2), vid, length);
  if (member === 0) drop(lane, lane.expressEgress, Drop.EGRESS_DOWN);
  return member;
}
