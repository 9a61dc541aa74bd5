/**
 * The tunnels of a running switch: opens them for their ports, keeps what they share (endpoints, senders, remotes' numbers, ways over the
 * underlay), tells each what happened to it, and looks again while time passes. Made once by open.ts; main thread.
 */
import type { View } from '../../dataplane/memory/view.ts';
import type { Attachment } from '../../dataplane/orders.ts';
import type { Addon } from '../../native/binding.ts';
import type { LinkEvents } from '../devices/link-events.ts';
import type { PortDevice, PortHost, PortOpener } from '../devices/port-device.ts';
import type { Log } from '../log.ts';
import type { FdbEntryModel, PortModel, TunnelModel } from '../model/model.ts';
import { shareVlan } from '../model/vlan.ts';
import type { SwitchEvent } from '../switch.ts';
import type { WorkerPool } from '../workers/pool.ts';
import type { Counters } from './counters.ts';
import { type EndpointNative, Endpoints } from './endpoints.ts';
import { addressCounts } from './fdb-reader.ts';
import type { Interfaces } from './interfaces.ts';
import { deviceName, type PortBook, type PortState } from './port-book.ts';
import { ownerOfPort } from './port-owner.ts';
import { Remotes } from './remotes.ts';
import { type SenderNative, Senders } from './senders.ts';
import { TunnelDevice } from './tunnel-device.ts';
import type { RemoteOwner, TunnelRemote } from './tunnel-remotes.ts';
import { Underlay, type UnderlayWay } from './underlay.ts';

export type TunnelNative = EndpointNative & SenderNative & Pick<Addon, 'wayTo'>;

export interface TunnelsParts {
  readonly view: View;
  readonly native: TunnelNative;
  readonly book: PortBook;
  readonly counters: Counters;
  readonly log: Log;
  readonly links: LinkEvents;
  readonly interfaces: Interfaces;
  emit(event: SwitchEvent): void;
  pool(): Pick<WorkerPool, 'count' | 'order'>;
  release(number: number): Promise<void>;
  /** How long packets may be in a bridge's tunnels changed. */
  sizeChanged(bridge: string): void;
  now?(): number;
  ownerOfPort?: (local: string, port: number) => Promise<string | null>;
}

/** The loopback interface's index, of every namespace. */
const LOOPBACK = 1;
const TICK_MS = 250;
/** Ticks between looks: at sockets that could not be opened, at ways, at remotes that nobody needs. */
const RETRY_TICKS = 4;
const REVIEW_TICKS = 8;
const FORGET_TICKS = 40;
/** How long a learned remote without addresses stays in a bridge whose addresses never age. */
const AGEING_MS_DEFAULT = 300_000;
const WARN_MS = 10_000;

