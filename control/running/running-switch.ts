/**
 * The running switch: the `Switch` that API and CLI speak to, over real workers and devices. Changes are made one at a time, each from
 * plan to published tables; one that fails is taken back. Main thread.
 */
import type { Document, PortDocument } from '../config/document.ts';
import { validateDocument } from '../config/load.ts';
import { saveDocument } from '../config/save.ts';
import type { LinkEvent } from '../devices/link-state.ts';
import { LinkWatch } from '../devices/link-watch.ts';
import { RequestError } from '../errors.ts';
import { withFdbEntry, withoutFdbEntry, withoutPort, withPort } from '../model/edit.ts';
import { normalMac } from '../model/mac.ts';
import { fromDocument, type Model } from '../model/model.ts';
import { describe, undoes } from '../plan/describe.ts';
import { type Action, plan } from '../plan/plan.ts';
import type * as api from '../switch.ts';
import type { TunnelRow } from '../tunnel-rows.ts';
import { BridgeMtu } from './bridge-mtu.ts';
import type { Captures } from './captures.ts';
import { DeviceKeeper } from './device-keeper.ts';
import { Executor } from './executor.ts';
import { readFdb } from './fdb-reader.ts';
import type { Foundation } from './foundation.ts';
import { LinkKeeper } from './link-keeper.ts';
import * as show from './show.ts';
import { bondRows } from './show-bonds.ts';
import { tunnelRows } from './show-tunnels.ts';

/** Orders on their way to worker 0 while addresses are flushed: one after the other a million took minutes. */
const FLUSHED_AT_ONCE = 256;

export interface RunningOptions {
  /** Where the document came from; null when it came from no file. */
  readonly file: string | null;
  /** Leaves TAPs in place at close, for the next start to take over. */
  readonly keepDevices: boolean;
}

export class RunningSwitch implements api.Switch {
  readonly #base: Foundation;
  readonly #captures: Captures;
  readonly #options: RunningOptions;
  readonly #keeper: LinkKeeper;
  readonly #watch: LinkWatch;
  /** What runs, as a document and as its model; and the document as it was last applied or saved. */
  #document: Document;
  #model: Model | null = null;
  #saved: Document;
  #changes: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #watching = false;

