/**
 * One port's device between the opener of its kind and the workers: says what workers serve, takes it off them while the device changes,
 * and lets go of it. What it does to the workers runs one after the other per port and never waits for the switch's turn, so that a
 * deletion, which holds that turn, can wait for it. Made by the workshop; main thread.
 */
import { getSystemErrorName } from 'node:util';
import type { PortDevice, PortHost, PortOpener } from '../devices/port-device.ts';
import { DeviceError } from '../errors.ts';
import type { PortModel } from '../model/model.ts';
import { EAGAIN_RESULT } from '../workers/pool.ts';
import type { Foundation } from './foundation.ts';
import type { OpenedBacking } from './port-book.ts';

/** A device that does not end must not hold up every other change for ever. */
const CLOSE_MS_MAX = 10_000;

export class OpenedPort implements PortHost, OpenedBacking {
  readonly by = 'opener';
  readonly bridge: string;
  readonly port: string;
  readonly workers: number;
  /** What workers serve now, and a worker that starts must serve; not always what the device names. */
  handle: number | null = null;
  /** What the tables say: never more than the device that workers serve takes. */
  takes = 0;
  readonly #base: Foundation;
  #device: PortDevice | null = null;
  /** The port's number; 0 while it is none, before or after. */
  #number = 0;
  /** Why workers can't serve what the device names, or null. */
  #fault: string | null = null;
  #retired = false;
  #chain: Promise<unknown> = Promise.resolve();

  constructor(base: Foundation, bridge: string, port: string) {
    this.#base = base;
    this.bridge = bridge;
    this.port = port;
    this.workers = base.pool.count;
  }

  /** Opens a port's device. Rejects with a DeviceError; then nothing is left behind. */
  static async open(base: Foundation, opener: PortOpener, bridge: string, model: PortModel): Promise<OpenedPort> {
    const opened = new OpenedPort(base, bridge, model.name);
    try {
      opened.#device = await opener.open(model, opened);
    } catch (error) {
      throw named(error, `${bridge}/${model.name}`);
    }
    return opened;
  }

  get device(): PortDevice {
    return this.#device!;
  }

  get number(): number {
    return this.#number;
  }

  get up(): boolean {
    return this.device.up && this.#fault === null;
  }

  get reason(): string | null {
    return this.up ? null : (this.#fault ?? this.device.reason ?? 'its device is down');
  }

  /** It is port `number` from now on, and says so when it changes. */
  enter(number: number): void {
    this.#number = number;
    this.takes = this.device.takes;
  }

  /** Nothing is attached any more from now on; what is attached stays until `letGo`. */
  retire(): void {
    this.#retired = true;
  }

  get #serving(): boolean {
    return this.#number !== 0 && !this.#retired;
  }

  changed(): void {
    if (!this.#serving) return;
    // A bond obeys at once what its member's link does; tables follow in their turn.
    const state = this.#base.book.byNumber(this.#number);
    if (state !== undefined) this.#base.hear(state);
    this.#base.deviceChanged(this);
  }

  aside<T>(change: () => T | Promise<T>): Promise<T> {
    return this.#next(async () => {
      await this.#release();
      try {
        return await change();
      } finally {
        await this.#attachCurrent();
      }
    });
  }

  /** Workers serve what the device names now. Answers why they can't, or null. */
  follow(): Promise<string | null> {
    return this.#next(async () => {
      if (this.handle !== this.#device?.handle) {
        await this.#release();
        await this.#attachCurrent();
      }
      return this.#fault;
    });
  }

  /** Resolves when no worker touches it any more, for good. */
  letGo(): Promise<void> {
    this.retire();
    return this.#next(() => this.#release());
  }

  /** Closes the device, after `letGo`. Never rejects: what can't be closed is logged. */
  async close(): Promise<void> {
    this.retire();
    const { log } = this.#base;
    const port = `${this.bridge}/${this.port}`;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        log.error({ port }, 'a device does not end; it is left to itself');
        resolve();
      }, CLOSE_MS_MAX);
    });
    try {
      await Promise.race([this.#end(), late]);
    } catch (error) {
      log.error({ port, reason: (error as Error).message }, 'a device could not be closed');
    } finally {
      clearTimeout(timer);
    }
  }

  /** Not in the middle of a change that the device asked for. */
  async #end(): Promise<void> {
    for (let last: unknown = null; last !== this.#chain; ) {
      last = this.#chain;
      await last;
    }
    await this.device.close();
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const next = this.#chain.then(step);
    this.#chain = next.catch(() => {});
    return next;
  }

  async #release(): Promise<void> {
    if (this.handle === null) return;
    // First, so that a worker that starts meanwhile does not take it up.
    this.handle = null;
    await this.#base.release(this.#number);
  }

  /** Attaches what the device names. A failure is a fault of the port, which then is down until its device changes. */
  async #attachCurrent(): Promise<void> {
    const device = this.#device;
    if (!this.#serving || device === null) return;
    const before = this.#fault;
    this.#fault = null;
    if (device.handle !== null) await this.#takeLess(device.takes);
    // It may have changed, or been retired, while the tables were published.
    const { handle } = device;
    if (handle !== null && this.#serving) {
      const error = await this.#attach(handle);
      if (error !== 0) {
        await this.#release();
        this.#fault = `its device can't be served: ${getSystemErrorName(error)}`;
      }
    }
    if (this.#fault !== before) this.changed();
  }

  /** Frames that come unfinished must not meet a device that does not take them: the tables first where it takes less. */
  async #takeLess(takes: number): Promise<void> {
    if ((this.takes & ~takes) === 0) return;
    this.takes &= takes;
    await this.#base.publish();
  }

  /** 0, or −errno of the first worker that can't; one that died over it takes it up when it starts again. */
  async #attach(handle: number): Promise<number> {
    this.handle = handle;
    const port = this.#number;
    const orders = Array.from({ length: this.workers }, (_, queue) =>
      this.#base.pool.order(queue, { type: 'attach', attachment: { kind: 'device', port, handle, queue } }),
    );
    return (await Promise.all(orders)).find((result) => result < 0 && result !== EAGAIN_RESULT) ?? 0;
  }
}

/** The error as one that names its port, if it doesn't yet. */
function named(error: unknown, subject: string): DeviceError {
  const { message } = error as Error;
  if (!(error instanceof DeviceError)) return new DeviceError('open-failed', `${subject}: ${message}`, null, error);
  return message.startsWith(subject) ? error : new DeviceError(error.code, `${subject}: ${message}`, error.hint, error);
}
