/**
 * A port in the compiled tables: the words of its record and the bits of its flags. Control's compile writes them, the path reads them.
 */
export const PortWord = {
  FLAGS: 0,
  BRIDGE: 1,
  MODE: 2,
  /** The access, native or service VLAN; 0 is VLAN 0, the untagged frames of a trunk without a native VLAN. */
  VLAN: 3,
  /** Bytes behind the Ethernet header and its tags. */
  MTU: 4,
  KIND: 5,
  /** A patch port's other side. */
  PEER: 6,
  /** TPID that untagged frames get when a tag is pushed: 0x8100, or the service tag of a dot1q-tunnel port. */
  TPID: 7,
  PRIORITY_TAGS: 8,
  /** Which of 01-80-C2-00-00-00 … -0F this port forwards, a bit each. */
  RESERVED: 9,
  /** Addresses that may be learned on this port; 0 means no limit of its own. */
  FDB_LIMIT: 10,
  /** What this egress takes unfinished: bits of `Takes`. */
  TAKES: 11,
  /** Flood pool offset in words of the customer VLANs that a dot1q-tunnel port admits, 0 for all. */
  CUSTOMER_VLANS: 12,
  /** A bond's record (bond-layout.ts), by its number from 1; 0 for other ports. */
  BOND: 13,
  /** Of a tunnel: its VNI or key as its header has it (NO_KEY: none), and how headers are made: `TunnelHeader` (tunnel-layout.ts). */
  VNI: 14,
  HEADER: 15,
  /** Flood pool offset in words of the set of remotes that get what goes to many: a count, then destinations; 0 for none. */
  REMOTES: 16,
  /** Flood pool offset in words of the map from VLAN to VNI, VLANS_COUNT words, −1 for none; 0 where the port has one VNI. */
  VNI_MAP: 17,
  /** TTL and TOS of its outer packets: bits of `PortOuter` (tunnel-layout.ts). */
  OUTER: 18,
} as const;

export const PortFlag = {
  PRESENT: 1,
  UP: 2,
  LEARN: 4,
  STICKY: 8,
  PROTECTED: 16,
  FLOOD_UNKNOWN: 32,
  FLOOD_MULTICAST: 64,
  FLOOD_BROADCAST: 128,
  PATCH: 256,
  /** A dot1q-tunnel that admits only some customer VLANs. */
  CUSTOMERS: 512,
  /** Its frames go out by members, and come in by them. */
  BOND: 1024,
  /** Its frames go out with an outer header, and what it gets had one. */
  TUNNEL: 2048,
  /** What came in by such a port does not go out by another. */
  SPLIT_HORIZON: 4096,
  /** A tunnel whose VNI stands for the VLAN: frames have no tag inside. */
  VNI_MAP: 8192,
  /** A tunnel out of which no ARP request or neighbour solicitation goes whose answer is known. */
  SUPPRESS: 16384,
  /** A tunnel that lowers the MSS of TCP connections to what fits. */
  CLAMP_MSS: 32768,
} as const;

export const VlanMode = { TRUNK: 0, ACCESS: 1, NATIVE_TAGGED: 2, NATIVE_UNTAGGED: 3, TUNNEL: 4 } as const;

export const PriorityTags = { NO: 0, IF_NONZERO: 1, ALWAYS: 2 } as const;

export const PortKind = {
  NONE: 0,
  TAP: 1,
  MEMORY: 2,
  PCAP: 3,
  NULL: 4,
  PATCH: 5,
  NETDEV: 6,
  VHOST_USER: 7,
  SOCKET: 8,
  BOND: 9,
  VXLAN: 10,
  GENEVE: 11,
  GRE: 12,
} as const;

export const Takes = { CHECKSUM: 1, TSO4: 2, TSO6: 4, USO: 8, ALL: 15 } as const;

/** Words of a bridge's record. SUPPRESS: 1 where a tunnel of the bridge has `PortFlag.SUPPRESS`. */
export const BridgeWord = { PRESENT: 0, FDB_LIMIT: 1, AGEING_S: 2, SUPPRESS: 3 } as const;
