/**
 * What people read of a bond: its row, each member's state and why, and what an event says. Pure; called by bond.ts. Reasons are sentences
 * without full stop and without the member's name, which stands beside them.
 */
import type { BondSettings } from '../model/bond.ts';
import type { BondMemberRow, BondRow } from '../switch.ts';
import type { Steering } from './host.ts';
import type { BondMember } from './member.ts';
import type { LacpMachine } from './parts.ts';
import { hasActive, type Way } from './steering.ts';

export type BondMemberStatus = Omit<BondMemberRow, 'device' | 'receive' | 'transmit' | 'dropped'>;

/** A BondRow without what the machine doesn't know: names, devices, counters. */
export type BondStatus = Omit<BondRow, 'bridge' | 'name' | 'mac' | 'members'> & {
  readonly members: readonly BondMemberStatus[];
};

/** The machine as its rows need it. */
export interface BondView {
  readonly settings: BondSettings;
  readonly members: readonly BondMember[];
  readonly way: Way;
  readonly steering: Steering;
  /** Why the bond is down, null when it is up. */
  readonly reason: string | null;
  readonly lacp: LacpMachine | null;
  readonly failovers: number;
  readonly moved: number;
  /** Bits per second of each bucket; null: not measured. */
  readonly rates: Float64Array | null;
}

export function statusOf(view: BondView): BondStatus {
  const { settings, steering, reason, failovers, moved } = view;
  return {
    mode: settings.mode,
    hash: hashOf(settings),
    up: reason === null,
    reason,
    active: steering.active,
    lacp: lacpState(view),
    failovers,
    moved,
    members: view.members.map((member) => memberStatus(view, member)),
  };
}

function hashOf({ mode, hash }: BondSettings): string | null {
  if (mode === 'balance-xor' || mode === '802.3ad') return hash;
  return mode === 'balance-slb' || mode === 'balance-tlb' || mode === 'balance-alb' ? 'vlan+srcmac' : null;
}

function lacpState({ lacp, way }: BondView): BondStatus['lacp'] {
  if (lacp === null) return 'off';
  if (way === 'single') return 'fallback';
  return lacp.negotiated ? 'negotiated' : 'configured';
}

function memberStatus(view: BondView, member: BondMember): BondMemberStatus {
  const { name, hasLink, speed, failures } = member;
  const lacp = view.lacp?.row(name) ?? null;
  return { name, ...stateOf(view, member), link: hasLink, speed, ...loadOf(view, name), failures, lacp };
}

function loadOf({ steering, rates }: BondView, name: string): Pick<BondMemberRow, 'buckets' | 'load'> {
  const index = steering.carrying.indexOf(name);
  let buckets = 0;
  let load = 0;
  if (steering.send !== 'buckets') return { buckets, load };
  for (const [bucket, carrier] of steering.buckets.entries()) {
    if (carrier !== index) continue;
    buckets++;
    load += rates?.[bucket] ?? 0;
  }
  return { buckets, load };
}

type Condition = Pick<BondMemberRow, 'state' | 'reason'>;

function stateOf(view: BondView, member: BondMember): Condition {
  const { name, delay } = member;
  const { active, carrying } = view.steering;
  if (carrying.includes(name)) return { state: active === name ? 'active' : 'enabled', reason: null };
  if (member.disabled) return { state: 'disabled', reason: 'taken out by command' };
  if (delay.waiting) return { state: 'waiting', reason: `waits ${view.settings.updelayMs} ms for updelay` };
  if (!delay.up) return { state: 'down', reason: 'its link is down' };
  if (!member.alive) return { state: 'down', reason: 'its targets do not answer' };
  if (view.lacp !== null && view.way !== 'single' && !view.lacp.distributing(name)) return lacpCondition(view, name);
  if (view.reason !== null) return { state: 'standby', reason: `the bond is down: ${view.reason}` };
  return { state: 'standby', reason: hasActive(view.way) ? `${active} is active` : 'others carry' };
}

/** LACP gives no aggregator to a link whose partner is itself (IEEE 802.1AX-2014, 6.4.14). */
const LOOPED = 'its link leads back to this bond, or to one with the same lacp.system-mac';

/** What keeps a sound link from carrying in 802.3ad. */
function lacpCondition({ lacp, steering }: BondView, name: string): Condition {
  const { actor, partner, aggregator, mux } = lacp!.row(name);
  if (partner === null) return { state: 'waiting', reason: 'it has no partner' };
  if (aggregator === null && partner.system === actor.system && partner.systemPriority === actor.systemPriority)
    return { state: 'waiting', reason: LOOPED };
  const carries = steering.carrying.map((carrier) => lacp!.row(carrier).aggregator);
  if (carries.length > 0 && !carries.includes(aggregator)) {
    return { state: 'standby', reason: 'another aggregator carries' };
  }
  if (!partner.state.includes('synchronization')) return { state: 'waiting', reason: 'its partner is not in sync' };
  return { state: 'waiting', reason: `its LACP multiplexer is ${mux}` };
}

/** Why a bond whose `carrying` members are too few is down; null when they suffice. `usable`: could carry, were it their turn. */
export function downReason(settings: BondSettings, way: Way, usable: number, carrying: number): string | null {
  const least = Math.max(1, settings.minLinks);
  const count = way === 'single' ? usable : carrying;
  if (count >= least) return null;
  if (usable === 0) return 'no member is up';
  if (way === 'single') return `${usable} of at least ${least} members are up`;
  // Of the ways in which all that could do carry LACP alone may leave none.
  return carrying === 0 && least === 1 ? 'LACP lets no member carry' : `${carrying} of at least ${least} members carry`;
}

/** One sentence on who carries now and didn't, or no more; null when all is as it was. `whyNot` tells why a member doesn't carry. */
export function describeChange(before: Steering, after: Steering, whyNot: (member: string) => string): string | null {
  const isNew = (member: string) => !before.carrying.includes(member);
  const lost = before.carrying.filter((member) => !after.carrying.includes(member));
  const parts = lost.map((member) => `${member} no longer carries: ${whyNot(member)}`);
  const who = after.active === null ? 'none is active' : `${after.active} is active`;
  // Where that is why a member ceased, it was said already.
  if (after.active !== before.active && !lost.some((member) => whyNot(member) === who)) parts.push(who);
  const joined = after.carrying.filter((member) => isNew(member) && member !== after.active);
  if (joined.length > 0) parts.push(`${joined.join(', ')} ${joined.length === 1 ? 'carries' : 'carry'}`);
  return parts.length === 0 ? null : parts.join('; ');
}

/** Why `member` doesn't carry; null when it does. */
export function reasonOf(view: BondView, member: BondMember): string | null {
  return stateOf(view, member).reason;
}
