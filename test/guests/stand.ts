/**
 * A switch with peers behind its ports: namespaces behind TAPs and veths, and guests with a card for each of their seats. Made on a Lab
 * (test/netns/lab.ts), which takes the devices away again; everything of this machine is in the lab's namespaces.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { guestImage } from '../../control/demo/guests/image.ts';
import { nicArguments } from '../../control/demo/guests/nic.ts';
import { Vm } from '../../control/demo/guests/vm.ts';
import { findTool } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import { bridge, Lab, until } from '../netns/lab.ts';
import { address, GuestPeer, HostPeer, type Peer } from './peer.ts';
import { isGuest, MTU_MAX, netdevOf, type Plan, planSeats, portOf, type Wish } from './seats.ts';

const GUEST_MIB = 192;
const UP_MS = 20_000;
/** A guest that is silent on its own, for tests that count frames. */
const NO_IPV6 = 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set eth0 up';

export interface Seat extends Plan {
  readonly peer: Peer;
}

export class Stand {
  readonly lab = new Lab();
  readonly vms = new Map<string, Vm>();
  daemon!: Daemon;
  readonly #plans: Plan[];
  readonly #seats = new Map<string, Seat>();
  readonly #hosts: HostPeer[] = [];
  readonly #ipv6: boolean;
  readonly #path = (name: string) => join(this.lab.folder, name);

  /** `ipv6` off: no peer sends a frame of its own, and none is given an address. */
  constructor(wishes: readonly Wish[], options: { ipv6?: boolean } = {}) {
    this.#plans = planSeats(wishes);
    this.#ipv6 = options.ipv6 ?? true;
  }

  get hub(): string {
    return this.lab.name('hub');
  }

  seat(name: string): Seat {
    const found = this.#seats.get(name);
    if (found === undefined) throw new Error(`there is no seat ${name}`);
    return found;
  }

  /** A folder for a seat's files: a guest has one for all of its seats. */
  folderOf({ kind, guest }: Plan): string {
    return isGuest(kind) ? '/run/files' : join(this.lab.folder, `files-${guest}`);
  }

  /** Everything up and addressed, all ports of the switch up. */
  async open(): Promise<void> {
    mkdirSync(this.#path('tools'));
    execFileSync(findTool('busybox')!, ['--install', '-s', this.#path('tools')]);
    await this.lab.netns('hub', { ipv6: this.#ipv6 });
    const outside = this.#plans.filter(({ kind }) => !isGuest(kind));
    for (const plan of outside) await this.lab.netns(plan.name, { ipv6: this.#ipv6 });
    for (const plan of outside) if (plan.kind === 'veth') await this.#veth(plan);
    await this.startDaemon();
    const guests = new Set(this.#plans.filter(({ kind }) => isGuest(kind)).map(({ guest }) => guest));
    await Promise.all([...guests].map((guest) => this.startGuest(guest)));
    for (const plan of outside) await this.#seatHost(plan);
    await this.allUp();
  }

  async close(): Promise<void> {
    for (const host of this.#hosts) host.close();
    await Promise.all([...this.vms.values()].map((vm) => vm.kill()));
    await this.lab.close();
  }

  /** Also after `daemon.kill()`: the same document once more. */
  async startDaemon(): Promise<void> {
    const ports = this.#plans.map((plan) => portOf(plan, this.lab.name(plan.name), this.#path));
    this.daemon = await this.lab.daemon(bridge(ports));
  }

  /** Rejects with the reasons of those ports that stay down. */
  async allUp(): Promise<void> {
    const ports = await until(
      () => this.daemon.ports(),
      (all) => all.every(({ up }) => up),
      UP_MS,
    );
    const down = ports.filter(({ up }) => !up).map(({ name, reason }) => `${name}: ${reason}`);
    if (down.length > 0) throw new Error(`ports are down: ${down.join('; ')}`);
  }

  /** Also after the guest was killed: the same once more. */
  async startGuest(guest: string): Promise<void> {
    const plans = this.#plansOf(guest);
    const nics = plans.map((plan) => ({ ...plan, netdev: netdevOf(plan, this.#path) }));
    const vm = await Vm.start({
      image: await guestImage(findTool('busybox')!),
      ...{ folder: this.lab.folder, name: guest, memory: GUEST_MIB, shared: true },
      args: nicArguments(nics),
      before: ['ip', 'netns', 'exec', this.hub],
    });
    this.vms.set(guest, vm);
    for (const { kind, device } of plans) {
      if (kind === 'qemu-tap') await execa('ip', ['-n', this.hub, 'link', 'set', device, 'mtu', `${MTU_MAX}`, 'up']);
    }
    await this.furnish(guest);
  }

  /** A daemon that starts makes its TAPs as its document says, which gives them no address here. */
  async addressHosts(): Promise<void> {
    for (const plan of this.#plans) if (plan.kind === 'tap') await this.#address(plan, this.seat(plan.name).peer);
  }

  /** Gives a guest its namespaces and addresses, once after each boot. */
  async furnish(guest: string): Promise<void> {
    for (const plan of this.#plansOf(guest)) {
      const peer = new GuestPeer(plan.name, this.vms.get(guest)!, plan.mac);
      await peer.enter();
      await this.#address(plan, peer);
    }
  }

  #plansOf(guest: string): Plan[] {
    return this.#plans.filter((plan) => plan.guest === guest && isGuest(plan.kind));
  }

  async #address(plan: Plan, peer: Peer): Promise<void> {
    if (this.#ipv6) await address(peer, plan);
    else await peer.run(NO_IPV6);
    this.#seats.set(plan.name, { ...plan, peer });
  }

  async #veth({ name, mac, device }: Plan): Promise<void> {
    const peer = ['peer', 'name', 'eth0', 'netns', this.lab.name(name), 'address', mac];
    await execa('ip', ['-n', this.hub, 'link', 'add', device, 'type', 'veth', ...peer]);
    await execa('ip', ['-n', this.hub, 'link', 'set', device, 'mtu', `${MTU_MAX}`, 'up']);
  }

  async #seatHost(plan: Plan): Promise<void> {
    const netns = this.lab.name(plan.name);
    const host = new HostPeer(plan.name, netns, this.#path('tools'));
    this.#hosts.push(host);
    if (!plan.offloads) {
      const features = ['tx', 'rx', 'sg', 'tso', 'gso', 'gro'].flatMap((feature) => [feature, 'off']);
      await execa('ip', ['netns', 'exec', netns, 'ethtool', '-K', 'eth0', ...features]);
    }
    await this.#address(plan, host);
  }
}
