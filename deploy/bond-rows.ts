/** The row about bonds: which members there are and who carries, how traffic is spread, what changed, what LACP says. Used by dashboard.ts. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { FULL_SPAN, graph, upDown } from './panels.ts';
import { BY_PORT, PORT, type Row, rate } from './selectors.ts';

const BY_MEMBER = `${BY_PORT} {{member}}`;
const SAME_BOND = 'on (instance, bridge, port)';

function increase(metric: string): string {
  return `increase(${metric}{${PORT}}[$__rate_interval])`;
}

function states(): Builder<Panel>[] {
  const info = `group_left (mode, hash) weft_bond_info{${PORT}}`;
  return [
    upDown({
      title: 'Bonds',
      description: 'Bonds that carry frames, with their mode and hash: weft show bonds says why one does not.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [[`weft_port_up{${PORT}} * ${SAME_BOND} ${info}`, `${BY_PORT} {{mode}} {{hash}}`]],
    }),
    upDown({
      title: 'Members that carry',
      description:
        'A member that has a link and does not carry is in reserve, waits, has no partner, or was taken out.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [
        [`weft_bond_member_up{${PORT}}`, `${BY_MEMBER} link`],
        [`weft_bond_member_carrying{${PORT}}`, `${BY_MEMBER} carries`],
        [`weft_bond_member_active{${PORT}}`, `${BY_MEMBER} active`],
      ],
    }),
    graph({
      title: 'Members by state',
      description: 'How many members are active, enabled, in standby, waiting, disabled by command, or down.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      stacked: true,
      targets: [[`sum by (state) (weft_bond_members{${PORT}})`, '{{state}}']],
    }),
    graph({
      title: 'Changes',
      description:
        'Failovers and lost links: cables, optics or the switch at the other end. Moved buckets are rebalancing at work.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [
        [increase('weft_bond_failovers_total'), `${BY_PORT} failovers`],
        [increase('weft_bond_member_link_failures_total'), `${BY_MEMBER} links lost`],
        [increase('weft_bond_buckets_moved_total'), `${BY_PORT} buckets moved`],
      ],
    }),
  ];
}

function spread(): Builder<Panel>[] {
  const bits = (way: string) => `8 * ${rate(`weft_bond_member_${way}_bytes_total`, PORT)}`;
  const each = (way: string, what: string) => rate(`weft_bond_member_${way}_${what}_total`, PORT);
  return [
    graph({
      title: 'Bits by member',
      description:
        'Bits per second that each member received and sent: how even the spreading is. The other side decides what is received where.',
      unit: units.BitsPerSecondSI,
      span: FULL_SPAN / 4,
      targets: [
        [bits('receive'), `${BY_MEMBER} received`],
        [bits('transmit'), `${BY_MEMBER} sent`],
      ],
    }),
    graph({
      title: 'Frames by member',
      description: 'Frames and their segments, as they are on a wire, that each member received and sent.',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 4,
      targets: [
        [each('receive', 'frames'), `${BY_MEMBER} received`],
        [each('transmit', 'frames'), `${BY_MEMBER} sent`],
        [each('receive', 'segments'), `${BY_MEMBER} segments received`],
        [each('transmit', 'segments'), `${BY_MEMBER} segments sent`],
      ],
    }),
    graph({
      title: 'Use of members',
      description:
        'What a member sends of what its link can: one that is full beside others that are not has a flow of its own.',
      unit: units.PercentUnit,
      span: FULL_SPAN / 4,
      targets: [
        [`${rate('weft_bond_member_transmit_bytes_total', PORT)} / weft_bond_member_speed_bytes{${PORT}}`, BY_MEMBER],
      ],
    }),
    graph({
      title: 'Buckets by member',
      description:
        'Of the 256 that flows are spread over. Rebalancing moves them until the load is even, not until their number is.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      stacked: true,
      targets: [[`weft_bond_member_buckets{${PORT}}`, BY_MEMBER]],
    }),
  ];
}

function lacp(): Builder<Panel>[] {
  return [
    upDown({
      title: 'LACP',
      description: 'Whether a bond of mode 802.3ad has a partner, and which members it is in sync about.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      targets: [
        [`weft_bond_lacp_negotiated{${PORT}}`, `${BY_PORT} has a partner`],
        [`weft_lacp_state{${PORT},flag="synchronization"}`, `${BY_MEMBER} {{side}} in sync`],
      ],
    }),
    graph({
      title: 'LACP partners',
      description:
        'Who is at the other end, by system and key. Two of them behind one bond are two aggregators, of which one carries.',
      unit: units.Short,
      span: FULL_SPAN / 4,
      stacked: true,
      targets: [
        [`count by (bridge, port, system, key) (weft_lacp_partner_info{${PORT}})`, `${BY_PORT} {{system}} key {{key}}`],
      ],
    }),
    graph({
      title: 'LACPDUs',
      description:
        'Received and sent, by member; a bad one makes no sense. Silence of the partner for three periods takes the member out.',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 4,
      targets: [
        [rate('weft_lacp_frames_received_total', PORT), `${BY_MEMBER} received`],
        [rate('weft_lacp_frames_sent_total', PORT), `${BY_MEMBER} sent`],
        [rate('weft_lacp_frames_bad_total', PORT), `${BY_MEMBER} bad`],
        [rate('weft_lacp_markers_answered_total', PORT), `${BY_MEMBER} markers`],
      ],
    }),
    graph({
      title: 'Control frames',
      description:
        'LACPDUs, probes and announcements between members and the control plane; and sides of links that never come into sync (churned).',
      unit: units.PacketsPerSecond,
      span: FULL_SPAN / 4,
      targets: [
        [rate('weft_bond_member_punted_frames_total', PORT), `${BY_MEMBER} up`],
        [rate('weft_bond_member_injected_frames_total', PORT), `${BY_MEMBER} down`],
        [`weft_lacp_actor_churned{${PORT}}`, `${BY_MEMBER} our side churned`],
        [`weft_lacp_partner_churned{${PORT}}`, `${BY_MEMBER} partner churned`],
      ],
    }),
  ];
}

export function bonds(): Row {
  return { title: 'Bonds', panels: [...states(), ...spread(), ...lacp()] };
}
