/** When frames that come in on a bond are looked at for being our own: always where several members send to a bridge, else after a failover. */
import { describe, expect, it } from 'vitest';
import { GRACE_MS } from '../../../../control/bonding/member.ts';
import type { BondMode } from '../../../../control/model/bond.ts';
import { LACP, Stand, settings } from './rig.ts';

const reflects = (stand: Stand) => stand.bond.steering.reflects;

describe('frames of our own that come back', () => {
  it.each<BondMode>(['balance-slb', 'balance-tlb', 'balance-alb'])('are looked for in %s', (mode) => {
    expect(reflects(new Stand(settings({ mode })).start())).toBe(true);
  });

  it.each<BondMode>(['balance-rr', 'balance-xor', 'broadcast'])('are not in %s, also after a loss', (mode) => {
    expect(reflects(new Stand(settings({ mode })).start().link('a', false))).toBe(false);
  });

  it('are in active-backup for a second after another member became active, and no longer', () => {
    const stand = new Stand(settings()).start();
    expect([reflects(stand), stand.bond.wakeAt]).toEqual([false, Number.POSITIVE_INFINITY]);
    stand.link('a', false);
    const until = stand.now + GRACE_MS;
    expect([reflects(stand), stand.bond.wakeAt]).toEqual([true, until]);
    stand.host.forget();
    stand.run(GRACE_MS - 1);
    expect([reflects(stand), stand.host.order]).toEqual([true, []]);
    stand.run(1);
    expect([reflects(stand), stand.host.order]).toEqual([false, ['steer']]);
    expect(stand.bond.wakeAt).toBe(Number.POSITIVE_INFINITY);
  });

  it('are anew after each failover', () => {
    const stand = new Stand(settings()).start().link('a', false);
    stand.link('a', true).run(GRACE_MS / 2);
    stand.link('b', false).run(GRACE_MS - 1);
    expect(reflects(stand)).toBe(true);
    stand.run(1);
    expect(reflects(stand)).toBe(false);
  });

  it('are after an outage, when another one begins', () => {
    const stand = new Stand(settings()).start().link('a', false).link('b', false);
    stand.run(2 * GRACE_MS);
    stand.link('a', true);
    expect(reflects(stand)).toBe(true);
  });

  it('are not in 802.3ad', () => {
    expect(reflects(new Stand(settings({ mode: '802.3ad', lacp: LACP })).start())).toBe(false);
  });
});
