/**
 * What is known of the devices of the watched namespaces, and which events a new sight of them makes. Called by link-watch.ts
 * on the main thread; pure but for its own table, so that it is tested without devices. Time is passed in.
 */

export interface LinkSight {
  readonly index: number;
  readonly name: string;
  readonly adminUp: boolean;
  readonly carrier: boolean;
  readonly mtu: number;
}

interface Where {
  /** Milliseconds since the epoch, by the watch's clock. */
  readonly time: number;
  /** null: the namespace of the daemon. */
  readonly netns: string | null;
}

interface OfDevice extends Where {
  readonly device: string;
  readonly index: number;
}

export type LinkEvent =
  | (OfDevice & {
      readonly type: 'device-appeared';
      readonly adminUp: boolean;
      readonly carrier: boolean;
      readonly mtu: number;
    })
  /** Removed, or moved to another namespace. */
  | (OfDevice & { readonly type: 'device-vanished' })
  /** `device` is its old name. */
  | (OfDevice & { readonly type: 'device-renamed'; readonly to: string })
  | (OfDevice & { readonly type: 'admin-up' | 'admin-down' })
  | (OfDevice & { readonly type: 'carrier-up' | 'carrier-down' })
  | (OfDevice & { readonly type: 'mtu-changed'; readonly mtu: number })
  /** The namespace is gone with all its devices; there are no `device-vanished` for them. */
  | (Where & { readonly type: 'netns-deleted' })
  | (Where & { readonly type: 'netns-appeared' })
  /** Events may have been lost; what changed meanwhile is reported right after. */
  | { readonly type: 'monitor-restarted'; readonly time: number; readonly reason: string };

export class LinkState {
  readonly #links = new Map<string | null, Map<number, LinkSight>>();

  /** Events of one link as it is now. */
  see(time: number, netns: string | null, sight: LinkSight): LinkEvent[] {
    const links = this.#of(netns);
    const known = links.get(sight.index);
    links.set(sight.index, sight);
    const of = { time, netns, device: sight.name, index: sight.index };
    if (known === undefined) {
      const { adminUp, carrier, mtu } = sight;
      return [{ ...of, type: 'device-appeared', adminUp, carrier, mtu }];
    }
    const events: LinkEvent[] = [];
    if (known.name !== sight.name) events.push({ ...of, type: 'device-renamed', device: known.name, to: sight.name });
    if (known.adminUp !== sight.adminUp) events.push({ ...of, type: sight.adminUp ? 'admin-up' : 'admin-down' });
    if (known.carrier !== sight.carrier) events.push({ ...of, type: sight.carrier ? 'carrier-up' : 'carrier-down' });
    if (known.mtu !== sight.mtu) events.push({ ...of, type: 'mtu-changed', mtu: sight.mtu });
    return events;
  }

  vanish(time: number, netns: string | null, index: number): LinkEvent[] {
    const links = this.#of(netns);
    const known = links.get(index);
    if (known === undefined) return [];
    links.delete(index);
    return [{ type: 'device-vanished', time, netns, device: known.name, index }];
  }

  /** Events of a whole namespace as it is now, but for the links in `newer`, of which something newer is known. */
  replace(time: number, netns: string | null, sights: readonly LinkSight[], newer: ReadonlySet<number>): LinkEvent[] {
    const present = new Set(sights.map(({ index }) => index));
    const gone = [...this.#of(netns).keys()].filter((index) => !present.has(index) && !newer.has(index));
    const seen = sights.filter(({ index }) => !newer.has(index));
    return [
      ...gone.flatMap((index) => this.vanish(time, netns, index)),
      ...seen.flatMap((sight) => this.see(time, netns, sight)),
    ];
  }

  /** Forgets a namespace. Was it known? */
  forget(netns: string | null): boolean {
    return this.#links.delete(netns);
  }

  knows(netns: string | null): boolean {
    return this.#links.has(netns);
  }

  #of(netns: string | null): Map<number, LinkSight> {
    let links = this.#links.get(netns);
    if (links === undefined) {
      links = new Map();
      this.#links.set(netns, links);
    }
    return links;
  }
}
