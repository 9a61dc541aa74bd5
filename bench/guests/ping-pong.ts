// Frames that go round between two guests as fast as the switch carries them, and what the switch did meanwhile. Shared by the scenarios.
import { setTimeout as sleep } from 'node:timers/promises';
import type { JoinedGuests, Work } from '../peers/guest-switch.ts';
import type { Guests } from './testpmd.ts';

export interface PingPong {
  /** Million frames per second that both guests received. */
  readonly rate: number;
  /** What the switch tells of itself, or null. */
  readonly own: OwnWork | null;
}

export interface OwnWork {
  /** Nanoseconds of rounds that moved a frame, per frame. */
  readonly busyNs: number;
  /** Share of the time in such rounds, 0–1. */
  readonly busyShare: number;
  /** Frames lost since the traffic began to count: none, unless something is wrong. */
  readonly dropped: number;
}

/** The difference of two readings that are `seconds` apart. Throws when no frame was moved. */
export function ownWork(before: Work, after: Work, seconds: number): OwnWork {
  const frames = after.frames - before.frames;
  const busy = after.busySeconds - before.busySeconds;
  if (frames <= 0) throw new Error('the switch moved no frame');
  return { busyNs: (busy * 1e9) / frames, busyShare: busy / seconds, dropped: after.dropped - before.dropped };
}

/** A second of traffic to warm up, then `seconds` that count; `during` runs within these. `first`: frames of each guest to begin with. */
export async function pingPong(
  guests: Guests,
  joined: JoinedGuests,
  seconds: number,
  options: { readonly first?: number; during?(): Promise<unknown> } = {},
): Promise<PingPong> {
  await guests.startTraffic(options.first);
  await sleep(1000);
  let own: OwnWork | null = null;
  const rate = await guests.receiveRate(seconds, async () => {
    const before = await joined.work?.();
    const start = process.hrtime.bigint();
    await Promise.all([sleep(seconds * 1000 - 100), options.during?.()]);
    const after = await joined.work?.();
    const passed = Number(process.hrtime.bigint() - start) / 1e9;
    if (before !== undefined && after !== undefined) own = ownWork(before, after, passed);
  });
  return { rate, own };
}

/** For progress and notes: the rate and, where it is known, the rest. */
export function pingPongText({ rate, own }: PingPong): string {
  const text = `${rate.toPrecision(3)} Mframes/s`;
  if (own === null) return text;
  const lost = own.dropped > 0 ? `, ${own.dropped} frames dropped` : '';
  return `${text} (busy ${(100 * own.busyShare).toFixed(0)} % of the time, ${own.busyNs.toFixed(1)} ns a frame${lost})`;
}
