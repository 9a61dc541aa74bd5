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
import type { Endpoint, Endpoints } from './endpoints.ts';
import { addressText, familyOf } from './remote-record.ts';
import type { Sender, Senders } from './senders.ts';
import { isLinkLocal, type RemoteOwner, type RemoteParts, type TunnelRemote, TunnelRemotes } from './tunnel-remotes.ts';
import { overheadOf } from './tunnel-size.ts';
import { isLocalMissing, type UnderlayWay } from './underlay.ts';

/** What a running tunnel needs of the switch. */
export interface TunnelParts extends RemoteParts {
  readonly endpoints: Endpoints;
  readonly senders: Senders;
  /** A remote can be reached again, or no more. */
  remoteChanged(device: TunnelDevice, remote: TunnelRemote): void;
  /** How long inner packets may be changed; `from` 0: it is known for the first time, or the document says another. */
  sizeChanged(device: TunnelDevice, from: number, reason: string): void;
}

export class TunnelDevice implements PortDevice, RemoteOwner {
  /** The kernel segments nothing inside a tunnel. */
  readonly takes = 0;
  readonly bridge: string;
  readonly name: string;
  readonly remotes: TunnelRemotes;
  readonly #parts: TunnelParts;
  readonly #host: PortHost;
  readonly #endpoint: Endpoint;
  #sender: Sender;
  #scope: number;
  /** Followed for its local address, which a tunnel without remotes has, too. */
  readonly #local: UnderlayWay;
  #model: TunnelModel;
  #number = 0;
  #tunnel: TableTunnel | undefined;
  /** What its port was told last. */
  #shown = '';
  #mtuUnderlay = 0;
  #refused = 0;
  #closed = false;
  /** By which endpoint, sender and ways know it. */
  #endpointChanged: () => void = () => {};
  readonly #looked = (): void => this.#tell();
  /** For whoever keeps it. */
  onClosed: () => void = () => {};

  private constructor(parts: TunnelParts, model: TunnelModel, host: PortHost, scope: number, endpoint: Endpoint) {
    this.#parts = parts;
    this.#model = model;
    this.#host = host;
    this.bridge = host.bridge;
    this.name = host.port;
    this.#scope = scope;
    this.#endpoint = endpoint;
    this.#sender = this.#acquire();
    this.remotes = new TunnelRemotes(parts, this);
    this.#join(true);
    const { local } = model.settings;
    this.#local = parts.underlay.follow(local, local, isLinkLocal(local) ? scope : 0, this.#looked);
  }

  /** What can't be opened now is a device that is down. `scope`: index of the interface that the document names; 0: none, or not there. */
  static async open(parts: TunnelParts, model: TunnelModel, host: PortHost, scope: number): Promise<TunnelDevice> {
    const { kind, local, port } = model.settings;
    let device: TunnelDevice | null = null;
    const changed = (): void => device?.reviewed();
    const endpoint = await parts.endpoints.acquire(kind, local, port, changed);
    device = new TunnelDevice(parts, model, host, scope, endpoint);
    device.#endpointChanged = changed;
    device.#shown = device.#look();
    return device;
  }

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

  get scope(): number {
    return this.#scope;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get sender(): Sender {
    return this.#sender;
  }

  /** Remotes that were not learned since there were too many. */
  get refused(): number {
    return this.#refused;
  }

  /** The document says the MTU. */
  get mtuFixed(): boolean {
    return this.#model.mtu !== MTU_MAX;
  }

  /** The longest inner packet that every remote takes that can be reached; 0: unknown. */
  get mtuUnderlay(): number {
    return this.#mtuUnderlay;
  }

  /** As in force; 0: unknown. */
  get mtu(): number {
    return this.mtuFixed ? this.#model.mtu : this.#mtuUnderlay;
  }

