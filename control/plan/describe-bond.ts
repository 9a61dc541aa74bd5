/**
 * What changes of a bond while it carries traffic, in words: `mode active-backup → 802.3ad; member c added`. Pure; called by describe.ts.
 */
import type { BondSettings, LacpModel, MemberModel, MonitorModel } from '../model/bond.ts';
import { hashes } from '../model/bond-document.ts';

type Value = string | number | boolean | null | readonly string[];

function shown(value: Value): string {
  if (Array.isArray(value)) return value.join(', ') || 'none';
  return value === null ? 'none' : String(value);
}

function changedText(name: string, before: Value, after: Value): string[] {
  const [from, to] = [shown(before), shown(after)];
  return from === to ? [] : [`${name} ${from} → ${to}`];
}

function ms(value: number): string {
  return `${value} ms`;
}

function rebalance(value: number): string {
  return value === 0 ? 'never' : ms(value);
}

function memberChanges(before: readonly MemberModel[], after: readonly MemberModel[]): string[] {
  const had = new Map(before.map((member) => [member.name, member]));
  const has = new Set(after.map(({ name }) => name));
  const removed = before.flatMap(({ name }) => (has.has(name) ? [] : [`member ${name} removed`]));
  const others = after.flatMap((member) => {
    const was = had.get(member.name);
    if (was === undefined) return [`member ${member.name} added`];
    return [
      ...changedText(`priority of member ${member.name}`, was.priority, member.priority),
      ...changedText(`speed of member ${member.name}`, was.speed, member.speed),
    ];
  });
  const order = (members: readonly MemberModel[], known: (name: string) => boolean) =>
    members.flatMap(({ name }) => (known(name) ? [name] : [])).join(', ');
  const kept = changedText(
    'order of members',
    order(before, (name) => has.has(name)),
    order(after, (name) => had.has(name)),
  );
  return [...removed, ...others, ...kept];
}

function lacpChanges(before: LacpModel | null, after: LacpModel | null): string[] {
  // With the mode it comes and goes, and its values with it.
  if (before === null || after === null) return [];
  return [
    ...changedText('lacp.mode', before.mode, after.mode),
    ...changedText('lacp.rate', before.rate, after.rate),
    ...changedText('lacp.system-priority', before.systemPriority, after.systemPriority),
    ...changedText('lacp.system-mac', before.systemMac ?? 'a member’s', after.systemMac ?? 'a member’s'),
    ...changedText('lacp.key', before.key ?? 'by speed', after.key ?? 'by speed'),
    ...changedText('lacp.select', before.select, after.select),
    ...changedText('lacp.fallback', before.fallback, after.fallback),
    ...changedText('lacp.strict', before.strict, after.strict),
  ];
}

function monitorChanges(before: MonitorModel | null, after: MonitorModel | null): string[] {
  if (before === null || after === null)
    return changedText('monitor', before?.targets ?? 'off', after?.targets ?? 'off');
  return [
    ...changedText('monitor.targets', before.targets, after.targets),
    ...changedText('monitor.interval', ms(before.intervalMs), ms(after.intervalMs)),
    ...changedText('monitor.missed-max', before.missedMax, after.missedMax),
    ...changedText('monitor.validate', before.validate, after.validate),
    ...changedText('monitor.require', before.require, after.require),
    ...changedText('monitor.vlan', before.vlan, after.vlan),
  ];
}

/** One text for each thing that changes; keys as the document writes them. */
export function bondChanges(before: BondSettings, after: BondSettings): string[] {
  const ofBuckets =
    hashes(before.mode) && hashes(after.mode)
      ? [
          ...changedText('hash', before.hash, after.hash),
          ...changedText('hash-seed', before.seed, after.seed),
          ...changedText('rebalance-interval', rebalance(before.rebalanceMs), rebalance(after.rebalanceMs)),
        ]
      : [];
  return [
    ...changedText('mode', before.mode, after.mode),
    ...memberChanges(before.members, after.members),
    ...ofBuckets,
    ...changedText('updelay', ms(before.updelayMs), ms(after.updelayMs)),
    ...changedText('downdelay', ms(before.downdelayMs), ms(after.downdelayMs)),
    ...changedText('mac', before.mac, after.mac),
    ...changedText('arp-source', before.sources, after.sources),
    ...changedText('primary', before.primary, after.primary),
    ...changedText('primary-reselect', before.primaryReselect, after.primaryReselect),
    ...changedText('min-links', before.minLinks, after.minLinks),
    ...changedText('packets-per-member', before.packetsPerMember, after.packetsPerMember),
    ...lacpChanges(before.lacp, after.lacp),
    ...monitorChanges(before.monitor, after.monitor),
  ];
}

/** `bond 802.3ad of a, b` */
export function describeBond({ mode, members }: BondSettings): string {
  return `bond ${mode} of ${members.map(({ name }) => name).join(', ')}`;
}
