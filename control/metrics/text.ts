/**
 * The switch's part of a scrape, as Prometheus' text format 0.0.4. Called by server.ts on the main thread. Written directly and in
 * slices: prom-client took 90–360 ms for 1,000 ports (33,000 samples, one uninterrupted piece per metric), this takes 15–30 ms and
 * gives the event loop back between slices (measured 2026, test/unit/control/metrics.test.ts keeps the bound).
 * Names, labels and units are a contract: they change only with a major version.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bondLines } from './bond-text.ts';
import { escaped, heading, portLabels } from './lines.ts';
import type { LossSample, MetricsSource, PortSample } from './source.ts';
import { tunnelLines } from './tunnel-text.ts';

/** Characters rendered between two turns of the event loop: about 1 ms. */
const SLICE_CHARACTERS = 64 * 1024;

interface PortMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Null: the port has no such sample. */
  readonly read: (port: PortSample) => number | null;
}

const PORT_METRICS: readonly PortMetric[] = [
  {
    name: 'weft_port_receive_frames_total',
    type: 'counter',
    help: 'Frames received from the port; a super-frame is one.',
    read: (p) => p.receiveFrames,
  },
  {
    name: 'weft_port_receive_bytes_total',
    type: 'counter',
    help: 'Bytes of frames received from the port.',
    read: (p) => p.receiveBytes,
  },
  {
    name: 'weft_port_receive_segments_total',
    type: 'counter',
    help: 'Frames received as they are on a wire: a super-frame counts each of its segments.',
    read: (p) => p.receiveSegments,
  },
  {
    name: 'weft_port_transmit_frames_total',
    type: 'counter',
    help: 'Frames handed to the port; a super-frame is one.',
    read: (p) => p.transmitFrames,
  },
  {
    name: 'weft_port_transmit_bytes_total',
    type: 'counter',
    help: 'Bytes of frames handed to the port.',
    read: (p) => p.transmitBytes,
  },
  {
    name: 'weft_port_transmit_segments_total',
    type: 'counter',
    help: 'Frames transmitted as they are on a wire: a super-frame counts each of its segments.',
    read: (p) => p.transmitSegments,
  },
  {
    name: 'weft_port_up',
    type: 'gauge',
    help: '1 when the port carries frames, 0 when it is down.',
    read: (p) => (p.up ? 1 : 0),
  },
  {
    name: 'weft_port_speed_bytes',
    type: 'gauge',
    help: 'Speed of the port in bytes per second, only where it is known.',
    read: (p) => (p.speed === null ? null : p.speed / 8),
  },
  {
    name: 'weft_flood_frames_total',
    type: 'counter',
    help: 'Frames from the port that were flooded.',
    read: (p) => p.floodFrames,
  },
  {
    name: 'weft_fdb_moves_total',
    type: 'counter',
    help: 'Addresses that moved to the port from another.',
    read: (p) => p.fdbMoves,
  },
  {
    name: 'weft_fdb_learn_limited_total',
    type: 'counter',
    help: 'Frames from the port whose source was not learned because a limit was reached.',
    read: (p) => p.learnLimited,
  },
  {
    name: 'weft_guest_connections_total',
    type: 'counter',
    help: 'Front ends that connected to the port.',
    read: (p) => p.guests?.connections ?? null,
  },
  {
    name: 'weft_guest_refused_clients_total',
    type: 'counter',
    help: 'Front ends that were turned away because another was connected.',
    read: (p) => p.guests?.refusedClients ?? null,
  },
  {
    name: 'weft_guest_refused_messages_total',
    type: 'counter',
    help: 'Messages of front ends that broke the protocol’s rules, and were refused.',
    read: (p) => p.guests?.refusedMessages ?? null,
  },
];

function* portLines(ports: readonly PortSample[], labels: readonly string[]): Generator<string> {
  for (const metric of PORT_METRICS) {
    yield heading(metric.name, metric.type, metric.help);
    for (let i = 0; i < ports.length; i++) {
      const value = metric.read(ports[i]!);
      if (value !== null) yield `${metric.name}{${labels[i]}} ${value}\n`;
    }
  }
  yield heading('weft_port_info', 'gauge', 'Always 1; what kind of port it is.');
  for (let i = 0; i < ports.length; i++) yield `weft_port_info{${labels[i]},kind="${ports[i]!.kind}"} 1\n`;
}

/** Upper bounds of the residence buckets in seconds, without the last, which has none: 1 µs, 2 µs, 4 µs … */
export function residenceBounds(buckets: number): string[] {
  return Array.from({ length: buckets - 1 }, (_, k) => String(2 ** k / 1e6));
}

