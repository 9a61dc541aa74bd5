/**
 * The rows of tunnels that `weft show`, the API and scrapes answer: read from the running tunnels, the arena and the addon's counters. Main
 * thread, on request; changes nothing.
 */
import { isTunnel } from '../model/model.ts';
import type { TunnelSettings } from '../model/tunnel.ts';
import type { PortDetail } from '../switch.ts';
import type { TunnelEndpointRow, TunnelRemoteRow, TunnelRow, TunnelSenderRow } from '../tunnel-rows.ts';
import { mtuOf } from './bridge-mtu.ts';
import type { Endpoint } from './endpoints.ts';
import { addressCounts } from './fdb-reader.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';
import type { Sender } from './senders.ts';
import type { TunnelDevice } from './tunnel-device.ts';
import type { TunnelRemote } from './tunnel-remotes.ts';
import { overheadOf } from './tunnel-size.ts';

/** Every tunnel, in the order of the book. Addresses behind remotes are counted on request, else they are 0: it takes a walk of the database. */
export function tunnelRows(base: Foundation, counted: boolean): TunnelRow[] {
  const states = base.book.ports().filter(({ model }) => isTunnel(model));
  const counts = counted && states.length > 0 ? addressCounts(base.view) : null;
  return states.flatMap((state) => {
    const device = base.tunnels.of(state);
    return device === undefined ? [] : [tunnelRow(base, state, device, counts)];
  });
}

function tunnelRow(base: Foundation, state: PortState, device: TunnelDevice, counts: Uint32Array | null): TunnelRow {
  const { settings, endpoint, sender } = device;
  const overhead = overheadOf(settings, device.model.vlan);
  return {
    bridge: state.bridge,
    name: state.model.name,
    kind: settings.kind,
    up: state.up,
    reason: state.up ? null : state.reason,
    vni: settings.vni,
    vlans: settings.vlans?.map(([vlan, vni]) => ({ vlan, vni })) ?? null,
    local: settings.local,
    udpPort: settings.kind === 'gre' ? null : settings.port,
    group: settings.group,
    device: settings.device,
    mtu: device.mtu,
    mtuFixed: device.mtuFixed,
    mtuUnderlay: device.mtuUnderlay,
    df: settings.df,
    overhead,
    tooLarge: tooLarge(base, state.bridge, device.mtu),
    remoteLimit: settings.remoteLimit,
    remotes: [...device.remotes].map((remote) => remoteRow(base, remote, overhead, counts)),
    endpoint: endpoint.handle === null ? null : endpointRow(base, endpoint),
    sender: sender.handle === null ? null : senderRow(base, sender),
  };
}

/** TAPs whose MTU the document says, and that is more than the tunnel takes. */
function tooLarge(base: Foundation, bridge: string, mtu: number): string[] {
  if (mtu === 0) return [];
  return base.book
    .portsOf(bridge)
    .flatMap((state) =>
      state.model.kind === 'tap' && state.model.mtuFixed && mtuOf(state) > mtu ? [state.model.name] : [],
    );
}

function remoteRow(
  base: Foundation,
  remote: TunnelRemote,
  overhead: number,
  counts: Uint32Array | null,
): TunnelRemoteRow {
  const { address, origin, vni, state, reason, way, destination } = remote;
  return {
    address,
    origin,
    vni,
    state,
    reason,
    device: base.tunnels.interfaceOf(way),
    pathMtu: way.mtu,
    mtu: way.mtu === 0 ? 0 : Math.max(0, way.mtu - overhead),
    fdbEntries: counts?.[destination] ?? 0,
  };
}

function endpointRow(base: Foundation, endpoint: Endpoint): TunnelEndpointRow {
  return { name: endpoint.name, kind: endpoint.kind, ...base.tunnels.endpoints.counts(endpoint) };
}

function senderRow(base: Foundation, sender: Sender): TunnelSenderRow {
  return { local: sender.options.local, kind: sender.options.kind, ...base.tunnels.senders.counts(sender) };
}

/** Each once, however many tunnels use it. */
export function endpointRows(base: Foundation): TunnelEndpointRow[] {
  return base.tunnels.endpoints.all().flatMap((one) => (one.handle === null ? [] : [endpointRow(base, one)]));
}

export function senderRows(base: Foundation): TunnelSenderRow[] {
  return base.tunnels.senders.all().flatMap((one) => (one.handle === null ? [] : [senderRow(base, one)]));
}

/** The keys of a tunnel as the document writes them, defaults filled in, for `weft port show`. */
export function tunnelKeys(settings: TunnelSettings): PortDetail['settings'] {
  const { kind, vni, vlans, local, remotes, group, device, port, ttl, tos, df, checksum } = settings;
  const identifier = vlans === null ? { [kind === 'gre' ? 'key' : 'vni']: vni } : {};
  return {
    ...identifier,
    ...(vlans === null ? {} : { vlans: vlans.map(([vlan, of]) => `${vlan}: ${of}`) }),
    local,
    remotes,
    ...(group === null ? {} : { group }),
    ...(device === null ? {} : { device }),
    ...(kind === 'gre' ? {} : { port, checksum }),
    ttl: ttl === 0 ? 'the system’s' : ttl,
    tos,
    df,
    'split-horizon': settings.splitHorizon,
    suppress: settings.suppress,
    'clamp-mss': settings.clampMss,
    'remote-limit': settings.remoteLimit,
  };
}
