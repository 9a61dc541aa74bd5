/** What a scrape reads of the running switch: samples straight from the arena. Main thread. */
import { BlockCell, PortCell } from '../../dataplane/memory/layout.ts';
import type {
  BondSample,
  BridgeSample,
  LossSample,
  MetricsSource,
  PortSample,
  WorkerSample,
} from '../metrics/source.ts';
import type { TunnelEndpointRow, TunnelRow, TunnelSenderRow } from '../tunnel-rows.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';
import { bondSamples, lossesOf, shownPorts, speedOf, transmitted } from './show-bonds.ts';
import { endpointRows, senderRows, tunnelRows } from './show-tunnels.ts';

export class Metrics implements MetricsSource {
  readonly #base: Foundation;
  constructor(base: Foundation) {
    this.#base = base;
  }

  ports(): PortSample[] {
    return shownPorts(this.#base.book.ports()).map((state) => this.#port(state));
  }

  #port(state: PortState): PortSample {
    const { bridge, model, number, up, device } = state;
    const transmit = transmitted(this.#base, state);
    const cell = (which: number): number => this.#base.counters.cell(number, which);
    const residence = this.#base.counters.residence(number);
    return {
      bridge,
      port: model.name,
      kind: model.kind,
      up,
      speed: speedOf(this.#base, state),
      receiveFrames: cell(PortCell.RX_FRAMES),
      receiveBytes: cell(PortCell.RX_BYTES),
      receiveSegments: cell(PortCell.RX_SEGMENTS),
      transmitFrames: transmit.frames,
      transmitBytes: transmit.bytes,
      transmitSegments: transmit.segments,
      floodFrames: cell(PortCell.FLOODED),
      fdbMoves: cell(PortCell.MOVED),
      learnLimited: cell(PortCell.LEARN_LIMITED),
      residence: residence.buckets,
      residenceSum: residence.sumNs / 1e9,
      guests: (device?.by === 'opener' ? device.device.tallies : null) ?? null,
    };
  }

  bonds(): BondSample[] {
    return bondSamples(this.#base);
  }

  tunnels(): TunnelRow[] {
    return tunnelRows(this.#base, false);
  }

  tunnelEndpoints(): TunnelEndpointRow[] {
    return endpointRows(this.#base);
  }

  tunnelSenders(): TunnelSenderRow[] {
    return senderRows(this.#base);
  }

  bridges(): BridgeSample[] {
    return this.#base.book.bridges().map(({ number, model }) => ({
      bridge: model.name,
      fdbEntries: this.#base.counters.bridgeEntries(number),
      fdbLimit: model.fdbLimit,
    }));
  }

  evictions(): number {
    return this.#base.counters.evictions();
  }

  workers(): WorkerSample[] {
    return Array.from({ length: this.#base.pool.count }, (_, worker) => ({
      worker,
      turns: this.#base.counters.blockCell(worker, BlockCell.TURNS),
      busySeconds: this.#base.counters.blockCell(worker, BlockCell.BUSY_NS) / 1e9,
      restarts: this.#base.pool.status(worker).restarts,
      activeFlows: this.#base.counters.blockCell(worker, BlockCell.FLOWS),
      tornReads: this.#base.counters.blockCell(worker, BlockCell.TORN_READS),
    }));
  }

  drops(): LossSample[] {
    const { book, counters, tunnels } = this.#base;
    const endpoints = tunnels.endpoints.all().flatMap(({ name, number }) => lossesAt('', name, counters.drops(number)));
    return [...lossSamples(book.ports(), (state) => counters.drops(state.number)), ...endpoints];
  }

  /** A bond's are its members': alerts compare them with what the port received. */
  missed(): LossSample[] {
    const of = (state: PortState) => lossesOf(this.#base, state, (one) => this.#base.kernel.of(one));
    return lossSamples(shownPorts(this.#base.book.ports()), of);
  }
}

function lossSamples(states: readonly PortState[], of: (state: PortState) => Record<string, number>): LossSample[] {
  return states.flatMap((state) => lossesAt(state.bridge, state.model.name, of(state)));
}

function lossesAt(bridge: string, port: string, losses: Record<string, number>): LossSample[] {
  return Object.entries(losses).map(([reason, frames]) => ({ bridge, port, reason, frames }));
}
