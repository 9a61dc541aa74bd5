/**
 * A running tunnel: its endpoint and its sender, which it shares with others, and its remotes, which are its own. To its port it is a device as
 * an interface is one. Made by tunnels.ts; main thread. Never looks at a frame.
 */
import type { TableTunnel } from '../compile/table-port.ts';
import { MTU_MAX } from '../config/values.ts';
import type { PortDevice, PortHost } from '../devices/port-device.ts';
import { RequestError } from '../errors.ts';
import { type FdbEntryModel, isTunnel, type PortModel, type TunnelModel } from '../model/model.ts';
import type { TunnelSettings } from '../model/tunnel.ts';
import type { TUNNEL_REMOTE_ORIGINS, TUNNEL_REMOTE_STATES } from '../tunnel-rows.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import { addressText, familyOf } from './remote-record.ts';
import type { Remotes } from './remotes.ts';
import type { Sender, Senders } from './senders.ts';
import { frameBytesMax, overheadOf } from './tunnel-size.ts';
import { isLocalMissing, type Underlay, type UnderlayWay } from './underlay.ts';

export type RemoteOrigin = (typeof TUNNEL_REMOTE_ORIGINS)[number];
export type RemoteState = (typeof TUNNEL_REMOTE_STATES)[number];

/** What a running tunnel needs of the switch. */
export interface TunnelParts {
  readonly endpoints: Endpoints;
  readonly senders: Senders;
  readonly remotes: Remotes;
  readonly underlay: Underlay;
  /** Why a way that the kernel has is none for tunnels of this bridge; null: it is one. */
  obstacle(bridge: string, way: UnderlayWay): string | null;
  /** A remote's state changed. */
  remoteChanged(device: TunnelDevice, remote: TunnelRemote): void;
  /** How long inner packets may be changed. */
  sizeChanged(device: TunnelDevice): void;
  now(): number;
}

/** One far end, or a group of them. */
export interface TunnelRemote {
  readonly destination: number;
  readonly address: string;
  /** Of its own; null: the tunnel's. */
  readonly vni: number | null;
  origin: RemoteOrigin;
  readonly way: UnderlayWay;
  state: RemoteState;
  reason: string | null;
  /** When an address lived behind it last, by the steady clock. */
  usedAt: number;
}

interface Wanted {
  readonly address: string;
  readonly vni: number | null;
  readonly origin: RemoteOrigin;
}

export class TunnelDevice implements PortDevice {
  /** The kernel segments nothing inside a tunnel. */
  readonly takes = 0;
  readonly bridge: string;
  readonly name: string;
  readonly #parts: TunnelParts;
  readonly #host: PortHost;
  readonly #endpoint: Endpoint;
  readonly #sender: Sender;
  /** Interface index of the group, and of link-local addresses; 0: none. */
  readonly #scope: number;
  /** Followed for its local address, which a tunnel without remotes has, too. */
  readonly #local: UnderlayWay;
  readonly #remotes = new Map<string, TunnelRemote>();
  #model: TunnelModel;
  #number = 0;
  #tunnel: TableTunnel | undefined;
  #shown = '';
  #mtu = 0;
  /** Remotes that were not learned since there were too many. */
  refused = 0;
  #closed = false;
  onClosed: () => void = () => {};

  private constructor(
    parts: TunnelParts,
    model: TunnelModel,
    host: PortHost,
    scope: number,
    sockets: { endpoint: Endpoint; sender: Sender },
  ) {
    this.#parts = parts;
    this.#model = model;
    this.#host = host;
    this.bridge = host.bridge;
    this.name = host.port;
    this.#scope = scope;
    this.#endpoint = sockets.endpoint;
    this.#sender = sockets.sender;
    const { local } = model.settings;
    this.#local = parts.underlay.follow(local, local, isLinkLocal(local) ? scope : 0, this.#review);
  }

