/**
 * The bench of guests does what it says, with a second of traffic: DPDK's virtio-user, a front end that isn't ours, sends through a weft
 * that nothing gets lost in. No figure is judged here.
 */
import { beforeEach, expect, it } from 'vitest';
import { betweenGuests, type GuestContext } from '../../bench/guests/context.ts';
import { takeHugePages } from '../../bench/guests/huge-pages.ts';
import { pingPong } from '../../bench/guests/ping-pong.ts';
import { GUEST_HUGE_PAGES } from '../../bench/guests/testpmd.ts';
import { weftMissing } from '../../bench/peers/weft-daemon.ts';
import { guestPort, joinByWeft, weftGuests } from '../../bench/peers/weft-guests.ts';
import { Cleanup } from '../../bench/system/cleanup.ts';
import { describeNeeds } from '../needs.ts';

const NEEDED = { root: true, addon: true, tools: ['dpdk-testpmd', 'stdbuf', 'ip'], because: weftMissing() };
const TIMEOUT_MS = 60_000;

const left: string[] = [];
const context: GuestContext = {
  ...{ pairs: 1, seconds: 1, quick: true, subject: weftGuests, others: [] },
  progress: (text) => left.push(text),
  skip: (text) => left.push(text),
};

/** Why DPDK can't have its memory here, or null; `cleanup` gives it back. */
function pagesReason(cleanup: Cleanup): string | null {
  try {
    takeHugePages(GUEST_HUGE_PAGES, cleanup);
    return null;
  } catch (error) {
    return `this host has no memory for DPDK: ${error instanceof Error ? error.message : String(error)}`;
  }
}

describeNeeds(NEEDED, 'guests of DPDK through weft', () => {
  beforeEach(() => {
    left.length = 0;
  });

  it.for([64, 1518, 9000])('frames of %i bytes keep going', { timeout: TIMEOUT_MS }, async (frameBytes, ctx) => {
    const pages = new Cleanup();
    try {
      const reason = pagesReason(pages);
      if (reason !== null) ctx.skip(reason);
      const { rate, own } = await betweenGuests(
        context,
        { count: 2, frameBytes },
        (place, sockets) => weftGuests.join(place, sockets, frameBytes),
        (guests, joined) => pingPong(guests, joined, 1),
      );
      expect(rate).toBeGreaterThan(0);
      expect(own).toMatchObject({ dropped: 0 });
    } finally {
      await pages.run();
    }
    expect(left).toEqual([]);
  });

  it('a tag is pushed one way and popped the other', { timeout: TIMEOUT_MS }, async (ctx) => {
    const pages = new Cleanup();
    try {
      const reason = pagesReason(pages);
      if (reason !== null) ctx.skip(reason);
      const { rate, own } = await betweenGuests(
        context,
        { count: 2, frameBytes: 64, topology: 'loop' },
        (place, [a, b]) =>
          joinByWeft(place, [
            guestPort(0, a!, 64, { mode: 'access', tag: 10 }),
            guestPort(1, b!, 64, { mode: 'trunk', trunks: [10] }),
          ]),
        (guests, joined) => pingPong(guests, joined, 1),
      );
      expect(rate).toBeGreaterThan(0);
      expect(own).toMatchObject({ dropped: 0 });
    } finally {
      await pages.run();
    }
  });
});
