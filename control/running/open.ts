/**
 * Opens a running switch from a document: arena, workers, devices, tables. What it opens it closes again when a later step fails. Called
 * by daemon.ts; main thread.
 */

import { layoutFor, writeHeader } from '../../dataplane/memory/layout.ts';
import { View } from '../../dataplane/memory/view.ts';
import { type Addon, addon, type OpenedTap } from '../../native/binding.ts';
import type { Document } from '../config/document.ts';
import { LinkEvents } from '../devices/link-events.ts';
import { ownerOf } from '../devices/marked.ts';
import { netdevOpener } from '../devices/netdev/opener.ts';
import { TapDevices } from '../devices/tap-device.ts';
import type { Log } from '../log.ts';
import { DEFAULT_FDB_LIMIT, fromDocument, type Model } from '../model/model.ts';
import { WorkerPool } from '../workers/pool.ts';
import { Announcer } from './announcer.ts';
import { BondMemory } from './bond-memory.ts';
import { Bonds } from './bonds.ts';
import { Captures } from './captures.ts';
import { Counters } from './counters.ts';
import { attachmentOf } from './executor.ts';
import { formatKeys } from './fdb-reader.ts';
import { Foundation } from './foundation.ts';
import { IDLES } from './idles.ts';
import { Injector } from './injector.ts';
import { Interfaces } from './interfaces.ts';
import { KernelLosses } from './kernel-losses.ts';
import { otherNamespaces, removeLeftovers, usedNamespaces } from './leftovers.ts';
import { Metrics } from './metrics-source.ts';
import { Neighbours } from './neighbours.ts';
import { makeOpeners } from './openers.ts';
import { PortBook } from './port-book.ts';
import { Punts } from './punts.ts';
import { portOf, remoteOf } from './remote-record.ts';
import { RunningSwitch } from './running-switch.ts';
import { TooBig } from './too-big.ts';
import { Tunnels } from './tunnels.ts';

/** Long enough for `ready` to be told first. */
const SEARCH_AFTER_MS = 100;

export interface OpenOptions {
  readonly file: string | null;
  readonly log: Log;
  readonly keepDevices?: boolean | undefined;
  /** Where this daemon answers; no other has the same. */
  readonly socket: string;
}

export interface OpenSwitch {
  readonly switch: RunningSwitch;
  readonly metrics: Metrics;
}

/** Bridges of the default limit that find room in the forwarding database, also when the document at the start has fewer. */
const SPARE_BRIDGES = 2;

/** Everything of a document, running. Rejects with a WeftError that says what the machine refused; then nothing is left behind. */
export async function openSwitch(document: Document, options: OpenOptions): Promise<OpenSwitch> {
  const model = fromDocument(document);
  const native = addon();
  const owner = ownerOf(options.socket);
  // A bond must leave a dead link within milliseconds, also when workers and others are busy on every core. Not allowed is no harm.
  native.preferThread();
  const view = openArena(native, model, options.log);
  const links = new LinkEvents();
  const netdev = netdevOpener({ native, links, log: options.log });
  const book = new PortBook();
  const counters = new Counters(view);
  const injector = new Injector(view, () => native.kick(0));
  const announcer = new Announcer(book, injector);
  const memory = new BondMemory(options.socket, options.log);
  const punts = new Punts(view);
  const bonds = new Bonds(view, book, counters, injector, punts, (event) => base.emit(event), memory);
  new TooBig(book, injector, punts);
  const neighbours = new Neighbours(view, book, punts);
  const tunnels = openTunnels(() => base, { view, native, book, counters, links, log: options.log });
  const base: Foundation = new Foundation({
    view,
    native,
    log: options.log,
    book,
    counters,
    bonds,
    tunnels,
    neighbours,
    kernel: new KernelLosses(native),
    links,
    devices: new TapDevices<OpenedTap>({
      owner,
      opener: {
        open: (name, queues, { netnsPath }) => native.openTap(name, queues, netnsPath),
        persist: ({ handle }) => native.persistTap(handle, true),
        close: ({ handle }) => native.closeDevice(handle),
      },
    }),
    openers: {
      ...makeOpeners(native, (bridge, port, mac) => announcer.announce(bridge, port, mac)),
      netdev,
      bond: bonds,
      vxlan: tunnels,
      geneve: tunnels,
      gre: tunnels,
    },
  });
  const captures = new Captures(view, () => base.pool);
  base.idle = IDLES[model.workers.idle];
  base.pool = openPool(base, model, captures, punts);
  const running = new RunningSwitch(base, captures, document, {
    file: options.file,
    keepDevices: options.keepDevices ?? false,
  });
  try {
    // Threads load while the machine is searched for what an earlier run left.
    const { bridges } = model;
    const tidied = netdev
      .giveBackLeftovers()
      .then(() => removeLeftovers(usedNamespaces(bridges), () => bridges, owner, options.log));
    await Promise.all([base.pool.start(), tidied]);
    await running.apply(document, { dryRun: false });
    await running.watch();
  } catch (error) {
    await running.close();
    throw error;
  }
  setTimeout(() => searchElsewhere(running, owner, options.log), SEARCH_AFTER_MS).unref();
  return { switch: running, metrics: new Metrics(base) };
}

