/**
 * Which aggregator the bond uses: a bond is one port of its bridge, so of several aggregators one carries and the others stand by. By the
 * three policies that Linux documents (ad_select: stable, bandwidth, count). Called by system.ts after the selection. Pure.
 */
import type { LacpModel } from '../../model/bond.ts';
import type { LacpActor, LacpPort } from './port.ts';
import { isIndividual, isReady } from './selection.ts';

export interface ActiveChoice {
  readonly select: LacpModel['select'];
  /** Fewer ports than these are no aggregator. */
  readonly minLinks: number;
}

/** A port with its speed in bits/s. */
export type SpeedOf = (id: string) => number | null;

/** What is known of an aggregator when it is compared. */
interface Candidate {
  readonly number: number;
  /** Up and not held, with a partner or doing without one; the second leaves out those that are silent just now. */
  readonly linked: number;
  readonly usable: number;
  readonly bandwidth: number;
  readonly hasPartner: boolean;
  readonly individual: boolean;
  readonly partnerSystem: string;
  /** The partner's system decides rather than ours (6.7.1: the better system identifier), and it wants this aggregator. */
  readonly wanted: boolean;
  readonly priority: number;
  readonly port: number;
  readonly attached: boolean;
  readonly ready: boolean;
}

/** The number of the aggregator to use; null: none will do. `active` is the one in use. */
export function chooseActive(
  ports: ReadonlyMap<string, LacpPort>,
  speedOf: SpeedOf,
  active: number | null,
  actor: LacpActor,
  choice: ActiveChoice,
  now: number,
): number | null {
  const enough = Math.max(1, choice.minLinks);
  const all = candidatesOf(ports, speedOf, actor, now);
  const held = all.find(({ number, attached, linked }) => number === active && attached && linked >= enough);
  const others = all.filter(({ usable, number }) => usable >= enough && number !== held?.number);
  if (held === undefined) return best(others, choice, active)?.number ?? null;
  // Silent ones are given the time until they default, unless there is another.
  if (held.usable < enough) return best(others, choice, active)?.number ?? held.number;
  const better = best([held, ...others], choice, active);
  // The one in use goes on until the better one's ports have waited.
  if (better === undefined || better === held || !better.ready) return held.number;
  const overrules =
    (better.hasPartner && !held.hasPartner) || (better.wanted && !held.wanted && sameSystem(better, held));
  return choice.select !== 'stable' || overrules ? better.number : held.number;
}

function sameSystem(a: Candidate, b: Candidate): boolean {
  return a.partnerSystem === b.partnerSystem;
}

/** Of one partner's aggregators the one that it wants, where it decides; then the best of all partners'. */
function best(candidates: readonly Candidate[], choice: ActiveChoice, active: number | null): Candidate | undefined {
  const heads = candidates.filter(
    (one) => one.wanted || !candidates.some((other) => other.wanted && sameSystem(one, other)),
  );
  return heads.sort((a, b) => compare(a, b, choice, active))[0];
}

/** Negative when `a` is better. */
function compare(a: Candidate, b: Candidate, { select }: ActiveChoice, active: number | null): number {
  const byCount = b.usable - a.usable;
  const byBandwidth = b.bandwidth - a.bandwidth;
  return (
    Number(b.hasPartner) - Number(a.hasPartner) ||
    Number(a.individual) - Number(b.individual) ||
    (select === 'count' ? byCount || byBandwidth : byBandwidth || byCount) ||
    a.priority - b.priority ||
    Number(b.number === active) - Number(a.number === active) ||
    a.port - b.port
  );
}

function candidatesOf(
  ports: ReadonlyMap<string, LacpPort>,
  speedOf: SpeedOf,
  actor: LacpActor,
  now: number,
): Candidate[] {
  const groups = new Map<number, [string, LacpPort][]>();
  for (const [id, port] of ports) {
    if (port.aggregator === null || !isLinked(port, actor)) continue;
    const group = groups.get(port.aggregator);
    if (group === undefined) groups.set(port.aggregator, [[id, port]]);
    else group.push([id, port]);
  }
  return [...groups].map(([number, group]) => {
    const usable = group.filter(([, port]) => port.receive !== 'EXPIRED');
    const { partner, state } = group[0]![1];
    return {
      number,
      linked: group.length,
      usable: usable.length,
      bandwidth: usable.reduce((sum, [id]) => sum + (speedOf(id) ?? 1), 0),
      hasPartner: !state.defaulted,
      individual: isIndividual(group[0]![1]),
      partnerSystem: systemText(partner.systemPriority, partner.system),
      wanted:
        systemText(partner.systemPriority, partner.system) < systemText(actor.systemPriority, actor.system) &&
        usable.some(([, port]) => port.partner.state.synchronization),
      priority: Math.min(...group.map(([, port]) => port.priority)),
      port: Math.min(...group.map(([, port]) => port.number)),
      attached: group.some(([, { mux }]) => mux !== 'DETACHED' && mux !== 'WAITING'),
      ready: isReady(ports, number, now),
    };
  });
}

function isLinked({ up, held, receive }: LacpPort, { strict }: LacpActor): boolean {
  if (!up || held) return false;
  return receive === 'CURRENT' || receive === 'EXPIRED' || !strict;
}

/** Texts in the order of system identifiers. */
function systemText(priority: number, system: string): string {
  return `${priority.toString(16).padStart(4, '0')} ${system}`;
}
