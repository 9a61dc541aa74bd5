/**
 * Tunnels as people read them: a table of all, or one with its remotes, its sockets and where its MTU comes from. Called by
 * `weft show tunnels`; pure but for printing.
 */
import type { TunnelRemoteRow, TunnelRow } from '../tunnel-rows.ts';
import { type Colour, type Io, paint, print } from './io.ts';
import { rowNamed } from './ports.ts';
import { type Column, tableLines } from './table.ts';
import { formatCount } from './units.ts';

/** A line of the table: a tunnel, or one of its remotes. */
interface Line {
  readonly tunnel: TunnelRow;
  readonly remote: TunnelRemoteRow | null;
}

const STATE_COLOURS: Readonly<Record<TunnelRemoteRow['state'], Colour>> = {
  up: 'green',
  refused: 'red',
  unreachable: 'red',
};
/** Pairs of VLAN and VNI that a table shows. */
const PAIRS_SHOWN = 3;

function pairText({ vlan, vni }: { readonly vlan: number; readonly vni: number }): string {
  return `${vlan}↔${vni}`;
}

/** The VNI, GRE's key, or the map from VLANs, of which a long one is cut. */
function networkText({ vni, vlans }: TunnelRow): string {
  if (vlans === null) return vni === null ? '' : String(vni);
  const shown = vlans.slice(0, PAIRS_SHOWN).map(pairText).join(' ');
  return vlans.length > PAIRS_SHOWN ? `${shown} … (${vlans.length} VLANs)` : shown;
}

/** `192.0.2.1:4789`, `[2001:db8::1]:4789`; of GRE the address alone. */
function localText({ local, udpPort }: TunnelRow): string {
  if (udpPort === null) return local;
  return local.includes(':') ? `[${local}]:${udpPort}` : `${local}:${udpPort}`;
}

/** What is wrong with the MTU, or null. */
function mtuTrouble({ mtu, mtuUnderlay, df, tooLarge }: TunnelRow): string | null {
  if (df && mtuUnderlay !== 0 && mtu > mtuUnderlay) return `the underlay takes an MTU of ${mtuUnderlay} only`;
  return tooLarge.length === 0 ? null : `larger MTU: ${tooLarge.join(', ')}`;
}

function stateOf({ tunnel, remote }: Line): string {
  return remote?.state ?? (tunnel.up ? 'up' : 'down');
}

function mtuText({ mtu }: { readonly mtu: number }): string {
  return mtu === 0 ? '' : String(mtu);
}

function viaText({ tunnel, remote }: Line): string {
  if (remote !== null) return remote.device ?? '';
  return tunnel.group === null ? '' : `${tunnel.device ?? ''} to ${tunnel.group}`.trim();
}

function ofTunnel(text: (tunnel: TunnelRow) => string): (line: Line) => string {
  return ({ tunnel, remote }) => (remote === null ? text(tunnel) : '');
}

function ofRemote(text: (remote: TunnelRemoteRow) => string): (line: Line) => string {
  return ({ remote }) => (remote === null ? '' : text(remote));
}

const COLUMNS: readonly Column<Line>[] = [
  {
    title: 'TUNNEL',
    text: ({ tunnel, remote }) => (remote === null ? `${tunnel.bridge}/${tunnel.name}` : `  ${remote.address}`),
  },
  {
    title: 'STATE',
    text: stateOf,
    colour: ({ tunnel, remote }) => (remote === null ? (tunnel.up ? 'green' : 'red') : STATE_COLOURS[remote.state]),
  },
  { title: 'KIND', text: ofTunnel(({ kind }) => kind), drop: 4 },
  {
    title: 'VNI',
    text: ({ tunnel, remote }) => (remote === null ? networkText(tunnel) : String(remote.vni ?? '')),
    right: true,
  },
  { title: 'LOCAL', text: ofTunnel(localText), drop: 3 },
  {
    title: 'MTU',
    text: ({ tunnel, remote }) => mtuText(remote ?? tunnel),
    right: true,
    colour: ({ tunnel, remote }) => (remote === null && mtuTrouble(tunnel) !== null ? 'yellow' : null),
  },
  { title: 'PATH MTU', text: ofRemote(({ pathMtu }) => (pathMtu === 0 ? '' : String(pathMtu))), right: true, drop: 6 },
  { title: 'VIA', text: viaText, drop: 5 },
  { title: 'FROM', text: ofRemote(({ origin }) => origin), drop: 8 },
  {
    title: 'ADDRESSES',
    text: ofRemote(({ fdbEntries }) => (fdbEntries === 0 ? '' : formatCount(fdbEntries))),
    right: true,
    drop: 7,
  },
  {
    title: 'WHY',
    text: ({ tunnel, remote }) => (remote === null ? (tunnel.reason ?? mtuTrouble(tunnel)) : remote.reason) ?? '',
    drop: 1,
  },
];

