/**
 * Makes the devices of ports that are to come, before anything that runs is touched: TAPs as one group, others through the opener of their
 * kind. Holds them until they are ports' own, or takes them back. One for each plan that is carried out; main thread.
 */
import type { OpenedTap } from '../../native/binding.ts';
import { type OpenTap, tapSpec } from '../devices/tap-device.ts';
import { DeviceError } from '../errors.ts';
import type { PortModel, TapModel } from '../model/model.ts';
import type { Action } from '../plan/plan.ts';
import type { Foundation } from './foundation.ts';
import { OpenedPort } from './opened-port.ts';
import { type Backing, takesOf } from './port-book.ts';

type AddPort = Extract<Action, { type: 'add-port' }>;

/** Kinds whose port is nothing without an opener. */
const OPENED = ['netdev', 'vhost-user', 'socket', 'bond', 'vxlan', 'geneve', 'gre'] as const;
type OpenedKind = (typeof OPENED)[number];

function isTap({ port }: AddPort): boolean {
  return port.kind === 'tap';
}

function isOpened({ port }: AddPort): boolean {
  return (OPENED as readonly string[]).includes(port.kind);
}

/** What only one port at a time can have: devices and sockets, as texts that are equal when they are the same. */
export function claimsOf(port: PortModel): string[] {
  switch (port.kind) {
    case 'tap':
      return [`device ${port.device} ${port.netns ?? ''}`];
    case 'netdev':
      return [`device ${port.device} `];
    case 'vhost-user':
      return [`socket ${port.socket}`];
    case 'socket':
      return [`socket ${port.socket}`, ...(port.remote === null ? [] : [`socket ${port.remote}`])];
    default:
      return [];
  }
}

export class Workshop {
  readonly #base: Foundation;
  readonly #taps = new Map<AddPort, OpenTap<OpenedTap>>();
  readonly #opened = new Map<AddPort, OpenedPort>();

  constructor(base: Foundation) {
    this.#base = base;
  }

  /** Throws a DeviceError for the first port of a kind that nothing here can open. */
  check(adds: readonly AddPort[]): void {
    for (const add of adds) if (isOpened(add)) this.#openerOf(add);
  }

  /** All of them, or an error that names each that failed; then `undo` takes the others back. */
  async make(adds: readonly AddPort[]): Promise<void> {
    await this.#makeTaps(adds.filter(isTap));
    await this.#open(adds.filter(isOpened));
  }

  /** What was made for a port; null for kinds that need nothing. */
  of(add: AddPort): Backing | null {
    const tap = this.#taps.get(add);
    if (tap !== undefined) return { by: 'tap', handle: tap.handle.handle, takes: takesOf(tap.handle.offloads) };
    return this.#opened.get(add) ?? null;
  }

  /** They are ports' own from now on. */
  handOver(): void {
    this.#taps.clear();
    this.#opened.clear();
  }

  /** Takes back what is not a port's own. No worker may serve it any more. */
  async undo(): Promise<void> {
    await Promise.all([...this.#opened.values()].map((opened) => opened.close()));
    await this.#base.devices.undo([...this.#taps.values()]);
    this.handOver();
  }

  async #makeTaps(adds: readonly AddPort[]): Promise<void> {
    if (adds.length === 0) return;
    const specs = adds.map(({ bridge, port }) => tapSpec(bridge, port as TapModel));
    const outcomes = await this.#base.devices.create(specs, this.#base.pool.count);
    const errors: DeviceError[] = [];
    outcomes.forEach((outcome, k) => {
      if ('error' in outcome) errors.push(outcome.error);
      else this.#taps.set(adds[k]!, outcome);
    });
    throwAll(errors);
  }

  async #open(adds: readonly AddPort[]): Promise<void> {
    const open = async (add: AddPort): Promise<DeviceError | null> => {
      try {
        this.#opened.set(add, await OpenedPort.open(this.#base, this.#openerOf(add), add.bridge, add.port));
        return null;
      } catch (error) {
        return error as DeviceError;
      }
    };
    // In the document's order, whichever was refused first.
    throwAll((await Promise.all(adds.map(open))).filter((error) => error !== null));
  }

  #openerOf({ bridge, port }: AddPort) {
    const opener = this.#base.openers[port.kind as OpenedKind];
    if (opener !== undefined) return opener;
    throw new DeviceError(
      'kind-not-built',
      `${bridge}/${port.name}: this build of weft can't open ports of kind ${port.kind}`,
    );
  }
}

function throwAll(errors: readonly DeviceError[]): void {
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw first;
  const more = errors.length > 3 ? `\nand ${errors.length - 3} more` : '';
  const text = errors.slice(0, 3).map(({ message }) => message);
  throw new DeviceError(first.code, text.join('\n') + more, first.hint, first);
}
