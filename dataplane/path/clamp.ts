// HOT: lowers the MSS of TCP connections to what fits a tunnel.
import type { Lane } from '../memory/lane.ts';

/** `limit`: the longest frame that fits. */
export function clampMss(lane: Lane, facts: number, limit: number): void {
  lane.touched = (facts + limit) | 0;
}
