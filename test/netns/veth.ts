/** Hosts on a veth pair whose near end is an interface of the daemon's namespace: what netdev ports carry. */
import { execa } from 'execa';
import type { Lab } from './lab.ts';

export interface WireOptions {
  readonly address?: readonly string[];
  readonly mtu?: number;
}

/** Numbers of near ends, which no far end has: bond-rig.ts tells why they must differ. */
let index = 1000;

/** Host `name` gets eth0; the namespace `hub` gets v-NAME. */
export async function wire(lab: Lab, name: string, { address = [], mtu = 1500 }: WireOptions = {}): Promise<void> {
  const [hub, host] = [lab.name('hub'), lab.name(name)];
  const ip = (...args: string[]) => execa('ip', args);
  const near = ['link', 'add', `v-${name}`, 'index', String(index++), 'mtu', String(mtu), 'netns', hub];
  await ip(...near, 'type', 'veth', 'peer', 'name', 'eth0', 'mtu', String(mtu), 'netns', host);
  for (const item of address)
    await ip('-n', host, 'addr', 'add', item, 'dev', 'eth0', ...(item.includes(':') ? ['nodad'] : []));
  await ip('-n', host, 'link', 'set', 'eth0', 'up');
  await ip('-n', hub, 'link', 'set', `v-${name}`, 'up');
}

/** A port of the interface that `wire` made. */
export function netdev(name: string, more: object = {}): { name: string; [key: string]: unknown } {
  return { name, kind: 'netdev', device: `v-${name}`, ...more };
}
