/**
 * The remotes of one tunnel: whom the document names, whom its entries name, who sent something. Each has a destination, a way over the
 * underlay, and a longest frame that follows from it. Kept by tunnel-device.ts; main thread.
 */
import type { Log } from '../log.ts';
import type { TunnelModel } from '../model/model.ts';
import type { TunnelSettings } from '../model/tunnel.ts';
import type { TUNNEL_REMOTE_ORIGINS, TUNNEL_REMOTE_STATES } from '../tunnel-rows.ts';
import type { Remotes } from './remotes.ts';
import { frameBytesMax } from './tunnel-size.ts';
import { isLocalMissing, type Underlay, type UnderlayWay } from './underlay.ts';

export type RemoteOrigin = (typeof TUNNEL_REMOTE_ORIGINS)[number];
export type RemoteState = (typeof TUNNEL_REMOTE_STATES)[number];

/** What remotes need of the switch. */
export interface RemoteParts {
  readonly remotes: Remotes;
  readonly underlay: Underlay;
  readonly log: Log;
  /** Why a way that the kernel has is none for this tunnel; null: it is one. */
  obstacle(owner: RemoteOwner, way: UnderlayWay): string | null;
  now(): number;
}

/** The tunnel whose they are. */
export interface RemoteOwner {
  readonly bridge: string;
  readonly name: string;
  /** Its port number; 0 before it has one. */
  readonly number: number;
  readonly model: TunnelModel;
  readonly settings: TunnelSettings;
  /** Interface index of its group, and of link-local addresses. */
  readonly scope: number;
  /** A remote can be reached again, or no more. */
  remoteChanged(remote: TunnelRemote): void;
  /** Ways changed. */
  reviewed(): void;
}

/** One far end, or a group of them. */
export interface TunnelRemote {
  readonly destination: number;
  readonly address: string;
  /** Of its own; null: the tunnel's. */
  readonly vni: number | null;
  origin: RemoteOrigin;
  way: UnderlayWay;
  state: RemoteState;
  reason: string | null;
  /** It is away with the local address. */
  mute: boolean;
  /** When an address lived behind it last, by the steady clock. */
  usedAt: number;
}

interface Wanted {
  readonly address: string;
  readonly vni: number | null;
  readonly origin: RemoteOrigin;
}

export class TunnelRemotes implements Iterable<TunnelRemote> {
  readonly #parts: RemoteParts;
  readonly #owner: RemoteOwner;
  readonly #remotes = new Map<string, TunnelRemote>();

