/** The addon's calls for tunnels: sockets that receive datagrams with frames in them, sockets that send them, and what the kernel knows of ways. Main thread. */

export type TunnelKind = 'vxlan' | 'geneve' | 'gre';

export interface ReceiverOptions {
  readonly kind: TunnelKind;
  /** IPv4 or IPv6 address of this machine. */
  readonly local: string;
  /** UDP port; of no account for GRE. */
  readonly port: number;
  readonly workers: number;
}

export interface SenderOptions {
  readonly kind: TunnelKind;
  readonly local: string;
  readonly workers: number;
  /** Sets DF: what is too long is refused with EMSGSIZE, not fragmented. */
  readonly df: boolean;
  /** UDP checksums; without them no UDP_SEGMENT. */
  readonly checksum: boolean;
  /** Index of the interface by which groups are reached; 0: as routed. */
  readonly scope: number;
}

/** Totals since it was opened. */
export interface ReceiverCounts {
  readonly datagrams: number;
  /** Messages that brought them: several datagrams come as one. */
  readonly messages: number;
  /** Inner TCP segments that went on as part of another frame. */
  readonly merged: number;
  /** Lost in the kernel, since the sockets' buffers were full. */
  readonly missed: number;
}

export interface SenderCounts {
  readonly datagrams: number;
  readonly messages: number;
  /** ICMP and other errors that the sockets reported. */
  readonly errors: number;
}

/** An error that came back for a remote: of several since the last call, the last; `count` tells how many. */
export interface TunnelTrouble {
  readonly address: string;
  /** As EHOSTUNREACH, ECONNREFUSED, EMSGSIZE. */
  readonly errno: number;
  /** With EMSGSIZE the path's MTU, where an ICMP message told it; else 0. */
  readonly mtu: number;
  readonly count: number;
}

/** How the kernel would send to an address now. */
export interface Way {
  /** 0, or errno: ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL (the local address is not there), EACCES. */
  readonly error: number;
  /** The path's MTU as the kernel knows it. */
  readonly mtu: number;
  /** The interface by which it goes; 0: unknown. */
  readonly device: number;
}

export interface TunnelCalls {
  /**
   * Sockets that receive, one for each worker, of which one only reads for GRE. Throws EADDRINUSE when somebody else has the port, EADDRNOTAVAIL
   * when the address is not this machine's. Attached at an endpoint's port number.
   */
  openTunnelReceiver(options: ReceiverOptions): number;
  /** Receives what comes for a group too, by the interface with this index; worker 0 reads. Once per group and interface; workers attached or not. */
  joinTunnelGroup(handle: number, group: string, device: number): void;
  leaveTunnelGroup(handle: number, group: string, device: number): void;
  tunnelReceiverCounts(handle: number): ReceiverCounts;

  /** Sockets that send, a pool for each worker. Attached at the port number of each tunnel that sends by them: as many ports as there are. */
  openTunnelSender(options: SenderOptions): number;
  tunnelSenderCounts(handle: number): SenderCounts;
  /** What came back since the last call; at most one row per address. */
  tunnelTroubles(handle: number): TunnelTrouble[];

  /** How the kernel would send from `local` to `remote`: asks the kernel, sends nothing. `scope`: interface index, of link-local addresses. */
  wayTo(local: string, remote: string, scope: number): Way;
}
