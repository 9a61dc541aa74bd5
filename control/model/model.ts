/**
 * The normalised model of a document: everything that a document may leave out is filled in, so that plan, compile and
 * devices never ask for a default. Made by `fromDocument` on the main thread from a document that validation accepted.
 * Plain readonly data without undefined: two models are the same exactly when their JSON is the same.
 */
import type { BondDocument, Document, PortDocument, WorkersDocument } from '../config/document.ts';
import { MTU_MAX, parseListen, parseSpeed } from '../config/values.ts';
import type { BondSettings } from './bond.ts';
import { bondSettings, memberCommon, memberDocument } from './bond-document.ts';
import { defaultMac, normalMac, reservedIndex } from './mac.ts';
import { isTunnelKind, type TunnelKind, type TunnelSettings } from './tunnel.ts';
import { farOf, tunnelSettings, tunnelVlan } from './tunnel-document.ts';
import { type VlanModel, vlanModel } from './vlan.ts';

export const DEFAULT_AGEING = 300;
export const DEFAULT_FDB_LIMIT = 65_536;
export const DEFAULT_MTU = 1500;
export const DEFAULT_METRICS = { host: '127.0.0.1', port: 9475 } as const;

export interface WorkersModel {
  readonly count: number;
  /** At least `count` of them, or null: not pinned. */
  readonly cpus: readonly number[] | null;
  readonly idle: 'adaptive' | 'busy' | 'interrupt';
  readonly io: 'auto' | 'io_uring' | 'read-write';
}

export interface FdbEntryModel {
  readonly mac: string;
  readonly vlan: number;
  readonly type: 'static' | 'sticky';
  /** Of a tunnel only: behind whom the address is. */
  readonly remote?: string | null;
  /** And in which network there; null: the port's own. */
  readonly vni?: number | null;
}

export interface FloodModel {
  readonly unknown: boolean;
  readonly multicast: boolean;
  readonly broadcast: boolean;
}

/** What every kind of port has. */
export interface CommonModel {
  readonly name: string;
  /** The bond that this port is a member of; null: it is a port of its bridge. */
  readonly memberOf: string | null;
  readonly vlan: VlanModel;
  /** Bytes of payload above the Ethernet header and one VLAN tag. */
  readonly mtu: number;
  /** Bits per second, null where unknown. */
  readonly speed: number | null;
  readonly flood: FloodModel;
  readonly protected: boolean;
  /** Learned entries that the port may hold, null: as many as the bridge. */
  readonly fdbLimit: number | null;
  readonly learning: boolean;
  /** Learned addresses stay at this port and do not move. */
  readonly sticky: boolean;
  /** Bit i: 01-80-C2-00-00-0i is forwarded; the bridge's own bits are not in it. */
  readonly forwardReserved: number;
  /** Sorted by VLAN and address. */
  readonly fdb: readonly FdbEntryModel[];
}

export interface TapModel extends CommonModel {
  readonly kind: 'tap';
  readonly device: string;
  readonly netns: string | null;
  readonly mac: string;
  /** With prefixes, in the document's order. */
  readonly addresses: readonly string[];
  /** At most one for each family. */
  readonly gateways: readonly string[];
  /** The document says the MTU; false: it may be made less for what a tunnel takes. */
  readonly mtuFixed: boolean;
}

/** An interface that exists already, in the daemon's own namespace. */
export interface NetdevModel extends CommonModel {
  readonly kind: 'netdev';
  readonly device: string;
  /** The TAP that its addresses and routes move to; null: it has none that matter. */
  readonly takeOver: string | null;
}

export interface VhostUserModel extends CommonModel {
  readonly kind: 'vhost-user';
  readonly socket: string;
  /** Who listens: weft as `server`, or as `client` the guest. */
  readonly mode: 'server' | 'client';
  /** Whose members may use weft's socket beside its owner; null: nobody. */
  readonly group: string | null;
  /** Queue pairs; null is as many as there are workers. */
  readonly queues: number | null;
}

