/** The kernel's own VXLAN as a partner: its device in a Linux bridge of a machine, and a host behind that. */
import { execa } from 'execa';
import { ip } from '../netns/bond-rig.ts';
import type { Host } from '../netns/host.ts';
import type { Lab } from '../netns/lab.ts';
import { DEVICE, type Family, type Machine, VNI } from '../netns/underlay.ts';

const BRIDGE = 'kbr';
export const KERNEL_DEVICE = 'vx';

export interface KernelTunnelOptions {
  readonly family: Family;
  /** Who gets what goes to many: an address, or a group. */
  readonly remote?: string;
  readonly group?: string;
  /** The inner MTU of the host behind. */
  readonly mtu: number;
  readonly more?: readonly string[];
}

export class KernelTunnel {
  readonly #machine: Machine;
  /** Behind the bridge; its device is eth0. */
  readonly host: Host;

  private constructor(machine: Machine, host: Host) {
    this.#machine = machine;
    this.host = host;
  }

  /** The bridge, and a host `short` with these addresses behind it; there is no tunnel yet. */
  static async make(lab: Lab, machine: Machine, short: string, addresses: readonly string[]): Promise<KernelTunnel> {
    const host = await lab.host(short);
    const made = new KernelTunnel(machine, host);
    await machine.ip('link', 'add', BRIDGE, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
    await machine.ip('link', 'set', BRIDGE, 'up');
    const port = ['name', `k-${short}`, 'netns', machine.netns];
    await execa('ip', ['link', 'add', ...port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.netns]);
    await machine.ip('link', 'set', `k-${short}`, 'master', BRIDGE, 'up');
    for (const address of addresses)
      await ip(lab, short, 'addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
    await ip(lab, short, 'link', 'set', 'eth0', 'up');
    return made;
  }

  /** The tunnel, anew. */
  async open({ family, remote, group, mtu, more = [] }: KernelTunnelOptions): Promise<void> {
    await this.close();
    const to = group === undefined ? ['remote', remote!] : ['group', group, 'dev', DEVICE];
    const way = ['id', String(VNI), 'dstport', '4789', 'local', this.#machine[family], ...to, ...more];
    await this.#machine.ip('link', 'add', KERNEL_DEVICE, 'type', 'vxlan', ...way);
    await this.#machine.ip('link', 'set', KERNEL_DEVICE, 'master', BRIDGE, 'up');
    await this.host.run('ip', 'link', 'set', 'eth0', 'mtu', String(mtu));
  }

  async close(): Promise<void> {
    await execa('ip', ['-n', this.#machine.netns, 'link', 'del', KERNEL_DEVICE], { reject: false });
  }

  /** Behind which remote the kernel believes an address; undefined: it knows none. */
  async remoteOf(mac: string): Promise<string | undefined> {
    const text = await this.#machine.host.run('bridge', '-json', 'fdb', 'show', 'dev', KERNEL_DEVICE);
    const rows = JSON.parse(text) as { mac: string; dst?: string }[];
    return rows.find((row) => row.mac === mac && row.dst !== undefined)?.dst;
  }

  /** As on hardware: checksums are made, and segments leave one a datagram, before they come to the underlay. */
  offloads(state: 'on' | 'off'): Promise<unknown> {
    return this.#machine.host.run('ethtool', '-K', DEVICE, 'tx', state);
  }
}