export function tunnelTable(tunnels: readonly TunnelRow[], io: Pick<Io, 'colour' | 'width'>): string[] {
  const lines = tunnels.flatMap((tunnel): Line[] => [
    { tunnel, remote: null },
    ...tunnel.remotes.map((remote) => ({ tunnel, remote })),
  ]);
  const used = COLUMNS.filter((column) => lines.some((line) => column.text(line) !== ''));
  return tableLines(lines, used, io);
}

/** Finds the tunnel that is named `pod7` or `br0/pod7`. Throws a RequestError when none or several are. */
export function tunnelNamed(tunnels: readonly TunnelRow[], text: string): TunnelRow {
  return rowNamed(tunnels, 'tunnel', text);
}

function mtuPairs(tunnel: TunnelRow): [string, string][] {
  const { mtu, mtuFixed, mtuUnderlay, overhead, tooLarge } = tunnel;
  const fits = mtuUnderlay === 0 ? mtu : Math.min(mtu, mtuUnderlay);
  const from = mtuFixed ? 'as the document says' : 'what the underlay takes';
  return [
    ['mtu', mtu === 0 ? 'unknown' : `${mtu}, ${from}; outer packets have ${overhead} bytes more`],
    [
      'underlay',
      mtuUnderlay === 0 || mtuUnderlay === mtu
        ? ''
        : `takes an MTU of ${mtuUnderlay}${tunnel.df ? '' : ', the rest goes in fragments'}`,
    ],
    ['too large', tooLarge.length === 0 ? '' : `${tooLarge.join(', ')}: give them an MTU of ${fits}`],
  ];
}

function counted(count: number, one: string): string {
  return `${formatCount(count)} ${one}${count === 1 ? '' : 's'}`;
}

function socketPairs({ endpoint, sender }: TunnelRow): [string, string][] {
  const pairs: [string, string][] = [];
  const carried = ({ datagrams, messages }: { readonly datagrams: number; readonly messages: number }) =>
    `${counted(datagrams, 'datagram')} in ${counted(messages, 'message')}`;
  if (endpoint !== null) {
    const { name, merged, missed } = endpoint;
    pairs.push(['endpoint', name]);
    pairs.push([
      'received',
      `${carried(endpoint)}, ${counted(merged, 'segment')} merged, ${formatCount(missed)} missed`,
    ]);
  }
  if (sender !== null) pairs.push(['sent', `${carried(sender)}, ${counted(sender.errors, 'error')}`]);
  return pairs;
}

function remoteText(remote: TunnelRemoteRow): string {
  const { origin, vni, device, pathMtu, mtu, fdbEntries } = remote;
  const parts = [
    origin,
    vni === null ? '' : `VNI ${vni}`,
    device === null ? '' : `by ${device}`,
    pathMtu === 0 ? '' : `path MTU ${pathMtu}, so ${mtu} inside`,
    fdbEntries === 0 ? '' : `${formatCount(fdbEntries)} ${fdbEntries === 1 ? 'address' : 'addresses'}`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

const NAME_WIDTH = 'too large'.length;

/** One tunnel in full. */
export function printTunnel(io: Io, tunnel: TunnelRow): void {
  const state = tunnel.up ? paint(io, 'green', 'up') : `${paint(io, 'red', 'down')}: ${tunnel.reason ?? 'unknown'}`;
  print(io, `${tunnel.bridge}/${tunnel.name} is ${state}`);
  const pairs: [string, string][] = [
    ['kind', tunnel.kind],
    [tunnel.kind === 'gre' ? 'key' : 'vni', tunnel.vni === null ? '' : String(tunnel.vni)],
    ['vlans', tunnel.vlans?.map(pairText).join(' ') ?? ''],
    ['local', localText(tunnel)],
    ['group', tunnel.group === null ? '' : `${tunnel.group} by ${tunnel.device ?? ''}`],
    ...mtuPairs(tunnel),
    [
      'learned',
      `${tunnel.remotes.filter(({ origin }) => origin === 'learned').length} of ${tunnel.remoteLimit} remotes`,
    ],
    ...socketPairs(tunnel),
  ];
  for (const [name, value] of pairs) if (value !== '') print(io, `  ${name.padEnd(NAME_WIDTH)}  ${value}`);
  for (const remote of tunnel.remotes) {
    const is = paint(io, STATE_COLOURS[remote.state], remote.state);
    print(io, `remote ${remote.address} is ${is}${remote.reason === null ? '' : `: ${remote.reason}`}`);
    print(io, `  ${remoteText(remote)}`);
  }
}
