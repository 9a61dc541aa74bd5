/**
 * The bonds' part of a scrape: states, failovers, members' counters, LACP. Called by text.ts on the main thread. Names, labels and units are a
 * contract, as there. A switch without bonds has none of these lines.
 */
import { LACP_STATE_NAMES } from '../../dataplane/wire/lacp-value.ts';
import { BOND_MEMBER_STATES, type LacpInfo } from '../switch.ts';
import { escaped, heading, portLabels } from './lines.ts';
import type { BondMemberSample, BondSample } from './source.ts';

interface Metric<Of> {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Null: there is no such sample. */
  readonly read: (of: Of) => number | null;
}

interface Labelled<Of> {
  readonly labels: string;
  readonly of: Of;
}

const BOND_METRICS: readonly Metric<BondSample>[] = [
  {
    name: 'weft_bond_failovers_total',
    type: 'counter',
    help: 'Times that another member became the active one.',
    read: (b) => b.failovers,
  },
  {
    name: 'weft_bond_buckets_moved_total',
    type: 'counter',
    help: 'Buckets of flows that rebalancing moved to another member.',
    read: (b) => b.moved,
  },
  {
    name: 'weft_bond_lacp_negotiated',
    type: 'gauge',
    help: '1 when the bond has an LACP partner, 0 when not; only of mode 802.3ad.',
    read: (b) => (b.lacp === 'off' ? null : flag(b.lacp === 'negotiated')),
  },
];

const MEMBER_METRICS: readonly Metric<BondMemberSample>[] = [
  {
    name: 'weft_bond_member_up',
    type: 'gauge',
    help: '1 when the member has a link, 0 when not.',
    read: (m) => flag(m.link),
  },
  {
    name: 'weft_bond_member_carrying',
    type: 'gauge',
    help: '1 when the bond sends by the member, 0 when not.',
    read: (m) => flag(m.carrying),
  },
  {
    name: 'weft_bond_member_active',
    type: 'gauge',
    help: '1 for the member that carries all, or that takes what goes to many; 0 for the others.',
    read: (m) => flag(m.state === 'active'),
  },
  {
    name: 'weft_bond_member_speed_bytes',
    type: 'gauge',
    help: 'Speed of the member in bytes per second, only where it is known.',
    read: (m) => (m.speed === null ? null : m.speed / 8),
  },
  {
    name: 'weft_bond_member_buckets',
    type: 'gauge',
    help: 'Buckets of flows, of 256, that lead to the member.',
    read: (m) => m.buckets,
  },
  {
    name: 'weft_bond_member_link_failures_total',
    type: 'counter',
    help: 'Times that the member lost its link, or its targets’ answers.',
    read: (m) => m.failures,
  },
  ...(['receive', 'transmit'] as const).flatMap((way) =>
    (['frames', 'bytes', 'segments'] as const).map((what) => ({
      name: `weft_bond_member_${way}_${what}_total`,
      type: 'counter' as const,
      help: `${what === 'bytes' ? 'Bytes of frames' : what === 'frames' ? 'Frames' : 'Frames as they are on a wire'} ${way === 'receive' ? 'received from' : 'handed to'} the member.`,
      read: (m: BondMemberSample) => m[way][what],
    })),
  ),
  {
    name: 'weft_bond_member_punted_frames_total',
    type: 'counter',
    help: 'Frames from the member that went to the control plane: LACP, answers to probes.',
    read: (m) => m.punted,
  },
  {
    name: 'weft_bond_member_injected_frames_total',
    type: 'counter',
    help: 'Frames that the control plane sent by the member.',
    read: (m) => m.injected,
  },
  {
    name: 'weft_lacp_frames_received_total',
    type: 'counter',
    help: 'LACPDUs received.',
    read: (m) => m.lacp?.received ?? null,
  },
  {
    name: 'weft_lacp_frames_sent_total',
    type: 'counter',
    help: 'LACPDUs sent.',
    read: (m) => m.lacp?.sent ?? null,
  },
  {
    name: 'weft_lacp_frames_bad_total',
    type: 'counter',
    help: 'Frames of slow protocols that make no sense.',
    read: (m) => m.lacp?.bad ?? null,
  },
  {
    name: 'weft_lacp_markers_answered_total',
    type: 'counter',
    help: 'Marker requests that were answered.',
    read: (m) => m.lacp?.markers ?? null,
  },
  {
    name: 'weft_lacp_actor_churned',
    type: 'gauge',
    help: '1 when our side of the link does not come into sync with its aggregator.',
    read: (m) => (m.lacp === null ? null : flag(m.lacp.actorChurn === 'churn')),
  },
  {
    name: 'weft_lacp_partner_churned',
    type: 'gauge',
    help: '1 when the partner’s side of the link does not come into sync with its aggregator.',
    read: (m) => (m.lacp === null ? null : flag(m.lacp.partnerChurn === 'churn')),
  },
];

