/** The choice of the aggregator in use, and whether its ports have waited, over ports made by hand. */
import { describe, expect, it } from 'vitest';
import type { LacpModel } from '../../../../control/model/bond.ts';
import { chooseActive } from '../../../../control/protocols/lacp/active.ts';
import { type LacpPort, withPartnerState } from '../../../../control/protocols/lacp/port.ts';
import { isReady } from '../../../../control/protocols/lacp/selection.ts';
import { ACTOR, currentPort } from './lacp-ports.ts';

const TEN = 1e10;
const ONE = 1e9;

describe('chooseActive', () => {
  /** Ports that wait, each in an aggregator of its number or of the one given. */
  const choose = (
    select: LacpModel['select'],
    ...given: (Partial<LacpPort> & { speed?: number; alone?: boolean })[]
  ) => {
    const ports = new Map<string, LacpPort>();
    given.forEach(({ speed: _, alone = false, ...change }, index) => {
      const number = index + 1;
      const port: LacpPort = { ...currentPort(), number, aggregator: number, mux: 'WAITING', waitUntil: 0, ...change };
      ports.set(`p${number}`, alone ? withPartnerState(port, { aggregation: false }) : port);
    });
    const speedOf = (id: string) => given[Number(id.slice(1)) - 1]!.speed ?? null;
    return chooseActive(ports, speedOf, null, ACTOR, { select, minLinks: 1 }, 0);
  };

  it('prefers one that aggregates to a lone link that is faster', () => {
    expect(choose('bandwidth', { speed: TEN, alone: true }, { speed: ONE })).toBe(2);
  });

  it('takes count among equal bandwidths, and bandwidth among equal counts', () => {
    expect(choose('bandwidth', { speed: 2 * ONE }, { speed: ONE, aggregator: 2 }, { speed: ONE, aggregator: 2 })).toBe(
      2,
    );
    expect(choose('count', { speed: ONE }, { speed: TEN })).toBe(2);
  });

  it('takes the best port priority, then the lowest port', () => {
    expect(choose('stable', { priority: 5 }, { priority: 4 })).toBe(2);
    expect(choose('stable', { priority: 5 }, { priority: 5 })).toBe(1);
  });

  it('counts no silent ports and none whose link is down, and takes none of those alone', () => {
    const silent = { receive: 'EXPIRED', currentUntil: 1 } as const;
    expect(choose('count', { aggregator: 1 }, { ...silent, aggregator: 1 }, { aggregator: 3 }, { aggregator: 3 })).toBe(
      3,
    );
    expect(choose('count', { up: false }, silent, { held: true }, {})).toBe(4);
    expect(choose('count', { up: false }, silent)).toBe(null);
  });
});

describe('isReady', () => {
  it('waits for each port of the aggregator that is up, and for no other', () => {
    const waiting = { ...currentPort(), mux: 'WAITING', waitUntil: 100 } as const;
    const ready = (port: LacpPort, now: number) => isReady(new Map([['p', port]]), 11, now);
    expect([ready(waiting, 99), ready(waiting, 100)]).toEqual([false, true]);
    expect(ready({ ...waiting, mux: 'DETACHED' }, 200)).toBe(false);
    expect(ready({ ...waiting, up: false }, 0)).toBe(true);
    expect(ready({ ...waiting, held: true }, 0)).toBe(true);
    expect(ready({ ...waiting, aggregator: 12 }, 0)).toBe(true);
  });
});
