/** Rows about the switch itself: how long frames stay, which addresses it knows, its workers and its process. Used by dashboard.ts. */
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph, heatmap } from './panels.ts';
import { BRIDGE, BY_PORT, PORT, type Row, rate, SWITCH } from './selectors.ts';

function residence(quantile: number, by: string): string {
  return `histogram_quantile(${quantile}, sum by (${by}) (${rate('weft_residence_seconds_bucket', PORT)}))`;
}

export function latency(): Row {
  const byPort = 'le, bridge, port';
  const mean = `${rate('weft_residence_seconds_sum', PORT)} / (${rate('weft_residence_seconds_count', PORT)} > 0)`;
  return {
    title: 'Latency: how long frames stay in the switch',
    panels: [
      heatmap({
        title: 'Residence',
        description: 'Frames per second by the time between receive and transmit.',
        unit: units.Seconds,
        span: FULL_SPAN / 2,
        targets: [[`sum by (le) (${rate('weft_residence_seconds_bucket', PORT)})`, '']],
      }),
      graph({
        title: 'Residence: median and 99th percentile',
        description: 'Of all frames of the ports chosen above. Buckets double, so a value is right to a factor of two.',
        unit: units.Seconds,
        span: FULL_SPAN / 2,
        targets: [
          [residence(0.5, 'le'), 'p50'],
          [residence(0.99, 'le'), 'p99'],
        ],
      }),
      graph({
        title: 'Residence by port: 99th percentile',
        description: 'Of frames received from the port.',
        unit: units.Seconds,
        span: FULL_SPAN / 3,
        targets: [[residence(0.99, byPort), BY_PORT]],
      }),
      graph({
        title: 'Residence by port: mean',
        description: 'Of frames received from the port; exact, since it comes from the sum and not from the buckets.',
        unit: units.Seconds,
        span: FULL_SPAN / 3,
        targets: [[mean, BY_PORT]],
      }),
      graph({
        title: 'Jitter',
        description: 'Spread of the residence of each port’s frames: 99th percentile less median.',
        unit: units.Seconds,
        span: FULL_SPAN / 3,
        targets: [[`${residence(0.99, byPort)} - ${residence(0.5, byPort)}`, BY_PORT]],
      }),
    ],
  };
}

export function addresses(): Row {
  return {
    title: 'Addresses',
    panels: [
      graph({
        title: 'Addresses',
        description: 'Entries in the forwarding database of each bridge, and how many it may hold.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [
          [`weft_fdb_entries{${BRIDGE}}`, '{{bridge}}'],
          [`weft_fdb_limit{${BRIDGE}}`, '{{bridge}} limit'],
        ],
      }),
      graph({
        title: 'Moves',
        description:
          'Addresses that moved to the port from another, per second: a guest that migrates once, a loop for ever.',
        unit: units.CountsPerSecond,
        span: FULL_SPAN / 4,
        targets: [[rate('weft_fdb_moves_total', PORT), BY_PORT]],
      }),
      graph({
        title: 'Not learned, forgotten early, or half-written',
        description:
          'Frames per second whose source was not learned because the bridge’s or the port’s fdb-limit was reached; addresses per second that made room for others before their time; and lookups that missed because another worker was writing the entry, so that the frame was flooded.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [
          [rate('weft_fdb_learn_limited_total', PORT), BY_PORT],
          [rate('weft_fdb_evictions_total', SWITCH), 'forgotten, all bridges'],
          [rate('weft_fdb_torn_reads_total', SWITCH), 'half-written, worker {{worker}}'],
        ],
      }),
      graph({
        title: 'Flooded',
        description: 'Frames from the port that went to all others: broadcast, multicast, and unknown destinations.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [[rate('weft_flood_frames_total', PORT), BY_PORT]],
      }),
    ],
  };
}

export function workers(): Row {
  return {
    title: 'Workers',
    panels: [
      graph({
        title: 'Busy',
        description:
          'Share of time in turns that moved a frame. Near 100 % the worker is the limit: give the switch more workers.',
        unit: units.PercentUnit,
        span: FULL_SPAN / 4,
        max: 1,
        targets: [[rate('weft_worker_busy_seconds_total', SWITCH), 'worker {{worker}}']],
      }),
      graph({
        title: 'Turns',
        description: 'Rounds per second. An idle worker still makes a few; none at all means that it hangs.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [[rate('weft_worker_turns_total', SWITCH), 'worker {{worker}}']],
      }),
      graph({
        title: 'Restarts',
        description:
          'Times that a worker died and another took its place; its ports lost frames for some milliseconds.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [[`increase(weft_worker_restarts_total{${SWITCH}}[$__rate_interval])`, 'worker {{worker}}']],
      }),
      graph({
        title: 'Active flows',
        description: 'Flows seen lately, estimated from samples.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        stacked: true,
        targets: [[`weft_active_flows{${SWITCH}}`, 'worker {{worker}}']],
      }),
    ],
  };
}

export function daemon(): Row {
  return {
    title: 'Process',
    panels: [
      graph({
        title: 'Memory',
        description: 'Resident memory without huge pages, and what the control plane’s JavaScript holds.',
        unit: units.BytesIEC,
        span: FULL_SPAN / 4,
        targets: [
          [`process_resident_memory_bytes{${SWITCH}}`, 'resident'],
          [`nodejs_heap_size_used_bytes{${SWITCH}}`, 'heap used'],
          [`nodejs_external_memory_bytes{${SWITCH}}`, 'external'],
        ],
      }),
      graph({
        title: 'Event loop',
        description:
          'Delay of the control plane’s event loop; workers have none. The percentiles include the 100 ms between two samples.',
        unit: units.Seconds,
        span: FULL_SPAN / 4,
        targets: [
          [`nodejs_eventloop_lag_seconds{${SWITCH}}`, 'at the scrape'],
          [`nodejs_eventloop_lag_p50_seconds{${SWITCH}}`, 'p50'],
          [`nodejs_eventloop_lag_p99_seconds{${SWITCH}}`, 'p99'],
        ],
      }),
      graph({
        title: 'CPU',
        description: 'Cores in use by all threads, workers included. A worker that idles busily takes a whole one.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        stacked: true,
        targets: [
          [rate('process_cpu_user_seconds_total', SWITCH), 'user'],
          [rate('process_cpu_system_seconds_total', SWITCH), 'system'],
        ],
      }),
      graph({
        title: 'File descriptors',
        description: 'Each TAP takes one per worker. At the limit no port can be added.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [
          [`process_open_fds{${SWITCH}}`, 'open'],
          [`process_max_fds{${SWITCH}}`, 'limit'],
        ],
      }),
    ],
  };
}
