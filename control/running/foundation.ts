/**
 * What the parts of a running switch share: the arena's view, the addon, the workers, the ports, and the few things that several of them
 * do with those. Made once by open.ts; main thread.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { FDB_ENTRIES_MAX } from '../../dataplane/limits.ts';
import { Header } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import type { StaticEntry } from '../../dataplane/orders.ts';
import { bridgeBits, domainBits, STATIC, STICKY } from '../../dataplane/tables/fdb-layout.ts';
import type { Addon, OpenedTap } from '../../native/binding.ts';
import { compileTables } from '../compile/tables.ts';
import { LinkEvents } from '../devices/link-events.ts';
import type { PortOpener } from '../devices/port-device.ts';
import { type TapDevices, tapSpec } from '../devices/tap-device.ts';
import { RequestError } from '../errors.ts';
import type { Log } from '../log.ts';
import { macKeys } from '../model/mac.ts';
import type { FdbEntryModel, PortModel } from '../model/model.ts';
import type { SwitchEvent } from '../switch.ts';
import { EAGAIN_RESULT, type NewOrder, type WorkerPool } from '../workers/pool.ts';
import type { Bonds } from './bonds.ts';
import type { Counters } from './counters.ts';

import type { KernelLosses } from './kernel-losses.ts';
import type { Neighbours } from './neighbours.ts';
import type { OpenedBacking, PortBook, PortState } from './port-book.ts';
import type { Tunnels } from './tunnels.ts';

/** A dead worker's place is taken within milliseconds; one that can't be taken has no thread left by then. */
const RELEASE_MS_MAX = 5000;
const ENTRY_TRIES = 50;
const ENTRY_PAUSE_MS = 5;

export class Foundation {
  readonly view: View;
  readonly native: Addon;
  readonly log: Log;
  readonly book: PortBook;
  readonly counters: Counters;
  readonly kernel: KernelLosses;
  readonly devices: TapDevices<OpenedTap>;
  readonly bonds: Bonds;
  readonly tunnels: Tunnels;
  readonly neighbours: Neighbours;
  /** What opens ports of kinds other than `tap`. */
  readonly openers: Partial<Record<PortModel['kind'], PortOpener>>;
  /** What happens to devices, for those that follow one of their own. */
  readonly links: LinkEvents;
  readonly listeners = new Set<(event: SwitchEvent) => void>();
  /** Set right after construction: the pool's callbacks need the foundation. */
  pool!: WorkerPool;
  /** How workers wait: a number of IDLES, also for those that start again. */
  idle = 0;
  /** Hears of what openers opened; the running switch sets it. */
  deviceChanged: (opened: OpenedBacking) => void = () => {};
  /** Hears of bridges whose tunnels or TAPs may take other MTUs; the running switch sets it. */
  sizeChanged: (bridge: string) => void = () => {};
  /** The workers are being ended: nobody waits for one any more. */
  closing = false;
  #generation = 0;
  #publishing: Promise<void> = Promise.resolve();

  constructor(
    parts: Pick<
      Foundation,
      'view' | 'native' | 'log' | 'book' | 'counters' | 'kernel' | 'devices' | 'bonds' | 'tunnels' | 'neighbours'
    > &
      Partial<Pick<Foundation, 'openers' | 'links'>>,
  ) {
    this.view = parts.view;
    this.native = parts.native;
    this.log = parts.log;
    this.book = parts.book;
    this.counters = parts.counters;
    this.kernel = parts.kernel;
    this.devices = parts.devices;
    this.bonds = parts.bonds;
    this.tunnels = parts.tunnels;
    this.neighbours = parts.neighbours;
    this.counters.onFlush((port) => this.neighbours.forget(port));
    this.openers = parts.openers ?? {};
    this.links = parts.links ?? new LinkEvents();
  }

  /** Compiles what the book says into the free copy of the tables, switches to it, and waits until no worker uses the other any more. */
  publish(): Promise<void> {
    const next = this.#publishing.then(() => this.#publishNow());
    this.#publishing = next.catch(() => {});
    return next;
  }

