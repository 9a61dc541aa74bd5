/**
 * Machines with a network of their own between them, on which tunnels run: each is a namespace with a device u0, an IPv4 and an IPv6 address,
 * and whatever a test starts in it: a weft daemon, the kernel's own tunnel, or nothing but a host that speaks by hand. Two machines are joined
 * by a cable, more by a kernel bridge, routed ones by a router that forwards and sends ICMP.
 */
import { execa } from 'execa';
import { kernelBridge } from './bond-rig.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, type Lab } from './lab.ts';

export const DEVICE = 'u0';
/** Ends of a cable have different numbers, or the kernel tells of carriers late (bond-rig.ts). */
const FIRST_INDEX = 200;

export interface UnderlayOptions {
  readonly mtu?: number;
  /** As on a wire: packets leave with their checksums made and no longer than the MTU. */
  readonly wire?: boolean;
}

/** A place for tunnels to end. */
export class Machine {
  readonly lab: Lab;
  readonly name: string;
  readonly host: Host;
  readonly v4: string;
  readonly v6: string;

  constructor(lab: Lab, name: string, host: Host, v4: string, v6: string) {
    this.lab = lab;
    this.name = name;
    this.host = host;
    this.v4 = v4;
    this.v6 = v6;
  }

  get netns(): string {
    return this.lab.name(this.name);
  }

  /** `ip` in this machine. */
  ip(...args: string[]): Promise<{ stdout: string }> {
    return execa('ip', ['-n', this.netns, ...args]);
  }

  /** The address of u0 as 12 hex digits. */
  async mac(): Promise<string> {
    return (await this.host.run('cat', `/sys/class/net/${DEVICE}/address`)).replaceAll(':', '');
  }

  /** A daemon in this machine with one bridge. */
  daemon(ports: readonly object[], top: object = {}): Promise<Daemon> {
    return this.lab.daemon(bridge(ports, {}, top), { netns: this.netns, name: this.name });
  }
}

export type Family = 'v4' | 'v6';

/** A VXLAN port from one machine to others; with a group, and no others, to that alone. */
export function vxlan(near: Machine, far: readonly Machine[], more: object = {}, family: Family = 'v4'): TunnelPort {
  const remotes = far.length === 0 ? {} : { remotes: far.map((one) => one[family]) };
  const base = { name: 'x', kind: 'vxlan', local: near[family], ...remotes };
  return { ...base, ...('vlans' in more ? {} : { vni: VNI }), ...more };
}

export interface TunnelPort {
  readonly name: string;
  readonly [key: string]: unknown;
}

export const VNI = 100;

async function join(left: string, right: string, index: number, mtu: number, names = [DEVICE, DEVICE]): Promise<void> {
  const end = (netns: string, name: string, number: number) => [
    ...['name', name, 'index', String(number), 'mtu', String(mtu), 'netns', netns],
  ];
  const [a, b] = [end(left, names[0]!, index), end(right, names[1]!, index + 100)];
  await execa('ip', ['link', 'add', ...a, 'type', 'veth', 'peer', ...b]);
  await execa('ip', ['-n', left, 'link', 'set', names[0]!, 'up']);
  await execa('ip', ['-n', right, 'link', 'set', names[1]!, 'up']);
}

async function settle(machine: Machine, { wire = false }: UnderlayOptions): Promise<void> {
  await machine.ip('addr', 'add', `${machine.v4}/24`, 'dev', DEVICE);
  await machine.ip('addr', 'add', `${machine.v6}/64`, 'dev', DEVICE, 'nodad');
  if (wire) await machine.host.run('ethtool', '-K', DEVICE, 'tx', 'off', 'gso', 'off', 'tso', 'off');
}

/** Machines m1, m2 … on one segment: 192.0.2.N and 2001:db8::N. */
export async function machines(lab: Lab, count: number, options: UnderlayOptions = {}): Promise<Machine[]> {
  const { mtu = 1500 } = options;
  const numbers = Array.from({ length: count }, (_, k) => k + 1);
  const made = await Promise.all(
    numbers.map(async (n) => new Machine(lab, `m${n}`, await lab.host(`m${n}`), `192.0.2.${n}`, `2001:db8::${n}`)),
  );
  if (count === 2) await join(made[0]!.netns, made[1]!.netns, FIRST_INDEX, mtu);
  else {
    const net = await lab.netns('net', { ipv6: false });
    for (const [k, one] of made.entries()) await join(one.netns, net, FIRST_INDEX + k, mtu, [DEVICE, one.name]);
    await kernelBridge(
      ...([lab, 'net', 'sw0'] as const),
      made.map(({ name }) => name),
    );
  }
  for (const one of made) await settle(one, options);
  return made;
}

/** Machines m1 and m2, each on a segment of its own, with the router `r` between: its devices r1 and r2. */
export async function routed(
  lab: Lab,
  options: UnderlayOptions = {},
): Promise<{ near: Machine; far: Machine; router: Host }> {
  const { mtu = 1500 } = options;
  const router = await lab.host('r');
  const near = new Machine(lab, 'm1', await lab.host('m1'), '192.0.2.1', '2001:db8:1::1');
  const far = new Machine(lab, 'm2', await lab.host('m2'), '198.51.100.2', '2001:db8:2::2');
  await router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  const gateways = ['192.0.2.254', '2001:db8:1::ff', '198.51.100.254', '2001:db8:2::ff'];
  for (const [k, machine] of [near, far].entries()) {
    await join(machine.netns, router.netns, FIRST_INDEX + k, mtu, [DEVICE, `r${k + 1}`]);
    await settle(machine, options);
    const [v4, v6] = gateways.slice(2 * k, 2 * k + 2) as [string, string];
    await router.run('ip', 'addr', 'add', `${v4}/24`, 'dev', `r${k + 1}`);
    await router.run('ip', 'addr', 'add', `${v6}/64`, 'dev', `r${k + 1}`, 'nodad');
    await machine.ip('route', 'add', 'default', 'via', v4);
    await machine.ip('-6', 'route', 'add', 'default', 'via', v6);
  }
  return { near, far, router };
}
