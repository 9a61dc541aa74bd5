/**
 * A switch with two sides, A and B, each of which has a peer behind every kind of port, with offloads and without: namespaces behind TAPs and
 * veths, and one guest a side with a card for each of the rest. Made on a Lab (test/netns/lab.ts), which takes most of it away again.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { guestImage } from '../../control/demo/guests/image.ts';
import { type Netdev, type Nic, nicArguments } from '../../control/demo/guests/nic.ts';
import { Vm } from '../../control/demo/guests/vm.ts';
import { findTool } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import { bridge, Lab, tap, until } from '../netns/lab.ts';
import { type Addresses, address, GuestPeer, HostPeer, type Peer } from './peer.ts';

export const KINDS = ['tap', 'veth', 'qemu-tap', 'vhost-user', 'stream', 'dgram'] as const;
export type Kind = (typeof KINDS)[number];
export type Side = 'a' | 'b';

/** What every port and device carries; peers begin with less. */
export const MTU_MAX = 9000;
const GUEST_MIB = 192;

/** Sockets of QEMU know no offloads: there is nothing to switch off. */
export function knowsOffloads(kind: Kind): boolean {
  return kind !== 'stream' && kind !== 'dgram';
}

function isGuest(kind: Kind): boolean {
  return kind !== 'tap' && kind !== 'veth';
}

export interface Seat extends Addresses {
  readonly name: string;
  readonly kind: Kind;
  readonly side: Side;
  readonly offloads: boolean;
  readonly mac: string;
  readonly peer: Peer;
}

type Plan = Omit<Seat, 'peer'> & { readonly number: number };

/** Every seat of both sides, by the kinds that take part. Numbers count from 1. */
export function planSeats(kinds: readonly Kind[]): Plan[] {
  const plans: Plan[] = [];
  for (const side of ['a', 'b'] as const) {
    for (const kind of kinds) {
      for (const offloads of knowsOffloads(kind) ? [true, false] : [true]) {
        const number = plans.length + 1;
        const hex = number.toString(16).padStart(2, '0');
        plans.push({
          name: `${side}-${kind}${offloads ? '' : '-off'}`,
          ...{ kind, side, offloads, number },
          ...{ mac: `02:77:65:00:00:${hex}`, ipv4: `10.77.0.${number}`, ipv6: `fd00:77::${hex}` },
        });
      }
    }
  }
  return plans;
}

export class Stand {
  readonly lab = new Lab();
  readonly seats = new Map<string, Seat>();
  readonly vms = new Map<Side, Vm>();
  daemon!: Daemon;
  readonly #plans: Plan[];
  readonly #hosts: HostPeer[] = [];
  readonly #tools: string;

  constructor(kinds: readonly Kind[]) {
    this.#plans = planSeats(kinds);
    this.#tools = join(this.lab.folder, 'tools');
  }

  get hub(): string {
    return this.lab.name('hub');
  }

