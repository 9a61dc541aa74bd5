/** Ports and bridges as the path needs them: what compile turns into flat tables. */
import type { TunnelSettings } from '../model/tunnel.ts';
import type { VlanModel } from '../model/vlan.ts';

/** A tunnel as the path needs it. */
export interface TableTunnel
  extends Pick<TunnelSettings, 'kind' | 'vni' | 'vlans' | 'ttl' | 'tos' | 'splitHorizon' | 'suppress' | 'clampMss'> {
  /** The port number of the sockets that receive; 0 while there are none. */
  readonly endpoint: number;
  /** Destinations that get what goes to many. */
  readonly remotes: readonly number[];
}

/** A port as the path needs it. Numbers are those of the arena: 1 to PORTS_MAX − 1, 1 to BRIDGES_MAX − 1. */
export interface TablePort {
  readonly number: number;
  /** 0 for a bond's member: it is in no bridge. */
  readonly bridge: number;
  /** PortKind of tables/port-layout.ts. */
  readonly kind: number;
  readonly up: boolean;
  readonly mtu: number;
  readonly vlan: VlanModel;
  readonly flood: { readonly unknown: boolean; readonly multicast: boolean; readonly broadcast: boolean };
  readonly protected: boolean;
  readonly learning: boolean;
  readonly sticky: boolean;
  /** 0 for none. */
  readonly fdbLimit: number;
  /** Which of 01-80-C2-00-00-00 … -0F are forwarded, a bit each. */
  readonly reserved: number;
  /** Bits of Takes. */
  readonly takes: number;
  /** A bond's record, from 1; 0 for other ports. */
  readonly bond: number;
  /** Of a tunnel; null for other kinds. */
  readonly tunnel: TableTunnel | null;
  /** A patch port's other side; 0 for other kinds, or while the other side is missing. */
  readonly peer: number;
}

export interface TableBridge {
  readonly number: number;
  readonly fdbLimit: number;
  /** Seconds; 0 keeps addresses for ever. */
  readonly ageing: number;
}
