/**
 * A whole switch in plain memory, for tests and benches: an arena, one lane, script ports, and a clock that the test moves. The path and
 * the tables are the real ones; only the addon is missing.
 */

import type { TableBridge, TablePort } from '../control/compile/table-port.ts';
import { compileTables } from '../control/compile/tables.ts';
import type { VlanDocument } from '../control/config/document.ts';
import { vlanModel } from '../control/model/vlan.ts';
import { DROPS, REASONS_COUNT } from '../dataplane/drop.ts';
import { Injector, injectRing } from '../dataplane/inject.ts';
import { Lane } from '../dataplane/memory/lane.ts';
import { Header, PORT_CELLS_COUNT, plainArena } from '../dataplane/memory/layout.ts';
import { View } from '../dataplane/memory/view.ts';
import { PlainEdge } from '../dataplane/plain-edge.ts';
import { MemoryPort } from '../dataplane/ports/memory.ts';
import { PortKind, Takes } from '../dataplane/tables/port-layout.ts';
import { type Edge, Turn } from '../dataplane/turn.ts';

export interface RigPort extends Partial<Omit<TablePort, 'vlan' | 'flood'>> {
  readonly vlan?: VlanDocument | undefined;
  readonly flood?: Partial<TablePort['flood']>;
}

/** The addon's place, with a clock that the test moves. */
export class ClockEdge implements Edge {
  readonly #edge: PlainEdge;
  /** Monotonic nanoseconds. */
  now = 1e9;
  constructor(lane: Lane) {
    this.#edge = new PlainEdge(lane, () => this.now);
  }
  turn(): number {
    return this.#edge.turn();
  }
}

export function tablePort(number: number, port: RigPort = {}): TablePort {
  return {
    number,
    bridge: 1,
    kind: PortKind.MEMORY,
    up: true,
    mtu: 1500,
    protected: false,
    learning: true,
    sticky: false,
    fdbLimit: 0,
    reserved: 0,
    takes: Takes.ALL,
    bond: 0,
    tunnel: null,
    peer: 0,
    ...port,
    vlan: vlanModel(port.vlan),
    flood: { unknown: true, multicast: true, broadcast: true, ...port.flood },
  };
}

export class Rig {
  readonly view: View;
  readonly lane: Lane;
  readonly edge: ClockEdge;
  readonly turns: Turn;
  readonly ports = new Map<number, MemoryPort>();
  #generation = 0;

  /** `injects`: frames from control are taken off the inject ring. */
  constructor(options: { fdbEntries?: number; arena?: ArrayBufferLike; injects?: boolean } = {}) {
    this.view = new View(options.arena ?? plainArena({ workers: 1, fdbEntries: options.fdbEntries ?? 4096 }));
    this.lane = new Lane(this.view, 0);
    this.edge = new ClockEdge(this.lane);
    this.turns = new Turn(this.lane, this.edge, options.injects ? new Injector(injectRing(this.view, 0)) : null);
  }

  /** Publishes tables; makes a memory port for every port that is no patch and is not there yet. */
  publish(
    ports: readonly TablePort[],
    bridges: readonly TableBridge[] = [{ number: 1, fdbLimit: 1024, ageing: 300 }],
  ): void {
    this.#generation++;
    compileTables(this.view, this.#generation, bridges, ports);
    this.view.i32[Header.TABLES_GENERATION] = this.#generation;
    for (const { number, peer } of ports) {
      if (peer !== 0 || this.ports.has(number)) continue;
      const port = new MemoryPort(number);
      this.ports.set(number, port);
      this.turns.addScript(port);
    }
    this.turns.turn();
  }

  port(number: number): MemoryPort {
    return this.ports.get(number)!;
  }

  /** Turns until nothing waits and everything listed was sent; moves the clock by `stepNs` each. */
  run(stepNs = 10_000): void {
    for (let k = 0; k < 1000; k++) {
      this.edge.now += stepNs;
      if (this.turns.turn() === 0 && !this.turns.hasWork() && this.lane.dirtyCount === 0) return;
    }
    throw new Error('the rig did not come to rest in 1,000 turns');
  }

  /** Sends a frame into `port` and answers what came out where. */
  send(port: number, bytes: Uint8Array, vnet: Uint8Array | null = null): Map<number, Uint8Array[]> {
    this.port(port).push(bytes, vnet);
    this.run();
    const out = new Map<number, Uint8Array[]>();
    for (const [number, memory] of this.ports) {
      const frames = memory.drain();
      if (frames.length > 0)
        out.set(
          number,
          frames.map((frame) => frame.bytes),
        );
    }
    return out;
  }

  cell(port: number, cell: number): number {
    return this.view.f64[this.lane.countersAt + port * PORT_CELLS_COUNT + cell]!;
  }

  /** Nonzero drops by `port name`. */
  drops(): Record<string, number> {
    const found: Record<string, number> = {};
    for (let port = 0; port <= this.lane.portsHigh; port++) {
      for (let reason = 1; reason < DROPS.length; reason++) {
        const dropped = this.view.f64[this.lane.dropsAt + port * REASONS_COUNT + reason]!;
        if (dropped > 0) found[`${port} ${DROPS[reason]!.name}`] = dropped;
      }
    }
    return found;
  }
}