export class Tunnels implements PortOpener {
  readonly endpoints: Endpoints;
  readonly senders: Senders;
  readonly underlay: Underlay;
  readonly #parts: TunnelsParts;
  readonly #remotes: Remotes;
  readonly #now: () => number;
  /** Two of one port while it is made anew: the old one stays if the new one fails. */
  readonly #open = new Set<TunnelDevice>();
  readonly #byNumber = new Map<number, TunnelDevice>();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  #soon: NodeJS.Immediate | undefined;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: TunnelsParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
    this.#remotes = new Remotes(parts.view, this.#now);
    this.senders = new Senders(parts.native);
    this.endpoints = new Endpoints({ ...parts, ownerOfPort: parts.ownerOfPort ?? ownerOfPort });
    this.underlay = new Underlay((local, remote, scope) => parts.native.wayTo(local, remote, scope), this.#now);
    parts.counters.onFlush((port) => this.#remotes.flush(port));
    parts.links.listen(() => this.#lookSoon());
    parts.interfaces.onFound = () => this.#reviewAll();
  }

  async open(model: PortModel, host: PortHost): Promise<PortDevice> {
    const settings = (model as TunnelModel).settings;
    const scope = settings.device === null ? 0 : await this.#parts.interfaces.indexOf(settings.device);
    const device = await TunnelDevice.open(this.#deviceParts(), model as TunnelModel, host, scope);
    this.#open.add(device);
    device.onClosed = () => this.#closed(device);
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
    return device;
  }

  /** A port came, goes, or has another device. */
  hear(state: PortState): void {
    const { model, number, leaving } = state;
    // Which way leads back into the bridge is a question of its TAPs.
    if (model.kind === 'tap') this.#lookSoon();
    const device = this.of(state);
    if (device === undefined || leaving) return;
    this.#byNumber.set(number, device);
    device.enter(number);
  }

  /** The tunnel that a port has as its device. */
  of({ device }: Pick<PortState, 'device'>): TunnelDevice | undefined {
    const tunnel = device?.by === 'opener' ? device.device : null;
    return tunnel instanceof TunnelDevice && this.#open.has(tunnel) ? tunnel : undefined;
  }

  all(): TunnelDevice[] {
    return [...this.#open];
  }

  /** The interface by which a way goes; null: unknown. */
  interfaceOf({ error, device }: UnderlayWay): string | null {
    return error !== 0 || device === 0 ? null : this.#parts.interfaces.nameOf(device);
  }

  /** What a worker that starts must serve beside its ports. */
  attachments(worker: number): Attachment[] {
    return this.endpoints.attachments(worker);
  }

  /** Somebody whom the tunnel `port` does not know sent to it; his address as it lies in a packet. */
  stranger(port: number, address: readonly number[]): void {
    const device = this.#byNumber.get(port);
    const refused = device?.refused ?? 0;
    device?.stranger(address);
    if (device === undefined || device.refused === refused || this.#now() - this.#warnedAt < WARN_MS) return;
    this.#warnedAt = this.#now();
    const limit = device.settings.remoteLimit;
    const tunnel = `${device.bridge}/${device.name}`;
    this.#parts.log.warn({ tunnel, limit, refused: device.refused }, 'a tunnel can learn no more remotes');
  }

  /** The destination of an entry of the document at a port. Throws a RequestError. */
  destinationOf(state: PortState, entry: FdbEntryModel): number {
    return this.of(state)?.destinationOf(entry) ?? state.number;
  }

  /** What happens while time passes. */
  tick(): void {
    this.#ticks++;
    for (const [local, troubles] of this.senders.troubles()) this.underlay.hear(local, troubles);
    if (this.#ticks % RETRY_TICKS === 0) this.#retry();
    if (this.#ticks % REVIEW_TICKS === 0) this.underlay.review();
    if (this.#ticks % FORGET_TICKS === 0) this.#forget();
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#soon);
    this.underlay.close();
  }

  #deviceParts() {
    const { endpoints, senders, underlay } = this;
    return {
      endpoints,
      senders,
      underlay,
      remotes: this.#remotes,
      now: this.#now,
      obstacle: (owner: RemoteOwner, way: UnderlayWay) => this.#obstacle(owner, way),
      remoteChanged: (device: TunnelDevice, remote: TunnelRemote) => this.#remoteChanged(device, remote),
      log: this.#parts.log,
      sizeChanged: (device: TunnelDevice, from: number, reason: string) => this.#sizeChanged(device, from, reason),
    };
  }

  #closed(device: TunnelDevice): void {
    this.#open.delete(device);
    if (this.#byNumber.get(device.number) === device) this.#byNumber.delete(device.number);
    this.#parts.sizeChanged(device.bridge);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A TAP of its bridge leads back to it where one VLAN joins the two. */
  #obstacle({ bridge, model }: RemoteOwner, { device }: UnderlayWay): string | null {
    if (device === LOOPBACK) return 'it is an address of this machine';
    const name = this.#parts.interfaces.nameOf(device);
    if (name === null) return null;
    const found = this.#parts.book
      .portsOf(bridge)
      .find((state) => state.model.kind === 'tap' && state.model.netns === null && deviceName(state) === name);
    if (found === undefined || !shareVlan(model.vlan, found.model.vlan)) return null;
    return `the way there leads back into the bridge, by its port ${found.model.name}`;
  }

  #remoteChanged({ bridge, name: port }: TunnelDevice, { address, state, reason }: TunnelRemote): void {
    const time = new Date().toISOString();
    this.#parts.emit({ type: 'remote-changed', time, bridge, port, remote: address, state, reason });
  }

  #sizeChanged(device: TunnelDevice, from: number, reason: string): void {
    const { bridge, name: port, mtu: to } = device;
    this.#parts.sizeChanged(bridge);
    if (from === 0) return;
    this.#parts.emit({ type: 'mtu-changed', time: new Date().toISOString(), bridge, port, from, to, reason });
  }

  /** Links changed: at once, but for many changes only once. */
  #lookSoon(): void {
    if (this.#open.size === 0) return;
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#rescope();
      this.#retry();
      this.underlay.review();
      this.#reviewAll();
      for (const bridge of new Set(this.all().map((device) => device.bridge))) this.#parts.sizeChanged(bridge);
    });
  }

  #retry(): void {
    this.endpoints.retry();
    this.senders.retry();
  }

  /** Interfaces may have come, gone, or come again. */
  #rescope(): void {
    for (const device of this.#open) {
      const name = device.settings.device;
      if (name === null) continue;
      device.rescope(this.#parts.interfaces.find(name)).catch(({ message: reason }: Error) => {
        const tunnel = `${device.bridge}/${device.name}`;
        this.#parts.log.error({ tunnel, device: name, reason }, 'a tunnel could not follow its interface');
      });
    }
  }

  #reviewAll(): void {
    this.#rescope();
    for (const device of this.#open) device.remotes.review();
  }

  #forget(): void {
    const devices = this.all().filter((device) => device.remotes.learned > 0);
    if (devices.length === 0) return;
    const counts = addressCounts(this.#parts.view);
    for (const device of devices) {
      const { ageing } = this.#parts.book.bridge(device.bridge).model;
      device.forget(counts, ageing === 0 ? AGEING_MS_DEFAULT : ageing * 1000);
    }
  }
}
