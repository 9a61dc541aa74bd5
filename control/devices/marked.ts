/**
 * Whose devices are whose. A TAP that weft makes carries `weft:bridge/port@daemon` as its ifalias; a device without that mark is
 * never changed, taken over or removed. Called by tap-device.ts, and at the start and end of the daemon, on the main thread.
 */
import { createHash, randomInt } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { DeviceError } from '../errors.ts';
import { type BatchFailure, inParallel, ipBatch, ipJson, type RunIp } from './ip.ts';

export const NETNS_FOLDER = '/run/netns';
const MARK = 'weft:';
const OWNER_DIGITS = 8;
/** Processes at once while namespaces are searched. */
export const NETNS_WIDTH = 4;

export interface Mark {
  readonly bridge: string;
  readonly port: string;
  /** Which daemon made it (`ownerOf`); null: the mark doesn't say. */
  readonly owner: string | null;
}

export interface Device {
  /** null: the namespace that the daemon runs in. */
  readonly netns: string | null;
  readonly name: string;
  readonly index: number;
  readonly adminUp: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  readonly mac: string | null;
  readonly mark: Mark | null;
  readonly isTap: boolean;
  /** A live process holds a queue of this TAP. */
  readonly inUse: boolean;
  /** With prefixes; without link-local ones, which the kernel makes. */
  readonly addresses: readonly string[];
}

/** A daemon's name in its marks: two that have bridges of one name differ in the socket that they answer at. */
export function ownerOf(socket: string): string {
  return createHash('sha256').update(resolve(socket)).digest('hex').slice(0, OWNER_DIGITS);
}

export function markOf(bridge: string, port: string, owner: string): string {
  return `${MARK}${bridge}/${port}@${owner}`;
}

/** Whether a device is that port's, whichever daemon made it: one that was started with another socket takes over what is there. */
export function isOf(mark: Mark | null, { bridge, port }: Pick<Mark, 'bridge' | 'port'>): boolean {
  return mark?.bridge === bridge && mark.port === port;
}

export function parseMark(alias: string | undefined): Mark | null {
  const match = /^weft:([^/@\s]+)\/([^/@\s]+)(?:@(\w+))?$/.exec(alias ?? '');
  return match === null ? null : { bridge: match[1]!, port: match[2]!, owner: match[3] ?? null };
}

/** What is used here of an item of `ip -d -json addr show`. */
interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address?: string;
  readonly ifalias?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly type?: string; readonly numqueues?: number; readonly numdisabled?: number };
  };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number; readonly scope?: string }[];
}

function deviceOf(netns: string | null, link: IpLink): Device {
  const tap = link.linkinfo?.info_kind === 'tun' ? link.linkinfo.info_data : undefined;
  const carrier = link.flags.includes('LOWER_UP');
  // A single-queue TAP tells no number of queues: its carrier says whether somebody holds it.
  const held = tap?.numqueues === undefined ? carrier : tap.numqueues + (tap.numdisabled ?? 0) > 0;
  return {
    netns,
    name: link.ifname,
    index: link.ifindex,
    adminUp: link.flags.includes('UP'),
    carrier,
    mtu: link.mtu,
    mac: link.address ?? null,
    mark: parseMark(link.ifalias),
    isTap: tap?.type === 'tap',
    inUse: tap !== undefined && held,
    addresses: (link.addr_info ?? [])
      .filter(({ scope, local }) => scope !== 'link' && local !== undefined)
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  };
}

/** All devices of a namespace. Throws a DeviceError (`no-such-netns`, …). */
export async function devicesIn(run: RunIp, netns: string | null): Promise<Device[]> {
  const what = netns === null ? 'listing devices' : `listing the devices of namespace ${netns}`;
  return (await ipJson<IpLink>(run, netns, ['-d', 'addr', 'show'], what)).map((link) => deviceOf(netns, link));
}

/** The named namespaces, as `ip netns list` shows them. */
export function netnsNames(folder = NETNS_FOLDER): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Every device with our mark in these namespaces: here (null) and in all named ones. One that is not there is left out. */
export async function findMarked(
  run: RunIp,
  namespaces: readonly (string | null)[] = [null, ...netnsNames()],
): Promise<Device[]> {
  const marked = async (netns: string | null) => {
    try {
      // `type tun` keeps the answer short on a host with thousands of other devices.
      const links = await ipJson<IpLink>(
        run,
        netns,
        ['-d', 'link', 'show', 'type', 'tun'],
        'looking for marked devices',
      );
      return links.map((link) => deviceOf(netns, link)).filter((device) => device.mark !== null && device.isTap);
    } catch (error) {
      if (netns !== null && error instanceof DeviceError && error.code !== 'no-ip') return [];
      throw error;
    }
  };
  return (await inParallel(namespaces, NETNS_WIDTH, marked)).flat();
}

/** Groups by namespace, so that each costs one process. */
export function byNetns<T extends { readonly netns: string | null }>(items: readonly T[]): Map<string | null, T[]> {
  const groups = new Map<string | null, T[]>();
  for (const item of items) {
    const group = groups.get(item.netns);
    if (group === undefined) groups.set(item.netns, [item]);
    else group.push(item);
  }
  return groups;
}

/**
 * Removes devices that `findMarked` or `devicesIn` answered. Refuses one without our mark; one that is gone already, alone or
 * with its namespace, is fine. Answers what could not be removed.
 */
export async function removeMarked(run: RunIp, devices: readonly Device[]): Promise<DeviceError[]> {
  for (const device of devices) {
    if (device.mark === null) throw new DeviceError('not-ours', `${device.name} does not carry our mark and stays`);
  }
  const remove = async ([netns, group]: [string | null, Device[]]) => {
    try {
      return await removeIn(
        run,
        netns,
        group.map((device) => device.name),
      );
    } catch (error) {
      if (error instanceof DeviceError && error.code === 'no-such-netns') return [];
      throw error;
    }
  };
  return (await inParallel([...byNetns(devices)], NETNS_WIDTH, remove)).flat();
}

/** From here on a group is quicker: the kernel waits for its readers once for all, not 16 ms for each (measured 2026-11). */
const GROUP_FROM = 4;
const GROUP_MIN = 0x4000_0000;

async function removeIn(run: RunIp, netns: string | null, names: readonly string[]): Promise<DeviceError[]> {
  const errors = (failures: readonly BatchFailure[]) =>
    failures.map(({ error }) => error).filter((error) => error.code !== 'no-such-device');
  if (names.length < GROUP_FROM)
    return errors(
      await ipBatch(
        run,
        netns,
        names.map((name) => `link del dev ${name}`),
      ),
    );
  // A number that nobody else's devices have: else they would go too.
  const group = GROUP_MIN + randomInt(GROUP_MIN);
  const taken = await ipJson<object>(run, netns, ['link', 'show', 'group', String(group)], 'looking for a free group');
  if (taken.length > 0) return removeIn(run, netns, names);
  const joined = await ipBatch(
    run,
    netns,
    names.map((name) => `link set dev ${name} group ${group}`),
  );
  if (joined.length === names.length) return errors(joined);
  return errors([...joined, ...(await ipBatch(run, netns, [`link del group ${group}`]))]);
}
