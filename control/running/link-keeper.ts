/**
 * Keeps ports true to their devices: what vanishes takes its port down with a reason, what comes back takes it up again. A TAP that is
 * gone is made anew, with growing pauses, so that one that can't be made costs nothing. Main thread; works in the switch's turn, and
 * follows all that was heard until then at once: a thousand links that go down together cost one publication, not a thousand.
 */

import { getSystemErrorName } from 'node:util';
import type { OpenedTap } from '../../native/binding.ts';
import type { LinkEvent } from '../devices/link-state.ts';
import { type OpenTap, type TapSpec, tapSpec } from '../devices/tap-device.ts';
import type { TapModel } from '../model/model.ts';
import { EAGAIN_RESULT } from '../workers/pool.ts';
import { attachmentOf } from './executor.ts';
import type { Foundation } from './foundation.ts';
import { deviceName, heldTap, type PortState, takesOf } from './port-book.ts';

const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;

/** What becomes of a port. `lost`: its device is gone for good; `retry`: make it again before long. */
interface Fate {
  readonly up: boolean;
  readonly reason: string | null;
  readonly lost: boolean;
  readonly retry: boolean;
}

const UP: Fate = { up: true, reason: null, lost: false, retry: false };

export class LinkKeeper {
  readonly #base: Foundation;
  /** Runs a change in the switch's turn, later. */
  readonly #inTurn: (change: () => Promise<void>) => void;
  readonly #heard: LinkEvent[] = [];
  readonly #retries = new Map<PortState, NodeJS.Timeout>();
  /** Ports whose device is to be made again at the next turn, and the pause before it is tried once more. */
  readonly #due = new Map<PortState, number>();

  constructor(base: Foundation, inTurn: (change: () => Promise<void>) => void) {
    this.#base = base;
    this.#inTurn = inTurn;
  }

  close(): void {
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  hear(event: LinkEvent): void {
    if (this.#heard.push(event) === 1) this.#inTurn(() => this.#follow(this.#heard.splice(0)));
  }

  async #follow(events: readonly LinkEvent[]): Promise<void> {
    const fates = new Map<PortState, Fate>();
    const devices = new Map(this.#taps().map((state) => [keyOf(state), state]));
    for (const event of events) {
      if (event.type === 'monitor-restarted')
        this.#base.log.warn({ reason: event.reason }, 'the link monitor was started again');
      else if (event.type === 'netns-deleted') {
        const reason = `namespace ${event.netns} is gone`;
        for (const state of this.#taps())
          if (tapOf(state).netns === event.netns) fates.set(state, { up: false, reason, lost: true, retry: false });
      } else if (event.type === 'netns-appeared') {
        for (const state of this.#taps()) if (tapOf(state).netns === event.netns) this.#makeAgain(state, RETRY_MS);
      } else {
        const state = devices.get(`${event.netns ?? ''} ${event.device}`);
        if (state === undefined) continue;
        if (event.type === 'device-renamed') {
          this.#rename(state, event.device, event.to);
          devices.set(keyOf(state), state);
        } else {
          const fate = fateOf(state, event.type);
          if (fate !== null) fates.set(state, fate);
        }
      }
    }
    await this.#forgetStale(fates);
    await this.#carryOut(fates);
  }

  #taps(): PortState[] {
    return this.#base.book.ports().filter(({ model }) => model.kind === 'tap');
  }

  #rename(state: PortState, from: string, to: string): void {
    const port = `${state.bridge}/${state.model.name}`;
    this.#base.log.warn({ port, from, to }, 'a device was renamed; its port goes on');
    state.renamedTo = to;
  }

  /**
   * Events are old when they are followed: a port that was deleted and added again meanwhile has another device of the same name, which
   * the end of the first one does not concern. So a look decides, one for each namespace.
   */
  async #forgetStale(fates: Map<PortState, Fate>): Promise<void> {
    const doubtful = [...fates].filter(([state, { up }]) => !up && state.device !== null).map(([state]) => state);
    if (doubtful.length === 0) return;
    const specs = doubtful.map((state): TapSpec => ({ ...specOf(state), device: deviceName(state)! }));
    const seen = await this.#base.devices.see(specs).catch(() => null);
    if (seen === null) return;
    for (const [k, state] of doubtful.entries()) {
      if (seen[k] === 'up') fates.set(state, UP);
      else if (seen[k] === 'down') fates.set(state, fateOf(state, 'admin-down')!);
    }
  }

  /** First out of the tables, then out of the workers; then the descriptors of devices that are gone are closed. */
  async #carryOut(fates: ReadonlyMap<PortState, Fate>): Promise<void> {
    const { pool, native } = this.#base;
    const changed = [...fates].filter(([state, { up, reason }]) => state.up !== up || state.reason !== reason);
    const turned = changed.filter(([state, { up }]) => state.up !== up);
    for (const [state, { up, reason }] of changed) {
      state.up = up;
      state.reason = reason;
    }
    const down = turned.filter(([, { up }]) => !up).map(([state]) => state);
    for (const state of down) this.#base.counters.flushPort(state.number);
    if (turned.length > 0) await this.#base.publish();
    const lost = [...fates].filter(([state, fate]) => fate.lost && state.device !== null).map(([state]) => state);
    await Promise.all(lost.map(({ number }) => pool.orderAll({ type: 'detach', port: number })));
    for (const state of lost) {
      native.closeDevice(heldTap(state)!.handle);
      state.device = null;
      state.renamedTo = null;
    }
    for (const [state, { retry }] of fates) if (retry && state.device === null) this.#retry(state, RETRY_MS);
    for (const [state] of turned) this.#base.tell(state);
    await this.#base.addEntries(down);
  }