function flag(is: boolean): number {
  return is ? 1 : 0;
}

function* metricLines<Of>(metrics: readonly Metric<Of>[], samples: readonly Labelled<Of>[]): Generator<string> {
  for (const { name, type, help, read } of metrics) {
    const values = samples.map(({ of }) => read(of));
    if (values.every((value) => value === null)) continue;
    yield heading(name, type, help);
    for (const [i, value] of values.entries()) if (value !== null) yield `${name}{${samples[i]!.labels}} ${value}\n`;
  }
}

function* stateLines(bonds: readonly Labelled<BondSample>[]): Generator<string> {
  yield heading('weft_bond_info', 'gauge', 'Always 1; how the bond spreads frames.');
  for (const { labels, of } of bonds)
    yield `weft_bond_info{${labels},mode="${of.mode}",hash="${of.hash ?? 'none'}"} 1\n`;
  yield heading('weft_bond_members', 'gauge', 'Members of the bond in each state.');
  for (const { labels, of } of bonds)
    for (const state of BOND_MEMBER_STATES)
      yield `weft_bond_members{${labels},state="${state}"} ${of.members.filter((m) => m.state === state).length}\n`;
}

function sideLines(labels: string, side: string, info: LacpInfo): string {
  return LACP_STATE_NAMES.map(
    (name) => `weft_lacp_state{${labels},side="${side}",flag="${name}"} ${flag(info.state.includes(name))}\n`,
  ).join('');
}

function* lacpLines(members: readonly Labelled<BondMemberSample>[]): Generator<string> {
  const speaking = members.flatMap(({ labels, of }) => (of.lacp === null ? [] : [{ labels, of: of.lacp }]));
  if (speaking.length === 0) return;
  yield heading('weft_lacp_state', 'gauge', 'State bits of both sides of a link, as LACPDUs carry them.');
  for (const { labels, of } of speaking) {
    yield sideLines(labels, 'actor', of.actor);
    if (of.partner !== null) yield sideLines(labels, 'partner', of.partner);
  }
  yield heading('weft_lacp_partner_info', 'gauge', 'Always 1; who is at the other end of a link.');
  for (const { labels, of } of speaking) {
    if (of.partner === null) continue;
    const { system, key, port } = of.partner;
    yield `weft_lacp_partner_info{${labels},system="${escaped(system)}",key="${key}",partner_port="${port}"} 1\n`;
  }
}

export function* bondLines(bonds: readonly BondSample[]): Generator<string> {
  if (bonds.length === 0) return;
  const labelled = bonds.map((of) => ({ labels: portLabels({ bridge: of.bridge, port: of.name }), of }));
  const members = labelled.flatMap(({ labels, of }) =>
    of.members.map((member) => ({ labels: `${labels},member="${escaped(member.name)}"`, of: member })),
  );
  yield* stateLines(labelled);
  yield* metricLines(BOND_METRICS, labelled);
  yield* metricLines(MEMBER_METRICS, members);
  yield* lacpLines(members);
}
