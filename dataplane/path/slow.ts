// HOT: LACP, marker and their like (IEEE 802.3 annex 57A), which a bond's member receives for control and nobody else. Cold: a few a second.
import { count, drop } from '../counters.ts';
import { Drop } from '../drop.ts';
import { PORTS_MAX } from '../limits.ts';
import type { Lane } from '../memory/lane.ts';
import { Fact, PortCell, Protocol } from '../memory/layout.ts';
import { MEMBER_PUNTS_SLOW } from '../tables/bond-layout.ts';
import { punt } from './punt.ts';

/** 01-80-C2-00-00-02 and EtherType 0x8809, as little-endian reads of the frame give them. */
const SLOW_W0_LE = 0x00c28001;
const SLOW_W1_LE = 0x0200;
const SLOW_TYPE_LE = 0x0988;

/** Hands a frame of `port` up; counts it as handed up, or as one too many. */
export function puntSlow(lane: Lane, facts: number, port: number): void {
  if (punt(lane, facts, port, Protocol.SLOW, 0, 0)) count(lane, port, PortCell.PUNTED, 1);
  else drop(lane, port, Drop.PUNT_LIMITED);
}

/** Never tagged. The Ethernet header is in the head. */
export function isSlow(lane: Lane, facts: number): boolean {
  const i32 = lane.i32;
  const at = i32[facts + Fact.HEAD_AT]! >> 2;
  return i32[at] === SLOW_W0_LE && (i32[at + 1]! & 0xffff) === SLOW_W1_LE && (i32[at + 3]! & 0xffff) === SLOW_TYPE_LE;
}

/**
 * Called by 2-admit for a frame to a reserved address that came in on a bond whose members weren't sifted: whether control has it now,
 * or too many came.
 */
export function takeSlow(lane: Lane, facts: number): boolean {
  const port = lane.i32[facts + Fact.INGRESS]!;
  if (port <= 0 || port >= PORTS_MAX || (lane.i32[lane.membersAt + port]! & MEMBER_PUNTS_SLOW) === 0) return false;
  if (!isSlow(lane, facts)) return false;
  puntSlow(lane, facts, port);
  return true;
}
