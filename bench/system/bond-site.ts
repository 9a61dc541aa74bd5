// What the bonds' scenarios stand on: a host on a TAP of weft, weft's uplink over veths, a Linux bridge in a namespace of its own where these
// end, and the other host behind that bridge.
import { type BondPort, type NetdevPort, startWeft, tapPort, type Weft } from '../peers/weft-daemon.ts';
import { run } from './process.ts';
import { addNamespace, type Site } from './site.ts';

/** The uplink's name. */
export const UPLINK = 'up';

export interface Cables {
  /** Ends in weft's namespace. */
  readonly near: readonly string[];
  /** In the partner's, called f0, f1 … */
  readonly far: readonly string[];
}

export interface Uplink extends Cables {
  /** Where the Linux bridge is, of which the far ends are ports. */
  readonly space: string;
  /** The hosts' devices. */
  readonly devices: readonly [string, string];
}

/** Veth pairs from weft's namespace into another, up. They go with the site. */
export async function makeCables(site: Site, space: string, count: number): Promise<Cables> {
  const near: string[] = [];
  const far: string[] = [];
  for (let index = 0; index < count; index++) {
    const [ours, theirs] = [`${site.prefix}m${index}`, `f${index}`] as const;
    await run(['ip', 'link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', space]);
    site.cleanup.defer(`removing veth ${ours}`, () => run(['ip', 'link', 'del', ours]));
    await run(['ip', 'link', 'set', ours, 'addrgenmode', 'none', 'up']);
    await run(['ip', '-n', space, 'link', 'set', theirs, 'addrgenmode', 'none', 'up']);
    near.push(ours);
    far.push(theirs);
  }
  return { near, far };
}

/** Cables, the bridge that they end in, and the second host's device. */
export async function makeUplink(site: Site, count: number): Promise<Uplink> {
  const space = await addNamespace(`${site.prefix}-s`, site.cleanup);
  const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
  const inSpace = (...args: string[]) => run(['ip', '-n', space, ...args]);
  await inSpace('link', 'add', 'sw0', 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
  await inSpace('link', 'set', 'sw0', 'up');
  const peer = ['peer', 'name', devices[1], 'netns', site.namespaces[1]];
  await inSpace('link', 'add', 'b0', 'type', 'veth', ...peer);
  await inSpace('link', 'set', 'b0', 'up');
  const { near, far } = await makeCables(site, space, count);
  for (const device of ['b0', ...far]) await inSpace('link', 'set', device, 'master', 'sw0');
  return { space, near, far, devices };
}

/** A bond over all cables. Its members are called m0, m1 … */
export function bondPort(cables: Cables, more: object): BondPort {
  const members = cables.near.map((device, index) => ({ kind: 'netdev' as const, device, name: `m${index}` }));
  return { name: UPLINK, kind: 'bond', members, ...more };
}

/** Weft with one worker, the first host's TAP if there is one, and the uplink. */
export function startOn(site: Site, port: BondPort | NetdevPort, tap?: string): Promise<Weft> {
  const host = tap === undefined ? [] : [tapPort('a', tap, site.namespaces[0])];
  return startWeft(site, { workers: 1, ports: [...host, port] });
}
