/**
 * Where a peer sits: a port of the switch, what is behind it, and its addresses, as plain data. stand.ts makes them real.
 */
import type { Netdev } from '../../control/demo/guests/nic.ts';
import type { Addresses } from './peer.ts';

/** The kinds that every test of pairs goes through. */
export const KINDS = ['tap', 'veth', 'qemu-tap', 'vhost-user', 'stream', 'dgram'] as const;
/** Those at which QEMU listens, and weft connects. */
export const CLIENT_KINDS = ['vhost-user-client', 'stream-client'] as const;
export type Kind = (typeof KINDS)[number] | (typeof CLIENT_KINDS)[number];

export const GUEST_KINDS = KINDS.filter((kind) => isGuest(kind));

/** What every port and device carries; peers begin with less. */
export const MTU_MAX = 9000;

export function isGuest(kind: Kind): boolean {
  return kind !== 'tap' && kind !== 'veth';
}

/** Sockets of QEMU know no offloads: there is nothing to switch off. */
export function knowsOffloads(kind: Kind): boolean {
  return !['stream', 'dgram', 'stream-client'].includes(kind);
}

export interface Wish {
  readonly name: string;
  readonly kind: Kind;
  /** The guest that has its card; of no meaning for namespaces. */
  readonly guest: string;
  readonly offloads?: boolean;
  readonly vlan?: object;
}

export interface Plan extends Addresses, Required<Omit<Wish, 'vlan'>> {
  readonly number: number;
  readonly mac: string;
  readonly vlan: object | undefined;
  /** The device of this machine, in the hub; at most 15 bytes. */
  readonly device: string;
}

/** Numbers, addresses and devices for what is wished, in its order: 10.77.0.1, fd00:77::1, … */
export function planSeats(wishes: readonly Wish[]): Plan[] {
  return wishes.map(({ offloads = true, vlan, ...wish }, index) => {
    const number = index + 1;
    const hex = number.toString(16).padStart(2, '0');
    const addresses = { mac: `02:77:65:00:00:${hex}`, ipv4: `10.77.0.${number}`, ipv6: `fd00:77::${hex}` };
    return { ...wish, offloads, vlan, number, device: `w${number}`, ...addresses };
  });
}

/** The port of the document; `path` makes the path of a socket from its name. */
export function portOf(plan: Plan, netns: string, path: (name: string) => string): object {
  const { name, mac, number, device, vlan } = plan;
  const common = { name, mtu: MTU_MAX, ...(vlan === undefined ? {} : { vlan }) };
  const socket = path(`s${number}`);
  switch (plan.kind) {
    case 'tap':
      return { ...common, kind: 'tap', device: 'eth0', netns, mac };
    case 'veth':
    case 'qemu-tap':
      return { ...common, kind: 'netdev', device };
    case 'vhost-user':
      return { ...common, kind: 'vhost-user', socket };
    case 'vhost-user-client':
      return { ...common, kind: 'vhost-user', mode: 'client', socket };
    case 'stream':
      return { ...common, kind: 'socket', type: 'stream', socket };
    case 'stream-client':
      return { ...common, kind: 'socket', type: 'stream', mode: 'client', socket };
    case 'dgram':
      return { ...common, kind: 'socket', type: 'dgram', socket, remote: path(`s${number}q`) };
  }
}

/** What QEMU is told of the same seat. */
export function netdevOf({ kind, number, device }: Plan, path: (name: string) => string): Netdev {
  const socket = path(`s${number}`);
  switch (kind) {
    case 'qemu-tap':
      return { type: 'tap', device };
    case 'vhost-user':
    case 'vhost-user-client':
      return { type: 'vhost-user', path: socket, listen: kind === 'vhost-user-client' };
    case 'stream':
    case 'stream-client':
      return { type: 'stream', path: socket, listen: kind === 'stream-client' };
    case 'dgram':
      return { type: 'dgram', path: path(`s${number}q`), remote: socket };
    default:
      throw new Error(`no guest sits behind a ${kind}`);
  }
}
