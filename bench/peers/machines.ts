// Two machines for what joins switches over IP: each a namespace of its own with one end of the underlay, a veth pair with room for large
// packets. The hosts of the site are a container of either. Everything goes with the site.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../system/process.ts';
import { addNamespace, type Site, type Workplace } from '../system/site.ts';

/** MTU of the underlay: what is left of it for containers is more than INNER_MTU, so that nobody ever fragments. */
export const UNDERLAY_MTU = 9000;

export interface Machine extends Workplace {
  readonly index: 0 | 1;
  /** Where its switch runs. */
  readonly space: string;
  /** Its end of the underlay: device, address, and the address of the other machine. */
  readonly underlay: string;
  readonly address: string;
  readonly other: string;
  /** Namespace of its container, and what the device in there is to be called. */
  readonly container: string;
  readonly device: string;
}

/** Makes both. When the site is pinned, each machine has a CPU of its own. */
export async function makeMachines(site: Site): Promise<readonly [Machine, Machine]> {
  const machines = [await makeMachine(site, 0), await makeMachine(site, 1)] as const;
  const [a, b] = machines;
  const far = ['peer', 'name', b.underlay, 'netns', b.space];
  await run(['ip', '-n', a.space, 'link', 'add', a.underlay, 'type', 'veth', ...far]);
  for (const { space, underlay, address } of machines) {
    await run(['ip', '-n', space, 'addr', 'add', `${address}/24`, 'dev', underlay]);
    await run(['ip', '-n', space, 'link', 'set', underlay, 'mtu', String(UNDERLAY_MTU), 'up']);
  }
  return machines;
}

async function makeMachine(site: Site, index: 0 | 1): Promise<Machine> {
  const letter = ['a', 'b'][index]!;
  const folder = join(site.folder, `machine-${letter}`);
  mkdirSync(folder);
  return {
    ...site,
    folder,
    index,
    switchCpus: site.switchCpus === undefined ? undefined : String(index),
    space: await addNamespace(`${site.prefix}-m${letter}`, site.cleanup),
    underlay: `under-${letter}`,
    address: `172.31.0.${index + 1}`,
    other: `172.31.0.${2 - index}`,
    container: site.namespaces[index],
    device: `${site.prefix}${letter}`,
  };
}
