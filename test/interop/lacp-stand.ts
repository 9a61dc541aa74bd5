/**
 * What the tests of LACP stand on: hosts on weft, a bond in 802.3ad over cables whose far ends are a bond of Open vSwitch's userspace
 * datapath, and hosts behind that: the interface of its bridge, and one in a VLAN.
 */
import type { BondRow, LacpMemberRow } from '../../control/switch.ts';
import { bond, cables, carrying, ip, memberRow, untilBond } from '../netns/bond-rig.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, tap, until } from '../netns/lab.ts';
import { OpenVSwitch, type OvsLacpMember } from './ovs.ts';

export const MEMBERS = ['m0', 'm1'];
export const FAR = ['f0', 'f1'];
const CABLES_COUNT = 2;
/** Of their links when each is on its own. */
export const APART_SYSTEMS = ['02:00:5e:00:53:10', '02:00:5e:00:53:11'];
/** Of the hosts on weft, and of those behind Open vSwitch. */
export const OUR_ADDRESS = '10.40.0.1';
export const OVS_ADDRESS = '10.40.0.2';
export const VLAN_ADDRESS = '10.40.7.2';
const VLAN = 7;
const TOGETHER_MS = 12_000;
const ANSWERS_MS = 3000;

export type Mode = 'active' | 'passive';
export type Rate = 'slow' | 'fast';

export const FAST = { mode: 'active', rate: 'fast' } as const;

interface Identity {
  readonly system: string;
  readonly systemPriority: number;
  readonly key: number;
  readonly port: number;
  readonly portPriority: number;
}

export function identity({ system, systemPriority, key, port, portPriority }: Identity): unknown[] {
  return [system, systemPriority, key, port, portPriority];
}

export function lacpOf(row: BondRow, name: string): LacpMemberRow {
  const { lacp } = memberRow(row, name);
  if (lacp === null) throw new Error(`${name} has no LACP`);
  return lacp;
}

/** A bond in 802.3ad over `devices`. */
export function aggregate(more: object = {}, devices: readonly (string | object)[] = MEMBERS): { name: string } {
  return bond(devices, { mode: '802.3ad', ...more });
}

/** What `ovs-vsctl add-bond` is told. */
export function partnerSettings(mode: Mode, rate: Rate): string[] {
  return [`lacp=${mode}`, 'bond_mode=balance-tcp', `other_config:lacp-time=${rate}`];
}

export class LacpStand {
  readonly lab = new Lab();
  daemon!: Daemon;
  ovs!: OpenVSwitch;
  /** On weft. */
  h!: Host;
  /** Where Open vSwitch is. */
  far!: Host;
  /** What both sides were told last: the next test may want just that. */
  #told = '';

  async open(lacp: object = FAST, mode: Mode = 'active'): Promise<void> {
    const { lab } = this;
    await lab.netns('hub', { ipv6: false });
    await lab.netns('v', { ipv6: false });
    this.h = await lab.host('h', { ipv6: false });
    this.far = await lab.host('far', { ipv6: false });
    await cables(lab, CABLES_COUNT, 'far');
    // Open vSwitch takes unfinished checksums for finished ones; as on a wire, there are none.
    for (let index = 0; index < CABLES_COUNT; index++)
      await this.h.run('ip', 'netns', 'exec', lab.name('hub'), 'ethtool', '-K', `m${index}`, 'tx', 'off');
    // The kernel hears what comes by the cables' ends too, and must not answer for the bridge.
    await this.far.run('sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=1');
    this.ovs = await OpenVSwitch.start(lab, 'far');
    await this.ovs.bond(FAR, partnerSettings(mode, 'fast'));
    await this.ovs.vsctl('add-port', 'br0', 'v7', `tag=${VLAN}`, '--', 'set', 'interface', 'v7', 'type=internal');
    for (const [device, address] of [
      ['br0', OVS_ADDRESS],
      ['v7', VLAN_ADDRESS],
    ] as const) {
      await ip(lab, 'far', 'addr', 'add', `${address}/24`, 'dev', device);
      await ip(lab, 'far', 'link', 'set', device, 'up');
    }
    this.daemon = await lab.daemon(this.#document(aggregate({ lacp })));
  }

  async close(): Promise<void> {
    await this.ovs?.close();
    await this.lab.close();
  }

  #document(up: { name: string }): object {
    const access = { ...tap(this.lab, 'v', { address: ['10.40.7.1/24'] }), vlan: { mode: 'access', tag: VLAN } };
    return bridge([tap(this.lab, 'h', { address: [`${OUR_ADDRESS}/24`] }), access, up]);
  }

