// HOT: the way of a frame, once: one port's received list through all seven stages, and then whatever went through patch ports.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { LIST_COUNT_MAX, PATCH_HOPS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { ENTRY_SLOT_MASK, FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell, Queue } from '../memory/layout.ts';
import { portOf } from '../tables/fdb.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';
import { parse } from './1-parse.ts';
import { admit } from './2-admit.ts';
import { learn, touch } from './3-learn.ts';
import { decide, FLOOD } from './4-decide.ts';
import { flood } from './5-replicate.ts';
import { resolve } from './6-resolve.ts';
import { express } from './express.ts';
import { sampleFlow } from './flows.ts';
import { formFor, shape, shapeOf } from './shape.ts';

const VID_MASK = 0xfff;
/** EtherTypes as a little-endian read of the frame gives them. */
const TPID_8021Q_LE = 0x0081;
const TPID_8021AD_LE = 0xa888;
const TAGGED_BYTES = 18;
const STAGED_COUNT = 8;

/**
 * Forwards `n` slots listed at word `list`, just received on `port` from `source`: the port itself, or one of a tunnel's remotes; 0 where
 * nothing is to be learned. Patches wait in the lane until `forwardPatches`.
 */
export function forward(lane: Lane, list: number, n: number, port: number, source: number): void {
  let k = 0;
  while (k < n) {
    k += express(lane, list + k, n - k, port, source);
    if (k >= n) return;
    // What isn't plain rarely comes alone: a few go by the stages before the short way is tried again.
    const few = n - k < STAGED_COUNT ? n - k : STAGED_COUNT;
    forwardByStages(lane, list + k, few, port, source);
    k += few;
  }
}

/** The same for a batch of any kind: what `express` leaves, and the truth that it is tested against. */
export function forwardByStages(lane: Lane, list: number, n: number, port: number, source: number): void {
  const hopless = lane.i32;
  for (let k = 0; k < n; k++) hopless[lane.factsAt + (hopless[list + k]! << FACT_WORDS_SHIFT) + Fact.HOPS] = 0;
  const parsed = parse(lane, list, n, port);
  if (parsed === 0) return;
  sampleFlow(lane, list, parsed);
  cross(lane, list, parsed, port, source);
}

/** Stages 2 to 7 in the bridge of `port`. */
function cross(lane: Lane, list: number, parsed: number, port: number, source: number): void {
  const i32 = lane.i32;
  let n = admit(lane, list, parsed, port);
  if (n === 0) return;
  touch(lane, list, n, port);
  learn(lane, list, n, port, source);
  n = decide(lane, list, n, port);
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const egress = i32[facts + Fact.EGRESS]!;
    if (egress === FLOOD) {
      flood(lane, slot, port);
      continue;
    }
    const to = portOf(lane, egress);
    const tag = i32[facts + Fact.TAG]!;
    const form = shapeOf(formFor(lane, to, tag & VID_MASK), tag);
    const reason = shape(lane, slot, form);
    if (reason !== 0) drop(lane, to, reason);
    else resolve(lane, slot, to, egress);
  }
}

/** Carries on, in the same turn, what was sent into patch ports: each list enters the peer bridge as if received there. */
export function forwardPatches(lane: Lane): void {
  const i32 = lane.i32;
  for (let k = 0; k < lane.patchesCount; k++) {
    const patch = lane.patches[k]!;
    const peer = i32[lane.portsAt + patch * PORT_WORDS + PortWord.PEER]!;
    const list = lane.listsAt + patch * LIST_COUNT_MAX;
    const n = enterPeer(lane, list, i32[lane.queuesAt + patch * Queue.WORDS + Queue.COUNT]!, patch, peer);
    i32[lane.queuesAt + patch * Queue.WORDS + Queue.COUNT] = 0;
    if (n > 0) cross(lane, list, n, peer, peer);
  }
  lane.patchesCount = 0;
}

/** Turns a patch's list into frames received on its peer. Those that passed too many patches drop, and all while the peer is down. */
function enterPeer(lane: Lane, list: number, n: number, patch: number, peer: number): number {
  const i32 = lane.i32;
  let kept = 0;
  let bytes = 0;
  let segments = 0;
  const up = (i32[lane.portsAt + peer * PORT_WORDS + PortWord.FLAGS]! & PortFlag.UP) !== 0 && peer !== 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]! & ENTRY_SLOT_MASK;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const hops = i32[facts + Fact.HOPS]! + 1;
    const reason = !up ? Drop.EGRESS_DOWN : hops > PATCH_HOPS_MAX ? Drop.PATCH_LOOP : readTag(lane, facts);
    if (reason !== 0) {
      drop(lane, patch, reason);
      continue;
    }
    bytes += i32[facts + Fact.LENGTH]!;
    segments += i32[facts + Fact.SEGMENTS]!;
    i32[facts + Fact.HOPS] = hops;
    i32[facts + Fact.INGRESS] = peer;
    i32[list + kept] = slot;
    kept++;
  }
  count(lane, patch, PortCell.TX_FRAMES, kept);
  count(lane, patch, PortCell.TX_BYTES, bytes);
  count(lane, patch, PortCell.TX_SEGMENTS, segments);
  count(lane, peer, PortCell.RX_FRAMES, kept);
  count(lane, peer, PortCell.RX_BYTES, bytes);
  count(lane, peer, PortCell.RX_SEGMENTS, segments);
  return kept;
}

/**
 * The outer tag as the head now carries it: what was a bridge's own tag, or a customer's that lay below a service tag. A third tag that
 * parse did not look at may turn out to be cut off or reserved. 0, or the reason to drop.
 */
function readTag(lane: Lane, facts: number): number {
  const i32 = lane.i32;
  const at = (i32[facts + Fact.HEAD_AT]! >> 2) + 3;
  const w3 = i32[at]!;
  const type = w3 & 0xffff;
  const length = i32[facts + Fact.LENGTH]!;
  let flags = i32[facts + Fact.FLAGS]! & ~(Flag.TAGGED | Flag.INNER);
  if (type === TPID_8021Q_LE || type === TPID_8021AD_LE) {
    const tci = ((w3 >>> 8) & 0xff00) | (w3 >>> 24);
    if (length < TAGGED_BYTES || (tci & VID_MASK) === VID_MASK) return Drop.BAD_TAG;
    i32[facts + Fact.TAG] = tci | (type === TPID_8021Q_LE ? 0x8100 << 16 : 0x88a8 << 16);
    flags |= Flag.TAGGED;
    const inner = i32[at + 1]! & 0xffff;
    if (inner === TPID_8021Q_LE || inner === TPID_8021AD_LE) {
      if (length < TAGGED_BYTES + 4) return Drop.BAD_TAG;
      flags |= Flag.INNER;
    }
  }
  i32[facts + Fact.FLAGS] = flags;
  return 0;
}
