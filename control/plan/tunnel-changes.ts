/**
 * A tunnel in words, and what changes of one: `remotes + 192.0.2.3; ttl the system's → 64`. Also which of its settings make it another port.
 * Pure; called by describe.ts and plan.ts.
 */
import type { TunnelSettings } from '../model/tunnel.ts';

type Setting = keyof TunnelSettings;

/** What a tunnel's sockets and its place among the VNIs are made of; the rest changes while it forwards. */
const RECREATES: readonly Setting[] = ['vni', 'vlans', 'local', 'port', 'group', 'device', 'df', 'checksum'];

/** Keys as the document writes them. */
const WRITTEN: Readonly<Partial<Record<Setting, string>>> = {
  splitHorizon: 'split-horizon',
  clampMss: 'clamp-mss',
  remoteLimit: 'remote-limit',
};

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Is it another port with these settings? */
export function recreatesTunnel(before: TunnelSettings, after: TunnelSettings): boolean {
  return RECREATES.some((key) => !same(before[key], after[key]));
}

/** `vni` of GRE is its key. */
function nameOf(key: Setting, { kind }: TunnelSettings): string {
  return key === 'vni' && kind === 'gre' ? 'key' : (WRITTEN[key] ?? key);
}

function vlansText(vlans: NonNullable<TunnelSettings['vlans']>): string {
  const pairs = vlans.slice(0, 4).map(([vlan, vni]) => `${vlan} ↔ ${vni}`);
  return vlans.length > 4 ? `${pairs.join(', ')} and ${vlans.length - 4} more` : pairs.join(', ');
}

function shown(key: Setting, settings: TunnelSettings): string {
  if (key === 'vlans') return settings.vlans === null ? 'none' : vlansText(settings.vlans);
  if (key === 'ttl' && settings.ttl === 0) return 'the system’s';
  const value = settings[key];
  return value === null ? 'none' : String(value);
}

const LISTED_MAX = 8;

function listed(sign: string, remotes: readonly string[]): string[] {
  if (remotes.length === 0) return [];
  const more = remotes.length > LISTED_MAX ? ` and ${remotes.length - LISTED_MAX} more` : '';
  return [`${sign} ${remotes.slice(0, LISTED_MAX).join(', ')}${more}`];
}

function remoteChanges(before: readonly string[], after: readonly string[]): string[] {
  if (same(before, after)) return [];
  const [had, has] = [new Set(before), new Set(after)];
  const changes = [
    ...listed(
      '+',
      after.filter((remote) => !had.has(remote)),
    ),
    ...listed(
      '−',
      before.filter((remote) => !has.has(remote)),
    ),
  ];
  return [changes.length === 0 ? 'order of remotes' : `remotes ${changes.join(' ')}`];
}

/** One text for each thing that changes; keys as the document writes them. */
export function tunnelChanges(before: TunnelSettings, after: TunnelSettings): string[] {
  const keys = Object.keys(after) as Setting[];
  return keys.flatMap((key) => {
    if (key === 'remotes') return remoteChanges(before.remotes, after.remotes);
    if (same(before[key], after[key])) return [];
    const [from, to] = [shown(key, before), shown(key, after)];
    const name = nameOf(key, after);
    return [from === to ? `${name} changes` : `${name} ${from} → ${to}`];
  });
}

function network(settings: TunnelSettings): string {
  const { kind, vni, vlans } = settings;
  if (vlans !== null) return ` ${vlansText(vlans)}`;
  if (kind === 'gre') return vni === null ? '' : ` key ${vni}`;
  return ` ${vni}`;
}

/** `vxlan 5007 from 192.0.2.1 to 192.0.2.2, 239.1.1.1 on eth0` */
export function describeTunnel(settings: TunnelSettings): string {
  const { kind, local, remotes, group, device } = settings;
  const listedRemotes = remotes.length > LISTED_MAX ? [`${remotes.length} remotes`] : remotes;
  const to = [...listedRemotes, ...(group === null ? [] : [`${group} on ${device}`])];
  return `${kind}${network(settings)} from ${local}${to.length === 0 ? '' : ` to ${to.join(', ')}`}`;
}
