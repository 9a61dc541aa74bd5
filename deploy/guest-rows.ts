/** The row about KVM guests and other front ends that connect to ports: who is there, who comes and goes, who is refused. Used by dashboard.ts. */
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph } from './panels.ts';
import { BY_PORT, PORT, type Row, rate } from './selectors.ts';

const SAME_PORT = 'on (instance, bridge, port)';
const GUEST_PORTS = `weft_port_info{${PORT},kind=~"vhost-user|socket"}`;

function increase(metric: string): string {
  return `increase(${metric}{${PORT}}[$__rate_interval])`;
}

export function guests(): Row {
  const isUp = `weft_port_up{${PORT}} and ${SAME_PORT} ${GUEST_PORTS}`;
  const bits = `8 * ${rate('weft_port_receive_bytes_total', PORT)}`;
  return {
    title: 'Guests',
    panels: [
      graph({
        title: 'Connected',
        description: 'Ports of guests at which one is, and those that wait for one: weft show ports gives the reason.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        stacked: true,
        targets: [
          [`sum(${isUp})`, 'connected'],
          [`sum(1 - (${isUp}))`, 'waiting'],
        ],
      }),
      graph({
        title: 'Connections',
        description: 'Front ends that connected: a guest that comes and goes is restarted by somebody, or dies.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [[increase('weft_guest_connections_total'), BY_PORT]],
      }),
      graph({
        title: 'Refused',
        description:
          'Clients that found another one at their socket, and messages that broke the protocol: two guests with one socket, or one that means harm. weft port show tells the last reason.',
        unit: units.Short,
        span: FULL_SPAN / 4,
        targets: [
          [increase('weft_guest_refused_clients_total'), `${BY_PORT} clients`],
          [increase('weft_guest_refused_messages_total'), `${BY_PORT} messages`],
        ],
      }),
      graph({
        title: 'Bits received by kind of port',
        description: 'Bits per second that ports of each kind gave to the switch.',
        unit: units.BitsPerSecondSI,
        span: FULL_SPAN / 4,
        stacked: true,
        targets: [[`sum by (kind) (${bits} * ${SAME_PORT} group_left (kind) weft_port_info{${PORT}})`, '{{kind}}']],
      }),
    ],
  };
}
