/**
 * What a tunnel adds to its port's record, in numbers: flags, the kind of its header, TTL and TOS of what it sends. Called by tables.ts on
 * the main thread. Pure; what lies elsewhere in the copy (remotes, the map of VLANs, VNIs) is written by flood-pool.ts and vni-table.ts.
 */
import { VLANS_COUNT } from '../../dataplane/limits.ts';
import { PortFlag } from '../../dataplane/tables/port-layout.ts';
import { NO_KEY, TunnelHeader } from '../../dataplane/tables/tunnel-layout.ts';
import type { TableTunnel } from './table-port.ts';

const TTL_INHERITED = 255 << 8;
const TOS_SHIFT = 16;
const TOS_INHERITED = 1 << 24;

export function tunnelFlags(tunnel: TableTunnel | null): number {
  if (tunnel === null) return 0;
  let flags: number = PortFlag.TUNNEL;
  if (tunnel.splitHorizon) flags |= PortFlag.SPLIT_HORIZON;
  if (tunnel.vlans !== null) flags |= PortFlag.VNI_MAP;
  if (tunnel.suppress) flags |= PortFlag.SUPPRESS;
  if (tunnel.clampMss) flags |= PortFlag.CLAMP_MSS;
  return flags;
}

/** The word HEADER. */
export function headerOf({ kind, vni }: TableTunnel): number {
  if (kind === 'vxlan') return TunnelHeader.VXLAN;
  if (kind === 'geneve') return TunnelHeader.GENEVE;
  return vni === null ? TunnelHeader.GRE : TunnelHeader.GRE_KEY;
}

/** The word VNI: keys from 2^31 up are negative there. */
export function vniWord({ vni }: TableTunnel): number {
  return vni === null ? NO_KEY : vni | 0;
}

/** The word OUTER. */
export function outerOf({ ttl, tos }: TableTunnel): number {
  return (ttl === 'inherit' ? TTL_INHERITED : ttl) | (tos === 'inherit' ? TOS_INHERITED : tos << TOS_SHIFT);
}

/** VLAN → VNI for every VLAN, −1 for those that are not carried. */
export function vniMap(vlans: NonNullable<TableTunnel['vlans']>): Int32Array {
  const map = new Int32Array(VLANS_COUNT).fill(-1);
  for (const [vlan, vni] of vlans) map[vlan] = vni;
  return map;
}
