/**
 * Keeps the MTUs of TAPs to what the tunnels of their bridge take, where the document says no MTU for them. Main thread; works in the switch's
 * turn, once for all that was heard until then. Never raises an MTU above what the TAP has without tunnels.
 */

import { tapSpec } from '../devices/tap-device.ts';
import type { TapModel } from '../model/model.ts';
import type { Foundation } from './foundation.ts';
import { deviceName, heldTap, type PortState } from './port-book.ts';

/** An interface with less has no IPv4 (RFC 791, section 3.2). */
const MTU_MIN = 68;

/** The MTU that a port's device has: of a TAP what tunnels left of the document's. */
export function mtuOf(state: PortState): number {
  return heldTap(state)?.mtu || state.model.mtu;
}

export class BridgeMtu {
  readonly #base: Foundation;
  /** Runs a change in the switch's turn, later. */
  readonly #inTurn: (change: () => Promise<void>) => void;
  readonly #due = new Set<string>();

  constructor(base: Foundation, inTurn: (change: () => Promise<void>) => void) {
    this.#base = base;
    this.#inTurn = inTurn;
  }

  /** Tunnels or TAPs of a bridge changed. */
  hear(bridge: string): void {
    this.#due.add(bridge);
    if (this.#due.size === 1) this.#inTurn(() => this.#follow());
  }

  async #follow(): Promise<void> {
    const bridges = [...this.#due];
    this.#due.clear();
    for (const bridge of bridges) {
      const limit = this.#limitOf(bridge);
      for (const state of this.#base.book.portsOf(bridge))
        if (state.model.kind === 'tap' && !state.leaving) await this.#keep(state, state.model, limit);
    }
  }

  /** What all its tunnels take; none: Infinity. */
  #limitOf(bridge: string): number {
    const sizes = this.#base.tunnels
      .all()
      .filter((device) => device.bridge === bridge && device.mtu >= MTU_MIN)
      .map(({ mtu }) => mtu);
    return Math.min(Number.POSITIVE_INFINITY, ...sizes);
  }

  async #keep(state: PortState, model: TapModel, limit: number): Promise<void> {
    const tap = heldTap(state);
    if (tap === null) return;
    const wanted = model.mtuFixed ? model.mtu : Math.min(model.mtu, limit);
    const current = tap.mtu ?? model.mtu;
    if (current === wanted) return;
    const spec = { ...tapSpec(state.bridge, model), device: deviceName(state)! };
    try {
      await this.#base.devices.change({ ...spec, mtu: current }, { ...spec, mtu: wanted });
      tap.mtu = wanted;
    } catch (error) {
      const port = `${state.bridge}/${model.name}`;
      this.#base.log.warn(
        { port, mtu: wanted, reason: (error as Error).message },
        'the MTU of a TAP could not be changed',
      );
    }
  }
}
