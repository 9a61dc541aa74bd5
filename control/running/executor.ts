/**
 * Carries out a plan on the running switch: devices, tables, workers, in an order in which nobody else loses a frame. New devices are
 * opened before anything that runs is touched, so that most failures change nothing at all; what fails later is undone by the caller.
 */

import { getSystemErrorName } from 'node:util';
import type { Attachment } from '../../dataplane/orders.ts';
import { tapSpec } from '../devices/tap-device.ts';
import { DeviceError } from '../errors.ts';
import type { Action } from '../plan/plan.ts';
import { EAGAIN_RESULT } from '../workers/pool.ts';
import type { Foundation } from './foundation.ts';
import { IDLES } from './idles.ts';
import { deviceName, heldTap, type OpenedBacking, type PortState } from './port-book.ts';
import { claimsOf, Workshop } from './workshop.ts';

type AddPort = Extract<Action, { type: 'add-port' }>;
type DeletePort = Extract<Action, { type: 'delete-port' }>;
type ChangePort = Extract<Action, { type: 'change-port' }>;

export class Executor {
  readonly #base: Foundation;
  /** Devices that are there but not yet a port's. */
  readonly #workshop: Workshop;

  constructor(base: Foundation) {
    this.#base = base;
    this.#workshop = new Workshop(base);
  }

  /** Carries the actions out. Throws at the first that fails; `done` then names those that stand. */
  async run(actions: readonly Action[], done: Action[]): Promise<void> {
    const adds = actions.filter((action): action is AddPort => action.type === 'add-port');
    const deletes = actions.filter((action): action is DeletePort => action.type === 'delete-port');
    this.#workshop.check(adds);
    const taken = new Set(deletes.flatMap(({ port }) => claimsOf(port)));
    const waits = ({ port }: AddPort): boolean => claimsOf(port).some((claim) => taken.has(claim));
    try {
      await this.#workshop.make(adds.filter((add) => !waits(add)));
      await this.#deletePorts(deletes);
      done.push(...deletes);
      await this.#others(actions, done);
      await this.#workshop.make(adds.filter(waits));
      await this.#addPorts(adds);
      done.push(...adds);
    } catch (error) {
      await this.#workshop.undo();
      throw error;
    }
  }

