// HOT: what a tunnel's hosts tell of their addresses, for control.
import type { Lane } from '../memory/lane.ts';

export function noteBinding(lane: Lane, facts: number, port: number): void {
  lane.touched = (facts + port) | 0;
}
