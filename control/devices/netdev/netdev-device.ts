/**
 * One netdev port's interface: opened when it is there, followed by its number wherever it is renamed, given up when it vanishes and opened
 * again when one of the document's name is back. Made by opener.ts, main thread; what it does runs one after the other.
 */
import { getSystemErrorName } from 'node:util';
import type { Addon } from '../../../native/binding.ts';
import { DeviceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { NetdevModel } from '../../model/model.ts';
import type { LinkEvents } from '../link-events.ts';
import type { LinkEvent } from '../link-state.ts';
import type { PortDevice, PortHost } from '../port-device.ts';
import { type Interface, type Interfaces, refusalOf, speedOf } from './interfaces.ts';
import type { TakeOver } from './take-over.ts';

/** An interface that is there but can't be had is tried again: what hinders it may be no event of a link. */
const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;
/**
 * Slots of an interface's rings, 2 KiB of the kernel's memory each: at a million small frames a second 1,024 of them are a millisecond of
 * waiting for a CPU. Where there are hundreds of interfaces, they are guests' that don't all send at once, and get less.
 */
const RING_SLOTS = [
  { upTo: 64, slots: 1024 },
  { upTo: 256, slots: 512 },
  { upTo: Number.POSITIVE_INFINITY, slots: 256 },
] as const;

export interface NetdevParts {
  readonly native: Pick<Addon, 'openNetdev' | 'netdevStatistics' | 'closeDevice'>;
  readonly links: LinkEvents;
  readonly interfaces: Interfaces;
  readonly takeOver: TakeOver;
  readonly log: Log;
  /** Interfaces that are open, of all ports. */
  readonly open: Set<object>;
}

/** What is open, and how its link is. */
interface Opened {
  readonly handle: number;
  readonly index: number;
  readonly takes: number;
  readonly shieldError: number;
  name: string;
  mtu: number;
  readonly mac: string;
  /** Bits per second, as the driver said when the link came up: to ask it waits for the kernel, and a link that is lost can't wait. */
  speed: number | null;
  adminUp: boolean;
  carrier: boolean;
  gone: boolean;
}

export class NetdevDevice implements PortDevice {
  readonly #parts: NetdevParts;
  readonly #model: NetdevModel;
  readonly #host: PortHost;
  readonly #unlisten: () => void;
  #opened: Opened | null = null;
  #reason: string | null;
  #takes = 0;
  /** Lost in the rings of interfaces that were there before. */
  #missed = 0;
  /** Events of the open interface so far. */
  #heard = 0;
  #chain: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #pause = RETRY_MS;
  #closed = false;

  constructor(parts: NetdevParts, model: NetdevModel, host: PortHost) {
    this.#parts = parts;
    this.#model = model;
    this.#host = host;
    this.#reason = `there is no interface ${model.device}`;
    this.#unlisten = parts.links.listen((event) => this.#hear(event));
  }

  /** Opens the interface, if it is there. Rejects with a DeviceError when it can't be had; then nothing is left behind. */
  async open(): Promise<void> {
    try {
      await this.#next(async () => {
        const found = await this.#parts.interfaces.byName(this.#model.device);
        if (found !== null) await this.#acquire(found);
        else this.#warn({}, 'the interface of a netdev port is not there; the port is down until it is');
      });
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  get handle(): number | null {
    return this.#opened?.handle ?? null;
  }

  /** Of what was opened last: while there is nothing, nothing is sent. */
  get takes(): number {
    return this.#takes;
  }

  get up(): boolean {
    return this.reason === null;
  }

  get reason(): string | null {
    const opened = this.#opened;
    if (opened === null || opened.gone) return this.#reason;
    if (!opened.adminUp) return `the link of ${opened.name} was set down`;
    return opened.carrier ? null : `${opened.name} has no carrier`;
  }

  get link(): { readonly speed: number | null; readonly mac: string | null } {
    const opened = this.#opened;
    return opened === null ? { speed: null, mac: null } : { speed: opened.speed, mac: opened.mac };
  }

  details(): Readonly<Record<string, string>> {
    const opened = this.#opened;
    if (opened === null) return {};
    return {
      interface: opened.name,
      index: String(opened.index),
      'interface mtu': String(opened.mtu),
      'host stack': opened.shieldError === 0 ? 'sees none of its frames' : 'sees its frames too',
      ...(this.#model.takeOver === null ? {} : { 'taken over by': this.#model.takeOver }),
    };
  }

  missed(): Readonly<Record<string, number>> {
    const missed = this.#missed + (this.#opened === null ? 0 : this.#missedOf(this.#opened.handle));
    return missed > 0 ? { 'ring-full': missed } : {};
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unlisten();
    clearTimeout(this.#retry);
    await this.#chain;
    if (this.#model.takeOver !== null) await this.#parts.takeOver.giveBack(this.#model.takeOver);
    this.#drop();
  }

  #hear(event: LinkEvent): void {
    if (event.type === 'monitor-restarted') this.#later(() => this.#review());
    if (!('index' in event) || event.netns !== null) return;
    const opened = this.#opened;
    const { device, takeOver } = this.#model;
    if (event.index === opened?.index) this.#follow(opened, event);
    else if (opened === null && (event.device === device || ('to' in event && event.to === device)))
      this.#later(() => this.#review());
    // A TAP that was made anew has nothing of what it had.
    if (event.type === 'device-appeared' && event.device === takeOver) this.#later(() => this.#takeOver());
  }

  #follow(opened: Opened, event: Extract<LinkEvent, { readonly index: number }>): void {
    this.#heard++;
    switch (event.type) {
      case 'device-vanished':
        this.#later(() => this.#review());
        return;
      case 'device-renamed':
        this.#warn({ from: event.device, to: event.to }, 'an interface was renamed; its port goes on');
        opened.name = event.to;
        return;
      case 'mtu-changed':
        opened.mtu = event.mtu;
        this.#checkMtu(opened);
        return;
      case 'admin-up':
      case 'admin-down':
        opened.adminUp = event.type === 'admin-up';
        break;
      case 'carrier-up':
      case 'carrier-down':
        opened.carrier = event.type === 'carrier-up';
        if (opened.carrier) opened.speed = speedOf(opened.name);
        break;
    }
    this.#host.changed();
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const next = this.#chain.then(step);
    this.#chain = next.catch(() => {});
    return next;
  }

  #later(step: () => Promise<void>): void {
    this.#next(async () => {
      if (!this.#closed) await step();
    }).catch((error: Error) => this.#warn({ reason: error.message }, 'an interface could not be followed'));
  }

  /** Looks at what is there, and makes the port so. */
  async #review(): Promise<void> {
    const heard = this.#heard;
    const all = await this.#parts.interfaces.see();
    // What was heard meanwhile may be newer than what was seen.
    if (heard !== this.#heard) return this.#review();
    const opened = this.#opened;
    const same = all.find(({ index }) => index === opened?.index);
    if (opened !== null && same !== undefined) {
      const { name, mtu, adminUp, carrier } = same;
      Object.assign(opened, { name, mtu, adminUp, carrier, speed: carrier ? speedOf(name) : opened.speed });
      this.#host.changed();
      return;
    }
    if (opened !== null) await this.#lose(opened);
    const found = all.find(({ name }) => name === this.#model.device);
    if (found !== undefined) await this.#regain(found);
  }

  async #lose(opened: Opened): Promise<void> {
    this.#reason = `interface ${opened.name} is gone`;
    opened.gone = true;
    this.#host.changed();
    await this.#host.aside(() => this.#drop());
    this.#host.changed();
  }

  async #regain(found: Interface): Promise<void> {
    clearTimeout(this.#retry);
    try {
      await this.#host.aside(() => this.#acquire(found));
      this.#pause = RETRY_MS;
    } catch (error) {
      this.#reason = (error as Error).message;
      this.#retry = setTimeout(() => this.#later(() => this.#review()), this.#pause).unref();
      this.#pause = Math.min(this.#pause * 2, RETRY_MAX_MS);
    }
    this.#host.changed();
  }

  /** Opens the interface. Throws a DeviceError. */
  async #acquire(found: Interface): Promise<void> {
    const { device, takeOver } = this.#model;
    const refused = refusalOf(found, takeOver !== null);
    if (refused !== null) throw refused;
    let opened: Opened;
    try {
      const { slots } = RING_SLOTS.find(({ upTo }) => this.#parts.open.size < upTo)!;
      const { native } = this.#parts;
      const { handle, ifindex, takes, shieldError } = native.openNetdev(device, this.#host.workers, slots, null);
      const { mtu, mac, adminUp, carrier } = found;
      const link = { name: device, mtu, mac, speed: speedOf(device), adminUp, carrier, gone: false };
      opened = { handle, index: ifindex, takes, shieldError, ...link };
    } catch (error) {
      const { message, code, hint } = error as Error & { code: string; hint?: string };
      const known = code === 'ENODEV' ? 'no-such-device' : code === 'EPERM' ? 'no-permission' : 'netdev-failed';
      throw new DeviceError(known, message, hint ?? null, error);
    }
    this.#opened = opened;
    this.#parts.open.add(this);
    this.#takes = opened.takes;
    if (opened.shieldError !== 0) this.#warnUnshielded(opened);
    this.#checkMtu(opened);
    if (takeOver === null) return;
    try {
      await this.#parts.takeOver.take(found, takeOver);
    } catch (error) {
      // The host needs its frames again: its addresses are where they were.
      this.#drop();
      throw error;
    }
  }

  async #takeOver(): Promise<void> {
    const { takeOver } = this.#model;
    const found = (await this.#parts.interfaces.see()).find(({ index }) => index === this.#opened?.index);
    if (takeOver !== null && found !== undefined) await this.#parts.takeOver.take(found, takeOver);
  }

  #drop(): void {
    const opened = this.#opened;
    if (opened === null) return;
    this.#missed += this.#missedOf(opened.handle);
    this.#opened = null;
    this.#parts.open.delete(this);
    this.#parts.native.closeDevice(opened.handle);
  }

  #missedOf(handle: number): number {
    return this.#parts.native.netdevStatistics(handle).missed;
  }

  #checkMtu({ name, mtu }: Opened): void {
    if (mtu >= this.#model.mtu) return;
    this.#warn(
      { device: name, mtu, portMtu: this.#model.mtu },
      'longer frames than the interface takes will be refused',
    );
  }

  #warnUnshielded({ name, shieldError }: Opened): void {
    const hint = 'needs Linux 6.6 (TCX) and CAP_BPF; until then give the interface no address and expect stray answers';
    const code = getSystemErrorName(-shieldError);
    this.#warn({ device: name, code, hint }, 'the host’s own stack sees the frames of an interface too');
  }

  #warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#parts.log.warn(
      { port: `${this.#host.bridge}/${this.#host.port}`, device: this.#model.device, ...fields },
      message,
    );
  }
}
