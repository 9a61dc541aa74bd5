/** What a scrape reads of the running switch: samples straight from the arena. Main thread. */
import { BlockCell, PortCell } from '../../dataplane/memory/layout.ts';
import type { BridgeSample, LossSample, MetricsSource, PortSample, WorkerSample } from '../metrics/source.ts';
import type { Foundation } from './foundation.ts';
import type { PortState } from './port-book.ts';

export class Metrics implements MetricsSource {
  readonly #base: Foundation;
  constructor(base: Foundation) {
    this.#base = base;
  }

  ports(): PortSample[] {
    return this.#base.book.ports().map((state) => this.#port(state));
  }

  #port({ bridge, model, number, up, device }: PortState): PortSample {
    const cell = (which: number): number => this.#base.counters.cell(number, which);
    const residence = this.#base.counters.residence(number);
    return {
      bridge,
      port: model.name,
      kind: model.kind,
      up,
      speed: model.speed,
      receiveFrames: cell(PortCell.RX_FRAMES),
      receiveBytes: cell(PortCell.RX_BYTES),
      receiveSegments: cell(PortCell.RX_SEGMENTS),
      transmitFrames: cell(PortCell.TX_FRAMES),
      transmitBytes: cell(PortCell.TX_BYTES),
      transmitSegments: cell(PortCell.TX_SEGMENTS),
      floodFrames: cell(PortCell.FLOODED),
      fdbMoves: cell(PortCell.MOVED),
      learnLimited: cell(PortCell.LEARN_LIMITED),
      residence: residence.buckets,
      residenceSum: residence.sumNs / 1e9,
      guests: (device?.by === 'opener' ? device.device.tallies : null) ?? null,
    };
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
    return this.#losses((state) => this.#base.counters.drops(state.number));
  }

  missed(): LossSample[] {
    return this.#losses((state) => this.#base.kernel.of(state));
  }

  #losses(of: (state: PortState) => Record<string, number>): LossSample[] {
    return this.#base.book.ports().flatMap((state) =>
      Object.entries(of(state)).map(([reason, frames]) => ({
        bridge: state.bridge,
        port: state.model.name,
        reason,
        frames,
      })),
    );
  }
}
