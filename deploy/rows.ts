/**
 * What the dashboard asks: its rows and their panels, from "is it well?" down to the process. Used by dashboard.ts; each query is asked
 * of a real Prometheus by test/interop. Series of losses begin with the first loss, so sums of them fall back to zero.
 */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph, heatmap, stat, upDown } from './panels.ts';

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

const SWITCH = 'instance="$instance"';
const BRIDGE = `${SWITCH},bridge=~"$bridge"`;
const PORT = `${BRIDGE},port=~"$port"`;
const BY_PORT = '{{bridge}}/{{port}}';
const BY_PORT_AND_REASON = `${BY_PORT} {{reason}}`;

/** Per second, over as many scrapes as Grafana holds for safe. */
function rate(metric: string, labels: string): string {
  return `rate(${metric}{${labels}}[$__rate_interval])`;
}

function residence(quantile: number, by: string): string {
  return `histogram_quantile(${quantile}, sum by (${by}) (${rate('weft_residence_seconds_bucket', PORT)}))`;
}

function overview(): Row {
  const received = `sum(${rate('weft_port_receive_frames_total', PORT)})`;
  const dropped = `sum(${rate('weft_dropped_frames_total', PORT)})`;
  return {
    title: 'Overview',
    panels: [
      stat({
        title: 'Ports',
        description: 'Ports that carry frames, and ports that are down: weft show ports gives the reason.',
        unit: units.Short,
        span: 4,
        targets: [
          [`sum(weft_port_up{${PORT}})`, 'up'],
          [`sum(1 - weft_port_up{${PORT}})`, 'down'],
        ],
      }),
      stat({
        title: 'Frames received',
        description: 'Frames that ports gave to the switch, per second. A super-frame is one.',
        unit: units.PacketsPerSecond,
        span: 5,
        targets: [[received, 'frames']],
      }),
      stat({
        title: 'Bits received',
        description: 'Bits that ports gave to the switch, per second.',
        unit: units.BitsPerSecondSI,
        span: 5,
        targets: [[`8 * sum(${rate('weft_port_receive_bytes_total', PORT)})`, 'bits']],
      }),
      stat({
        title: 'Losses',
        description:
          'Frames lost in the switch per second, for every reason: also those that were not to pass, as a frame of a foreign VLAN.',
        unit: units.PacketsPerSecond,
        span: 5,
        limits: [1, 1000],
        targets: [[`${dropped} or vector(0)`, 'lost']],
      }),
      stat({
        title: 'Loss ratio',
        description:
          'Frames lost in the switch per frame received. A flooded frame that is lost at two ports counts twice.',
        unit: units.PercentUnit,
        span: 5,
        limits: [0.001, 0.01],
        targets: [[`${dropped} / ${received} or vector(0)`, 'lost']],
      }),
      graph({
        title: 'Frames per second',
        description: 'As they are on a wire: a super-frame counts each of its segments.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 2,
        targets: [
          [`sum(${rate('weft_port_receive_segments_total', PORT)})`, 'received'],
          [`sum(${rate('weft_port_transmit_segments_total', PORT)})`, 'transmitted'],
        ],
      }),
      graph({
        title: 'Losses by reason',
        description: 'Frames lost in the switch; weft show drops explains each reason in a sentence.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 2,
        stacked: true,
        targets: [[`sum by (reason) (${rate('weft_dropped_frames_total', PORT)})`, '{{reason}}']],
      }),
    ],
  };
}

