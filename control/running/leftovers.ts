/**
 * TAPs that an earlier run left and that the document no longer names: removed at the start. Only marked ones, of bridges that this
 * document has, and that nobody holds: another daemon's, running or resting, are never touched. Main thread.
 */

import { runIp } from '../devices/ip.ts';
import { findMarked, removeMarked } from '../devices/marked.ts';
import type { Log } from '../log.ts';
import type { Model } from '../model/model.ts';

export async function removeLeftovers(model: Model, log: Log): Promise<void> {
  const bridges = new Set(model.bridges.map(({ name }) => name));
  const wanted = new Set(
    model.bridges.flatMap(({ name, ports }) =>
      ports.flatMap((port) => (port.kind === 'tap' ? [`${name}/${port.name} ${port.netns ?? ''} ${port.device}`] : [])),
    ),
  );
  const stale = (await findMarked(runIp)).filter(({ mark, netns, name, inUse }) => {
    if (mark === null || inUse || !bridges.has(mark.bridge)) return false;
    return !wanted.has(`${mark.bridge}/${mark.port} ${netns ?? ''} ${name}`);
  });
  if (stale.length === 0) return;
  log.info({ devices: stale.map(({ name }) => name) }, 'removing TAPs that an earlier run left');
  for (const error of await removeMarked(runIp, stale)) log.warn({ reason: error.message }, 'a leftover TAP stays');
}
