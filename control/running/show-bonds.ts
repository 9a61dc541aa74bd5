/**
 * The rows of bonds: what the bond machine says of itself, and what members counted. A member is a port of the book that no list of ports
 * shows; what it counted stands in its bond's rows. Main thread, on request; changes nothing.
 */
import { PortCell } from '../../dataplane/memory/layout.ts';
import type { BondStatus } from '../bonding/bond.ts';
import type { BondSample } from '../metrics/source.ts';
import { type BondSettings, memberPort } from '../model/bond.ts';
import { hashes } from '../model/bond-document.ts';
import type { BondModel } from '../model/model.ts';
import type { BondMemberRow, BondRow, PortCounts } from '../switch.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';

/** A bond's port, which its model says to be one. */
type BondState = PortState & { readonly model: BondModel };

export function isBond(state: PortState): state is BondState {
  return state.model.kind === 'bond';
}

/** Ports as people know them: bonds, not their members. */
export function shownPorts(states: readonly PortState[]): PortState[] {
  return states.filter(({ model }) => model.memberOf === null);
}

/** A bond's members that are there, in the order of its settings. */
export function membersOf(base: Foundation, bond: PortState): PortState[] {
  if (!isBond(bond)) return [];
  const { name, settings } = bond.model;
  return settings.members.flatMap((member) => base.book.find(bond.bridge, memberPort(name, member.name)) ?? []);
}

/** Frames, bytes and segments from a port's cell on. */
export function countsOf(base: Foundation, port: number, first: number): PortCounts {
  return {
    frames: base.counters.cell(port, first),
    bytes: base.counters.cell(port, first + 1),
    segments: base.counters.cell(port, first + 2),
  };
}

/** What left by a port: of a bond, by all its members. */
export function transmitted(base: Foundation, state: PortState): PortCounts {
  if (!isBond(state)) return countsOf(base, state.number, PortCell.TX_FRAMES);
  const all = membersOf(base, state).map(({ number }) => countsOf(base, number, PortCell.TX_FRAMES));
  const sum = (key: keyof PortCounts) => all.reduce((total, counts) => total + counts[key], 0);
  return { frames: sum('frames'), bytes: sum('bytes'), segments: sum('segments') };
}

/** Losses of a port, by reason; a bond's with its members'. */
export function lossesOf(
  base: Foundation,
  state: PortState,
  of: (state: PortState) => Readonly<Record<string, number>>,
): Record<string, number> {
  const all: Record<string, number> = {};
  for (const one of [state, ...membersOf(base, state)])
    for (const [reason, frames] of Object.entries(of(one))) all[reason] = (all[reason] ?? 0) + frames;
  return all;
}

/** As the document says, else what the members that carry can do together; null where one of theirs is unknown. */
export function speedOf(base: Foundation, state: PortState): number | null {
  if (state.model.speed !== null || !isBond(state)) return state.model.speed;
  const carrying = statusOf(base, state)?.members.filter(isCarrying) ?? [];
  const speeds = carrying.flatMap(({ speed }) => speed ?? []);
  if (speeds.length === 0 || speeds.length < carrying.length) return null;
  if (state.model.settings.mode === 'broadcast') return Math.min(...speeds);
  return speeds.reduce((sum, speed) => sum + speed, 0);
}

function isCarrying({ state }: Pick<BondMemberRow, 'state'>): boolean {
  return state === 'active' || state === 'enabled';
}

function statusOf(base: Foundation, { bridge, model }: BondState): BondStatus | null {
  return base.bonds.of(bridge, model.name)?.status() ?? null;
}

/** Of a bond that could not be opened. */
function unopened({ model, reason }: BondState): BondStatus {
  const why = reason ?? 'the bond is not there';
  const down = { state: 'down', reason: why, link: false, buckets: 0, load: 0, failures: 0, lacp: null } as const;
  return {
    mode: model.settings.mode,
    hash: null,
    up: false,
    reason: why,
    active: null,
    lacp: 'off',
    failovers: 0,
    moved: 0,
    members: model.settings.members.map(({ name, speed }) => ({ name, speed, ...down })),
  };
}

