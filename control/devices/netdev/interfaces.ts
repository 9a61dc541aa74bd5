/**
 * What is known of an interface before weft carries its frames, and why weft may not. Many ports that open at once share one look, since
 * each costs processes. Called by netdev-device.ts on the main thread.
 */
import { readFileSync } from 'node:fs';
import { DeviceError } from '../../errors.ts';
import { ipJson, type RunIp } from '../ip.ts';
import { type Mark, parseMark } from '../marked.ts';

export interface Interface {
  readonly index: number;
  readonly name: string;
  readonly adminUp: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** The bridge, bond or other device that it belongs to. */
  readonly master: string | null;
  readonly mark: Mark | null;
  /** With prefixes, without link-local ones, which the kernel makes. */
  readonly addresses: readonly string[];
  readonly hasDefaultRoute: boolean;
}

interface IpInterface {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address?: string;
  readonly master?: string;
  readonly ifalias?: string;
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number; readonly scope?: string }[];
}

interface IpRoute {
  readonly dev?: string;
}

function interfaceOf(link: IpInterface, routed: ReadonlySet<string>): Interface {
  return {
    index: link.ifindex,
    name: link.ifname,
    adminUp: link.flags.includes('UP'),
    carrier: link.flags.includes('LOWER_UP'),
    mtu: link.mtu,
    mac: link.address ?? '',
    master: link.master ?? null,
    mark: parseMark(link.ifalias),
    addresses: (link.addr_info ?? [])
      .filter(({ local, scope }) => local !== undefined && scope !== 'link')
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    hasDefaultRoute: routed.has(link.ifname),
  };
}

export class Interfaces {
  readonly #run: RunIp;
  #next: Promise<readonly Interface[]> | null = null;

  constructor(run: RunIp) {
    this.#run = run;
  }

  /** All interfaces of the daemon's namespace, as they are at some moment after the call. Throws a DeviceError. */
  see(): Promise<readonly Interface[]> {
    // Whoever asks before it begins shares it.
    this.#next ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.#next = null;
      return this.#look();
    });
    return this.#next;
  }

  async byName(name: string): Promise<Interface | null> {
    return (await this.see()).find((item) => item.name === name) ?? null;
  }

  async #look(): Promise<readonly Interface[]> {
    const routes = (family: '-4' | '-6') =>
      ipJson<IpRoute>(this.#run, null, [family, 'route', 'show', 'default'], 'listing default routes');
    const [links, four, six] = await Promise.all([
      ipJson<IpInterface>(this.#run, null, ['-d', 'addr', 'show'], 'listing interfaces'),
      routes('-4'),
      routes('-6'),
    ]);
    const routed = new Set([...four, ...six].flatMap(({ dev }) => dev ?? []));
    return links.map((link) => interfaceOf(link, routed));
  }
}

/** Why weft must not carry this interface's frames, with the remedy; null when it may. */
export function refusalOf(item: Interface, takeOver: boolean): DeviceError | null {
  const { name, master, mark, addresses, hasDefaultRoute } = item;
  if (mark !== null) {
    return new DeviceError(
      'own-device',
      `${name} is weft’s own TAP of port ${mark.bridge}/${mark.port}`,
      'A netdev port carries an interface that somebody else made.',
    );
  }
  if (master !== null) {
    return new DeviceError(
      'device-enslaved',
      `${name} belongs to ${master}, which takes its frames`,
      `Release it first: ip link set dev ${name} nomaster`,
    );
  }
  if (takeOver || (addresses.length === 0 && !hasDefaultRoute)) return null;
  const has = addresses.length > 0 ? `has ${addresses.join(', ')}` : 'carries the default route';
  return new DeviceError(
    'device-in-use',
    `${name} ${has}: this machine would be unreachable there, since weft keeps its frames from the host’s own stack`,
    'With `take-over: true` addresses and routes move to a tap port of the bridge, and back at the end; or remove them.',
  );
}

/** What the driver says that the link carries, in bits per second; null where it says nothing, or the link is down. */
export function speedOf(name: string): number | null {
  try {
    const megabits = Number(readFileSync(`/sys/class/net/${name}/speed`, 'utf8'));
    return megabits > 0 ? megabits * 1e6 : null;
  } catch {
    return null;
  }
}
