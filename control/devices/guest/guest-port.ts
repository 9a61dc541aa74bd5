/**
 * A port whose other side is a KVM guest, or any front end of vhost-user: one client at a time over one socket, and a device in native
 * code that workers serve while the guest's rings run. Made by the opener on the main thread. Whatever touches memory or rings that a
 * worker may use runs with the workers aside; the protocol's decisions are in control/protocols/vhost-user.
 */
import { Takes } from '../../../dataplane/tables/port-layout.ts';
import { has } from '../../protocols/vhost-user/features.ts';
import type { Message } from '../../protocols/vhost-user/reader.ts';
import { type Answer, Session, touchesGuest } from '../../protocols/vhost-user/session.ts';
import type { PortDevice, PortHost } from '../port-device.ts';
import { Alarm, type Drain } from './alarm.ts';
import { Connection } from './connection.ts';
import type { Endpoint } from './endpoint.ts';
import { type GuestTallies, guestDetails } from './guest-details.ts';
import { type GuestNative, NativeGuest } from './guest-native.ts';

/** What the document says of such a port. */
export interface GuestModel {
  readonly name: string;
  readonly socket: string;
  readonly mode: 'server' | 'client';
  /** Who may connect to a server's socket beside its owner. */
  readonly group: string | null;
  /** Queue pairs; null is as many as there are workers. */
  readonly queues: number | null;
  readonly mtu: number;
}

/** Tells a bridge where a MAC is now: SEND_RARP, when a guest that can't do so itself has arrived. */
export type Announce = (bridge: string, port: string, mac: string) => void;

/** Native code has room for 32 rings. */
const QUEUES_MAX = 16;

export class GuestPort implements PortDevice {
  handle: number | null = null;
  readonly tallies: GuestTallies = { refusedClients: 0, refusedMessages: 0, lastRefusal: null, connections: 0 };
  readonly model: GuestModel;
  readonly #native: GuestNative;
  readonly #host: PortHost;
  readonly #guest: number;
  readonly #calls: NativeGuest;
  readonly #alarm: Alarm;
  #endpoint: Endpoint | null = null;
  #connection: Connection | null = null;
  #session: Session | null = null;
  /** Another client, until it is known whether the first is still there. */
  #waiting: number | null = null;
  /** The rings ran since it connected. */
  #served = false;
  /** What of this connection was refused last. */
  #refusal: string | null = null;
  /** Why the last connection came to nothing; null when it served its guest, or there was none. */
  #past: string | null = null;
  #broken: string | null = null;
  #closed = false;

  /** Throws when native code has no room for another device. */
  constructor(native: GuestNative, model: GuestModel, host: PortHost, announce: Announce, drain?: Drain) {
    this.#native = native;
    this.model = model;
    this.#host = host;
    this.#guest = native.openGuest(host.workers);
    this.#calls = new NativeGuest(native, this.#guest, (mac) => announce(host.bridge, host.port, mac));
    this.#alarm = new Alarm(native, this.#guest, () => void this.#breakDown(), drain);
  }

  /** Where its clients come from: a Listener or Dialer whose `onClient` is this port's. */
  use(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
  }

  get up(): boolean {
    return this.handle !== null;
  }

  get takes(): number {
    return this.up ? takesOf(this.#session?.state.features ?? 0n) : 0;
  }

  get reason(): string | null {
    if (this.up) return null;
    if (this.#broken !== null) return `the guest broke the rules: ${this.#broken}`;
    if (this.#session !== null) {
      const refused = this.#refusal === null ? '' : `; weft refused ${this.#refusal}`;
      return `the guest's driver has not started its rings${refused}`;
    }
    const past = this.#past === null ? '' : `; the last one ${this.#past}`;
    return `${this.#endpoint?.reason ?? 'it is not open'}${past}`;
  }

  get queues(): number {
    return Math.min(this.model.queues ?? this.#host.workers, QUEUES_MAX);
  }

  details(): Readonly<Record<string, string>> {
    return guestDetails(this.tallies, this.#session);
  }

  /** Somebody connected. One client at a time: another is refused, once it is sure that the first is still there. */
  readonly onClient = (fd: number): void => {
    if (!this.#closed && this.#connection === null && this.#session === null) this.#begin(fd);
    else if (this.#closed || this.#waiting !== null) this.#refuse(fd);
    else {
      this.#waiting = fd;
      void this.#settleWaiting();
    }
  };

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endpoint?.close();
    this.#alarm.close();
    this.#connection?.close();
    if (this.#waiting !== null) this.#native.closeDescriptor(this.#waiting);
    this.#waiting = null;
    this.#letGo();
    this.#native.closeDevice(this.#guest);
  }

  #begin(fd: number): void {
    this.tallies.connections++;
    this.#served = false;
    this.#refusal = null;
    const session = new Session({ queues: this.queues, mtu: this.model.mtu }, this.#calls);
    this.#session = session;
    const onEnd = (reason: string, refused: boolean) => void this.#finish(reason, refused);
    this.#connection = new Connection(this.#native, fd, (message) => this.#handle(session, message), onEnd);
    this.#host.changed();
  }

  #refuse(fd: number): void {
    this.#native.closeDescriptor(fd);
    this.tallies.refusedClients++;
  }

  /** A front end that was killed may be back before its end was read. */
  async #settleWaiting(): Promise<void> {
    const alive = await this.#connection?.poke();
    const fd = this.#waiting;
    // When the first is gone, `#finish` takes the waiting one.
    if (alive !== true || fd === null) return;
    this.#waiting = null;
    this.#refuse(fd);
  }

  async #handle(session: Session, message: Message): Promise<Answer> {
    const receive = () => this.#receive(session, message);
    if (this.handle === null || !touchesGuest(message.header.request)) return this.#noting(receive);
    let isTaken = false;
    try {
      return await this.#noting(() =>
        this.#host.aside(() => {
          isTaken = true;
          return receive();
        }),
      );
    } finally {
      if (!isTaken) this.#drop(message);
    }
  }

