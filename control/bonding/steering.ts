/**
 * From who may carry to what workers obey: the mode's way of sending, and what each member may receive. Pure; called by bond.ts after
 * everything that happened. Buckets are buckets.ts's business.
 */
import type { BondMode } from '../model/bond.ts';
import type { Reception, Steering } from './host.ts';

/** What a mode amounts to; 802.3ad without a partner is `single` where it falls back, else `aggregate`. */
export type Way = 'single' | 'senders' | 'aggregate' | 'round-robin' | 'broadcast';

const WAYS: Readonly<Record<BondMode, Way>> = {
  'active-backup': 'single',
  'balance-rr': 'round-robin',
  'balance-xor': 'aggregate',
  broadcast: 'broadcast',
  '802.3ad': 'aggregate',
  'balance-tlb': 'senders',
  'balance-alb': 'senders',
  'balance-slb': 'senders',
};

export function wayOf(mode: BondMode, isFallback: boolean): Way {
  return isFallback ? 'single' : WAYS[mode];
}

export function sendOf(way: Way): Exclude<Steering['send'], 'none'> {
  return way === 'round-robin' || way === 'broadcast' ? way : 'buckets';
}

/** Ways in which one member takes frames to many, and all of `single`. */
export function hasActive(way: Way): boolean {
  return way === 'single' || way === 'senders';
}

/**
 * Whether upstream's bridge brings our own frames back to us: always where several members send to it; where one does, while what went
 * out by the one before may still be under way to its successor.
 */
export function reflectsOf(way: Way, isHandedOver: boolean): boolean {
  return way === 'senders' || (way === 'single' && isHandedOver);
}

/** What a member that was taken out by plan still receives: of links that upstream holds for one a frame comes by one only, so all. */
export function graceOf(way: Way): Reception {
  return hasActive(way) ? 'unicast' : 'all';
}

/**
 * What upstream must hear of when `before` became `after` and `moved` buckets lead elsewhere: null everything, undefined nothing. Upstream
 * learns senders by link where it doesn't hold the links for one. So it must hear of every bucket that moves, also by rebalancing: who
 * is silent since would else be sought on a link that no later announcement names. Of links held for one it hears when all are others
 * than before, as with another aggregator: they may lead to another switch.
 */
export function announcementOf(
  before: { readonly steering: Steering; readonly way: Way },
  after: { readonly steering: Steering; readonly way: Way },
  moved: ReadonlySet<number>,
): ReadonlySet<number> | null | undefined {
  const { carrying } = after.steering;
  if (carrying.length === 0) return undefined;
  if (!hasActive(after.way)) {
    const isElsewhere = !carrying.some((name) => before.steering.carrying.includes(name));
    return isElsewhere && after.way === 'aggregate' ? null : undefined;
  }
  if (!hasActive(before.way) || before.steering.carrying.length === 0) return null;
  if (moved.size === 0) return undefined;
  return moved.size === after.steering.buckets.length ? null : moved;
}

export function isSameSteering(a: Steering, b: Steering): boolean {
  return (
    a.send === b.send &&
    a.active === b.active &&
    a.reflects === b.reflects &&
    isSameList(a.carrying, b.carrying) &&
    isSameList(a.buckets, b.buckets) &&
    a.receive.size === b.receive.size &&
    [...a.receive].every(([member, reception]) => b.receive.get(member) === reception)
  );
}

export function isSameList<T>(a: ArrayLike<T>, b: ArrayLike<T>): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
