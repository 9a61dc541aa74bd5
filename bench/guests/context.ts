// What every scenario with guests gets, and the step that they share: fresh guests, a switch between them, one measurement, everything gone.
import type { GuestSwitch, JoinedGuests } from '../peers/guest-switch.ts';
import type { Measurement } from '../row.ts';
import type { Pair } from '../statistics.ts';
import { openWorkplace, type Workplace } from '../system/site.ts';
import { type GuestPlan, Guests, guestSockets } from './testpmd.ts';

export interface GuestContext {
  /** Rounds: in each, every switch is measured once. */
  readonly pairs: number;
  /** Seconds of traffic per measurement. */
  readonly seconds: number;
  /** To try the harness, not to quote. */
  readonly quick: boolean;
  readonly subject: GuestSwitch;
  readonly others: readonly GuestSwitch[];
  /** One line of progress on stderr. */
  progress(text: string): void;
  /** Notes what could not be measured, and why. */
  skip(text: string): void;
}

export interface GuestScenario {
  readonly name: string;
  readonly about: string;
  /** True: only weft can run it. */
  readonly weftOnly: boolean;
  run(context: GuestContext): Promise<Measurement[]>;
}

/** Starts guests and a switch by `join`, whoever listens first, waits for their links, calls `measure`, and removes everything, also when one throws. */
export async function betweenGuests<J extends JoinedGuests, T>(
  context: GuestContext,
  plan: GuestPlan,
  join: (place: Workplace, sockets: readonly string[]) => Promise<J>,
  measure: (guests: Guests, joined: J) => Promise<T>,
): Promise<T> {
  const place = openWorkplace();
  const sockets = guestSockets(place, plan);
  try {
    const early = plan.listening === 'switch' ? await join(place, sockets) : null;
    const started = await Guests.start(place, plan);
    const joined = early ?? (await join(place, sockets));
    await started.linked();
    const result = await measure(started, joined);
    await started.stop();
    await joined.stop();
    return result;
  } finally {
    for (const problem of await place.cleanup.run()) context.progress(`left behind: ${problem}`);
  }
}

/** A row of weft's own, against a bar and no other switch. */
export function alone(scenario: string, variant: string, unit: string, values: readonly number[]): Measurement {
  const pairs: Pair[] = values.map((subject) => ({ subject, against: null }));
  return { scenario, variant, subject: 'weft', against: '', unit, how: 'absolute', pairs };
}