  constructor(parts: RemoteParts, owner: RemoteOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  [Symbol.iterator](): Iterator<TunnelRemote> {
    return this.#remotes.values();
  }

  get size(): number {
    return this.#remotes.size;
  }

  /** How many were learned. */
  get learned(): number {
    let sum = 0;
    for (const { origin } of this.#remotes.values()) if (origin === 'learned') sum++;
    return sum;
  }

  /** Destinations that get what goes to many. */
  flooded(): number[] {
    return [...this].flatMap(({ origin, destination }) =>
      origin === 'configured' || origin === 'group' ? [destination] : [],
    );
  }

  /** `vni`: null or the tunnel's own where frames to it have that. */
  find(address: string, vni: number | null): TunnelRemote | undefined {
    return this.#remotes.get(keyOf(address, this.#ownVni(vni)));
  }

  /** What the document wants: new ones come, others go, learned ones stay. */
  want({ settings, fdb }: TunnelModel): void {
    const { remotes, group } = settings;
    const wanted = new Map<string, Wanted>();
    for (const { remote = null, vni = null } of fdb) {
      if (remote === null) continue;
      const own = this.#ownVni(vni);
      wanted.set(keyOf(remote, own), { address: remote, vni: own, origin: 'static' });
    }
    if (group !== null) wanted.set(keyOf(group, null), { address: group, vni: null, origin: 'group' });
    for (const address of remotes) wanted.set(keyOf(address, null), { address, vni: null, origin: 'configured' });
    for (const [key, remote] of this.#remotes)
      if (remote.origin !== 'learned' && !wanted.has(key)) this.#remove(remote);
    for (const [key, one] of wanted) {
      const known = this.#remotes.get(key);
      if (known !== undefined) known.origin = one.origin;
      else if (!this.#add(one)) {
        const tunnel = `${this.#owner.bridge}/${this.#owner.name}`;
        this.#parts.log.error({ tunnel, remote: one.address }, 'there is no room for a remote');
      }
    }
  }

  /** Somebody sent from there. False when there is no room for him. */
  learn(address: string): boolean {
    return this.learned < this.#owner.settings.remoteLimit && this.#add({ address, vni: null, origin: 'learned' });
  }

  /** Gives back learned ones behind which no address lived for `ageingMs`. `counts`: addresses by destination. */
  forget(counts: Uint32Array, ageingMs: number): void {
    const now = this.#parts.now();
    for (const remote of [...this]) {
      if (counts[remote.destination]! > 0) remote.usedAt = now;
      if (remote.origin === 'learned' && now - remote.usedAt > ageingMs) this.#remove(remote);
    }
  }

  /** The owner's scope changed. */
  rescope(): void {
    const { scope } = this.#owner;
    for (const remote of this) {
      if (!isScoped(remote)) continue;
      const { way } = remote;
      remote.way = this.#parts.underlay.follow(way.local, way.remote, scope, this.review);
      this.#unfollow(way);
      this.#parts.remotes.rescope(remote.destination, scope);
    }
  }

  clear(): void {
    for (const remote of [...this]) this.#remove(remote);
  }

  /** Looks again at every way, and at what stands in it. A field, since it is this function that follows ways. */
  readonly review = (): void => {
    for (const remote of this) this.#judge(remote, true);
    this.#owner.reviewed();
  };

  #ownVni(vni: number | null): number | null {
    return vni === this.#owner.settings.vni ? null : vni;
  }

  #add({ address, vni, origin }: Wanted): boolean {
    const { remotes, underlay, now } = this.#parts;
    const { number: port, settings } = this.#owner;
    const scope = isScoped({ origin, address }) ? this.#owner.scope : 0;
    const way = underlay.follow(settings.local, address, scope, this.review);
    const destination = remotes.add({ port, address, udpPort: settings.port, scope, vni, frameBytesMax: 0 });
    if (destination === 0) {
      this.#unfollow(way);
      return false;
    }
    const fresh = { state: 'up', reason: null, mute: false, usedAt: now() } as const;
    const remote: TunnelRemote = { destination, address, vni, origin, way, ...fresh };
    this.#remotes.set(keyOf(address, vni), remote);
    this.#judge(remote, false);
    return true;
  }

  #remove(remote: TunnelRemote): void {
    this.#remotes.delete(keyOf(remote.address, remote.vni));
    this.#unfollow(remote.way);
    this.#parts.remotes.remove(remote.destination);
  }

  /** Two remotes of one address follow one way. */
  #unfollow(way: UnderlayWay): void {
    for (const remote of this) if (remote.way === way) return;
    this.#parts.underlay.unfollow(way, this.review);
  }

  /** Writes how long frames to it may be, and notes whether it can be reached. */
  #judge(remote: TunnelRemote, tells: boolean): void {
    const { way } = remote;
    const { settings } = this.#owner;
    const obstacle = way.error === 0 ? this.#parts.obstacle(this.#owner, way) : null;
    this.#parts.remotes.limit(remote.destination, obstacle === null ? frameBytesMax(settings, way.mtu) : 0);
    const state = obstacle === null ? way.state : 'unreachable';
    const reason = obstacle ?? way.reason;
    if (state === remote.state && reason === remote.reason) return;
    // Without its local address the port is down, which says it for all of them.
    const mute = isLocalMissing(way);
    const isNews = tells && state !== remote.state && !mute && !remote.mute;
    Object.assign(remote, { state, reason, mute });
    if (isNews) this.#owner.remoteChanged(remote);
  }
}

function keyOf(address: string, vni: number | null): string {
  return vni === null ? address : `${address} ${vni}`;
}

/** Whether an address means something only with an interface. */
function isScoped({ origin, address }: Pick<TunnelRemote, 'origin' | 'address'>): boolean {
  return origin === 'group' || isLinkLocal(address);
}

export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}