  #receive(session: Session, message: Message): Answer {
    if (this.#session !== session) {
      this.#drop(message);
      return { reply: null, refusal: 'the connection is over', close: true };
    }
    const answer = session.receive(message);
    if (answer.refusal !== null && !answer.close) this.#count(answer.refusal);
    // Native code forgets what was broken when there is new memory.
    if (this.#broken !== null) this.#broken = this.#native.guestStatus(this.#guest).broken;
    this.handle = session.ready && this.#broken === null ? this.#guest : null;
    this.#served ||= this.up;
    return answer;
  }

  #drop(message: Message): void {
    for (const descriptor of message.descriptors) this.#native.closeDescriptor(descriptor);
  }

  /** Runs a change, and tells the host when it shows. */
  async #noting<T>(change: () => T | Promise<T>): Promise<T> {
    const before = this.#picture();
    const result = await change();
    if (!this.#closed && this.#picture() !== before) this.#host.changed();
    return result;
  }

  #picture(): string {
    return `${this.handle} ${this.takes} ${this.reason}`;
  }

  async #finish(reason: string, refused: boolean): Promise<void> {
    if (refused) this.#count(reason);
    this.#past = this.#pastOf(refused);
    const letGo = () => this.#letGo();
    // Rejected only when the port is being deleted; then `close` follows.
    if (this.handle === null) letGo();
    else await this.#host.aside(letGo).catch(() => {});
    if (this.#closed) return;
    const fd = this.#waiting;
    this.#waiting = null;
    if (fd !== null) {
      this.#begin(fd);
      return;
    }
    this.#endpoint?.released(this.#served);
    this.#host.changed();
  }

  /** `refused`: weft hung up. QEMU refuses by itself to have more queues than there are, and tells only its user. */
  #pastOf(refused: boolean): string | null {
    if (this.#refusal !== null && (refused || !this.#served)) return `was refused: ${this.#refusal}`;
    return this.#served ? null : `left before its rings ran (queue pairs here: ${this.queues})`;
  }

  /** No worker serves the device. */
  #letGo(): void {
    this.handle = null;
    this.#session?.end();
    this.#session = null;
    this.#connection = null;
    this.#broken = null;
  }

  async #breakDown(): Promise<void> {
    const { broken } = this.#native.guestStatus(this.#guest);
    if (broken === null || this.#closed) return;
    const rest = () => {
      this.handle = null;
      this.#broken = this.#session === null ? null : broken;
    };
    await this.#noting(() => this.#host.aside(rest)).catch(() => {});
  }

  #count(refusal: string): void {
    this.tallies.refusedMessages++;
    this.#refusal = refusal;
    this.tallies.lastRefusal = refusal;
  }
}

/** What the guest takes unfinished. VIRTIO 1.2, section 5.1.3.1: segments need GUEST_CSUM. */
export function takesOf(features: bigint): number {
  if (!has(features, 'GUEST_CSUM')) return 0;
  let takes: number = Takes.CHECKSUM;
  if (has(features, 'GUEST_TSO4')) takes |= Takes.TSO4;
  if (has(features, 'GUEST_TSO6')) takes |= Takes.TSO6;
  if (has(features, 'GUEST_USO4') && has(features, 'GUEST_USO6')) takes |= Takes.USO;
  return takes;
}