export interface SocketModel extends CommonModel {
  readonly kind: 'socket';
  /** Of datagrams the path where weft receives. */
  readonly socket: string;
  readonly type: 'stream' | 'dgram';
  /** Who listens, of a stream; `server` for datagrams, where it says nothing. */
  readonly mode: 'server' | 'client';
  /** Where the guest receives datagrams; null for a stream. */
  readonly remote: string | null;
  /** As of vhost-user. */
  readonly group: string | null;
}

/** Its members are ports of their own: see `memberOf`. */
export interface BondModel extends CommonModel {
  readonly kind: 'bond';
  readonly settings: BondSettings;
}

/** A port over UDP/IP or GRE. Its `mtu` is MTU_MAX where the document says none: the device finds out what fits. */
export interface TunnelModel extends CommonModel {
  readonly kind: TunnelKind;
  readonly settings: TunnelSettings;
}

export interface PatchModel extends CommonModel {
  readonly kind: 'patch';
  readonly peer: { readonly bridge: string; readonly port: string };
}

export interface MemoryModel extends CommonModel {
  readonly kind: 'memory';
}

export interface NullModel extends CommonModel {
  readonly kind: 'null';
}

export interface PcapModel extends CommonModel {
  readonly kind: 'pcap';
  readonly read: string | null;
  readonly write: string | null;
}

export type PortModel =
  | TapModel
  | NetdevModel
  | VhostUserModel
  | SocketModel
  | BondModel
  | TunnelModel
  | PatchModel
  | MemoryModel
  | NullModel
  | PcapModel;

export interface BridgeModel {
  readonly name: string;
  /** Seconds; 0 is never. */
  readonly ageing: number;
  readonly fdbLimit: number;
  /** Bit i: 01-80-C2-00-00-0i is forwarded between all ports. */
  readonly forwardReserved: number;
  readonly ports: readonly PortModel[];
}

export interface Model {
  readonly workers: WorkersModel;
  /** `socket` null: where the daemon decides (root: /run/weft, else XDG_RUNTIME_DIR). */
  readonly api: { readonly socket: string | null };
  /** null: off. */
  readonly metrics: { readonly host: string; readonly port: number } | null;
  readonly bridges: readonly BridgeModel[];
}

export function isTunnel(port: PortModel): port is TunnelModel {
  return isTunnelKind(port.kind);
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function workersModel(workers: WorkersDocument | undefined): WorkersModel {
  return {
    count: workers?.count ?? workers?.cpus?.length ?? 1,
    cpus: workers?.cpus ?? null,
    idle: workers?.idle ?? 'adaptive',
    io: workers?.io ?? 'auto',
  };
}

function reservedMask(written: boolean | readonly string[] | undefined): number {
  if (typeof written === 'boolean') return written ? 0xffff : 0;
  return (written ?? []).reduce((mask, address) => mask | (1 << reservedIndex(address)), 0);
}

function floodModel(flood: PortDocument['flood']): FloodModel {
  if (typeof flood === 'boolean') return { unknown: flood, multicast: flood, broadcast: flood };
  return { unknown: flood?.unknown ?? true, multicast: flood?.multicast ?? true, broadcast: flood?.broadcast ?? true };
}

function fdbModel(port: PortDocument, vlan: VlanModel): FdbEntryModel[] {
  const entries = (port.fdb ?? []).map((entry) => ({
    mac: normalMac(entry.mac)!,
    vlan: entry.vlan ?? vlan.tag ?? 0,
    type: entry.type ?? ('static' as const),
    ...(isTunnelKind(port.kind) ? farOf(entry) : {}),
  }));
  return entries.sort((a, b) => a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1));
}

function commonModel(port: PortDocument): CommonModel {
  const vlan = 'vlans' in port ? tunnelVlan(port) : vlanModel(port.vlan);
  return {
    name: port.name,
    memberOf: null,
    vlan,
    mtu: port.mtu ?? (isTunnelKind(port.kind) ? MTU_MAX : DEFAULT_MTU),
    speed: port.speed === undefined ? null : parseSpeed(port.speed),
    flood: floodModel(port.flood),
    protected: port.protected ?? false,
    fdbLimit: port['fdb-limit'] ?? null,
    learning: port.learning ?? true,
    sticky: port.sticky ?? false,
    forwardReserved: reservedMask(port['forward-reserved']),
    fdb: fdbModel(port, vlan),
  };
}