function searchElsewhere(running: RunningSwitch, owner: string, log: Log): void {
  const bridges = () => fromDocument(running.config()).bridges;
  removeLeftovers(otherNamespaces(bridges()), bridges, owner, log).catch((error: Error) =>
    log.warn({ reason: error.message }, 'other namespaces could not be searched for leftover TAPs'),
  );
}

function openTunnels(
  base: () => Foundation,
  parts: Pick<Foundation, 'view' | 'native' | 'book' | 'counters' | 'links' | 'log'>,
): Tunnels {
  return new Tunnels({
    ...parts,
    interfaces: new Interfaces(parts.links),
    emit: (event) => base().emit(event),
    pool: () => base().pool,
    release: (number) => base().release(number),
    sizeChanged: (bridge) => base().sizeChanged(bridge),
  });
}

function openArena(native: Addon, model: Model, log: Log): View {
  const wanted = model.bridges.reduce((sum, bridge) => sum + bridge.fdbLimit, 0);
  const entries = Math.max(wanted, SPARE_BRIDGES * DEFAULT_FDB_LIMIT);
  const layout = layoutFor({ workers: model.workers.count, fdbEntries: entries });
  const { huge } = native.createArena(layout.bytes, true);
  log.info(
    { bytes: layout.bytes, hugePages: huge },
    huge ? 'the arena lies in huge pages' : 'no huge pages to be had: the arena lies in plain ones',
  );
  const arena = native.mapArena();
  writeHeader(arena, layout);
  return new View(arena);
}

function openPool(base: Foundation, model: Model, captures: Captures, punts: Punts): WorkerPool {
  const { log, book } = base;
  return new WorkerPool({
    count: model.workers.count,
    native: base.native,
    log,
    assignment: (index) => ({
      index,
      cpu: model.workers.cpus?.[index] ?? null,
      io: model.workers.io,
      idle: base.idle,
      attachments: [
        ...book.ports().flatMap((state) => attachmentOf(state, index) ?? []),
        ...base.tunnels.attachments(index),
      ],
      captures: captures.orders(),
    }),
    onDeath: () => {},
    onPunted: () => punts.drain(),
    onStranger: (port, address) => base.tunnels.stranger(port, address),
    onRestart: (worker, reason) =>
      base.emit({ type: 'worker-restarted', time: new Date().toISOString(), worker, reason }),
    onMoved: ({ key0, key1, bridge, from, to }) => {
      const owner = book.bridgeByNumber(bridge)?.model.name;
      const [before, after] = [from, to].map((one) => book.byNumber(portOf(base.view, one))?.model.name);
      if (owner === undefined || before === undefined || after === undefined) return;
      const mac = formatKeys(key0, key1);
      base.emit({
        type: 'address-moved',
        time: new Date().toISOString(),
        bridge: owner,
        vlan: (key1 >>> 16) & 0xfff,
        mac,
        from: before,
        to: after,
        fromRemote: remoteOf(base.view, from)?.address ?? null,
        toRemote: remoteOf(base.view, to)?.address ?? null,
      });
    },
    onFailedAttachments: (worker, failed) => log.error({ worker, failed }, 'a worker could not serve some ports again'),
  });
}
