/**
 * TAPs that an earlier run left and that the document no longer names: removed at the start. Only marked ones, of bridges that this
 * document has, and that nobody holds: another daemon's, running or resting, are never touched. Main thread.
 */

import { runIp } from '../devices/ip.ts';
import { findMarked, netnsNames, removeMarked } from '../devices/marked.ts';
import type { Log } from '../log.ts';
import type { PortModel } from '../model/model.ts';

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

/** `bridges` is asked once the namespaces were searched, so that what became a port meanwhile stays. Throws a DeviceError. */
export async function removeLeftovers(
  namespaces: readonly (string | null)[],
  bridges: () => readonly Bridge[],
  log: Log,
): Promise<void> {
  const found = await findMarked(runIp, namespaces);
  const own = new Set(bridges().map(({ name }) => name));
  const wanted = new Set(
    bridges().flatMap(({ name, ports }) =>
      ports.flatMap((port) => (port.kind === 'tap' ? [`${name}/${port.name} ${port.netns ?? ''} ${port.device}`] : [])),
    ),
  );
  const stale = found.filter(({ mark, netns, name, inUse }) => {
    if (mark === null || inUse || !own.has(mark.bridge)) return false;
    return !wanted.has(`${mark.bridge}/${mark.port} ${netns ?? ''} ${name}`);
  });
  if (stale.length === 0) return;
  log.info({ devices: stale.map(({ name }) => name) }, 'removing TAPs that an earlier run left');
  for (const error of await removeMarked(runIp, stale)) log.warn({ reason: error.message }, 'a leftover TAP stays');
}
