/**
 * Carries out a plan on the running switch: devices, tables, workers, in an order in which nobody else loses a frame. New devices are
 * opened before anything that runs is touched, so that most failures change nothing at all; what fails later is undone by the caller.
 */

import { getSystemErrorName } from 'node:util';
import type { Attachment } from '../../dataplane/orders.ts';
import type { OpenedTap } from '../../native/binding.ts';
import { type OpenTap, tapSpec } from '../devices/tap-device.ts';
import { DeviceError } from '../errors.ts';
import type { PortModel, TapModel } from '../model/model.ts';
import type { Action } from '../plan/plan.ts';
import type { Foundation } from './foundation.ts';
import { IDLES } from './idles.ts';
import type { PortState } from './port-book.ts';
import { takesOf } from './port-book.ts';

type AddPort = Extract<Action, { type: 'add-port' }>;
type DeletePort = Extract<Action, { type: 'delete-port' }>;
type ChangePort = Extract<Action, { type: 'change-port' }>;

/** What an order answers when its worker died over it. */
export const EAGAIN_RESULT = -11;

function isTap(model: PortModel): model is TapModel {
  return model.kind === 'tap';
}

export class Executor {
  readonly #base: Foundation;
  /** Devices that are there but not yet a port's, by action. */
  readonly #made = new Map<AddPort, OpenTap<OpenedTap>>();

  constructor(base: Foundation) {
    this.#base = base;
  }

  /** Carries the actions out. Throws at the first that fails; `done` then names those that stand. */
  async run(actions: readonly Action[], done: Action[]): Promise<void> {
    const adds = actions.filter((action): action is AddPort => action.type === 'add-port');
    const deletes = actions.filter((action): action is DeletePort => action.type === 'delete-port');
    for (const { bridge, port } of adds) checkBuilt(bridge, port);
    const taken = new Set(deletes.flatMap(({ port }) => (isTap(port) ? [deviceKey(port)] : [])));
    try {
      await this.#make(adds.filter(({ port }) => isTap(port) && !taken.has(deviceKey(port))));
      await this.#deletePorts(deletes);
      done.push(...deletes);
      await this.#others(actions, done);
      await this.#make(adds.filter(({ port }) => isTap(port) && taken.has(deviceKey(port))));
      await this.#addPorts(adds);
      done.push(...adds);
    } catch (error) {
      await this.#base.devices.undo([...this.#made.values()]);
      this.#made.clear();
      throw error;
    }
  }

  /** Makes the TAPs of ports that are to come: all of them, or none and an error that names each that failed. */
  async #make(adds: readonly AddPort[]): Promise<void> {
    if (adds.length === 0) return;
    const specs = adds.map(({ bridge, port }) => tapSpec(bridge, port as TapModel));
    const outcomes = await this.#base.devices.create(specs, this.#base.pool.count);
    const errors: DeviceError[] = [];
    outcomes.forEach((outcome, k) => {
      if ('error' in outcome) errors.push(outcome.error);
      else this.#made.set(adds[k]!, outcome);
    });
    if (errors.length === 0) return;
    const more = errors.length > 3 ? `\nand ${errors.length - 3} more` : '';
    throw new DeviceError(
      errors[0]!.code,
      errors
        .slice(0, 3)
        .map(({ message }) => message)
        .join('\n') + more,
      errors[0]!.hint,
      errors[0],
    );
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
    await this.#base.publish();
    await pool.settled();
    await Promise.all(
      states
        .filter((state) => state.model.kind !== 'patch')
        .map((state) => pool.orderAll({ type: 'detach', port: state.number })),
    );
    await this.#base.removeDevices(states);
    for (const state of states) book.removePort(state);
    await this.#base.publish();
  }

  /** The devices are up and hold their first frames back; queues first, then the tables that send to them. All ports, or none. */
  async #addPorts(adds: readonly AddPort[]): Promise<void> {
    if (adds.length === 0) return;
    const states: PortState[] = [];
    try {
      for (const add of adds) states.push(this.#enter(add));
      const { kernel } = this.#base;
      kernel.forget();
      for (const state of states) state.missedBase = kernel.base(state.model);
      await this.#base.publish();
      await this.#attach(states);
      await this.#base.addEntries(states);
    } catch (error) {
      await this.#leave(states);
      throw error;
    }
    this.#made.clear();
    for (const { bridge, model } of states)
      this.#base.emit({ type: 'port-up', time: new Date().toISOString(), bridge, port: model.name });
  }

  #enter(add: AddPort): PortState {
    const { book, counters } = this.#base;
    const state = book.addPort(add.bridge, add.port);
    counters.clear(state.number);
    const made = this.#made.get(add);
    if (made !== undefined) state.device = { handle: made.handle.handle, takes: takesOf(made.handle.offloads) };
    state.up = true;
    state.reason = null;
    return state;
  }

  /** Ports whose addition failed: nobody knows or serves them any more. Their devices are still `#made`, and go with that. */
  async #leave(states: readonly PortState[]): Promise<void> {
    const { book, counters, pool } = this.#base;
    for (const state of states) {
      counters.flushPort(state.number);
      book.removePort(state);
    }
    await this.#base.publish();
    const served = states.filter(({ model }) => model.kind !== 'patch');
    await Promise.all(served.map(({ number }) => pool.orderAll({ type: 'detach', port: number })));
  }

  async #changeIdle(idle: number): Promise<void> {
    this.#base.idle = idle;
    await this.#base.pool.orderAll({ type: 'idle', idle });
  }

  async #attach(states: readonly PortState[]): Promise<void> {
    const { pool } = this.#base;
    const orders: Promise<void>[] = [];
    for (const state of states) {
      for (let worker = 0; worker < pool.count; worker++) {
        const attachment = attachmentOf(state, worker);
        if (attachment === null) continue;
        orders.push(
          pool.order(worker, { type: 'attach', attachment }).then((result) => {
            // A worker that died over it takes the port up when it starts again.
            if (result < 0 && result !== EAGAIN_RESULT) throw cannotServe(state, result);
          }),
        );
      }
    }
    await Promise.all(orders);
  }

  async #changePort(action: ChangePort): Promise<void> {
    const { book, counters, devices } = this.#base;
    const state = book.port(action.bridge, action.after.name);
    // A device that is gone is made as the model says by then.
    if (isTap(action.before) && isTap(action.after) && state.device !== null) {
      await devices.change(tapSpec(action.bridge, action.before), tapSpec(action.bridge, action.after));
    }
    state.model = action.after;
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

function checkBuilt(bridge: string, { kind, name }: PortModel): void {
  if (kind !== 'netdev' && kind !== 'vhost-user' && kind !== 'socket') return;
  throw new DeviceError(
    'kind-not-built',
    `port ${bridge}/${name}: this build of weft can't open ports of kind ${kind}`,
  );
}

function deviceKey(model: TapModel): string {
  return `${model.netns ?? ''} ${model.device}`;
}

/** What worker `worker` serves of a port; null when that is nothing. */
export function attachmentOf(state: PortState, worker: number): Attachment | null {
  const port = state.number;
  switch (state.model.kind) {
    case 'tap':
      return state.device === null ? null : { kind: 'tap', port, handle: state.device.handle, queue: worker };
    case 'null':
      return { kind: 'null', port };
    case 'memory':
      return { kind: 'memory', port };
    case 'pcap':
      return worker === 0 ? { kind: 'pcap', port, read: state.model.read, write: state.model.write } : null;
    case 'netdev':
    case 'vhost-user':
    case 'socket':
    case 'patch':
      return null;
  }
}
