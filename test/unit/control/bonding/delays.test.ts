/** The filter of a member's link, as a table of what the device tells and what the bond sees. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LinkDelay } from '../../../../control/bonding/delays.ts';
import { seedFor } from '../../../seed.ts';

/** `10+` up at 10 ms, `20-` down at 20 ms. */
function changes(updelayMs: number, downdelayMs: number, told: string): string {
  const delay = new LinkDelay();
  const delays = { updelayMs, downdelayMs };
  const seen: string[] = [];
  const look = (now: number, act: () => void) => {
    const before = delay.up;
    act();
    if (delay.up !== before) seen.push(`${now}${delay.up ? '+' : '-'}`);
  };
  const steps = told.split(' ').map((step) => ({ at: Number.parseInt(step, 10), link: step.endsWith('+') }));
  for (let now = 0; now <= 1000; now++) {
    look(now, () => delay.advance(now));
    for (const { at, link } of steps) if (at === now) look(now, () => delay.hear(link, delays, now));
  }
  return seen.join(' ');
}

describe('a link through its delays', () => {
  it.each([
    ['is as the device tells without them', 0, 0, '10+ 20- 21+', '10+ 20- 21+'],
    ['is up after updelay', 200, 0, '10+', '210+'],
    ['is down after downdelay', 0, 300, '10+ 100-', '10+ 400-'],
    ['was never up when it went before updelay ended', 200, 0, '10+ 209-', ''],
    ['waits the whole updelay again after that', 200, 0, '10+ 209- 210+', '410+'],
    ['was never down when it came back before downdelay ended', 0, 300, '10+ 100- 399+', '10+'],
    ['was down when it came back with the end of downdelay', 0, 300, '10+ 100- 400+', '10+ 400- 400+'],
    ['waits no longer for being told twice', 200, 300, '0+ 100+ 300- 500-', '200+ 600-'],
    ['that flaps faster than both stays as it was', 100, 100, '0+ 150- 160+ 200- 210+ 300- 390+ 500- 599+', '100+'],
  ])('%s', (_name, up, down, told, expected) => {
    expect(changes(up, down, told)).toBe(expected);
  });

  it('wants to be looked at when it changes, and not otherwise', () => {
    const delay = new LinkDelay();
    expect(delay.wakeAt).toBe(Number.POSITIVE_INFINITY);
    delay.hear(true, { updelayMs: 200, downdelayMs: 0 }, 10);
    expect([delay.wakeAt, delay.waiting, delay.up]).toEqual([210, true, false]);
    delay.advance(500);
    expect([delay.wakeAt, delay.waiting, delay.up]).toEqual([Number.POSITIVE_INFINITY, false, true]);
  });

  it('waits no longer when hurried, but a lost link stays lost', () => {
    const delay = new LinkDelay();
    delay.hurry();
    expect(delay.up).toBe(false);
    delay.hear(true, { updelayMs: 200, downdelayMs: 100 }, 0);
    delay.hurry();
    expect([delay.up, delay.wakeAt]).toEqual([true, Number.POSITIVE_INFINITY]);
    delay.hear(false, { updelayMs: 200, downdelayMs: 100 }, 10);
    delay.hurry();
    expect([delay.up, delay.wakeAt]).toEqual([true, 110]);
  });

  it('takes shorter delays at once and never waits longer', () => {
    const delay = new LinkDelay();
    delay.hear(true, { updelayMs: 1000, downdelayMs: 0 }, 0);
    delay.retime({ updelayMs: 5000, downdelayMs: 0 }, 100);
    expect(delay.wakeAt).toBe(1000);
    delay.retime({ updelayMs: 50, downdelayMs: 0 }, 100);
    expect(delay.wakeAt).toBe(150);
    delay.retime({ updelayMs: 0, downdelayMs: 0 }, 120);
    expect(delay.up).toBe(true);
  });

  it('is the same looked at late as looked at in time', () => {
    const seed = seedFor('late looks at a link');
    const pause = fc.integer({ min: 0, max: 300 });
    const steps = fc.array(fc.record({ pause, link: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(pause, pause, steps, (updelayMs, downdelayMs, told) => {
        const [late, punctual] = [new LinkDelay(), new LinkDelay()];
        let now = 0;
        for (const step of told) {
          for (let at = now; at < now + step.pause; at++) punctual.advance(at);
          now += step.pause;
          for (const delay of [late, punctual]) delay.hear(step.link, { updelayMs, downdelayMs }, now);
          expect([late.up, late.wakeAt]).toEqual([punctual.up, punctual.wakeAt]);
        }
      }),
      { seed },
    );
  });
});
