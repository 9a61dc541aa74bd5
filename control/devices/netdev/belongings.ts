/**
 * What an interface is for its host: MAC address, IP addresses and routes, read from `ip -json` and written as lines for `ip -batch`.
 * Called by take-over.ts; pure but for `belongingsOf`, which asks `ip`.
 *
 * Not moved: what the kernel makes by itself (connected routes, link-local addresses, table `local`), multipath routes, rules, neighbours.
 */
import { ipJson, type RunIp } from '../ip.ts';

export interface Belongings {
  readonly mac: string;
  /** In the kernel's order: a secondary address behind its primary one. */
  readonly addresses: readonly HeldAddress[];
  /** Arguments of `ip route`, without the device; those that gateways need come first. */
  readonly routes: readonly string[];
}

export interface HeldAddress {
  /** As `ip addr del` wants it. */
  readonly address: string;
  /** What follows it in `ip addr replace`: scope, broadcast, lifetimes. */
  readonly more: string;
}

/** What is used here of `ip -d -json addr show`. */
export interface IpAddress {
  readonly family: string;
  readonly local: string;
  /** The other end of a point-to-point address. */
  readonly address?: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly broadcast?: string;
  readonly metric?: number;
  readonly noprefixroute?: boolean;
  readonly dadfailed?: boolean;
  readonly valid_life_time?: number;
  readonly preferred_life_time?: number;
}

/** What is used here of `ip -d -json route show table all`. */
export interface IpRoute {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly via?: { readonly family: string; readonly host: string };
  readonly table?: string;
  readonly protocol?: string;
  readonly scope?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
  readonly tos?: string;
  readonly flags?: readonly string[];
  readonly metrics?: readonly Readonly<Record<string, unknown>>[];
  readonly expires?: number;
  readonly pref?: string;
}

const FOREVER = 4_294_967_295;

/** null: the kernel's own. */
export function heldAddress(item: IpAddress): HeldAddress | null {
  if (item.scope === 'link' || item.dadfailed === true) return null;
  const isSix = item.family === 'inet6';
  const { valid_life_time: valid = FOREVER, preferred_life_time: preferred = FOREVER } = item;
  const more = [
    ...(item.broadcast === undefined ? [] : ['broadcast', item.broadcast]),
    'scope',
    item.scope,
    ...(item.metric === undefined ? [] : ['metric', item.metric]),
    ...(valid === FOREVER ? [] : ['valid_lft', valid, 'preferred_lft', preferred === FOREVER ? 'forever' : preferred]),
    ...(item.noprefixroute === true ? ['noprefixroute'] : []),
    // It was this machine's all the time: nobody else has it.
    ...(isSix ? ['nodad'] : []),
  ];
  const peer = item.address === undefined ? '' : ` peer ${item.address}`;
  return { address: `${item.local}${peer}/${item.prefixlen}`, more: more.join(' ') };
}

/** Arguments of `ip route replace`; null for what the kernel makes by itself where `made` says that it does. */
export function heldRoute(family: 4 | 6, item: IpRoute, made: boolean): string | null {
  const { type = 'unicast', dst, table = 'main', protocol, scope, metric } = item;
  if (type !== 'unicast' || table === 'local' || dst.startsWith('fe80:')) return null;
  if (protocol === 'kernel' && made) return null;
  const everywhere = family === 6 ? '::/0' : '0.0.0.0/0';
  const words: (string | number)[] = [dst === 'default' ? everywhere : dst];
  const add = (word: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(word, value);
  };
  if (item.via !== undefined) words.push('via', item.via.family, item.via.host);
  else add('via', item.gateway);
  add('table', table);
  add('proto', protocol);
  if (family === 4) add('scope', scope);
  add('src', item.prefsrc);
  add('metric', metric);
  add('tos', item.tos);
  for (const set of item.metrics ?? [])
    for (const [name, value] of Object.entries(set)) if (typeof value === 'number') words.push(name, value);
  if (family === 6) add('expires', item.expires);
  if (item.pref !== undefined && item.pref !== 'medium') words.push('pref', item.pref);
  if (item.flags?.includes('onlink')) words.push('onlink');
  return words.join(' ');
}

/** Those without a gateway first: gateways are found through them. */
function inOrder(routes: readonly string[]): string[] {
  const isDirect = (route: string) => !route.includes(' via ');
  return [...routes.filter(isDirect), ...routes.filter((route) => !isDirect(route))];
}

/** What interface `name` of the daemon's namespace has. Throws a DeviceError. */
export async function belongingsOf(run: RunIp, name: string): Promise<Belongings> {
  const what = `reading addresses and routes of ${name}`;
  const routesOf = async (family: 4 | 6) =>
    ipJson<IpRoute>(run, null, [`-${family}`, '-d', 'route', 'show', 'table', 'all', 'dev', name], what);
  const [[link], four, six] = await Promise.all([
    ipJson<{ address?: string; addr_info?: IpAddress[] }>(run, null, ['-d', 'addr', 'show', 'dev', name], what),
    routesOf(4),
    routesOf(6),
  ]);
  const found = link?.addr_info ?? [];
  // Where an address makes no connected route, somebody else made it, though it says `proto kernel`.
  const made = !found.some(({ noprefixroute }) => noprefixroute === true);
  const held = (family: 4 | 6, items: readonly IpRoute[]) =>
    items.flatMap((item) => heldRoute(family, item, made) ?? []);
  return {
    mac: link?.address ?? '',
    addresses: found.flatMap((item) => heldAddress(item) ?? []),
    routes: inOrder([...held(4, four), ...held(6, six)]),
  };
}

/** What either has; where both have an address or a route, as `first` has it. */
export function together(first: Belongings, second: Belongings): Belongings {
  const known = new Set(first.addresses.map(({ address }) => address));
  return {
    mac: first.mac,
    addresses: [...first.addresses, ...second.addresses.filter(({ address }) => !known.has(address))],
    routes: inOrder([...new Set([...first.routes, ...second.routes])]),
  };
}

/** Lines that give an interface all of it, beside whoever has it too. */
export function addLines(what: Belongings, to: string): string[] {
  return [
    ...what.addresses.map(({ address, more }) => `addr replace ${address} dev ${to} ${more}`),
    ...what.routes.map((route) => `route replace ${route} dev ${to}`),
  ];
}

/** Lines that then take it from another one. The routes once more, since some may have gone with an address. */
export function dropLines(what: Belongings, from: string, to: string): string[] {
  return [
    ...what.addresses.map(({ address }) => `addr del ${address} dev ${from}`),
    ...what.routes.map((route) => `route replace ${route} dev ${to}`),
  ];
}
