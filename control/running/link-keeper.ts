/**
 * Keeps ports true to their devices: what vanishes takes its port down with a reason, what comes back takes it up again. A TAP that is
 * gone is made anew, with growing pauses, so that one that can't be made costs nothing. Main thread; called in the switch's turn.
 */

import type { OpenedTap } from '../../native/binding.ts';
import type { LinkEvent } from '../devices/link-state.ts';
import { type OpenTap, tapSpec } from '../devices/tap-device.ts';
import type { TapModel } from '../model/model.ts';
import { attachmentOf } from './executor.ts';
import type { Foundation } from './foundation.ts';
import { type PortState, takesOf } from './port-book.ts';

const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;

export class LinkKeeper {
  readonly #base: Foundation;
  /** Runs a change in the switch's turn, later. */
  readonly #inTurn: (change: () => Promise<void>) => void;
  readonly #retries = new Map<PortState, { timer: NodeJS.Timeout; pause: number }>();

  constructor(base: Foundation, inTurn: (change: () => Promise<void>) => void) {
    this.#base = base;
    this.#inTurn = inTurn;
  }

  close(): void {
    for (const { timer } of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  async handle(event: LinkEvent): Promise<void> {
    switch (event.type) {
      case 'monitor-restarted':
        this.#base.log.warn({ reason: event.reason }, 'the link monitor was started again');
        return;
      case 'netns-deleted':
        for (const state of this.#in(event.netns)) await this.#lose(state, `namespace ${event.netns} is gone`);
        return;
      case 'netns-appeared':
        for (const state of this.#in(event.netns)) if (state.device === null) await this.#regain(state, RETRY_MS);
        return;
      case 'device-renamed': {
        const state = this.#base.book.ports().find((port) => isDeviceOf(port, event.netns, event.device));
        if (state === undefined) return;
        this.#base.log.warn(
          { port: `${state.bridge}/${state.model.name}`, from: event.device, to: event.to },
          'a device was renamed; its port goes on',
        );
        state.renamedTo = event.to;
        return;
      }
      default: {
        const state = this.#base.book.ports().find((port) => isDeviceOf(port, event.netns, event.device));
        if (state !== undefined) await this.#deviceEvent(state, event.type);
      }
    }
  }

  async #deviceEvent(state: PortState, type: LinkEvent['type']): Promise<void> {
    if (type === 'device-vanished') {
      await this.#lose(state, `device ${(state.model as TapModel).device} is gone`);
      this.#retry(state, RETRY_MS);
    } else if (type === 'admin-down') {
      await this.#setUp(state, false, 'its link was set down');
    } else if (type === 'admin-up' && state.device !== null) {
      await this.#setUp(state, true, null);
    }
  }

  #in(netns: string | null): PortState[] {
    return this.#base.book.ports().filter(({ model }) => model.kind === 'tap' && model.netns === netns);
  }

  async #setUp(state: PortState, up: boolean, reason: string | null): Promise<void> {
    if (state.up === up && state.reason === reason) return;
    const changed = state.up !== up;
    state.up = up;
    state.reason = reason;
    if (!up) this.#base.counters.flushPort(state.number);
    await this.#base.publish();
    if (!changed) return;
    const event = { time: new Date().toISOString(), bridge: state.bridge, port: state.model.name };
    this.#base.emit(up ? { type: 'port-up', ...event } : { type: 'port-down', ...event, reason: reason ?? 'unknown' });
  }

  /** The device is gone: its queues leave the workers, its descriptors are closed. */
  async #lose(state: PortState, reason: string): Promise<void> {
    const { device } = state;
    await this.#setUp(state, false, reason);
    if (device === null) return;
    state.device = null;
    state.renamedTo = null;
    await this.#base.pool.orderAll({ type: 'detach', port: state.number });
    this.#base.native.closeDevice(device.handle);
  }

  #retry(state: PortState, pause: number): void {
    clearTimeout(this.#retries.get(state)?.timer);
    const timer = setTimeout(() => {
      this.#retries.delete(state);
      this.#inTurn(async () => {
        // The port may have been deleted, or have its device again, since.
        if (this.#base.book.byNumber(state.number) === state && state.device === null) await this.#regain(state, pause);
      });
    }, pause);
    timer.unref();
    this.#retries.set(state, { timer, pause });
  }

  /** Makes the device again; when that fails, the port says why and it is tried later. */
  async #regain(state: PortState, pause: number): Promise<void> {
    const { devices, pool, kernel } = this.#base;
    const [made] = await devices.create([tapSpec(state.bridge, state.model as TapModel)], pool.count);
    if (made === undefined || 'error' in made) {
      state.reason = made?.error.message ?? 'its device could not be made';
      this.#retry(state, Math.min(pause * 2, RETRY_MAX_MS));
      return;
    }
    await this.#serve(state, made);
    kernel.forget();
    state.missedBase = kernel.base(state.model);
    await this.#setUp(state, true, null);
  }

  async #serve(state: PortState, made: OpenTap<OpenedTap>): Promise<void> {
    const { pool } = this.#base;
    state.device = { handle: made.handle.handle, takes: takesOf(made.handle.offloads) };
    for (let worker = 0; worker < pool.count; worker++) {
      const attachment = attachmentOf(state, worker);
      if (attachment !== null) await pool.order(worker, { type: 'attach', attachment });
    }
  }
}

function isDeviceOf(state: PortState, netns: string | null, device: string): boolean {
  const { model } = state;
  return model.kind === 'tap' && model.netns === netns && (state.renamedTo ?? model.device) === device;
}
