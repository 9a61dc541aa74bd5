/**
 * A bond's document becomes ports of the model: the bond itself, with all defaults filled in, and a port for each of its members.
 * Called by model.ts on the main thread, with a document that validation accepted. Pure.
 */
import type { LacpDocument, MemberDocument, MonitorDocument } from '../config/bond-schema.ts';
import type { BondDocument, PortDocument } from '../config/document.ts';
import { parseSpeed } from '../config/values.ts';
import {
  type BondMode,
  type BondSettings,
  type LacpModel,
  type MemberModel,
  type MonitorModel,
  memberPort,
} from './bond.ts';
import { defaultMac, normalMac } from './mac.ts';
import { type VlanModel, vlanModel } from './vlan.ts';

export const DEFAULT_BOND_MODE: BondMode = 'active-backup';
export const DEFAULT_REBALANCE_MS = 10_000;
export const DEFAULT_PRIORITY = 32_768;
export const DEFAULT_MONITOR_MS = 1000;
export const DEFAULT_MISSED_MAX = 2;

/** Modes that lead flows by what their frames are; the policy is theirs to choose. */
export const FLOW_MODES: readonly BondMode[] = ['balance-xor', '802.3ad'];
/** Modes that keep each sender on one member. */
export const SENDER_MODES: readonly BondMode[] = ['balance-tlb', 'balance-alb', 'balance-slb'];

/** Does the mode lead flows by buckets? */
export function hashes(mode: BondMode): boolean {
  return FLOW_MODES.includes(mode) || SENDER_MODES.includes(mode);
}

/** The name that a member has, or null where its document gives none. */
export function memberName(member: { readonly name?: unknown; readonly device?: unknown }): string | null {
  const name = member.name ?? member.device;
  return typeof name === 'string' ? name : null;
}

function memberModel(member: MemberDocument): MemberModel {
  return {
    name: memberName(member)!,
    priority: member.priority ?? DEFAULT_PRIORITY,
    speed: member.speed === undefined ? null : parseSpeed(member.speed),
  };
}

function lacpModel(lacp: LacpDocument): LacpModel {
  const fallback = lacp.fallback ?? false;
  return {
    mode: lacp.mode ?? 'active',
    rate: lacp.rate ?? 'slow',
    systemPriority: lacp['system-priority'] ?? DEFAULT_PRIORITY,
    systemMac: lacp['system-mac'] === undefined ? null : normalMac(lacp['system-mac']),
    key: lacp.key ?? null,
    select: lacp.select ?? 'stable',
    fallback,
    // Who asks for a fallback wants frames to pass without a partner.
    strict: lacp.strict ?? !fallback,
  };
}

/** The tag that a VLAN's frames have outside of such a port; 0: none. */
function tagOutside({ mode, tag }: VlanModel, vlan: number): number {
  if (mode === 'access' || mode === 'dot1q-tunnel') return 0;
  return mode === 'native-untagged' && vlan === tag ? 0 : vlan;
}

function monitorModel(monitor: MonitorDocument, vlan: VlanModel): MonitorModel {
  return {
    targets: monitor.targets,
    intervalMs: monitor.interval ?? DEFAULT_MONITOR_MS,
    missedMax: monitor['missed-max'] ?? DEFAULT_MISSED_MAX,
    validate: monitor.validate ?? 'none',
    require: monitor.require ?? 'any',
    vlan: tagOutside(vlan, monitor.vlan ?? vlan.tag ?? 0),
  };
}

/** `bridge` is needed for the bond's default address. */
export function bondSettings(bridge: string, bond: BondDocument): BondSettings {
  const mode = bond.mode ?? DEFAULT_BOND_MODE;
  const ofFlows = FLOW_MODES.includes(mode);
  const mac = bond.mac === undefined ? defaultMac(bridge, bond.name) : normalMac(bond.mac)!;
  const sources = bond['arp-source'] ?? [];
  return {
    mode,
    members: bond.members.map(memberModel),
    hash: bond.hash ?? (ofFlows ? 'layer3+4' : 'vlan+srcmac'),
    seed: bond['hash-seed'] ?? 0,
    rebalanceMs: bond['rebalance-interval'] ?? (hashes(mode) ? DEFAULT_REBALANCE_MS : 0),
    updelayMs: bond.updelay ?? 0,
    downdelayMs: bond.downdelay ?? 0,
    mac,
    sources: typeof sources === 'string' ? [sources] : sources,
    primary: bond.primary ?? null,
    primaryReselect: bond['primary-reselect'] ?? 'always',
    minLinks: bond['min-links'] ?? 1,
    packetsPerMember: bond['packets-per-member'] ?? 1,
    lacp: mode === '802.3ad' ? lacpModel(bond.lacp ?? {}) : null,
    monitor: bond.monitor === undefined ? null : monitorModel(bond.monitor, vlanModel(bond.vlan)),
  };
}

/** What a member has in common with other ports: its bond decides on addresses, VLANs and floods before a frame gets there. */
export function memberCommon(mtu: number, bond: string, { name, speed }: MemberModel) {
  return {
    name: memberPort(bond, name),
    memberOf: bond,
    vlan: vlanModel(undefined),
    mtu,
    speed,
    flood: { unknown: false, multicast: false, broadcast: false },
    protected: false,
    fdbLimit: null,
    learning: false,
    sticky: false,
    forwardReserved: 0,
    fdb: [],
  };
}

/** A member as the port that it would be without its bond, for the keys of its kind. */
export function memberDocument(bond: string, member: MemberDocument): Exclude<PortDocument, BondDocument> {
  const { priority: _, speed: _speed, ...rest } = member;
  const name = memberPort(bond, memberName(member)!);
  return rest.kind === 'netdev' ? { ...rest, name, device: rest.device ?? rest.name! } : { ...rest, name };
}