const NOTHING: PortCounts = { frames: 0, bytes: 0, segments: 0 };

function memberRow(base: Foundation, bond: BondState, status: BondStatus['members'][number]): BondMemberRow {
  const port = base.book.find(bond.bridge, memberPort(bond.model.name, status.name));
  const device = port?.model.kind === 'netdev' ? port.model.device : null;
  if (port === null) return { ...status, device, receive: NOTHING, transmit: NOTHING, dropped: {} };
  return {
    ...status,
    device,
    // The device knows better why there is no link.
    reason: status.state === 'down' && !status.link ? (port.reason ?? status.reason) : status.reason,
    receive: countsOf(base, port.number, PortCell.RX_FRAMES),
    transmit: countsOf(base, port.number, PortCell.TX_FRAMES),
    dropped: base.counters.drops(port.number),
  };
}

function bondRow(base: Foundation, bond: BondState): BondRow {
  const status = statusOf(base, bond) ?? unopened(bond);
  return {
    bridge: bond.bridge,
    name: bond.model.name,
    mac: bond.model.settings.mac,
    ...status,
    members: status.members.map((member) => memberRow(base, bond, member)),
  };
}

export function bondRows(base: Foundation): BondRow[] {
  return base.book.ports().flatMap((state) => (isBond(state) ? [bondRow(base, state)] : []));
}

/** The same for a scrape, with what only counters tell. */
export function bondSamples(base: Foundation): BondSample[] {
  const cell = (row: BondRow, member: string, which: number): number => {
    const port = base.book.find(row.bridge, memberPort(row.name, member));
    return port === null ? 0 : base.counters.cell(port.number, which);
  };
  return bondRows(base).map((row) => ({
    ...row,
    members: row.members.map((member) => ({
      ...member,
      carrying: isCarrying(member),
      punted: cell(row, member.name, PortCell.PUNTED),
      injected: cell(row, member.name, PortCell.INJECTED),
    })),
  }));
}

/** The keys of a bond as the document writes them, defaults filled in, for `weft port show`. */
export function bondKeys(settings: BondSettings): Record<string, string | number | boolean | readonly string[] | null> {
  const { lacp, monitor } = settings;
  return {
    mode: settings.mode,
    members: settings.members.map(({ name }) => name),
    ...(hashes(settings.mode)
      ? { hash: settings.hash, 'hash-seed': settings.seed, 'rebalance-interval': settings.rebalanceMs }
      : {}),
    mac: settings.mac,
    updelay: settings.updelayMs,
    downdelay: settings.downdelayMs,
    'min-links': settings.minLinks,
    'arp-source': settings.sources,
    primary: settings.primary,
    ...(settings.primary === null ? {} : { 'primary-reselect': settings.primaryReselect }),
    ...(settings.mode === 'balance-rr' ? { 'packets-per-member': settings.packetsPerMember } : {}),
    ...(lacp === null
      ? {}
      : {
          'lacp.mode': lacp.mode,
          'lacp.rate': lacp.rate,
          'lacp.system-priority': lacp.systemPriority,
          'lacp.system-mac': lacp.systemMac ?? 'a member’s',
          'lacp.key': lacp.key ?? 'by speed',
          'lacp.select': lacp.select,
          'lacp.fallback': lacp.fallback,
          'lacp.strict': lacp.strict,
        }),
    ...(monitor === null
      ? {}
      : {
          'monitor.targets': monitor.targets,
          'monitor.interval': monitor.intervalMs,
          'monitor.missed-max': monitor.missedMax,
          'monitor.validate': monitor.validate,
          'monitor.require': monitor.require,
          'monitor.vlan': monitor.vlan,
        }),
  };
}
