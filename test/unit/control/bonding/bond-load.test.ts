/** The bond machine as it rebalances: when, in which modes, and who hears of it. */
import { describe, expect, it } from 'vitest';
import type { BondSettings } from '../../../../control/model/bond.ts';
import { Stand, settings } from './rig.ts';

const UNITS_OF_1M = 1e6 / 8 / 64;

/** Over two members; all the load is in buckets of `a`, the even ones. */
function start(rest: Partial<BondSettings> = {}): Stand {
  return new Stand(settings({ mode: 'balance-xor', rebalanceMs: 10_000, ...rest })).start();
}

/** Lets time pass while buckets 0, 2, 4 and 6 send at 10 Mbit/s each. */
function send(stand: Stand, seconds: number): Stand {
  for (let second = 0; second < seconds; second++) {
    for (const bucket of [0, 2, 4, 6]) stand.host.units[bucket]! += 10 * UNITS_OF_1M;
    stand.run(1000);
  }
  return stand;
}

function loads(stand: Stand): number[] {
  return stand.bond.row().members.map(({ load }) => Math.round(load / 1e6));
}

describe('rebalancing of a bond', () => {
  it('happens once an interval, moves what it must, and counts it', () => {
    const stand = send(start(), 9);
    expect(stand.host.order).toEqual([]);
    send(stand, 2);
    expect(stand.host.order).toEqual(['steer']);
    expect([stand.bond.row().moved, stand.shares(), loads(stand)]).toEqual([2, { a: 126, b: 130 }, [20, 20]]);
    send(stand, 30);
    expect([stand.bond.row().moved, stand.host.order]).toEqual([2, ['steer']]);
  });

  it('tells upstream of the senders that moved where it learns them by link', () => {
    const stand = send(start({ mode: 'balance-slb' }), 11);
    expect(stand.host.order).toEqual(['steer', 'announce']);
    expect([...stand.host.announced[0]!]).toEqual([0, 2]);
  });

  it('never happens with an interval of 0, though load is measured', () => {
    const stand = send(start({ rebalanceMs: 0 }), 25);
    expect([stand.host.order, stand.bond.row().moved, loads(stand)]).toEqual([[], 0, [40, 0]]);
  });

  it('is not done more often for being measured more often: counters of 32 bits would wrap within a long interval', () => {
    const stand = send(start({ rebalanceMs: 60_000 }), 59);
    expect([stand.bond.row().moved, loads(stand)]).toEqual([0, [40, 0]]);
    expect(send(stand, 2).bond.row().moved).toBe(2);
  });

  it('happens earlier when the settings say so', () => {
    const stand = send(start({ rebalanceMs: 60_000 }), 5);
    stand.configure(settings({ mode: 'balance-xor', rebalanceMs: 2000 }));
    expect(send(stand, 3).bond.row().moved).toBe(2);
  });

  it.each([
    ['balance-slb', [20, 20]],
    ['balance-tlb', [30, 10]],
    ['balance-alb', [30, 10]],
  ] as const)('%s: a member three times as fast carries %j', (mode, expected) => {
    const stand = start({ mode });
    stand.link('a', true, { speed: 30e9 });
    expect(loads(send(stand, 21))).toEqual(expected);
  });

  it('ends with the second member that carries', () => {
    const stand = start().link('b', false);
    expect(stand.bond.wakeAt).toBe(Number.POSITIVE_INFINITY);
    expect(send(stand, 11).bond.row().moved).toBe(0);
    expect(stand.link('b', true).bond.wakeAt).toBe(stand.now + 10_000);
  });

  it('is no business of modes without buckets', () => {
    for (const mode of ['active-backup', 'balance-rr', 'broadcast'] as const) {
      const stand = send(start({ mode }), 21);
      expect([stand.bond.row().moved, stand.bond.wakeAt]).toEqual([0, Number.POSITIVE_INFINITY]);
    }
  });
});
