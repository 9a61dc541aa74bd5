/**
 * LACP systems on a clock that tests turn: links between ports of systems carry whole frames with a delay, lose, repeat and cut them. Every
 * millisecond that somebody waits for is stepped to, so timers end exactly when they should.
 */

import type { LacpModel } from '../../../../control/model/bond.ts';
import { LacpSystem } from '../../../../control/protocols/lacp/system.ts';

export const GIGABIT = 1e9;

/** A system that asks for LACPDUs every second, and carries nothing without a partner. */
export function lacpSettings(change: Partial<LacpModel> = {}): LacpModel {
  return {
    mode: 'active',
    rate: 'fast',
    systemPriority: 32_768,
    systemMac: '02:00:00:00:0a:00',
    key: null,
    select: 'stable',
    fallback: false,
    strict: true,
    ...change,
  };
}

export interface Place {
  readonly system: string;
  readonly port: string;
}

interface Flight {
  readonly at: number;
  readonly to: Place;
  readonly frame: Uint8Array;
}

/** What a link does with a frame: when each of its copies arrives, in ms from now. None: it is lost. */
export type Weather = (from: Place, frame: Uint8Array) => readonly number[];

const CLEAR: Weather = () => [0];

export class LacpRig {
  readonly systems = new Map<string, LacpSystem>();
  readonly #peers = new Map<string, Place>();
  readonly #speeds = new Map<string, number | null>();
  #flights: Flight[] = [];
  /** Every frame that left, for tests that count or decode. */
  readonly sent: { readonly at: number; readonly from: Place; readonly frame: Uint8Array }[] = [];
  weather: Weather = CLEAR;
  now = 0;
  /** Called whenever everything rests at a moment. */
  watch: () => void = () => {};

  addSystem(name: string, settings: LacpModel, minLinks = 1): LacpSystem {
    const system = new LacpSystem(settings, minLinks, this.now, (port, frame) =>
      this.#fly({ system: name, port }, frame),
    );
    this.systems.set(name, system);
    return system;
  }

  /** A port whose link is down until `up`. Numbers count from 1 within the name: port `p3` is number 3. */
  addPort(
    system: string,
    port: string,
    change: { priority?: number; speed?: number | null; lacp?: boolean } = {},
  ): void {
    const { priority = 32_768, speed = GIGABIT, lacp } = change;
    this.#speeds.set(`${system}/${port}`, speed);
    this.system(system).addPort(port, { number: numberOf(port), priority, lacp }, this.now);
  }

  /** Joins two ports by a link, both ends up. Written `a/p1`. */
  join(one: string, other: string): void {
    this.#peers.set(one, place(other));
    this.#peers.set(other, place(one));
    this.up(one);
    this.up(other);
  }

  /** The link goes on being up at both ends and carries nothing. */
  unplug(one: string): void {
    const peer = this.#peers.get(one);
    this.#peers.delete(one);
    if (peer !== undefined) this.#peers.delete(`${peer.system}/${peer.port}`);
  }

  up(at: string): void {
    this.#link(at, true);
  }

  down(at: string): void {
    this.#link(at, false);
  }

  system(name: string): LacpSystem {
    const system = this.systems.get(name);
    if (system === undefined) throw new Error(`no system ${name}`);
    return system;
  }

  distributing(at: string): boolean {
    const { system, port } = place(at);
    return this.system(system).distributing(port);
  }

  collecting(at: string): boolean {
    const { system, port } = place(at);
    return this.system(system).collecting(port);
  }

  row(at: string): ReturnType<LacpSystem['row']> {
    const { system, port } = place(at);
    return this.system(system).row(port);
  }

  /** Steps through every moment at which something happens. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.#step();
      this.watch();
      const next = this.#next();
      if (next > end) break;
      this.now = next;
    }
    this.now = end;
    this.watch();
  }

  /** Ms until `done`, at most `ms`; throws when it doesn't come. */
  runUntil(done: () => boolean, ms: number): number {
    const start = this.now;
    for (;;) {
      this.#step();
      this.watch();
      if (done()) return this.now - start;
      const next = this.#next();
      if (next > start + ms) throw new Error(`not within ${ms} ms: ${done}`);
      this.now = next;
    }
  }

  #next(): number {
    const times = [...[...this.systems.values()].map(({ wakeAt }) => wakeAt), ...this.#flights.map(({ at }) => at)];
    const next = Math.min(...times);
    if (next < this.now) throw new Error(`somebody waits for ${next}, and it is ${this.now}`);
    return next;
  }

  #step(): void {
    for (let round = 0; ; round++) {
      if (round > 1000) throw new Error(`no rest at ${this.now}`);
      for (const system of this.systems.values()) if (system.wakeAt <= this.now) system.tick(this.now);
      const due = this.#flights.filter(({ at }) => at <= this.now);
      if (due.length === 0) break;
      this.#flights = this.#flights.filter(({ at }) => at > this.now);
      for (const { to, frame } of due) this.system(to.system).receive(to.port, frame, this.now);
    }
  }

  #link(at: string, up: boolean): void {
    const { system, port } = place(at);
    const speed = this.#speeds.get(at) ?? null;
    this.system(system).link(port, up, speed, macOf(system, port), this.now);
  }

  #fly(from: Place, frame: Uint8Array): void {
    this.sent.push({ at: this.now, from, frame });
    const to = this.#peers.get(`${from.system}/${from.port}`);
    if (to === undefined) return;
    for (const delay of this.weather(from, frame)) this.#flights.push({ at: this.now + delay, to, frame });
  }
}

export function numberOf(port: string): number {
  return Number(port.slice(1));
}

/** The address of a port's device. */
export function macOf(system: string, port: string): string {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return `02:00:00:00:${hex(system.charCodeAt(0))}:${hex(numberOf(port))}`;
}

function place(at: string): Place {
  const [system, port] = at.split('/');
  return { system: system!, port: port! };
}

/** Two systems, `a` and `b`, joined by links between their ports p1 … pN. */
export function backToBack(
  links: number,
  a: Partial<LacpModel> = {},
  b: Partial<LacpModel> = {},
  minLinks: readonly [number, number] = [1, 1],
): LacpRig {
  const rig = new LacpRig();
  rig.addSystem('a', lacpSettings({ systemMac: '02:00:00:00:0a:00', ...a }), minLinks[0]);
  rig.addSystem('b', lacpSettings({ systemMac: '02:00:00:00:0b:00', ...b }), minLinks[1]);
  for (let link = 1; link <= links; link++) {
    rig.addPort('a', `p${link}`);
    rig.addPort('b', `p${link}`);
    rig.join(`a/p${link}`, `b/p${link}`);
  }
  return rig;
}

/** Both ends of the link between `a` and `b` at `port` send and receive. */
export function carries(rig: LacpRig, port: string): boolean {
  return ['a', 'b'].every((side) => rig.distributing(`${side}/${port}`) && rig.collecting(`${side}/${port}`));
}

/** `backToBack`, run until all links carry; throws when they don't within ten seconds. */
export function settled(links: number, a: Partial<LacpModel> = {}, b: Partial<LacpModel> = {}): LacpRig {
  const rig = backToBack(links, a, b);
  rig.run(10_000);
  for (let link = 1; link <= links; link++) if (!carries(rig, `p${link}`)) throw new Error(`p${link} doesn't carry`);
  return rig;
}