  /** Everything up and addressed, all ports of the switch up. */
  async open(): Promise<void> {
    mkdirSync(this.#tools);
    execFileSync(findTool('busybox')!, ['--install', '-s', this.#tools]);
    await this.lab.netns('hub');
    for (const plan of this.#plans) if (!isGuest(plan.kind)) await this.lab.netns(plan.name, { ipv6: true });
    for (const plan of this.#plans) if (plan.kind === 'veth') await this.#veth(plan);
    this.daemon = await this.lab.daemon(bridge(this.#plans.map((plan) => this.#port(plan))));
    await Promise.all((['a', 'b'] as const).map((side) => this.#boot(side)));
    for (const plan of this.#plans) await this.#seat(plan);
    const ports = await until(
      () => this.daemon.ports(),
      (all) => all.every(({ up }) => up),
      20_000,
    );
    const down = ports.filter(({ up }) => !up).map(({ name, reason }) => `${name}: ${reason}`);
    if (down.length > 0) throw new Error(`ports are down: ${down.join('; ')}`);
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) host.close();
    await Promise.all([...this.vms.values()].map((vm) => vm.kill()));
    await this.lab.close();
  }

  seat(side: Side, kind: Kind, offloads: boolean): Seat {
    const found = this.seats.get(`${side}-${kind}${offloads || !knowsOffloads(kind) ? '' : '-off'}`);
    if (found === undefined) throw new Error(`there is no ${kind} on side ${side}`);
    return found;
  }

  /** A name for a device in the hub: at most 15 bytes. */
  #device({ number }: Plan): string {
    return `w${number}`;
  }

  #path({ number }: Plan, end = ''): string {
    return join(this.lab.folder, `s${number}${end}`);
  }

  async #veth(plan: Plan): Promise<void> {
    const peer = ['peer', 'name', 'eth0', 'netns', this.lab.name(plan.name), 'address', plan.mac];
    await execa('ip', ['-n', this.hub, 'link', 'add', this.#device(plan), 'type', 'veth', ...peer]);
    await execa('ip', ['-n', this.hub, 'link', 'set', this.#device(plan), 'mtu', `${MTU_MAX}`, 'up']);
  }

  #port(plan: Plan): object {
    const common = { name: plan.name, mtu: MTU_MAX };
    switch (plan.kind) {
      case 'tap':
        return tap(this.lab, plan.name, { mtu: MTU_MAX, mac: plan.mac });
      case 'veth':
      case 'qemu-tap':
        return { ...common, kind: 'netdev', device: this.#device(plan) };
      case 'vhost-user':
        return { ...common, kind: 'vhost-user', socket: this.#path(plan) };
      case 'stream':
        return { ...common, kind: 'socket', type: 'stream', socket: this.#path(plan) };
      case 'dgram':
        return { ...common, kind: 'socket', type: 'dgram', socket: this.#path(plan), remote: this.#path(plan, 'q') };
    }
  }

  #netdev(plan: Plan): Netdev {
    switch (plan.kind) {
      case 'qemu-tap':
        return { type: 'tap', device: this.#device(plan) };
      case 'vhost-user':
        return { type: 'vhost-user', path: this.#path(plan), listen: false };
      case 'stream':
        return { type: 'stream', path: this.#path(plan), listen: false };
      case 'dgram':
        return { type: 'dgram', path: this.#path(plan, 'q'), remote: this.#path(plan) };
      default:
        throw new Error(`no guest sits behind a ${plan.kind}`);
    }
  }

  async #boot(side: Side): Promise<void> {
    const plans = this.#plans.filter((plan) => plan.side === side && isGuest(plan.kind));
    if (plans.length === 0) return;
    const nics: Nic[] = plans.map((plan) => ({ mac: plan.mac, netdev: this.#netdev(plan), offloads: plan.offloads }));
    const vm = await Vm.start({
      image: await guestImage(findTool('busybox')!),
      folder: this.lab.folder,
      name: `guest-${side}`,
      memory: GUEST_MIB,
      shared: true,
      args: nicArguments(nics),
      before: ['ip', 'netns', 'exec', this.hub],
    });
    this.vms.set(side, vm);
    for (const plan of plans) {
      if (plan.kind !== 'qemu-tap') continue;
      await execa('ip', ['-n', this.hub, 'link', 'set', this.#device(plan), 'mtu', `${MTU_MAX}`, 'up']);
    }
  }

  async #seat(plan: Plan): Promise<void> {
    const { name, kind, side, offloads, mac, ipv4, ipv6 } = plan;
    let peer: Peer;
    if (isGuest(kind)) {
      const guest = new GuestPeer(name, this.vms.get(side)!, mac);
      await guest.enter();
      peer = guest;
    } else {
      const host = new HostPeer(name, this.lab.name(name), this.#tools);
      this.#hosts.push(host);
      peer = host;
      if (!offloads) await this.#withoutOffloads(this.lab.name(name));
    }
    await address(peer, plan);
    this.seats.set(name, { name, kind, side, offloads, mac, ipv4, ipv6, peer });
  }

  async #withoutOffloads(netns: string): Promise<void> {
    const features = ['tx', 'rx', 'sg', 'tso', 'gso', 'gro'].flatMap((feature) => [feature, 'off']);
    await execa('ip', ['netns', 'exec', netns, 'ethtool', '-K', 'eth0', ...features]);
  }
}
