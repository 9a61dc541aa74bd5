/**
 * What a bond may say, as zod schemas. Read by document.ts, which adds what every port has. Which keys a mode knows, and what members
 * owe each other, is bond-checks.ts' affair. Names and meaning after Linux' Documentation/networking/bonding.rst and Open vSwitch's
 * ovs-vswitchd.conf.db(5), with `slave` as `member`.
 */
import { z } from 'zod';
import { MEMBERS_MAX } from '../../dataplane/limits.ts';
import {
  AGGREGATOR_SELECTIONS,
  BOND_MODES,
  HASH_POLICIES,
  MONITOR_VALIDATIONS,
  PRIMARY_RESELECTS,
} from '../model/bond.ts';
import { memoryKeys, netdevKeys, socketKeys, vhostUserKeys } from './kind-keys.ts';
import { integer, intervalValue, macValue, nameValue, speedValue, stationValue, strict } from './values.ts';

/** Kinds that a member can have: what leads out of the machine, or to a guest; `memory` for tests. */
export const MEMBER_KINDS = ['netdev', 'vhost-user', 'socket', 'memory'] as const;
export const LACP_MODES = ['active', 'passive'] as const;
export const LACP_RATES = ['slow', 'fast'] as const;
/** As many as Linux asks. */
const TARGETS_MAX = 16;
const HOUR_MS = 3_600_000;

const ofMember = {
  priority: integer(0, 65_535).optional(),
  speed: speedValue.optional(),
};

export const memberSchema = z.discriminatedUnion('kind', [
  strict('a netdev member', { name: nameValue.optional(), ...netdevKeys, ...ofMember }),
  strict('a vhost-user member', { name: nameValue, ...vhostUserKeys, ...ofMember }),
  strict('a socket member', { name: nameValue, ...socketKeys, ...ofMember }),
  strict('a memory member', { name: nameValue, ...memoryKeys, ...ofMember }),
]);

export const monitorSchema = strict('monitor', {
  targets: z.array(stationValue).min(1).max(TARGETS_MAX),
  interval: integer(50, HOUR_MS, ' ms').optional(),
  'missed-max': integer(1, 255, ' silent intervals').optional(),
  validate: z.enum(MONITOR_VALIDATIONS).optional(),
  require: z.enum(['any', 'all']).optional(),
  vlan: integer(0, 4094, '; 0 is untagged').optional(),
});

export const lacpSchema = strict('lacp', {
  mode: z.enum(LACP_MODES).optional(),
  rate: z.enum(LACP_RATES).optional(),
  'system-priority': integer(0, 65_535).optional(),
  'system-mac': macValue.optional(),
  key: integer(1, 65_535).optional(),
  select: z.enum(AGGREGATOR_SELECTIONS).optional(),
  fallback: z.boolean().optional(),
  strict: z.boolean().optional(),
});

/** The keys of a bond beside those of every port. */
export const bondKeys = {
  kind: z.literal('bond'),
  mode: z.enum(BOND_MODES).optional(),
  members: z.array(memberSchema).min(1).max(MEMBERS_MAX),
  hash: z.enum(HASH_POLICIES).optional(),
  'hash-seed': integer(0, 0x7fff_ffff).optional(),
  'rebalance-interval': intervalValue(1000, HOUR_MS).optional(),
  updelay: integer(0, HOUR_MS, ' ms').optional(),
  downdelay: integer(0, HOUR_MS, ' ms').optional(),
  mac: macValue.optional(),
  'arp-source': z.union([stationValue, z.array(stationValue).min(1)]).optional(),
  monitor: monitorSchema.optional(),
  primary: nameValue.optional(),
  'primary-reselect': z.enum(PRIMARY_RESELECTS).optional(),
  'min-links': integer(1, MEMBERS_MAX, ' members').optional(),
  'packets-per-member': integer(1, 65_535).optional(),
  lacp: lacpSchema.optional(),
};

export type MemberDocument = z.infer<typeof memberSchema>;
export type MonitorDocument = z.infer<typeof monitorSchema>;
export type LacpDocument = z.infer<typeof lacpSchema>;