  #retry(state: PortState, pause: number): void {
    clearTimeout(this.#retries.get(state));
    const timer = setTimeout(() => {
      this.#retries.delete(state);
      this.#makeAgain(state, pause);
    }, pause);
    timer.unref();
    this.#retries.set(state, timer);
  }

  #makeAgain(state: PortState, pause: number): void {
    this.#due.set(state, pause);
    if (this.#due.size === 1) this.#inTurn(() => this.#regain());
  }

  /** Makes the devices that are due again, all at once; where that fails, the port says why and it is tried later. */
  async #regain(): Promise<void> {
    const { book, devices, pool, kernel } = this.#base;
    // A port may have been deleted, or have its device again, since.
    const due = [...this.#due].filter(([state]) => book.byNumber(state.number) === state && state.device === null);
    this.#due.clear();
    if (due.length === 0) return;
    const made = await devices.create(
      due.map(([state]) => specOf(state)),
      pool.count,
    );
    const back: PortState[] = [];
    for (const [k, [state, pause]] of due.entries()) {
      const outcome = made[k]!;
      const failed = 'error' in outcome ? outcome.error.message : await this.#serve(state, outcome);
      if (failed === null) {
        back.push(state);
        continue;
      }
      state.reason = failed;
      this.#retry(state, Math.min(pause * 2, RETRY_MAX_MS));
    }
    kernel.forget();
    for (const state of back) state.missedBase = kernel.base(state);
    await this.#carryOut(new Map(back.map((state) => [state, UP])));
  }

  /** Answers why the workers can't serve it; then its device is closed. */
  async #serve(state: PortState, made: OpenTap<OpenedTap>): Promise<string | null> {
    const { pool, native } = this.#base;
    const { handle, offloads } = made.handle;
    state.device = { by: 'tap', handle, takes: takesOf(offloads) };
    const orders = Array.from({ length: pool.count }, (_, worker) => {
      const attachment = attachmentOf(state, worker);
      return attachment === null ? 0 : pool.order(worker, { type: 'attach', attachment });
    });
    // A worker that died over it serves the port when it starts again.
    const error = (await Promise.all(orders)).find((result) => result < 0 && result !== EAGAIN_RESULT);
    if (error === undefined) return null;
    await pool.orderAll({ type: 'detach', port: state.number });
    native.closeDevice(handle);
    state.device = null;
    return `its device can't be served: ${getSystemErrorName(error)}`;
  }
}

function tapOf(state: PortState): TapModel {
  return state.model as TapModel;
}

function specOf(state: PortState): TapSpec {
  return tapSpec(state.bridge, tapOf(state));
}

/** Namespace and name that the port's device has now. */
function keyOf(state: PortState): string {
  return `${tapOf(state).netns ?? ''} ${deviceName(state)}`;
}

/** What an event of its device means for a port; null: nothing. */
function fateOf(state: PortState, type: LinkEvent['type']): Fate | null {
  switch (type) {
    case 'device-vanished':
      return { up: false, reason: `device ${tapOf(state).device} is gone`, lost: true, retry: true };
    case 'admin-down':
      return { up: false, reason: 'its link was set down', lost: false, retry: false };
    case 'admin-up':
      return state.device === null ? null : UP;
    default:
      return null;
  }
}
