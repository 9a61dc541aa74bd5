/**
 * How a worker waits: from how long ago it last found a frame, how long the next native turn may sleep. Pure; worker.ts asks once a
 * turn. Spinning for 50 µs gives nearly all of the latency that spinning for ever would (measured: above 200 µs nothing more).
 */
import { WAIT_MS_MAX } from './limits.ts';

export const Idle = { ADAPTIVE: 0, BUSY: 1, INTERRUPT: 2 } as const;

const SPIN_NS = 50_000;

/** Milliseconds to sleep, 0 to look again at once, for a worker that found nothing for `idleNs`. */
export function waitFor(mode: number, idleNs: number): number {
  if (mode === Idle.BUSY) return 0;
  if (mode === Idle.INTERRUPT) return WAIT_MS_MAX;
  return idleNs < SPIN_NS ? 0 : WAIT_MS_MAX;
}