function ports(): Row {
  const load = (direction: string) =>
    `${rate(`weft_port_${direction}_bytes_total`, PORT)} / on (instance, bridge, port) weft_port_speed_bytes{${PORT}}`;
  const bits = (direction: string) => `8 * ${rate(`weft_port_${direction}_bytes_total`, PORT)}`;
  return {
    title: 'Ports',
    panels: [
      upDown({
        title: 'Up and down',
        description: 'When each port carried frames.',
        unit: units.NoUnit,
        span: FULL_SPAN / 2,
        targets: [[`weft_port_up{${PORT}}`, BY_PORT]],
      }),
      graph({
        title: 'Utilisation',
        description:
          'Share of the port’s speed, each direction, for ports whose speed is known: set speed in the document.',
        unit: units.PercentUnit,
        span: FULL_SPAN / 2,
        targets: [
          [load('receive'), `${BY_PORT} received`],
          [load('transmit'), `${BY_PORT} transmitted`],
        ],
      }),
      graph({
        title: 'Received',
        description: 'Bits per second from each port.',
        unit: units.BitsPerSecondSI,
        span: FULL_SPAN / 2,
        targets: [[bits('receive'), BY_PORT]],
      }),
      graph({
        title: 'Transmitted',
        description: 'Bits per second to each port.',
        unit: units.BitsPerSecondSI,
        span: FULL_SPAN / 2,
        targets: [[bits('transmit'), BY_PORT]],
      }),
      graph({
        title: 'Frames',
        description: 'Frames per second from and to each port. A super-frame is one.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [
          [rate('weft_port_receive_frames_total', PORT), `${BY_PORT} received`],
          [rate('weft_port_transmit_frames_total', PORT), `${BY_PORT} transmitted`],
        ],
      }),
      graph({
        title: 'Missed',
        description:
          'Frames that the kernel lost before the switch could read them, by its own reason: the worker is too busy or was kept off the CPU.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [[rate('weft_port_receive_missed_frames_total', PORT), BY_PORT_AND_REASON]],
      }),
      graph({
        title: 'Losses',
        description: 'The ten largest losses in the switch, by port and reason.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [[`topk(10, ${rate('weft_dropped_frames_total', PORT)})`, BY_PORT_AND_REASON]],
      }),
      graph({
        title: 'Segments per frame',
        description:
          'How large super-frames are: 1 means that offloads do not reach the port, and that TCP is slower than it could be.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [
          [
            `${rate('weft_port_receive_segments_total', PORT)} / (${rate('weft_port_receive_frames_total', PORT)} > 0)`,
            BY_PORT,
          ],
        ],
      }),
    ],
  };
}

function latency(): Row {
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

function addresses(): Row {
  return {
    title: 'Addresses',
    panels: [
      graph({
        title: 'Addresses',
        description: 'Entries in the forwarding database of each bridge.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [[`weft_fdb_entries{${BRIDGE}}`, '{{bridge}}']],
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
        title: 'Not learned',
        description:
          'Frames per second whose source was not learned because the bridge’s or the port’s fdb-limit was reached.',
        unit: units.PacketsPerSecond,
        span: FULL_SPAN / 4,
        targets: [[rate('weft_fdb_learn_limited_total', PORT), BY_PORT]],
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

function workers(): Row {
  return {
    title: 'Workers',
    panels: [
      graph({
        title: 'Busy',
        description:
          'Share of time in turns that moved a frame. Near 100 % the worker is the limit: give the switch more workers.',
        unit: units.PercentUnit,
        span: FULL_SPAN / 3,
        max: 1,
        targets: [[rate('weft_worker_busy_seconds_total', SWITCH), 'worker {{worker}}']],
      }),
      graph({
        title: 'Turns',
        description: 'Rounds per second. An idle worker still makes a few; none at all means that it hangs.',
        unit: units.Short,
        span: FULL_SPAN / 3,
        targets: [[rate('weft_worker_turns_total', SWITCH), 'worker {{worker}}']],
      }),
      graph({
        title: 'Active flows',
        description: 'Flows seen lately, estimated from samples.',
        unit: units.Short,
        span: FULL_SPAN / 3,
        stacked: true,
        targets: [[`weft_active_flows{${SWITCH}}`, 'worker {{worker}}']],
      }),
    ],
  };
}

function daemon(): Row {
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

export const ROWS: readonly Row[] = [overview(), ports(), latency(), addresses(), workers(), daemon()];
