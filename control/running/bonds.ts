/**
 * The bonds of a running switch: opens them for their ports, tells each what its members' ports do, and hands them the frames that workers
 * handed up. Made once by open.ts; main thread.
 */
import { BONDS_MAX } from '../../dataplane/limits.ts';
import { Protocol } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import { BondTable } from '../compile/bond-table.ts';
import type { PortDevice, PortHost, PortOpener } from '../devices/port-device.ts';
import { DeviceError, RequestError } from '../errors.ts';
import { memberPort } from '../model/bond.ts';
import type { BondModel, PortModel } from '../model/model.ts';
import type { BondCommand, SwitchEvent } from '../switch.ts';
import { BondDevice, type BondParts } from './bond-device.ts';
import type { BondMemory } from './bond-memory.ts';
import { BondNews } from './bond-news.ts';
import type { Counters } from './counters.ts';
import type { Injector } from './injector.ts';
import type { PortBook, PortState } from './port-book.ts';
import type { PuntedFrame, Punts } from './punts.ts';

export class Bonds implements PortOpener {
  readonly #book: PortBook;
  readonly #parts: BondParts;
  readonly #open = new Map<string, BondDevice>();

  constructor(
    view: View,
    book: PortBook,
    counters: Counters,
    injector: Injector,
    punts: Punts,
    emit: (event: SwitchEvent) => void,
    memory: BondMemory | null = null,
  ) {
    this.#book = book;
    const news = new BondNews({ view, book, injector, emit });
    const [table, hearAll, now] = [new BondTable(view), () => punts.drain(), () => performance.now()];
    this.#parts = { table, book, counters, injector, news, memory, hearAll, now };
    for (const protocol of [Protocol.SLOW, Protocol.NEIGHBOURS, Protocol.ANSWERS])
      punts.hear(protocol, (frame) => this.#receive(frame));
  }

  /** A bond's device. Rejects with a DeviceError when there are too many. */
  async open(model: PortModel, host: PortHost): Promise<PortDevice> {
    const used = new Set([...this.#open.values()].map(({ bond }) => bond));
    const number = Array.from({ length: BONDS_MAX - 1 }, (_, k) => k + 1).find((one) => !used.has(one));
    if (number === undefined)
      throw new DeviceError('too-many-bonds', `${host.bridge}/${host.port}: at most ${BONDS_MAX - 1} bonds`);
    const device = new BondDevice(this.#parts, number, model as BondModel, host);
    const key = `${host.bridge}/${host.port}`;
    this.#open.set(key, device);
    device.onClosed = () => this.#open.get(key) === device && this.#open.delete(key);
    return device;
  }

  /** Every bond says farewell by all its members; nothing goes out by them any more. */
  leave(): void {
    this.#parts.memory?.close();
    for (const state of this.#book.ports()) {
      if (state.model.memberOf === null) continue;
      state.leaving = true;
      this.hear(state);
    }
  }

  /** A port's device came, went or changed. Only members' matter. */
  hear({ bridge, model }: PortState): void {
    // Which address balance-alb balances is that of a TAP.
    if (model.kind === 'tap') for (const bond of this.#open.values()) if (bond.bridge === bridge) bond.review();
    // Whether it is up in the tables decides what its members look at.
    if (model.kind === 'bond') this.#open.get(`${bridge}/${model.name}`)?.review();
    if (model.memberOf === null) return;
    this.#open.get(`${bridge}/${model.memberOf}`)?.look(nameIn(model));
  }

  /** The ports by which a port's frames come and go: itself, or a bond's members. */
  leavesOf({ bridge, model, number }: PortState): number[] {
    if (model.kind !== 'bond') return [number];
    return model.settings.members.flatMap(
      ({ name }) => this.#book.find(bridge, memberPort(model.name, name))?.number ?? [],
    );
  }

  of(bridge: string, name: string): BondDevice | undefined {
    return this.#open.get(`${bridge}/${name}`);
  }

  /** Gives a frame that a worker handed up to the bond whose member received it. */
  #receive({ port, bytes }: PuntedFrame): void {
    const state = this.#book.byNumber(port);
    if (state === undefined || state.model.memberOf === null) return;
    this.#open.get(`${state.bridge}/${state.model.memberOf}`)?.receive(nameIn(state.model), bytes);
  }

  /** Carries out what somebody orders. Throws a RequestError. */
  command(bridge: string, port: string, member: string, command: BondCommand): void {
    const { model } = this.#book.port(bridge, port);
    const bond = this.of(bridge, port);
    if (model.kind !== 'bond' || bond === undefined)
      throw new RequestError('no-bond', `${bridge}/${port} is no bond but a ${model.kind} port`, null, 409);
    bond.command(member, command);
  }
}

/** A member's name in its bond. */
export function nameIn(model: PortModel): string {
  return model.name.slice(model.memberOf!.length + 1);
}
