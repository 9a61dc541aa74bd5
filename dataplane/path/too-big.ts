// HOT: a frame that does not fit a tunnel's way, for control to answer.
import type { Lane } from '../memory/lane.ts';

/** `limit`: the longest frame that fits. */
export function tooBig(lane: Lane, facts: number, port: number, limit: number): void {
  lane.touched = (facts + port + limit) | 0;
}
