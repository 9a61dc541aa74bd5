/** The parts of a running switch over a kernel that is a list of `ip` answers and workers that only remember what they were ordered. */

import { onTestFinished } from 'vitest';
import type { RunIp } from '../../../control/devices/ip.ts';
import { LinkEvents } from '../../../control/devices/link-events.ts';
import { TapDevices, type TapOpener } from '../../../control/devices/tap-device.ts';
import { makeLog } from '../../../control/log.ts';
import { fromDocument } from '../../../control/model/model.ts';
import { plan } from '../../../control/plan/plan.ts';
import type { BondMemory } from '../../../control/running/bond-memory.ts';
import { Bonds } from '../../../control/running/bonds.ts';
import { Counters } from '../../../control/running/counters.ts';
import { DeviceKeeper } from '../../../control/running/device-keeper.ts';
import { Executor } from '../../../control/running/executor.ts';
import { Foundation } from '../../../control/running/foundation.ts';
import { Injector } from '../../../control/running/injector.ts';
import { Interfaces } from '../../../control/running/interfaces.ts';
import { KernelLosses } from '../../../control/running/kernel-losses.ts';
import { LinkKeeper } from '../../../control/running/link-keeper.ts';
import { Neighbours } from '../../../control/running/neighbours.ts';
import { PortBook } from '../../../control/running/port-book.ts';
import { Punts } from '../../../control/running/punts.ts';
import { Tunnels } from '../../../control/running/tunnels.ts';
import type { SwitchEvent } from '../../../control/switch.ts';
import type { NewOrder, WorkerPool } from '../../../control/workers/pool.ts';
import { plainArena } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import type { Addon, OpenedTap } from '../../../native/binding.ts';
import { FakeUnderlay } from './fake-underlay.ts';

export const tap = (name: string, more: object = {}) => ({ name, kind: 'tap' as const, ...more });
export const modelOf = (ports: readonly object[]) =>
  fromDocument({ bridges: [{ name: 'br0', ports: ports as never }] });
export const MAC = '02:00:00:00:00:99';

/** One worker that remembers what it was ordered and answers what `answers` says. */
function fakePool(orders: NewOrder[], answers: { order: (order: NewOrder) => number | Promise<number> }): WorkerPool {
  return {
    count: 1,
    order: async (_: number, order: NewOrder) => {
      orders.push(order);
      return answers.order(order);
    },
    orderAll: async (order: NewOrder) => {
      orders.push(order);
      return [0];
    },
    settled: async () => void orders.push({ type: 'sync' }),
  } as unknown as WorkerPool;
}

/** `ip` of a kernel with these devices; remembers what it was called with. */
function fakeIp(
  kernel: { readonly down: Set<string>; readonly gone: Set<string>; readonly names: readonly string[] },
  processes: string[],
): RunIp {
  return async (args, input = '') => {
    processes.push([...args, input].join(' '));
    const links = kernel.names
      .filter((name) => !kernel.gone.has(name))
      .map((name) => ({
        ifname: name,
        ifindex: 1,
        mtu: 1500,
        flags: kernel.down.has(name) ? [] : ['UP'],
        ifalias: `weft:br0/${name}`,
        linkinfo: { info_kind: 'tun', info_data: { type: 'tap', numqueues: 1 } },
      }));
    return { exitCode: 0, stdout: args.includes('-json') ? JSON.stringify(links) : '', stderr: '' };
  };
}

/** Tunnels over an underlay that a test sets. */
function fakeTunnels(
  base: () => Foundation,
  parts: Pick<Foundation, 'view' | 'book' | 'counters' | 'links' | 'log'>,
  native: FakeUnderlay,
  clock: { readonly now: number },
): Tunnels {
  return new Tunnels({
    ...parts,
    native,
    interfaces: new Interfaces(parts.links, async () => ({ exitCode: 0, stdout: native.links(), stderr: '' })),
    emit: (event) => base().emit(event),
    pool: () => base().pool,
    release: (number) => base().release(number),
    sizeChanged: (bridge) => base().sizeChanged(bridge),
    now: () => clock.now,
    ownerOfPort: async () => 'process 77 (squid)',
  });
}

