/**
 * A tunnel's document becomes the settings of its port in the model, with all defaults filled in and every address in one spelling.
 * Called by model.ts on the main thread, with a document that validation accepted. Pure.
 */

import { formatIpv6Address, parseIpv6Address } from '../../dataplane/wire/text.ts';
import type { FdbEntryDocument, TunnelDocument } from '../config/document.ts';
import type { TunnelKind, TunnelSettings } from './tunnel.ts';
import { type VlanModel, vlanModel } from './vlan.ts';

/** UDP ports as IANA gave them (RFC 7348, 8; RFC 8926, 7); GRE has none. */
export const DEFAULT_TUNNEL_PORTS: Readonly<Record<TunnelKind, number>> = { vxlan: 4789, geneve: 6081, gre: 0 };
export const DEFAULT_REMOTE_LIMIT = 1024;

/** One text for all spellings of an address (RFC 5952). */
export function normalAddress(text: string): string {
  return text.includes(':') ? formatIpv6Address(parseIpv6Address(text), 0) : text;
}

function addressOrNull(text: string | undefined): string | null {
  return text === undefined ? null : normalAddress(text);
}

/** Pairs of VLAN and VNI by VLAN: of keys that are whole numbers JavaScript keeps the lesser first. */
function pairsOf(vlans: Readonly<Record<string, number>>): [number, number][] {
  return Object.entries(vlans).map(([vlan, vni]) => [Number(vlan), vni]);
}

/** A port with a map carries the VLANs of the map, and no others. */
export function tunnelVlan({ vlan, vlans }: Extract<TunnelDocument, { vlans?: unknown }>): VlanModel {
  return vlanModel(vlans === undefined ? vlan : { trunks: pairsOf(vlans).map(([vid]) => vid) });
}

/** What only tunnels of UDP know. */
function udpSettings(tunnel: TunnelDocument) {
  if (tunnel.kind === 'gre') return { vni: tunnel.key ?? null, vlans: null, group: null, device: null, port: 0 };
  return {
    vni: tunnel.vni ?? null,
    vlans: tunnel.vlans === undefined ? null : pairsOf(tunnel.vlans),
    group: addressOrNull(tunnel.group),
    device: tunnel.device ?? null,
    port: tunnel.port ?? DEFAULT_TUNNEL_PORTS[tunnel.kind],
  };
}

export function tunnelSettings(tunnel: TunnelDocument): TunnelSettings {
  return {
    kind: tunnel.kind,
    ...udpSettings(tunnel),
    local: normalAddress(tunnel.local),
    remotes: (tunnel.remotes ?? []).map(normalAddress),
    ttl: tunnel.ttl ?? 0,
    tos: tunnel.tos ?? 0,
    df: tunnel.df ?? true,
    checksum: tunnel.kind !== 'gre' && (tunnel.checksum ?? true),
    splitHorizon: tunnel['split-horizon'] ?? true,
    suppress: tunnel.suppress ?? false,
    clampMss: tunnel['clamp-mss'] ?? false,
    remoteLimit: tunnel['remote-limit'] ?? DEFAULT_REMOTE_LIMIT,
  };
}

/** What a static entry says of the far side. */
export function farOf({ remote, vni }: FdbEntryDocument): { remote: string | null; vni: number | null } {
  return { remote: addressOrNull(remote), vni: vni ?? null };
}
