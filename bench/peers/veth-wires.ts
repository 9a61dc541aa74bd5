// Two veth pairs whose near ends a switch serves: what netdev ports, the kernel's bridge and Open vSwitch's packet sockets are compared on.
import { run } from '../system/process.ts';
import type { Site } from '../system/site.ts';

export interface Wires {
  /** In the namespaces of the two hosts. */
  readonly devices: readonly [string, string];
  /** Where the switch is; they are up. */
  readonly near: readonly [string, string];
}

/** Makes them; near ends in namespace `space`, or in the root namespace. */
export async function vethWires(site: Site, space?: string): Promise<Wires> {
  const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
  const near = [`${site.prefix}p0`, `${site.prefix}p1`] as const;
  const here = space === undefined ? ['ip'] : ['ip', '-n', space];
  for (const index of [0, 1] as const) {
    const far = ['peer', 'name', devices[index], 'netns', site.namespaces[index]];
    await run([...here, 'link', 'add', near[index], 'type', 'veth', ...far]);
    if (space === undefined)
      site.cleanup.defer(`removing veth ${near[index]}`, () => run(['ip', 'link', 'del', near[index]]));
    await run([...here, 'link', 'set', near[index], 'addrgenmode', 'none', 'up']);
  }
  return { devices, near };
}
