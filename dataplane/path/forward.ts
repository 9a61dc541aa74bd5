// HOT: the way of a frame, once: one port's received list through all seven stages, and then whatever went through patch ports.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { LIST_COUNT_MAX, PATCH_HOPS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { ENTRY_SLOT_MASK, FACT_WORDS_SHIFT, Fact, Flag, PORT_WORDS, PortCell, Queue } from '../memory/layout.ts';
import { PortWord } from '../tables/port-layout.ts';
import { parse } from './1-parse.ts';
import { admit } from './2-admit.ts';
import { learn, touch } from './3-learn.ts';
import { decide, FLOOD } from './4-decide.ts';
import { flood } from './5-replicate.ts';
import { resolve } from './6-resolve.ts';
import { formFor, shape, shapeOf } from './shape.ts';

const VID_MASK = 0xfff;

/** Forwards `n` slots listed at word `list`, just received on `port`. Patches wait in the lane until `forwardPatches`. */
export function forward(lane: Lane, list: number, n: number, port: number): void {
  const hopless = lane.i32;
  for (let k = 0; k < n; k++) hopless[lane.factsAt + (hopless[list + k]! << FACT_WORDS_SHIFT) + Fact.HOPS] = 0;
  cross(lane, list, parse(lane, list, n, port), port);
}

/** Stages 2 to 7 in the bridge of `port`. */
function cross(lane: Lane, list: number, parsed: number, port: number): void {
  const i32 = lane.i32;
  let n = admit(lane, list, parsed, port);
  if (n === 0) return;
  touch(lane, list, n, port);
  learn(lane, list, n, port);
  n = decide(lane, list, n, port);
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]!;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const egress = i32[facts + Fact.EGRESS]!;
    if (egress === FLOOD) {
      flood(lane, slot, port);
      continue;
    }
    const tag = i32[facts + Fact.TAG]!;
    const form = shapeOf(formFor(lane, egress, tag & VID_MASK), tag);
    const reason = shape(lane, slot, form);
    if (reason !== 0) drop(lane, egress, reason);
    else resolve(lane, slot, egress);
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
    if (n > 0) cross(lane, list, n, peer);
  }
  lane.patchesCount = 0;
}

/** Turns a patch's list into frames received on its peer; those that passed too many patches drop. */
function enterPeer(lane: Lane, list: number, n: number, patch: number, peer: number): number {
  const i32 = lane.i32;
  let kept = 0;
  let bytes = 0;
  let segments = 0;
  for (let k = 0; k < n; k++) {
    const slot = i32[list + k]! & ENTRY_SLOT_MASK;
    const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
    const hops = i32[facts + Fact.HOPS]! + 1;
    bytes += i32[facts + Fact.LENGTH]!;
    segments += i32[facts + Fact.SEGMENTS]!;
    if (hops > PATCH_HOPS_MAX || peer === 0) {
      drop(lane, patch, peer === 0 ? Drop.EGRESS_DOWN : Drop.PATCH_LOOP);
      continue;
    }
    i32[facts + Fact.HOPS] = hops;
    i32[facts + Fact.INGRESS] = peer;
    readTag(lane, facts);
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

/** The outer tag as the head now carries it: what was a bridge's own tag, or a customer's that lay below a service tag. */
function readTag(lane: Lane, facts: number): void {
  const i32 = lane.i32;
  const w3 = i32[(i32[facts + Fact.HEAD_AT]! >> 2) + 3]!;
  const type = w3 & 0xffff;
  const flags = i32[facts + Fact.FLAGS]! & ~Flag.TAGGED;
  if (type !== 0x0081 && type !== 0xa888) {
    i32[facts + Fact.FLAGS] = flags;
    return;
  }
  i32[facts + Fact.TAG] = ((w3 >>> 8) & 0xff00) | (w3 >>> 24) | (type === 0x0081 ? 0x8100 << 16 : 0x88a8 << 16);
  i32[facts + Fact.FLAGS] = flags | Flag.TAGGED;
}