  async #publishNow(): Promise<void> {
    const generation = this.#generation + 1;
    compileTables(this.view, generation, this.book.tableBridges(), this.book.tablePorts());
    this.#generation = generation;
    Atomics.store(this.view.i32, Header.TABLES_GENERATION, generation);
    await this.pool.settled();
  }

  emit(event: SwitchEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  /** What spans ports looks at one that came, goes, or has another device. */
  hear(state: PortState): void {
    this.bonds.hear(state);
    this.tunnels.hear(state);
  }

  /** Tells whether a port is up or down. */
  tell({ bridge, model, up, reason }: PortState): void {
    const event = { time: new Date().toISOString(), bridge, port: model.name };
    this.emit(up ? { type: 'port-up', ...event } : { type: 'port-down', ...event, reason: reason ?? 'unknown' });
  }

  /**
   * Takes a port off every worker. Resolves when two turns have passed in each, so that none touches its memory or descriptors any more.
   * A worker that died may still be ending: it is gone when its successor answers.
   */
  async release(port: number): Promise<void> {
    const until = performance.now() + RELEASE_MS_MAX;
    const from = async (worker: number): Promise<void> => {
      await this.pool.order(worker, { type: 'detach', port });
      while ((await this.pool.order(worker, { type: 'sync' })) === EAGAIN_RESULT) {
        if (this.closing || performance.now() > until) return;
        await delay(ENTRY_PAUSE_MS);
      }
    };
    await Promise.all(Array.from({ length: this.pool.count }, (_, worker) => from(worker)));
  }

  /**
   * Closes the devices of ports that no worker serves any more, and removes TAPs. Many at once go in one group, since each alone costs the
   * kernel a grace period; one that somebody renamed or moved, or that `ip` could not remove, goes with its last descriptor.
   */
  async removeDevices(states: readonly PortState[]): Promise<void> {
    await this.closeOpened(states);
    const held = states.flatMap(({ device }) => (device?.by === 'tap' ? [device] : []));
    const specs = states.flatMap(({ bridge, model, device }) =>
      model.kind === 'tap' && device !== null ? [tapSpec(bridge, model)] : [],
    );
    try {
      await this.devices.remove(specs);
    } catch (error) {
      this.log.warn({ reason: (error as Error).message }, 'devices are removed with their descriptors');
    } finally {
      for (const { handle } of held) {
        this.native.persistTap(handle, false);
        this.native.closeDevice(handle);
      }
    }
  }

  /** Closes what openers opened. Never rejects. */
  async closeOpened(states: readonly PortState[]): Promise<void> {
    await Promise.all(states.map(({ device }) => (device?.by === 'opener' ? device.close() : undefined)));
  }

  /** Puts the document's addresses on their ports: on new ones, and again where a port was flushed, since that takes them too. */
  async addEntries(states: readonly PortState[]): Promise<void> {
    await Promise.all(states.flatMap((state) => state.model.fdb.map((entry) => this.addEntry(state, entry))));
  }

  /** Puts an address on a port for good. */
  async addEntry(state: PortState, entry: FdbEntryModel): Promise<void> {
    const placed = this.#place(
      state.bridge,
      entry.vlan,
      entry.mac,
      this.tunnels.destinationOf(state, entry),
      entry.type === 'static' ? STATIC : STICKY,
    );
    if ((await this.#orderEntry({ type: 'fdb-add', entry: placed })) === 0) return;
    throw new RequestError(
      'fdb-full',
      `no room for ${entry.mac} in the forwarding database`,
      `at most ${FDB_ENTRIES_MAX} addresses fit`,
      409,
    );
  }

  /** Answers whether it was there. */
  async deleteEntry(bridge: string, vlan: number, mac: string): Promise<boolean> {
    return (await this.#orderEntry({ type: 'fdb-delete', entry: this.#place(bridge, vlan, mac, 0, 0) })) === 1;
  }

  /** Again where it was refused: a bucket was locked or full, or worker 0 died, whose place is taken within milliseconds. */
  async #orderEntry(order: Extract<NewOrder, { type: 'fdb-add' | 'fdb-delete' }>): Promise<number> {
    let result = await this.pool.order(0, order);
    for (let tries = 1; result < 0 && tries < ENTRY_TRIES; tries++) {
      await delay(ENTRY_PAUSE_MS);
      result = await this.pool.order(0, order);
    }
    return result;
  }

  #place(bridge: string, vlan: number, mac: string, port: number, type: number): StaticEntry {
    const { number } = this.book.bridge(bridge);
    const { key0, low } = macKeys(mac);
    return { key0, key1: low | domainBits(number, vlan), bits: bridgeBits(number), bridge: number, port, type };
  }
}