  /** Our bond alone. */
  async apply(up: { name: string }): Promise<void> {
    this.#told = '';
    await this.daemon.apply(this.#document(up));
  }

  /** Their bond, made anew. */
  async partner(settings: readonly string[]): Promise<void> {
    this.#told = '';
    for (const name of FAR) await this.ovs.vsctl('--if-exists', 'del-port', name);
    await this.ovs.bond(FAR, settings);
  }

  /** Each of their links on its own, as if it ended in another switch. */
  async apart(): Promise<void> {
    this.#told = '';
    await this.ovs.vsctl('del-port', 'bond0');
    for (const [index, name] of FAR.entries()) {
      const system = `other_config:lacp-system-id=${APART_SYSTEMS[index]}`;
      await this.ovs.vsctl('add-port', 'br0', name, 'lacp=active', 'other_config:lacp-time=fast', system);
    }
  }

  /** Both: keys of `lacp` of ours, and theirs. */
  async configure(lacp: object, mode: Mode = 'active', rate: Rate = 'fast'): Promise<void> {
    const wanted = JSON.stringify([lacp, mode, rate]);
    if (this.#told === wanted) return;
    await this.apply(aggregate({ lacp }));
    await this.partner(partnerSettings(mode, rate));
    this.#told = wanted;
  }

  /**
   * Waits until Open vSwitch forwards as the links now are: its bond says so before its flows, which are made anew from time to time, do it.
   * Until then it may answer by a link that is gone.
   */
  async answers(ms = ANSWERS_MS): Promise<void> {
    const ping = () => this.h.ping(OVS_ADDRESS, { count: 1, wait: 1 });
    if ((await until(ping, (answers) => answers === 1, ms)) !== 1) throw new Error('Open vSwitch answers no ping');
  }

  /** Waits until both sides carry on just these links. Throws with what they say when they don't. */
  async together(names: readonly string[] = MEMBERS, ms = TOGETHER_MS): Promise<BondRow> {
    const theirs = await until(
      () => this.ovs.lacp(),
      (rows) => rows.filter(({ enabled }) => enabled).length === names.length,
      ms,
    );
    const row = await untilBond(this.daemon, (found) => carrying(found).join() === names.join(), ms);
    const enabled = theirs.filter((one) => one.enabled).map(({ name }) => name);
    if (carrying(row).join() !== names.join() || enabled.length !== names.length) {
      const ours = row.members.map(({ name, state, reason, lacp }) => [name, state, reason, lacp?.receive, lacp?.mux]);
      throw new Error(`they are not together: ${JSON.stringify({ ours, theirs })}`);
    }
    await this.answers();
    return row;
  }

  async theirs(name: string): Promise<OvsLacpMember> {
    return (await this.ovs.lacp()).find((one) => one.name === name)!;
  }

  /** LACPDUs no longer leave Open vSwitch by `device`, whose carrier stays; everything else does. */
  mute(device: string): Promise<unknown> {
    const chain = `add chain netdev t c { type filter hook egress device ${device} priority 0; }`;
    return this.far.run('nft', `add table netdev t; ${chain}; add rule netdev t c ether type 0x8809 drop`);
  }

  unmute(): Promise<unknown> {
    return this.far.run('nft', 'delete table netdev t');
  }
}
