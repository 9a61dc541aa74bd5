/**
 * Opens vhost-user ports. Made once by the daemon, called by the executor, on the main thread. A port is open as soon as weft listens, or
 * seeks its front end; that nobody is there is no error.
 */
import { DeviceError } from '../../errors.ts';
import { systemClock, type WatchClock } from '../link-watch.ts';
import type { PortDevice, PortHost } from '../port-device.ts';
import type { Drain } from './alarm.ts';
import { Dialer } from './dialer.ts';
import type { GuestNative } from './guest-native.ts';
import { type Announce, type GuestModel, GuestPort } from './guest-port.ts';
import { Listener } from './listener.ts';

export interface VhostUserOptions {
  readonly native: GuestNative;
  /** Left out: nobody is told, and peers learn of a guest that moved by its first frame. */
  readonly announce?: Announce;
  readonly clock?: WatchClock;
  readonly drain?: Drain;
}

export class VhostUserOpener {
  readonly #native: GuestNative;
  readonly #announce: Announce;
  readonly #clock: WatchClock;
  readonly #drain: Drain | undefined;

  constructor(options: VhostUserOptions) {
    this.#native = options.native;
    this.#announce = options.announce ?? (() => {});
    this.#clock = options.clock ?? systemClock;
    this.#drain = options.drain;
  }

  async open(model: GuestModel, host: PortHost): Promise<PortDevice> {
    const subject = `${host.bridge}/${host.port}`;
    const port = this.#make(model, host, subject);
    try {
      const { socket, mode } = model;
      if (mode === 'client') port.use(new Dialer(this.#native, socket, this.#clock, port.onClient));
      else port.use(await Listener.open(this.#native, subject, model, port.onClient, this.#clock));
    } catch (error) {
      await port.close();
      throw error;
    }
    return port;
  }

  #make(model: GuestModel, host: PortHost, subject: string): GuestPort {
    try {
      return new GuestPort(this.#native, model, host, this.#announce, this.#drain);
    } catch (error) {
      throw new DeviceError('guest-failed', `${subject}: ${(error as Error).message}`, null, error);
    }
  }
}
