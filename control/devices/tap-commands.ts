/**
 * The `ip` commands that set a TAP up or change it, as lines of a batch. Called by tap-device.ts; pure.
 * Names were validated: none holds a space, a quote or a leading dash.
 */
import { type Device, markOf } from './marked.ts';
import type { TapSpec } from './tap-spec.ts';

export interface TapCommand<T> {
  /** Whose command it is, to know whom a failure concerns. */
  readonly of: T;
  readonly line: string;
  /** Codes of DeviceErrors that don't count. */
  readonly ignore: readonly string[];
}

/** Frames that wait while the switch has no CPU: at 50,000 a second the kernel's default of 1,000 is 20 ms, less than a busy host's scheduler. */
export const QUEUE_FRAMES = 4096;

/** IPv6 without duplicate address detection: the address is the document's, and must work when the port is reported up. */
function addAddress(device: string, address: string): string {
  return `addr replace ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`;
}

/** `add`, never `replace`: a default route of the host or the container that isn't ours is not ours to replace. */
function route(verb: 'add' | 'del', device: string, gateway: string): string {
  const everywhere = gateway.includes(':') ? '::/0' : '0.0.0.0/0';
  return `route ${verb} ${everywhere} via ${gateway} dev ${device}`;
}

function canonical(address: string): string {
  const [host, prefix] = address.split('/') as [string, string];
  if (!host.includes(':')) return address;
  return `${new URL(`http://[${host}]`).hostname.slice(1, -1)}/${prefix}`;
}

/** Everything that a TAP needs in its own namespace, ending up; `existing` is what a takeover found there, `owner` this daemon. */
export function setupCommands<T>(of: T, spec: TapSpec, existing: Device | null, owner: string): TapCommand<T>[] {
  const { device, mac, mtu } = spec;
  const must = (line: string): TapCommand<T> => ({ of, line, ignore: [] });
  const wanted = new Set(spec.addresses.map(canonical));
  const stale = (existing?.addresses ?? []).filter((address) => !wanted.has(canonical(address)));
  return [
    must(`link set dev ${device} alias ${markOf(spec.bridge, spec.port, owner)}`),
    must(`link set dev ${device} address ${mac} mtu ${mtu} txqueuelen ${QUEUE_FRAMES}`),
    ...stale.map((address) => ({ of, line: `addr del ${address} dev ${device}`, ignore: ['not-there'] })),
    ...spec.addresses.map((address) => must(addAddress(device, address))),
    must(`link set dev ${device} up`),
    // A device that is taken over may still have its route.
    ...spec.gateways.map((gateway) => ({
      of,
      line: route('add', device, gateway),
      ignore: existing === null ? [] : ['already-there'],
    })),
  ];
}

function lost(before: readonly string[], after: readonly string[]): string[] {
  return before.filter((item) => !after.includes(item));
}

/**
 * From one spec to another of the same device, live. What goes, goes first. An address that goes takes the routes through it
 * along, so gateways that stay are put back, which finds most of them still there.
 */
export function changeCommands(before: TapSpec, after: TapSpec): TapCommand<TapSpec>[] {
  const { device } = after;
  const command = (line: string, ...ignore: string[]): TapCommand<TapSpec> => ({ of: after, line, ignore });
  const goneAddresses = lost(before.addresses, after.addresses);
  const newGateways = lost(after.gateways, before.gateways);
  const keptGateways =
    goneAddresses.length === 0 ? [] : after.gateways.filter((gateway) => !newGateways.includes(gateway));
  return [
    ...lost(before.gateways, after.gateways).map((gateway) => command(route('del', device, gateway), 'not-there')),
    ...goneAddresses.map((address) => command(`addr del ${address} dev ${device}`, 'not-there')),
    ...(before.mac === after.mac ? [] : [command(`link set dev ${device} address ${after.mac}`)]),
    ...(before.mtu === after.mtu ? [] : [command(`link set dev ${device} mtu ${after.mtu}`)]),
    ...lost(after.addresses, before.addresses).map((address) => command(addAddress(device, address))),
    ...newGateways.map((gateway) => command(route('add', device, gateway))),
    ...keptGateways.map((gateway) => command(route('add', device, gateway), 'already-there')),
  ];
}