  /** What can't be opened now is a device that is down. */
  static async open(parts: TunnelParts, model: TunnelModel, host: PortHost, scope: number): Promise<TunnelDevice> {
    const { kind, local, port, df, checksum, group } = model.settings;
    let device: TunnelDevice | null = null;
    const changed = (): void => device?.socketsChanged();
    const endpoint = await parts.endpoints.acquire(kind, local, port, changed);
    const sender = parts.senders.acquire({ kind, local, workers: host.workers, df, checksum, scope }, changed);
    if (group !== null) parts.endpoints.join(endpoint, group, scope);
    device = new TunnelDevice(parts, model, host, scope, { endpoint, sender });
    device.#letGo = async () => {
      parts.senders.release(sender, changed);
      if (group !== null) parts.endpoints.leave(endpoint, group, scope);
      await parts.endpoints.release(endpoint, changed);
    };
    device.#shown = device.#look();
    return device;
  }

  #letGo: () => Promise<void> = async () => {};

  get handle(): number | null {
    return this.#sender.handle;
  }

  get up(): boolean {
    return this.reason === null;
  }

  get reason(): string | null {
    const { device } = this.settings;
    if (device !== null && this.#scope === 0) return `there is no interface ${device}`;
    return this.#endpoint.reason ?? this.#sender.reason ?? (isLocalMissing(this.#local) ? this.#local.reason : null);
  }

  get tunnel(): TableTunnel | undefined {
    return this.#tunnel;
  }

  get number(): number {
    return this.#number;
  }

  get model(): TunnelModel {
    return this.#model;
  }

  get settings(): TunnelSettings {
    return this.#model.settings;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get sender(): Sender {
    return this.#sender;
  }

  get remotes(): Iterable<TunnelRemote> {
    return this.#remotes.values();
  }

  get mtuFixed(): boolean {
    return this.#model.mtu !== MTU_MAX;
  }

  /** The longest inner packet that every remote takes that can be reached; 0: unknown. */
  get mtuUnderlay(): number {
    return this.#mtu;
  }

  /** As in force; 0: unknown. */
  get mtu(): number {
    return this.mtuFixed ? this.#model.mtu : this.#mtu;
  }

  details(): Readonly<Record<string, string>> {
    const learned = this.#count('learned');
    return {
      endpoint: this.#endpoint.name,
      remotes: `${this.#remotes.size}, of them ${learned} learned`,
      ...(this.refused === 0
        ? {}
        : { refused: `${this.refused} remotes beyond the limit of ${this.settings.remoteLimit}` }),
    };
  }

  /** It is port `number` from now on: its remotes get their destinations. */
  enter(number: number): void {
    if (this.#number === number || this.#closed) return;
    this.#number = number;
    this.#want(this.#model);
  }

  configure(model: PortModel): void {
    if (!isTunnel(model) || this.#closed) return;
    const before = this.#model;
    this.#model = model;
    if (this.#number !== 0) this.#want(model);
    if (before.mtu !== model.mtu) this.#parts.sizeChanged(this);
  }

  /** A sender that is none of its remotes. Answers whether there is a new one. */
  stranger(words: readonly number[]): boolean {
    if (this.#number === 0 || this.#closed || words.length !== 4) return false;
    const address = addressText(familyOf(this.settings.local), words);
    if (this.#remotes.has(keyOf(address, null))) return false;
    if (this.#count('learned') >= this.settings.remoteLimit || !this.#add({ address, vni: null, origin: 'learned' })) {
      this.refused++;
      return false;
    }
    this.#resize();
    return true;
  }

  hasLearned(): boolean {
    for (const { origin } of this.#remotes.values()) if (origin === 'learned') return true;
    return false;
  }

  /** Gives back learned remotes behind which no address lived for `ageingMs`. `counts`: addresses by destination. */
  forget(counts: Uint32Array, ageingMs: number): void {
    const now = this.#parts.now();
    for (const remote of [...this.#remotes.values()]) {
      if (counts[remote.destination]! > 0) remote.usedAt = now;
      if (remote.origin === 'learned' && now - remote.usedAt > ageingMs) this.#remove(remote);
    }
    this.#resize();
  }

  /** Where an entry of the document leads. Throws a RequestError when there is no room for its remote. */
  destinationOf({ mac, remote = null, vni = null }: FdbEntryModel): number {
    if (remote === null) return this.#number;
    const found = this.#remotes.get(keyOf(remote, this.#ownVni(vni)));
    if (found !== undefined) return found.destination;
    throw new RequestError('too-many-remotes', `no room for the remote ${remote} of ${mac}`, null, 409);
  }

  /** Its sockets could be opened, or not, or are gone. */
  socketsChanged(): void {
    if (!this.#closed) this.#tell();
  }

  /** Looks again at what stands in the way of each remote. */
  review(): void {
    this.#review();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.onClosed();
    this.#parts.underlay.unfollow(this.#local, this.#review);
    for (const remote of [...this.#remotes.values()]) this.#remove(remote);
    await this.#letGo();
  }

  /** Its ways changed. A field, since it is this function that follows them. */
  #review = (): void => {
    if (this.#closed) return;
    for (const remote of this.#remotes.values()) this.#judge(remote, true);
    this.#resize();
    this.#tell();
  };

  #tell(): void {
    const look = this.#look();
    if (look === this.#shown) return;
    this.#shown = look;
    this.#host.changed();
  }

  #look(): string {
    return `${this.handle} ${this.reason}`;
  }

  #count(origin: RemoteOrigin): number {
    let sum = 0;
    for (const remote of this.#remotes.values()) if (remote.origin === origin) sum++;
    return sum;
  }

  #ownVni(vni: number | null): number | null {
    return vni === this.settings.vni ? null : vni;
  }

  /** What the document wants of remotes: new ones come, others go, learned ones stay. */
  #want(model: TunnelModel): void {
    const { remotes, group } = model.settings;
    const wanted = new Map<string, Wanted>();
    for (const { remote = null, vni = null } of model.fdb) {
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
      else this.#add(one);
    }
    this.#resize();
    this.#compile();
  }

  #add({ address, vni, origin }: Wanted): boolean {
    const { remotes, underlay, now } = this.#parts;
    const scope = origin === 'group' || isLinkLocal(address) ? this.#scope : 0;
    const way = underlay.follow(this.settings.local, address, scope, this.#review);
    const udpPort = this.settings.port;
    const destination = remotes.add({ port: this.#number, address, udpPort, scope, vni, frameBytesMax: 0 });
    if (destination === 0) {
      this.#unfollow(way);
      return false;
    }
    const remote: TunnelRemote = { destination, address, vni, origin, way, state: 'up', reason: null, usedAt: now() };
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
    if (way === this.#local && !this.#closed) return;
    for (const remote of this.#remotes.values()) if (remote.way === way) return;
    this.#parts.underlay.unfollow(way, this.#review);
  }

  /** Writes how long frames to it may be, and notes whether it can be reached. */
  #judge(remote: TunnelRemote, tells: boolean): void {
    const { way } = remote;
    const obstacle = way.error === 0 ? this.#parts.obstacle(this.bridge, way) : null;
    this.#parts.remotes.limit(remote.destination, obstacle === null ? frameBytesMax(this.settings, way.mtu) : 0);
    const state = obstacle === null ? way.state : 'unreachable';
    const reason = obstacle ?? way.reason;
    if (state === remote.state && reason === remote.reason) return;
    const isNews = state !== remote.state;
    Object.assign(remote, { state, reason });
    if (tells && isNews) this.#parts.remoteChanged(this, remote);
  }

  /** How long an inner packet may be that goes to any remote that can be reached. */
  #resize(): void {
    const overhead = overheadOf(this.settings, this.#model.vlan);
    let mtu = 0;
    for (const { way, state } of this.#remotes.values()) {
      if (way.mtu === 0 || state === 'unreachable') continue;
      const fits = Math.max(0, way.mtu - overhead);
      if (mtu === 0 || fits < mtu) mtu = fits;
    }
    // Of a tunnel whose remotes are all away what it was is a better guess than nothing.
    if (mtu === 0 || mtu === this.#mtu) return;
    this.#mtu = mtu;
    this.#parts.sizeChanged(this);
  }

  /** What the tables say of it. */
  #compile(): void {
    const { kind, vni, vlans, ttl, tos, splitHorizon, suppress, clampMss } = this.settings;
    const remotes = [...this.#remotes.values()]
      .filter(({ origin }) => origin === 'configured' || origin === 'group')
      .map(({ destination }) => destination);
    const endpoint = this.#endpoint.number;
    this.#tunnel = { kind, vni, vlans, ttl, tos, splitHorizon, suppress, clampMss, endpoint, remotes };
  }
}

function keyOf(address: string, vni: number | null): string {
  return vni === null ? address : `${address} ${vni}`;
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}
