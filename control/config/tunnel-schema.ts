/**
 * What a tunnel may say, as zod schemas: ports of kind vxlan (RFC 7348), geneve (RFC 8926) and gre (RFC 2784, 2890). Read by document.ts,
 * which adds what every port has. What no single value shows (two ports with one VNI, families that differ) is tunnel-checks.ts' affair.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { REMOTES_MAX } from '../../dataplane/limits.ts';
import { checked, deviceValue, integer } from './values.ts';

/** 24 bits (RFC 7348, 5; RFC 8926, 3.4). */
export const VNI_MAX = 0xff_ffff;
/** 32 bits (RFC 2890, 2.1); the last of them stands in the tables for no key (NO_KEY). */
export const KEY_MAX = 0xffff_fffe;
/** Remotes that a document may list for one port. */
export const LISTED_REMOTES_MAX = 10_000;

/** Any unicast or group address without a zone; which of them can stand where is found out with the others of its port. */
export const underlayValue = checked(z.string(), (text) =>
  isIP(text) !== 0 && !text.includes('%')
    ? null
    : `"${text}" is not an IPv4 or IPv6 address (without a prefix or a zone, as 192.0.2.1)`,
);

export const vniValue = integer(0, VNI_MAX);

const ttlValue = checked(z.union([z.number(), z.literal('inherit')]), (ttl) =>
  ttl === 'inherit' || (Number.isInteger(ttl) && ttl >= 1 && ttl <= 255)
    ? null
    : `${ttl} is not allowed (a whole number, 1–255, or inherit)`,
);

const tosValue = checked(z.union([z.number(), z.literal('inherit')]), (tos) => {
  if (tos === 'inherit') return null;
  if (!Number.isInteger(tos) || tos < 0 || tos > 255) return `${tos} is not allowed (0–252 in steps of 4, or inherit)`;
  const dscp = tos & ~3;
  return tos === dscp ? null : `${tos} sets the two bits of ECN, which weft makes by RFC 6040: write ${dscp}`;
});

/** VLAN to VNI; keys of a map are text. */
const vlansValue = checked(z.record(z.string(), vniValue), (vlans) => {
  const keys = Object.keys(vlans);
  if (keys.length === 0) return 'is an empty map; it needs one VLAN at least, as { 10: 5010 }';
  const wrong = keys.filter((key) => !/^[1-9]\d{0,3}$/.test(key) || Number(key) > 4094);
  if (wrong.length === 0) return null;
  return `${wrong.slice(0, 5).join(', ')} ${wrong.length === 1 ? 'is not a VLAN' : 'are not VLANs'} (1–4094)`;
});

const ofEvery = {
  local: underlayValue,
  remotes: z.array(underlayValue).min(1).max(LISTED_REMOTES_MAX).optional(),
  ttl: ttlValue.optional(),
  tos: tosValue.optional(),
  df: z.boolean().optional(),
  'split-horizon': z.boolean().optional(),
  suppress: z.boolean().optional(),
  'clamp-mss': z.boolean().optional(),
  'remote-limit': integer(0, REMOTES_MAX, ' learned remotes').optional(),
};

const ofUdp = {
  vni: vniValue.optional(),
  vlans: vlansValue.optional(),
  ...ofEvery,
  group: underlayValue.optional(),
  device: deviceValue.optional(),
  port: integer(1, 65_535).optional(),
  checksum: z.boolean().optional(),
};

/** The keys of a tunnel beside those of every port. */
export const vxlanKeys = { kind: z.literal('vxlan'), ...ofUdp };
export const geneveKeys = { kind: z.literal('geneve'), ...ofUdp };
export const greKeys = { kind: z.literal('gre'), key: integer(0, KEY_MAX).optional(), ...ofEvery };

/** What a static entry of a tunnel's port says beside its address. */
export const farKeys = { remote: underlayValue.optional(), vni: vniValue.optional() };
