/** A tunnel's part of the model: what a port of kind vxlan, geneve or gre has beside what all ports have. Everybody reads it; nobody changes it. */

export const TUNNEL_KINDS = ['vxlan', 'geneve', 'gre'] as const;
export type TunnelKind = (typeof TUNNEL_KINDS)[number];

export interface TunnelSettings {
  readonly kind: TunnelKind;
  /** VNI, or GRE's key; null: GRE without a key, or `vlans` says it. */
  readonly vni: number | null;
  /** Pairs of VLAN and VNI, by VLAN: the port is a trunk of these, each in a network of its own. null: the port has one. */
  readonly vlans: readonly (readonly [number, number])[] | null;
  readonly local: string;
  /** Who gets what goes to many, beside the group. */
  readonly remotes: readonly string[];
  readonly group: string | null;
  /** The interface by which the group is reached. */
  readonly device: string | null;
  /** UDP port of both sides; 0 for GRE. */
  readonly port: number;
  /** 0: the system's. */
  readonly ttl: number | 'inherit';
  /** DSCP and two bits that are 0: ECN is always made by RFC 6040. */
  readonly tos: number | 'inherit';
  readonly df: boolean;
  readonly checksum: boolean;
  readonly splitHorizon: boolean;
  readonly suppress: boolean;
  readonly clampMss: boolean;
  /** Remotes that may be learned. */
  readonly remoteLimit: number;
}

export function isTunnelKind(kind: unknown): kind is TunnelKind {
  return (TUNNEL_KINDS as readonly unknown[]).includes(kind);
}
