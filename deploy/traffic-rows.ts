/** Rows about traffic: is it well, what passes each port and what is lost. Used by dashboard.ts. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph, stat, upDown } from './panels.ts';
import { BY_PORT, BY_PORT_AND_REASON, PORT, type Row, rate } from './selectors.ts';

export function overview(): Row {
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

/** What becomes of each port's frames. */
function portFrames(): Builder<Panel>[] {
  return [
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
  ];
}

export function ports(): Row {
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
      ...portFrames(),
    ],
  };
}
