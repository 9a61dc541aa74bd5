/** The row about tunnels: who can be reached, how long a packet fits, what the shared sockets carry and lose. Used by dashboard.ts. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph, upDown } from './panels.ts';
import { BY_PORT, PORT, type Row, rate, SWITCH } from './selectors.ts';

const BY_REMOTE = `${BY_PORT} {{remote}}`;
const RECEIVED = '{{endpoint}} received';
const SENT = '{{kind}} {{local}} sent';

function reach(): Builder<Panel>[] {
  return [
    upDown({
      title: 'Tunnels',
      description: 'A tunnel that is down has no local address, or no sockets: weft show tunnels says why.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [[`weft_tunnel_up{${PORT}}`, `${BY_PORT} {{kind}}`]],
    }),
    upDown({
      title: 'Remotes',
      description: 'A remote is down when there is no route to it, or when it says that nobody listens there.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [[`weft_tunnel_remote_up{${PORT}}`, BY_REMOTE]],
    }),
    graph({
      title: 'Remotes by state',
      description: 'How many remotes of each tunnel can be reached; learned ones are among them.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      stacked: true,
      targets: [[`weft_tunnel_remotes{${PORT}}`, `${BY_PORT} {{state}}`]],
    }),
    graph({
      title: 'MTU',
      description:
        'The longest inner packet that each tunnel takes, and that its underlay does; and the longest outer one on the way to each remote. A tunnel above its underlay loses long frames, and tells their senders.',
      unit: units.BytesIEC,
      span: FULL_SPAN / 4,
      targets: [
        [`weft_tunnel_mtu_bytes{${PORT}}`, `${BY_PORT} takes`],
        [`weft_tunnel_underlay_mtu_bytes{${PORT}}`, `${BY_PORT} underlay`],
        [`weft_tunnel_path_mtu_bytes{${PORT}}`, BY_REMOTE],
      ],
    }),
  ];
}

function sockets(): Builder<Panel>[] {
  const each = (metric: string) => rate(`weft_tunnel_${metric}_total`, SWITCH);
  return [
    graph({
      title: 'Datagrams',
      description: 'Outer packets of all tunnels that share an address and a port.',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 3,
      targets: [
        [each('received_datagrams'), RECEIVED],
        [each('sent_datagrams'), SENT],
      ],
    }),
    graph({
      title: 'Datagrams a call',
      description: 'How many the kernel gives and takes at once: one means that batching finds nothing to do.',
      unit: units.Short,
      span: FULL_SPAN / 3,
      targets: [
        [`${each('received_datagrams')} / ${each('received_messages')}`, RECEIVED],
        [`${each('sent_datagrams')} / ${each('send_messages')}`, SENT],
      ],
    }),
    graph({
      title: 'Merged segments',
      description: 'TCP segments that went on as part of a longer frame, which costs their receiver far less.',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 3,
      targets: [[each('merged_segments'), '{{endpoint}}']],
    }),
    graph({
      title: 'Ports with a larger MTU',
      description:
        'TAPs of the tunnel’s bridge whose document says an MTU that the tunnel does not take: their hosts send packets that are lost.',
      unit: units.Short,
      span: FULL_SPAN / 2,
      targets: [[`weft_tunnel_larger_ports{${PORT}}`, BY_PORT]],
    }),
    graph({
      title: 'Lost at the sockets',
      description:
        'Datagrams that the kernel had no room for, errors that came back for what was sent, and datagrams that belong to no tunnel or make no sense.',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 2,
      targets: [
        [each('missed_datagrams'), '{{endpoint}} missed'],
        [each('send_errors'), '{{kind}} {{local}} errors'],
        [`${rate('weft_dropped_frames_total', `${SWITCH},bridge=""`)} or vector(0)`, '{{port}} {{reason}}'],
      ],
    }),
  ];
}

export function tunnels(): Row {
  return { title: 'Tunnels', panels: [...reach(), ...sockets()] };
}