  /** Everything that is neither a port added nor one deleted; in the plan's order. */
  async #others(actions: readonly Action[], done: Action[]): Promise<void> {
    const { book } = this.#base;
    let tables = false;
    for (const action of actions) {
      if (action.type === 'add-bridge') book.addBridge(action.bridge);
      else if (action.type === 'delete-bridge') book.removeBridge(action.bridge.name);
      else if (action.type === 'change-bridge') book.bridge(action.after.name).model = action.after;
      else if (action.type === 'change-port') await this.#changePort(action);
      else if (action.type === 'change-idle') await this.#changeIdle(IDLES[action.after]);
      else continue;
      tables = true;
      done.push(action);
    }
    if (tables) await this.#base.publish();
  }

  /** Out of the tables first, so that nothing is listed for them any more; then out of the workers; then the devices go. */
  async #deletePorts(deletes: readonly DeletePort[]): Promise<void> {
    if (deletes.length === 0) return;
    const { book, counters, pool } = this.#base;
    const states = deletes.map(({ bridge, port }) => book.port(bridge, port.name));
    for (const state of states) {
      counters.flushPort(state.number);
      state.up = false;
      state.reason = 'being removed';
    }
    this.#retire(states);
    // What bonds say at last by members that leave must be sent while these are in the tables.
    if (states.some(({ model }) => model.memberOf !== null)) await pool.settled();
    await this.#base.publish();
    await pool.settled();
    await this.#detach(states);
    await this.#base.removeDevices(states);
    for (const state of states) book.removePort(state);
    await this.#base.publish();
  }

  /** A worker that starts from now on does not take them up. */
  #retire(states: readonly PortState[]): void {
    for (const state of states) {
      state.leaving = true;
      if (state.device?.by === 'opener') state.device.retire();
      this.#base.hear(state);
    }
  }

  /** Out of the workers. What openers opened may lie in memory that goes: for those it waits until no worker can touch it. */
  async #detach(states: readonly PortState[]): Promise<void> {
    const { pool } = this.#base;
    const served = states.filter(({ model }) => model.kind !== 'patch');
    await Promise.all(
      served.map(({ number, device }) =>
        device?.by === 'opener' ? device.letGo() : pool.orderAll({ type: 'detach', port: number }),
      ),
    );
  }

  /** The devices are up and hold their first frames back; queues first, then the tables that send to them. All ports, or none. */
  async #addPorts(adds: readonly AddPort[]): Promise<void> {
    if (adds.length === 0) return;
    const states: PortState[] = [];
    try {
      for (const add of adds) states.push(this.#enter(add));
      // A member that is not steered yet takes nothing, wherever its frames would go.
      for (const state of states) this.#base.hear(state);
      const { kernel } = this.#base;
      kernel.forget();
      for (const state of states) state.missedBase = kernel.base(state);
      await this.#base.publish();
      await this.#attach(states);
      for (const state of states) this.#base.hear(state);
      await this.#base.addEntries(states);
    } catch (error) {
      await this.#leave(states);
      throw error;
    }
    this.#workshop.handOver();
    for (const state of states) this.#base.tell(state);
  }

  #enter(add: AddPort): PortState {
    const { book, counters } = this.#base;
    const state = book.addPort(add.bridge, add.port);
    counters.clear(state.number);
    state.device = this.#workshop.of(add);
    if (state.device?.by === 'opener') state.device.enter(state.number);
    state.up = state.device?.by === 'opener' ? state.device.up : true;
    state.reason = state.device?.by === 'opener' ? state.device.reason : null;
    return state;
  }

  /** Ports whose addition failed: nobody knows or serves them any more. Their devices are still the workshop's, and go with that. */
  async #leave(states: readonly PortState[]): Promise<void> {
    const { book, counters } = this.#base;
    this.#retire(states);
    for (const state of states) {
      counters.flushPort(state.number);
      book.removePort(state);
    }
    await this.#base.publish();
    await this.#detach(states);
  }

  async #changeIdle(idle: number): Promise<void> {
    this.#base.idle = idle;
    await this.#base.pool.orderAll({ type: 'idle', idle });
  }

  async #attach(states: readonly PortState[]): Promise<void> {
    await Promise.all(
      states.map((state) => (state.device?.by === 'opener' ? this.#follow(state, state.device) : this.#serve(state))),
    );
  }

  async #follow(state: PortState, opened: OpenedBacking): Promise<void> {
    const failed = await opened.follow();
    if (failed !== null)
      throw new DeviceError('attach-failed', `port ${state.bridge}/${state.model.name} can't be served: ${failed}`);
  }

  async #serve(state: PortState): Promise<void> {
    const { pool } = this.#base;
    const orders = Array.from({ length: pool.count }, async (_, worker) => {
      const attachment = attachmentOf(state, worker);
      if (attachment === null) return;
      const result = await pool.order(worker, { type: 'attach', attachment });
      // A worker that died over it takes the port up when it starts again.
      if (result < 0 && result !== EAGAIN_RESULT) throw cannotServe(state, result);
    });
    await Promise.all(orders);
  }

  async #changePort(action: ChangePort): Promise<void> {
    const { book, counters, devices } = this.#base;
    const state = book.port(action.bridge, action.after.name);
    // A device that is gone is made as the model says by then.
    if (action.before.kind === 'tap' && action.after.kind === 'tap' && heldTap(state) !== null) {
      const device = deviceName(state)!;
      const [before, after] = [tapSpec(action.bridge, action.before), tapSpec(action.bridge, action.after)];
      await devices.change({ ...before, device }, { ...after, device });
      const tap = heldTap(state)!;
      if (tap.mtu !== undefined) tap.mtu = 0;
    }
    state.model = action.after;
    if (state.device?.by === 'opener') state.device.device.configure?.(action.after);
    this.#base.hear(state);
    // Addresses that were learned under the old VLANs would lead frames to a port that no longer carries them.
    if (action.keys.includes('vlan')) counters.flushPort(state.number);
    if (action.keys.includes('fdb') || action.keys.includes('vlan')) await this.#changeEntries(state, action);
  }

  async #changeEntries(state: PortState, action: ChangePort): Promise<void> {
    for (const entry of action.before.fdb) await this.#base.deleteEntry(state.bridge, entry.vlan, entry.mac);
    await this.#base.addEntries([state]);
  }
}

function cannotServe({ bridge, model }: PortState, error: number): DeviceError {
  const hint =
    model.kind === 'pcap' ? 'Can its files be opened by the daemon, and is what it reads a pcap file?' : null;
  return new DeviceError(
    'attach-failed',
    `port ${bridge}/${model.name} can't be served: ${getSystemErrorName(error)}`,
    hint,
  );
}

/** What worker `worker` serves of a port; null when that is nothing. */
export function attachmentOf({ number: port, model, device, leaving }: PortState, worker: number): Attachment | null {
  if (leaving) return null;
  switch (model.kind) {
    case 'null':
      return { kind: 'null', port };
    case 'memory':
      return { kind: 'memory', port };
    case 'pcap':
      return worker === 0 ? { kind: 'pcap', port, read: model.read, write: model.write } : null;
    case 'patch':
      return null;
    default: {
      const handle = device?.handle ?? null;
      return handle === null ? null : { kind: 'device', port, handle, queue: worker };
    }
  }
}