  constructor(base: Foundation, captures: Captures, document: Document, options: RunningOptions) {
    this.#base = base;
    this.#captures = captures;
    this.#document = { ...document, bridges: [] };
    this.#saved = document;
    this.#options = options;
    const later = (change: () => Promise<void>): void => {
      this.#inTurn(change).catch((error: Error) => {
        if (this.#closing === null)
          base.log.error({ reason: error.message }, 'a change of a device could not be followed');
      });
    };
    this.#keeper = new LinkKeeper(base, later);
    const devices = new DeviceKeeper(base, later);
    base.deviceChanged = (opened) => devices.hear(opened);
    const mtus = new BridgeMtu(base, later);
    base.sizeChanged = (bridge) => mtus.hear(bridge);
    const onEvent = (event: LinkEvent): void => {
      this.#keeper.hear(event);
      base.links.tell(event);
    };
    this.#watch = new LinkWatch({ onEvent });
  }

  /** Follows links and namespaces from now on. */
  async watch(): Promise<void> {
    await this.#watch.start(this.#namespaces());
    this.#watching = true;
    // What changed before it listened nobody was told.
    this.#base.links.tell({ type: 'monitor-restarted', time: Date.now(), reason: 'the switch was started' });
  }

  #namespaces(): string[] {
    return this.#base.book
      .ports()
      .flatMap(({ model }) => (model.kind === 'tap' && model.netns !== null ? [model.netns] : []));
  }

  /** One change at a time, in the order in which they were asked for. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    if (this.#closing !== null)
      return Promise.reject(new RequestError('closing', 'the switch is being shut down', null, 503));
    const next = this.#changes.then(change);
    this.#changes = next.catch(() => {});
    return next;
  }

  config(): Document {
    return this.#document;
  }

  apply(document: Document, options: { readonly dryRun: boolean }): Promise<api.ApplyResult> {
    return this.#inTurn(async () => {
      const wanted = fromDocument(document);
      const lost = this.#model === null ? [] : undoes(fromDocument(this.#saved), this.#model, wanted);
      const result = await this.#carryOut(document, wanted, options.dryRun);
      if (!options.dryRun) this.#saved = document;
      return { ...result, undoes: lost };
    });
  }

  /** From what runs to what is wanted. On failure what ran before runs again. */
  async #carryOut(document: Document, wanted: Model, dryRun: boolean): Promise<api.ApplyResult> {
    const { actions, warnings } = plan(this.#model, wanted);
    const result = { steps: actions.map(describe), undoes: [], warnings };
    this.#checkRoom(wanted);
    if (dryRun) return { applied: false, ...result };
    const done: Action[] = [];
    try {
      await new Executor(this.#base).run(actions, done);
    } catch (error) {
      await this.#takeBack(done, error);
      throw error;
    }
    this.#document = document;
    this.#model = wanted;
    this.#captures.closeWithout(this.#base.book);
    if (this.#watching) await this.#watch.setNamespaces(this.#namespaces());
    this.#base.emit({ type: 'config-applied', time: new Date().toISOString(), steps: actions.length });
    return { applied: true, ...result };
  }

  /** The forwarding database was sized at the start. */
  #checkRoom(wanted: Model): void {
    const entries = wanted.bridges.reduce((sum, bridge) => sum + bridge.fdbLimit, 0);
    const room = this.#base.view.layout.fdbSlots / 2;
    if (entries <= room) return;
    throw new RequestError(
      'fdb-too-large',
      `the bridges' fdb-limit add up to ${entries}, but the running switch has room for ${room} addresses`,
      'lower a limit, or restart weft with this document',
    );
  }

  async #takeBack(done: readonly Action[], reason: unknown): Promise<void> {
    if (done.length === 0) return;
    this.#base.log.error({ reason: (reason as Error).message }, 'apply failed half-way; what ran before is restored');
    const standing = standingAfter(this.#model, done);
    const back = plan(standing, this.#model ?? { ...standing, bridges: [] });
    try {
      await new Executor(this.#base).run(back.actions, []);
    } catch (error) {
      this.#base.log.error({ reason: (error as Error).message }, 'what ran before could not be restored completely');
      this.#model = standing;
    }
  }

  async save(): Promise<{ readonly file: string }> {
    const { file } = this.#options;
    if (file === null)
      throw new RequestError('no-file', 'the running document came from no file', 'use: weft show config > FILE', 409);
    await this.#inTurn(async () => {
      saveDocument(file, this.#document);
      this.#saved = this.#document;
    });
    return { file };
  }

  #edit(change: (document: Document) => Document): Promise<api.ApplyResult> {
    return this.#inTurn(() => {
      const document = validateDocument(change(this.#document));
      return this.#carryOut(document, fromDocument(document), false);
    });
  }

  addPort(bridge: string, port: PortDocument): Promise<api.ApplyResult> {
    return this.#edit((document) => withPort(document, bridge, port));
  }

  deletePort(bridge: string, name: string): Promise<api.ApplyResult> {
    return this.#edit((document) => withoutPort(document, bridge, name));
  }

  bridges(): api.BridgeRow[] {
    return show.bridgeRows(this.#base);
  }

  ports(): api.PortRow[] {
    return show.portRows(this.#base);
  }

  port(bridge: string, name: string): api.PortDetail {
    return show.portDetail(this.#base, this.#base.book.port(bridge, name));
  }

  fdb(filter: api.FdbFilter): api.FdbRow[] {
    return show.fdbRows(this.#base, filter);
  }

  async addFdb({ bridge, port, mac, vlan, type, remote, vni }: api.FdbEntry): Promise<void> {
    const given = Object.entries({ vlan, remote, vni }).filter(([, value]) => value !== undefined);
    const entry = { mac, type, ...Object.fromEntries(given) };
    await this.#edit((document) => withFdbEntry(document, bridge, port, entry));
  }

  async deleteFdb(entry: { bridge: string; vlan: number; mac: string }): Promise<void> {
    const mac = normalMac(entry.mac);
    if (mac === null) throw new RequestError('bad-mac', `${entry.mac} is not a MAC address (as 02:00:00:00:00:01)`);
    const rows = this.fdb({ bridge: entry.bridge, vlan: entry.vlan, mac });
    this.#base.book.bridge(entry.bridge);
    if (rows.length === 0)
      throw new RequestError(
        'unknown-address',
        `bridge ${entry.bridge} has no ${mac} in VLAN ${entry.vlan}`,
        null,
        404,
      );
    if (rows.some(({ type }) => type !== 'learned')) {
      await this.#edit((document) => withoutFdbEntry(document, entry.bridge, entry.vlan, mac));
    }
    await this.#base.deleteEntry(entry.bridge, entry.vlan, mac);
  }

  /** Removes learned addresses; those of the document, static or sticky, stay. */
  async flushFdb(filter: {
    bridge?: string | undefined;
    port?: string | undefined;
    vlan?: number | undefined;
  }): Promise<number> {
    const { book } = this.#base;
    const bridge = filter.bridge === undefined ? undefined : book.bridge(filter.bridge);
    const port = filter.port === undefined ? undefined : book.portAnywhere(filter.port, filter.bridge);
    const names = new Map(book.bridges().map(({ number, model }) => [number, model.name]));
    const wanted = book
      .ports()
      .flatMap(({ number, model }) => model.fdb.map(({ vlan, mac }) => `${number} ${vlan} ${mac}`));
    const kept = new Set(wanted);
    const now = Number(process.hrtime.bigint() / 1_000_000_000n);
    const entries = [...readFdb(this.#base.view, now)].filter(
      (entry) =>
        entry.type !== 'static' &&
        (bridge === undefined || entry.bridge === bridge.number) &&
        (port === undefined || entry.port === port.number) &&
        (filter.vlan === undefined || entry.vlan === filter.vlan) &&
        names.has(entry.bridge) &&
        !kept.has(`${entry.port} ${entry.vlan} ${entry.mac}`),
    );
    let flushed = 0;
    for (let at = 0; at < entries.length; at += FLUSHED_AT_ONCE) {
      const some = entries.slice(at, at + FLUSHED_AT_ONCE);
      const gone = some.map(({ bridge, vlan, mac }) => this.#base.deleteEntry(names.get(bridge)!, vlan, mac));
      flushed += (await Promise.all(gone)).filter((was) => was).length;
    }
    return flushed;
  }

  vlans(): api.VlanRow[] {
    return show.vlanRows(this.#base);
  }

  workers(): api.WorkerRow[] {
    return show.workerRows(this.#base, this.#model?.workers.cpus ?? null);
  }

  async restartWorker(index: number): Promise<void> {
    const { pool } = this.#base;
    if (!Number.isInteger(index) || index < 0 || index >= pool.count) {
      throw new RequestError(
        'unknown-worker',
        `there is no worker ${index}`,
        `workers are 0 to ${pool.count - 1}`,
        404,
      );
    }
    await pool.restart(index);
  }

  bonds(): api.BondRow[] {
    return bondRows(this.#base);
  }

  tunnels(): TunnelRow[] {
    return tunnelRows(this.#base, true);
  }

  commandMember(bridge: string, port: string, member: string, command: api.BondCommand): Promise<void> {
    return this.#inTurn(async () => this.#base.bonds.command(bridge, port, member, command));
  }

  drops(): api.DropRow[] {
    return show.dropRows(this.#base);
  }

  capture(options: api.CaptureOptions): api.Capture {
    if (options.mac !== undefined && normalMac(options.mac) === null) {
      throw new RequestError('bad-mac', `${options.mac} is not a MAC address (as 02:00:00:00:00:01)`);
    }
    const port = this.#base.book.portAnywhere(options.port, options.bridge);
    if (port.model.kind === 'patch') {
      const { bridge, port: peer } = port.model.peer;
      throw new RequestError(
        'no-frames',
        `${port.bridge}/${port.model.name} is a patch: frames pass it within a turn, without being received or transmitted`,
        `capture where they enter or leave: a port of bridge ${port.bridge}, or of ${bridge} behind ${peer}`,
      );
    }
    return this.#captures.start(this.#base.bonds.leavesOf(port), options);
  }

  onEvent(listener: (event: api.SwitchEvent) => void): () => void {
    this.#base.listeners.add(listener);
    return () => this.#base.listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#changes.then(() => this.#close());
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { book, native, pool } = this.#base;
    this.#keeper.close();
    await this.#watch.close();
    this.#captures.closeAll();
    this.#base.closing = true;
    this.#base.bonds.leave();
    this.#base.tunnels.close();
    this.#base.neighbours.close();
    // Partners hear it by the workers' next turn.
    if (book.ports().some(({ model }) => model.memberOf !== null)) await pool.settled();
    for (const { device } of book.ports()) if (device?.by === 'opener') device.retire();
    await pool.close();
    if (this.#options.keepDevices) {
      await this.#base.closeOpened(book.ports());
      for (const { device } of book.ports()) if (device?.by === 'tap') native.closeDevice(device.handle);
      return;
    }
    await this.#base.removeDevices(book.ports()).catch((error: Error) => {
      this.#base.log.error({ reason: error.message }, 'a device could not be removed');
    });
  }
}

/** The model that stands when of a plan from `before` only `done` was carried out. */
function standingAfter(before: Model | null, done: readonly Action[]): Model {
  const bridges = new Map(
    (before?.bridges ?? []).map((bridge) => [bridge.name, { ...bridge, ports: [...bridge.ports] }]),
  );
  for (const action of done) {
    if (action.type === 'add-bridge') bridges.set(action.bridge.name, { ...action.bridge, ports: [] });
    else if (action.type === 'delete-bridge') bridges.delete(action.bridge.name);
    else if (action.type === 'change-bridge')
      bridges.set(action.after.name, { ...bridges.get(action.after.name)!, ...action.after });
    else if (action.type === 'add-port' || action.type === 'delete-port' || action.type === 'change-port') {
      const bridge = bridges.get(action.bridge)!;
      const name = action.type === 'change-port' ? action.after.name : action.port.name;
      const ports = bridge.ports.filter((port) => port.name !== name);
      if (action.type !== 'delete-port') ports.push(action.type === 'add-port' ? action.port : action.after);
      bridges.set(action.bridge, { ...bridge, ports });
    }
  }
  const base = before ?? {
    workers: { count: 1, cpus: null, idle: 'adaptive', io: 'auto' },
    api: { socket: null },
    metrics: null,
    bridges: [],
  };
  return { ...base, bridges: [...bridges.values()] };
}