/** The addon's devices, which remember what was closed. */
function fakeNative(closed: number[]): { native: Addon; opener: TapOpener<OpenedTap> } {
  let handle = 0;
  const native = {
    closeDevice: (h: number) => void closed.push(h),
    persistTap: () => undefined,
    deviceCounters: () => '',
  } as unknown as Addon;
  return {
    native,
    opener: {
      open: (name) => ({ handle: ++handle, name, created: true, offloads: 0 }),
      persist: () => undefined,
      close: ({ handle: h }) => void closed.push(h),
    },
  };
}

/** Nothing of it acts any more. */
async function endOf(base: Foundation): Promise<void> {
  base.tunnels.close();
  base.neighbours.close();
  await base.closeOpened(base.book.ports());
}

/** A switch whose kernel is a list of `ip` answers and whose workers answer what `answers` says; it ends with the test. */
export function rig(openers: Foundation['openers'] = {}, memory: BondMemory | null = null) {
  const [orders, processes]: [NewOrder[], string[]] = [[], []];
  const events: SwitchEvent[] = [];
  const closed: number[] = [];
  const changes: (() => Promise<void>)[] = [];
  const kernel = { down: new Set<string>(), gone: new Set<string>(), names: [] as string[] };
  const answers = { order: (_: NewOrder): number | Promise<number> => 0 };
  const { native, opener } = fakeNative(closed);
  const view = new View(plainArena({ workers: 1, fdbEntries: 1024 }));
  const [book, counters] = [new PortBook(), new Counters(view)];
  const injector = new Injector(view, () => undefined);
  const emit = (event: SwitchEvent) => base.emit(event);
  const bonds = new Bonds(view, book, counters, injector, new Punts(view), emit, memory);
  const [underlay, links] = [new FakeUnderlay(), new LinkEvents()];
  const clock = { now: 0 };
  const log = makeLog({ level: 'silent', stream: process.stderr, colour: false });
  const tunnels = fakeTunnels(() => base, { view, book, counters, links, log }, underlay, clock);
  const neighbours = new Neighbours(view, book, new Punts(view));
  const base: Foundation = new Foundation({
    view,
    bonds,
    tunnels,
    neighbours,
    links,
    native,
    log,
    book,
    counters,
    kernel: new KernelLosses(native),
    devices: new TapDevices<OpenedTap>({ owner: 'us', opener, run: fakeIp(kernel, processes) }),
    openers: { bond: bonds, vxlan: tunnels, geneve: tunnels, gre: tunnels, ...openers },
  });
  onTestFinished(() => endOf(base));
  base.pool = fakePool(orders, answers);
  base.listeners.add((event) => events.push(event));
  const later = (change: () => Promise<void>): void => void changes.push(change);
  const [keeper, devices] = [new LinkKeeper(base, later), new DeviceKeeper(base, later)];
  base.deviceChanged = (opened) => devices.hear(opened);
  const settle = async () => {
    for (const change of changes.splice(0)) await change();
  };
  const start = async (ports: readonly object[]) => {
    await new Executor(base).run(plan(null, modelOf(ports)).actions, []);
    kernel.names = ports.map((port) => (port as { name: string }).name);
    for (const list of [orders, processes, events]) list.length = 0;
  };
  /** From a bridge with these ports to one with those. */
  const apply = async (before: readonly object[], after: readonly object[]) => {
    if (base.book.bridges().length === 0) await start([]);
    await new Executor(base).run(plan(modelOf(before), modelOf(after)).actions, []);
  };
  return {
    base,
    tunnels,
    underlay,
    links,
    clock,
    keeper,
    kernel,
    answers,
    orders,
    processes,
    events,
    closed,
    settle,
    start,
    apply,
    count: (type: string) => orders.filter((order) => order.type === type).length,
  };
}
