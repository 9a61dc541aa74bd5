/**
 * What the tests of bonds share: veth pairs between weft's namespace and the one of whoever is on the other side, documents of bonds, and
 * questions to a daemon about them. Members are m0, m1 … in `hub`; their far ends f0, f1 … in the partner's namespace.
 */
import { execa } from 'execa';
import type { BondCommand, BondMemberRow, BondRow } from '../../control/switch.ts';
import type { Daemon } from './daemon.ts';
import { type Lab, until } from './lab.ts';

/**
 * Ends of a cable have different numbers. Were they the same, the kernel would take both for physical, and tell of their carrier, to us as to
 * its own bridge, once a second at most (net/core/link_watch.c).
 */
const NEAR_INDEX = 100;

export interface CableOptions {
  readonly near?: string;
  readonly nearPrefix?: string;
  readonly farPrefix?: string;
  readonly mtu?: number;
}

/** `ip` in a namespace of the lab. */
export function ip(lab: Lab, short: string, ...args: string[]): Promise<{ stdout: string }> {
  return execa('ip', ['-n', lab.name(short), ...args]);
}

/** Makes cable `index` between weft's namespace and `far`, both ends up. */
export async function cable(lab: Lab, index: number, far: string, options: CableOptions = {}): Promise<void> {
  const { near = 'hub', nearPrefix = 'm', farPrefix = 'f', mtu = 1500 } = options;
  const ends = [`${nearPrefix}${index}`, `${farPrefix}${index}`] as const;
  const here = ['name', ends[0], 'index', String(NEAR_INDEX + index), 'mtu', String(mtu), 'netns', lab.name(near)];
  const there = ['name', ends[1], 'mtu', String(mtu), 'netns', lab.name(far)];
  await execa('ip', ['link', 'add', ...here, 'type', 'veth', 'peer', ...there]);
  await ip(lab, far, 'link', 'set', ends[1], 'up');
  await ip(lab, near, 'link', 'set', ends[0], 'up');
}

export async function cables(lab: Lab, count: number, far: string, options: CableOptions = {}): Promise<void> {
  for (let index = 0; index < count; index++) await cable(lab, index, far, options);
}

/** A Linux bridge without STP in namespace `short`, whose ports are `devices`. */
export async function kernelBridge(lab: Lab, short: string, name: string, devices: readonly string[]): Promise<void> {
  await ip(lab, short, 'link', 'add', name, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
  await ip(lab, short, 'link', 'set', name, 'up');
  for (const device of devices) await ip(lab, short, 'link', 'set', device, 'master', name);
}

export function member(device: string, more: object = {}): object {
  return { kind: 'netdev', device, ...more };
}

/** The bond `up` over the devices. */
export function bond(devices: readonly (string | object)[], more: object = {}): { name: string } {
  const members = devices.map((one) => (typeof one === 'string' ? member(one) : one));
  return { name: 'up', kind: 'bond', members, ...more } as { name: string };
}

export async function bondRow(daemon: Daemon, name = 'up'): Promise<BondRow> {
  const rows = await daemon.client.get<BondRow[]>('/v1/bonds');
  const found = rows.find((row) => row.name === name);
  if (found === undefined) throw new Error(`no bond ${name}`);
  return found;
}

export function memberRow(row: BondRow, name: string): BondMemberRow {
  const found = row.members.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no member ${name} in ${row.name}`);
  return found;
}

/** Names of the members that carry. */
export function carrying(row: BondRow): string[] {
  return row.members.filter(({ state }) => state === 'active' || state === 'enabled').map(({ name }) => name);
}

/** Asks until the bond is as `right` says; the last answer either way. */
export function untilBond(daemon: Daemon, right: (row: BondRow) => boolean, ms = 8000, name = 'up'): Promise<BondRow> {
  return until(() => bondRow(daemon, name), right, ms);
}

export function untilCarrying(daemon: Daemon, names: readonly string[], ms = 8000): Promise<BondRow> {
  return untilBond(daemon, (row) => carrying(row).join() === names.join(), ms);
}

export function untilActive(daemon: Daemon, name: string | null, ms = 8000): Promise<BondRow> {
  return untilBond(daemon, ({ active }) => active === name, ms);
}

/** What `weft bond member` does; rejects with the daemon's answer. */
export async function commandMember(daemon: Daemon, command: BondCommand, name: string): Promise<void> {
  await daemon.client.send('POST', `/v1/bonds/br0/up/members/${name}`, { command });
}
