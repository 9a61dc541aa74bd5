// HOT: a frame's head up to control: LACP, marker, ARP and neighbour discovery on a bond's members; what is too long for a tunnel, and what its
// hosts tell of their addresses. Policed per port and protocol, so that a partner that floods costs what it may and no more. Control is
// woken by an answer of the worker (worker.ts).
import { PORTS_MAX, PUNTS_PER_S_MAX } from '../limits.ts';
import { BYTE_RING_HEAD_WORDS } from '../memory/byte-ring.ts';
import type { Lane } from '../memory/lane.ts';
import { Fact, Punt } from '../memory/layout.ts';

/**
 * Hands up the head of the frame with these facts, as it stands, under `port`. `vlan` and `about` go along: what they mean is the protocol's.
 * False when that was too many, or the ring is full.
 */
export function punt(lane: Lane, facts: number, port: number, protocol: number, vlan: number, about: number): boolean {
  if (lane.puntsS !== lane.nowS) {
    lane.puntsS = lane.nowS;
    lane.punts.fill(0);
  }
  const budget = protocol * PORTS_MAX + port;
  const used = lane.punts[budget]!;
  if (used >= PUNTS_PER_S_MAX) return false;
  lane.punts[budget] = used + 1;
  const i32 = lane.i32;
  const bytes = i32[facts + Fact.HEAD_BYTES]!;
  const record = lane.puntRing.reserve(bytes);
  if (record < 0) return false;
  i32[record + Punt.PORT] = port;
  i32[record + Punt.PROTOCOL] = protocol;
  i32[record + Punt.BYTES] = bytes;
  i32[record + Punt.VLAN] = vlan;
  i32[record + Punt.ABOUT] = about;
  const at = i32[facts + Fact.HEAD_AT]!;
  lane.u8.copyWithin((record + BYTE_RING_HEAD_WORDS) << 2, at, at + bytes);
  lane.puntRing.publish(record);
  lane.punted = (lane.punted + 1) | 0;
  return true;
}
