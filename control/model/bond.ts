/**
 * A bond in the normalised model: one port of its bridge over several members. The members are ports of their own in the model, which
 * name their bond in `memberOf`; devices, plan and workers treat them like any other. Plain readonly data.
 */

export const BOND_MODES = [
  'active-backup',
  'balance-rr',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb',
  'balance-slb',
] as const;
export type BondMode = (typeof BOND_MODES)[number];

/** What a frame's bucket is made of. `vlan+srcmac` keeps a sender whole: slb, tlb and alb always use it. */
export const HASH_POLICIES = ['layer2', 'layer2+3', 'layer3+4', 'encap2+3', 'encap3+4', 'vlan+srcmac'] as const;
export type HashPolicy = (typeof HASH_POLICIES)[number];

export const PRIMARY_RESELECTS = ['always', 'better', 'failure'] as const;
export const AGGREGATOR_SELECTIONS = ['stable', 'bandwidth', 'count'] as const;
export const MONITOR_VALIDATIONS = ['none', 'active', 'backup', 'all'] as const;

export interface LacpModel {
  readonly mode: 'active' | 'passive';
  /** How often the partner shall send: every second, or every 30. */
  readonly rate: 'slow' | 'fast';
  readonly systemPriority: number;
  /** The actor's system; null: the address of the first member whose device is known, since documents of two machines may be the same. */
  readonly systemMac: string | null;
  /** The actor's key, 1–65535; null: made of the members' speed, so that links of one speed aggregate. */
  readonly key: number | null;
  readonly select: (typeof AGGREGATOR_SELECTIONS)[number];
  /** Without a partner: active-backup over the members. */
  readonly fallback: boolean;
  /** Nothing is sent before a partner was found; otherwise a lone member without partner may carry (a host that boots). */
  readonly strict: boolean;
}

export interface MonitorModel {
  /** IPv4 by ARP, IPv6 by neighbour solicitation. */
  readonly targets: readonly string[];
  readonly intervalMs: number;
  /** Silent intervals after which a member is down. */
  readonly missedMax: number;
  /** Of which members only valid answers count as life. Of the others any frame does. */
  readonly validate: (typeof MONITOR_VALIDATIONS)[number];
  /** A member is up when one target answers, or only when all do. */
  readonly require: 'any' | 'all';
  /** Tag of the targets' frames outside of the bond; 0: none. */
  readonly vlan: number;
}

/** What a member is for its bond; its device is that of the port `bond/name`. */
export interface MemberModel {
  readonly name: string;
  /** Of 802.3ad: less is better. */
  readonly priority: number;
  /** Bits per second as the document says; null: as the device tells. */
  readonly speed: number | null;
}

export interface BondSettings {
  readonly mode: BondMode;
  /** In the document's order. */
  readonly members: readonly MemberModel[];
  readonly hash: HashPolicy;
  readonly seed: number;
  /** Milliseconds between rebalancings; 0 never. */
  readonly rebalanceMs: number;
  readonly updelayMs: number;
  readonly downdelayMs: number;
  /** The bond's own address. */
  readonly mac: string;
  /** Addresses that the monitor asks from; without one of the target's family it asks as a probe (0.0.0.0, RFC 5227). */
  readonly sources: readonly string[];
  readonly primary: string | null;
  readonly primaryReselect: (typeof PRIMARY_RESELECTS)[number];
  /** Members that must carry for the bond to be up. */
  readonly minLinks: number;
  /** Of balance-rr. */
  readonly packetsPerMember: number;
  /** 802.3ad only. */
  readonly lacp: LacpModel | null;
  readonly monitor: MonitorModel | null;
}

/** The name of a member's port: no port that a user names has a slash. */
export function memberPort(bond: string, member: string): string {
  return `${bond}/${member}`;
}
