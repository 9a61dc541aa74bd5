/**
 * TAPs that an earlier run left and that the document no longer names: removed at the start. Only those with this daemon's mark, of bridges
 * that its document has, and that nobody holds: another daemon's, running or resting, are never touched. Main thread.
 */

import { readFileSync } from 'node:fs';
import { runIp } from '../devices/ip.ts';
import { findMarked, netnsNames, parseMark, removeMarked } from '../devices/marked.ts';
import type { Log } from '../log.ts';
import type { PortModel } from '../model/model.ts';
import { parseNetDev } from './kernel-losses.ts';

/** With more devices than this `ip` is quicker than their files. */
const DEVICES_MAX = 50;

/** Ports of a bridge: of the document or of the running switch. */
interface Bridge {
  readonly name: string;
  readonly ports: readonly PortModel[];
}

/** Namespaces where ports of the document have their devices, the daemon's own (null) first: a leftover here may hold a port's name. */
export function usedNamespaces(bridges: readonly Bridge[]): (string | null)[] {
  const ports = bridges.flatMap((bridge) => bridge.ports);
  return [...new Set([null, ...ports.flatMap((port) => (port.kind === 'tap' ? [port.netns] : []))])];
}

/** All others. Each costs a process, and a host may have hundreds: nothing that is to start waits for them. */
export function otherNamespaces(bridges: readonly Bridge[]): string[] {
  const used = new Set(usedNamespaces(bridges));
  return netnsNames().filter((netns) => !used.has(netns));
}

/**
 * Whether no device here is marked, as far as their files in /sys tell: an `ip` less for a first start. /sys may be another namespace's,
 * where it was mounted before the process changed its own: then it lacks devices that /proc names.
 */
function noneMarkedHere(): boolean {
  try {
    const names = [...parseNetDev(readFileSync('/proc/self/net/dev', 'utf8')).keys()];
    if (names.length > DEVICES_MAX) return false;
    return names.every((name) => parseMark(readFileSync(`/sys/class/net/${name}/ifalias`, 'utf8').trim()) === null);
  } catch {
    return false;
  }
}

/** `owner` is this daemon in marks; `bridges` is asked once the namespaces were searched, so that what became a port meanwhile stays. Throws a DeviceError. */
export async function removeLeftovers(
  namespaces: readonly (string | null)[],
  bridges: () => readonly Bridge[],
  owner: string,
  log: Log,
): Promise<void> {
  const searched = namespaces.filter((netns) => netns !== null || !noneMarkedHere());
  const found = await findMarked(runIp, searched);
  const own = new Set(bridges().map(({ name }) => name));
  const wanted = new Set(
    bridges().flatMap(({ name, ports }) =>
      ports.flatMap((port) => (port.kind === 'tap' ? [`${name}/${port.name} ${port.netns ?? ''} ${port.device}`] : [])),
    ),
  );
  const stale = found.filter(({ mark, netns, name, inUse }) => {
    if (mark === null || mark.owner !== owner || inUse || !own.has(mark.bridge)) return false;
    return !wanted.has(`${mark.bridge}/${mark.port} ${netns ?? ''} ${name}`);
  });
  if (stale.length === 0) return;
  log.info({ devices: stale.map(({ name }) => name) }, 'removing TAPs that an earlier run left');
  for (const error of await removeMarked(runIp, stale)) log.warn({ reason: error.message }, 'a leftover TAP stays');
}
