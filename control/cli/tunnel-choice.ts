/**
 * Which tunnel an entry of the forwarding database belongs to when nobody names it, and what the entry says there. Called by `weft fdb add`; pure.
 */
import { isIP } from 'node:net';
import { RequestError } from '../errors.ts';
import type { TunnelRow } from '../tunnel-rows.ts';
import { splitPort } from './ports.ts';

export interface Far {
  readonly remote: string;
  readonly vni: number | undefined;
  readonly vlan: number | undefined;
}

/** What is asked of the daemon. */
export interface FarEntry {
  readonly bridge: string;
  readonly port: string;
  /** Left out: the tunnel's own. */
  readonly vlan: number | undefined;
  readonly remote: string;
  /** Only where it is not the one that the tunnel gives frames of this VLAN anyhow. */
  readonly vni: number | undefined;
}

function nameOf({ bridge, name }: TunnelRow): string {
  return `${bridge}/${name}`;
}

function carries({ vni, vlans }: TunnelRow, wanted: number): boolean {
  return vni === wanted || vlans?.some((pair) => pair.vni === wanted) === true;
}

function listed(tunnels: readonly TunnelRow[]): string {
  return tunnels.map(nameOf).join(', ');
}

/** Tunnels that could send to it: of its family, with its VLAN; those with its VNI alone where there are such. */
function fitting(tunnels: readonly TunnelRow[], { remote, vni, vlan }: Far): TunnelRow[] {
  const family = isIP(remote);
  const fit = tunnels.filter(
    ({ local, vlans }) =>
      isIP(local) === family && (vlan === undefined || vlans === null || vlans.some((pair) => pair.vlan === vlan)),
  );
  if (vni === undefined) return fit;
  const own = fit.filter((tunnel) => carries(tunnel, vni));
  return own.length > 0 ? own : fit.filter(({ kind }) => kind !== 'gre');
}

function noneFits(tunnels: readonly TunnelRow[], { remote, vlan }: Far): RequestError {
  const family = isIP(remote) === 6 ? 'IPv6' : 'IPv4';
  const vlanText = vlan === undefined ? '' : ` and VLAN ${vlan}`;
  return new RequestError(
    'no-tunnel',
    tunnels.length === 0
      ? 'there is no tunnel'
      : `no tunnel of ${listed(tunnels)} has a local ${family} address${vlanText}`,
    `make one: \`weft port add br0/pod7 --kind vxlan --vni 5007 --local ADDRESS --remotes ${remote}\``,
    404,
  );
}

/** The tunnel that `--port` names, or the only one that fits. Throws a RequestError where there is none, or several. */
export function chooseTunnel(tunnels: readonly TunnelRow[], named: string | undefined, far: Far): TunnelRow {
  if (named === undefined) {
    const fit = fitting(tunnels, far);
    if (fit.length === 1) return fit[0]!;
    if (fit.length === 0) throw noneFits(tunnels, far);
    throw new RequestError(
      'ambiguous-tunnel',
      `several tunnels can reach ${far.remote}: ${listed(fit)}`,
      `name one with --port, as --port ${nameOf(fit[0]!)}`,
    );
  }
  const { bridge, port } = splitPort(named);
  const found = tunnels.filter((row) => row.name === port && (bridge === null || row.bridge === bridge));
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new RequestError(
      'ambiguous-tunnel',
      `several bridges have a tunnel "${port}"`,
      `name one of ${listed(found)}`,
    );
  const hint = tunnels.length === 0 ? 'there are no tunnels' : `tunnels are ${listed(tunnels)}`;
  throw new RequestError('no-tunnel', `"${named}" is no tunnel, and only those have remotes`, hint, 404);
}

/** A VNI of the tunnel's map says the VLAN, too, where that was not given. */
export function farEntry(tunnel: TunnelRow, { remote, vni, vlan }: Far): FarEntry {
  const { bridge, name: port, vlans } = tunnel;
  const mapped = vlan ?? vlans?.find((pair) => pair.vni === vni)?.vlan;
  const given = vlans === null ? tunnel.vni : vlans.find((pair) => pair.vlan === mapped)?.vni;
  return { bridge, port, vlan: mapped, remote, vni: vni === given ? undefined : vni };
}