function* residenceLines(ports: readonly PortSample[], labels: readonly string[]): Generator<string> {
  const name = 'weft_residence_seconds';
  yield heading(name, 'histogram', 'Time between receive and transmit of frames from the port.');
  const bounds = residenceBounds(ports[0]?.residence.length ?? 1);
  for (let i = 0; i < ports.length; i++) {
    const { residence, residenceSum } = ports[i]!;
    let sum = 0;
    let lines = '';
    for (let k = 0; k < bounds.length; k++) {
      sum += residence[k]!;
      lines += `${name}_bucket{${labels[i]},le="${bounds[k]}"} ${sum}\n`;
    }
    sum += residence[bounds.length] ?? 0;
    yield `${lines}${name}_bucket{${labels[i]},le="+Inf"} ${sum}\n${name}_sum{${labels[i]}} ${residenceSum}\n${name}_count{${labels[i]}} ${sum}\n`;
  }
}

function* lossLines(name: string, help: string, losses: readonly LossSample[]): Generator<string> {
  yield heading(name, 'counter', help);
  for (const loss of losses) {
    if (loss.frames > 0) yield `${name}{${portLabels(loss)},reason="${escaped(loss.reason)}"} ${loss.frames}\n`;
  }
}

function* workerLines(source: MetricsSource): Generator<string> {
  const workers = source.workers();
  yield heading('weft_worker_busy_seconds_total', 'counter', 'Time of turns that moved a frame.');
  for (const w of workers) yield `weft_worker_busy_seconds_total{worker="${w.worker}"} ${w.busySeconds}\n`;
  yield heading('weft_worker_turns_total', 'counter', 'Turns of the worker.');
  for (const w of workers) yield `weft_worker_turns_total{worker="${w.worker}"} ${w.turns}\n`;
  yield heading(
    'weft_worker_restarts_total',
    'counter',
    'Times that the worker’s thread died and another took its place.',
  );
  for (const w of workers) yield `weft_worker_restarts_total{worker="${w.worker}"} ${w.restarts}\n`;
  yield heading('weft_active_flows', 'gauge', 'Flows seen lately by the worker, estimated from samples.');
  for (const w of workers) yield `weft_active_flows{worker="${w.worker}"} ${w.activeFlows}\n`;
  yield heading(
    'weft_fdb_torn_reads_total',
    'counter',
    'Entries of the forwarding database that the worker met half-written; each was a miss.',
  );
  for (const w of workers) yield `weft_fdb_torn_reads_total{worker="${w.worker}"} ${w.tornReads}\n`;
}

function* lines(source: MetricsSource): Generator<string> {
  const ports = source.ports();
  const labels = ports.map(portLabels);
  yield* portLines(ports, labels);
  yield* residenceLines(ports, labels);
  yield* lossLines(
    'weft_port_receive_missed_frames_total',
    'Frames lost before the switch could read them, by the kernel’s own reason.',
    source.missed(),
  );
  yield* lossLines('weft_dropped_frames_total', 'Frames lost in the switch, by reason.', source.drops());
  yield* bondLines(source.bonds());
  yield* tunnelLines({
    tunnels: source.tunnels(),
    endpoints: source.tunnelEndpoints(),
    senders: source.tunnelSenders(),
  });
  const bridges = source.bridges();
  yield heading('weft_fdb_entries', 'gauge', 'Addresses in the forwarding database of the bridge.');
  for (const b of bridges) yield `weft_fdb_entries{bridge="${escaped(b.bridge)}"} ${b.fdbEntries}\n`;
  yield heading('weft_fdb_limit', 'gauge', 'Addresses that the bridge may hold: its fdb-limit.');
  for (const b of bridges) yield `weft_fdb_limit{bridge="${escaped(b.bridge)}"} ${b.fdbLimit}\n`;
  yield heading(
    'weft_fdb_evictions_total',
    'counter',
    'Addresses forgotten before their time to make room for others.',
  );
  yield `weft_fdb_evictions_total ${source.evictions()}\n`;
  yield* workerLines(source);
}

/** Renders everything; between two slices other timers and requests get their turn. */
export async function renderSwitch(source: MetricsSource): Promise<Buffer> {
  const slices: Buffer[] = [];
  let slice = '';
  for (const line of lines(source)) {
    slice += line;
    if (slice.length < SLICE_CHARACTERS) continue;
    slices.push(Buffer.from(slice));
    slice = '';
    await nextTurn();
  }
  slices.push(Buffer.from(slice));
  return Buffer.concat(slices);
}