  details(): Readonly<Record<string, string>> {
    const { remoteLimit, group } = this.settings;
    const missed = group === null ? null : this.#endpoint.groupReason(group, this.#scope);
    return {
      endpoint: this.#endpoint.name,
      ...(missed === null ? {} : { group: `${group} can't be joined, and is tried again: ${missed}` }),
      known: `${this.remotes.size} remotes, ${this.remotes.learned} of them learned`,
      ...(this.#refused === 0 ? {} : { refused: `${this.#refused} remotes beyond the limit of ${remoteLimit}` }),
    };
  }

  /** It is port `number` from now on: its remotes get their destinations. */
  enter(number: number): void {
    if (this.#number === number || this.#closed) return;
    this.#number = number;
    this.#want();
  }

  configure(model: PortModel): void {
    if (!isTunnel(model) || this.#closed) return;
    const before = this.#model;
    this.#model = model;
    if (this.#number !== 0) this.#want();
    // Other VLANs may lead a way back into the bridge, or no more.
    this.remotes.review();
    if (before.mtu !== model.mtu) this.#parts.sizeChanged(this, 0, 'the document says so');
  }

  /** Somebody who is none of its remotes sent to it; four words of his address. */
  stranger(words: readonly number[]): void {
    if (this.#number === 0 || this.#closed) return;
    const address = addressText(familyOf(this.settings.local), words);
    if (this.remotes.find(address, null) !== undefined) return;
    if (this.remotes.learn(address)) this.#resize();
    else this.#refused++;
  }

  /** Gives back learned remotes that nobody needs any more. */
  forget(counts: Uint32Array, ageingMs: number): void {
    this.remotes.forget(counts, ageingMs);
    this.#resize();
  }

  /** Where an entry of the document leads. Throws a RequestError when there is no room for its remote. */
  destinationOf({ mac, remote = null, vni = null }: FdbEntryModel): number {
    if (remote === null) return this.#number;
    const found = this.remotes.find(remote, vni);
    if (found !== undefined) return found.destination;
    throw new RequestError('too-many-remotes', `no room for the remote ${remote} of ${mac}`, null, 409);
  }

  /** Something that it shares, or its ways, changed. */
  reviewed(): void {
    if (this.#closed) return;
    this.#resize();
    this.#tell();
  }

  remoteChanged(remote: TunnelRemote): void {
    this.#parts.remoteChanged(this, remote);
  }

  /** The interface that the document names has another number: it is another one, or gone (0). */
  async rescope(scope: number): Promise<void> {
    if (this.#closed || scope === this.#scope) return;
    this.#join(false);
    this.#scope = scope;
    this.#join(true);
    this.remotes.rescope();
    if (scope !== 0) await this.#host.aside(() => this.#renewSender());
    if (!this.#closed) this.remotes.review();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.onClosed();
    const { senders, endpoints, underlay } = this.#parts;
    underlay.unfollow(this.#local, this.#looked);
    this.remotes.clear();
    senders.release(this.#sender, this.#looked);
    this.#join(false);
    await endpoints.release(this.#endpoint, this.#endpointChanged);
  }

  #acquire(): Sender {
    const { kind, local, df, checksum } = this.settings;
    const options = { kind, local, workers: this.#host.workers, df, checksum, scope: this.#scope };
    return this.#parts.senders.acquire(options, this.#looked);
  }

  #renewSender(): void {
    if (this.#closed) return;
    const before = this.#sender;
    this.#sender = this.#acquire();
    if (before !== this.#sender) this.#parts.senders.release(before, this.#looked);
  }

  #join(joins: boolean): void {
    const { group } = this.settings;
    if (group === null || this.#scope === 0) return;
    if (joins) this.#parts.endpoints.join(this.#endpoint, group, this.#scope);
    else this.#parts.endpoints.leave(this.#endpoint, group, this.#scope);
  }

  #tell(): void {
    const look = this.#look();
    if (look === this.#shown || this.#closed) return;
    this.#shown = look;
    this.#host.changed();
  }

  #look(): string {
    return `${this.handle} ${this.reason}`;
  }

  /** What the document wants of remotes, and what the tables say of it then. */
  #want(): void {
    this.remotes.want(this.#model);
    this.#resize();
    const { kind, vni, vlans, ttl, tos, splitHorizon, suppress, clampMss } = this.settings;
    const shared = { endpoint: this.#endpoint.number, remotes: this.remotes.flooded() };
    this.#tunnel = { kind, vni, vlans, ttl, tos, splitHorizon, suppress, clampMss, ...shared };
  }

  /** How long an inner packet may be that goes to any remote that can be reached. */
  #resize(): void {
    const overhead = overheadOf(this.settings, this.#model.vlan);
    let narrowest: UnderlayWay | null = null;
    for (const { way, state } of this.remotes)
      if (way.mtu > overhead && state !== 'unreachable' && way.mtu < (narrowest?.mtu ?? Number.POSITIVE_INFINITY))
        narrowest = way;
    // Of a tunnel whose remotes are all away what it was is a better guess than nothing.
    if (narrowest === null || narrowest.mtu - overhead === this.#mtuUnderlay) return;
    const from = this.mtuFixed ? 0 : this.#mtuUnderlay;
    this.#mtuUnderlay = narrowest.mtu - overhead;
    const reason = `the way to ${narrowest.remote} takes packets of ${narrowest.mtu} bytes`;
    this.#parts.sizeChanged(this, from, reason);
  }
}