/** Where what an interface is for its host moves to: the bridge's first TAP in the daemon's own namespace. */
function hostTap(ports: readonly PortDocument[]): string | null {
  const found = ports.find((port) => port.kind === 'tap' && port.netns === undefined);
  return found?.kind === 'tap' ? (found.device ?? found.name) : null;
}

/** The keys of a port's kind beside `common`. */
function kindModel(
  bridge: string,
  port: Exclude<PortDocument, BondDocument>,
  ports: readonly PortDocument[],
  common: CommonModel,
): PortModel {
  switch (port.kind) {
    case 'tap':
      return {
        ...common,
        kind: port.kind,
        device: port.device ?? port.name,
        netns: port.netns ?? null,
        mac: port.mac === undefined ? defaultMac(bridge, port.name) : normalMac(port.mac)!,
        addresses: [...listOf(port.address), ...listOf(port.addresses)],
        gateways: listOf(port.gateway),
        mtuFixed: port.mtu !== undefined,
      };
    case 'netdev':
      return {
        ...common,
        kind: port.kind,
        device: port.device ?? port.name,
        takeOver: port['take-over'] === true ? hostTap(ports) : null,
      };
    case 'vhost-user': {
      const { kind, socket, mode = 'server', group = null, queues = null } = port;
      return { ...common, kind, socket, mode, group, queues };
    }
    case 'socket': {
      const { kind, socket, type = 'stream', mode = 'server', remote = null, group = null } = port;
      return { ...common, kind, socket, type, mode, remote, group };
    }
    case 'patch': {
      const [peerBridge, peerPort] = port.peer.split('/') as [string, string];
      return { ...common, kind: port.kind, peer: { bridge: peerBridge, port: peerPort } };
    }
    case 'vxlan':
    case 'geneve':
    case 'gre':
      return { ...common, kind: port.kind, settings: tunnelSettings(port) };
    case 'pcap':
      return { ...common, kind: port.kind, read: port.read ?? null, write: port.write ?? null };
    default:
      return { ...common, kind: port.kind };
  }
}

/** One port that is no bond; `bridge` is needed for its default MAC, `ports` are all of that bridge. */
export function portModel(
  bridge: string,
  port: Exclude<PortDocument, BondDocument>,
  ports: readonly PortDocument[],
): PortModel {
  return kindModel(bridge, port, ports, commonModel(port));
}

/** A port of the document as ports of the model: one, or a bond and behind it its members. */
function portModels(bridge: string, port: PortDocument, ports: readonly PortDocument[]): PortModel[] {
  if (port.kind !== 'bond') return [portModel(bridge, port, ports)];
  const common = commonModel(port);
  const settings = bondSettings(bridge, port);
  const members = port.members.map((member, i) =>
    kindModel(
      bridge,
      memberDocument(port.name, member),
      ports,
      memberCommon(common.mtu, port.name, settings.members[i]!),
    ),
  );
  return [{ ...common, kind: port.kind, settings }, ...members];
}

/** The model of a document that validation accepted. */
export function fromDocument(document: Document): Model {
  const listen = document.metrics === false ? null : document.metrics?.listen;
  return {
    workers: workersModel(document.workers),
    api: { socket: document.api?.socket ?? null },
    metrics: listen === null ? null : listen === undefined ? DEFAULT_METRICS : parseListen(listen),
    bridges: document.bridges.map((bridge) => ({
      name: bridge.name,
      ageing: bridge.ageing ?? DEFAULT_AGEING,
      fdbLimit: bridge['fdb-limit'] ?? DEFAULT_FDB_LIMIT,
      forwardReserved: reservedMask(bridge['forward-reserved']),
      ports: (bridge.ports ?? []).flatMap((port) => portModels(bridge.name, port, bridge.ports ?? [])),
    })),
  };
}
