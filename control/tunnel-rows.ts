/**
 * What people and programs see of tunnels: part of the interface of switch.ts, in a file of its own. Filled by running/, read by the API, the
 * command line and metrics. Types and closed sets only.
 */

/** `up`: there is a way to it; `refused`: it is there and says that nobody listens; `unreachable`: no way, or an ICMP message says so. */
export const TUNNEL_REMOTE_STATES = ['up', 'refused', 'unreachable'] as const;
/** `configured` and `group` get what goes to many; `static`: an entry of the document names it; `learned`: it sent something. */
export const TUNNEL_REMOTE_ORIGINS = ['configured', 'group', 'static', 'learned'] as const;

export interface TunnelRemoteRow {
  /** IPv4 or IPv6; of origin group the multicast address. */
  readonly address: string;
  readonly origin: (typeof TUNNEL_REMOTE_ORIGINS)[number];
  /** The network identifier of its own that a static entry gives it; null: the tunnel's. */
  readonly vni: number | null;
  readonly state: (typeof TUNNEL_REMOTE_STATES)[number];
  /** Why it is not up; null when it is. */
  readonly reason: string | null;
  /** The underlay's interface by which it is reached; null: unknown. */
  readonly device: string | null;
  /** Longest outer IP packet on the way there, in bytes; 0: unknown. */
  readonly pathMtu: number;
  /** Longest inner IP packet that fits; 0: unknown. */
  readonly mtu: number;
  /** Addresses that live behind it. */
  readonly fdbEntries: number;
}

/** The sockets that receive for one local address and port, shared by all its tunnels. Totals since they were opened. */
export interface TunnelEndpointRow {
  /** As `vxlan 192.0.2.1:4789`, `gre 2001:db8::1`: its name among drops, too. */
  readonly name: string;
  readonly kind: string;
  readonly datagrams: number;
  readonly messages: number;
  /** Inner TCP segments that went on as part of another frame. */
  readonly merged: number;
  /** Datagrams lost in the kernel since the sockets' buffers were full. */
  readonly missed: number;
}

/** The sockets that send from one local address, shared by tunnels of the same options. Totals since they were opened. */
export interface TunnelSenderRow {
  readonly local: string;
  readonly kind: string;
  readonly datagrams: number;
  readonly messages: number;
  /** Errors that came back: ICMP, and what the kernel refused. */
  readonly errors: number;
}

export interface TunnelRow {
  readonly bridge: string;
  readonly name: string;
  readonly kind: 'vxlan' | 'geneve' | 'gre';
  readonly up: boolean;
  readonly reason: string | null;
  /** VNI, or GRE's key; null: GRE without a key, or `vlans` says it. */
  readonly vni: number | null;
  readonly vlans: readonly { readonly vlan: number; readonly vni: number }[] | null;
  readonly local: string;
  /** UDP port of both sides; null for GRE. */
  readonly udpPort: number | null;
  readonly group: string | null;
  /** The interface by which the group is reached. */
  readonly device: string | null;
  /** Longest inner IP packet, in bytes: as in force. */
  readonly mtu: number;
  /** The document says the MTU; false: it follows the underlay. */
  readonly mtuFixed: boolean;
  /** Longest inner IP packet that the underlay takes on the way to every remote; 0: unknown. */
  readonly mtuUnderlay: number;
  /** Outer packets may not be fragmented; false: what exceeds the underlay goes in fragments. */
  readonly df: boolean;
  /** Outer IP packet less inner IP packet, in bytes: inner Ethernet, tunnel header, UDP and outer IP. */
  readonly overhead: number;
  /** TAPs of its bridge whose MTU is larger than the tunnel's, and that weft may not change. */
  readonly tooLarge: readonly string[];
  readonly remoteLimit: number;
  readonly remotes: readonly TunnelRemoteRow[];
  /** null while there are no sockets. */
  readonly endpoint: TunnelEndpointRow | null;
  readonly sender: TunnelSenderRow | null;
}
