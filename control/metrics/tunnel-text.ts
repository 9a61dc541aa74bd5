/**
 * The tunnels' part of a scrape: states, MTUs, remotes, and the counters of the sockets that many tunnels share. Called by text.ts on the
 * main thread. Names, labels and units are a contract, as there. A switch without tunnels has none of these lines.
 */
import {
  TUNNEL_REMOTE_STATES,
  type TunnelEndpointRow,
  type TunnelRemoteRow,
  type TunnelRow,
  type TunnelSenderRow,
} from '../tunnel-rows.ts';
import { escaped, heading, portLabels } from './lines.ts';

interface Labelled<Of> {
  readonly labels: string;
  readonly of: Of;
}

interface Total<Of> {
  readonly name: string;
  readonly help: string;
  readonly read: (of: Of) => number;
}

const ENDPOINT_TOTALS: readonly Total<TunnelEndpointRow>[] = [
  {
    name: 'weft_tunnel_received_datagrams_total',
    help: 'Datagrams that the tunnels’ endpoint received.',
    read: (e) => e.datagrams,
  },
  {
    name: 'weft_tunnel_received_messages_total',
    help: 'Reads that brought them: several datagrams come as one.',
    read: (e) => e.messages,
  },
  {
    name: 'weft_tunnel_merged_segments_total',
    help: 'Inner TCP segments that went on as part of another frame.',
    read: (e) => e.merged,
  },
  {
    name: 'weft_tunnel_missed_datagrams_total',
    help: 'Datagrams lost in the kernel since the sockets’ buffers were full.',
    read: (e) => e.missed,
  },
];

const SENDER_TOTALS: readonly Total<TunnelSenderRow>[] = [
  {
    name: 'weft_tunnel_sent_datagrams_total',
    help: 'Datagrams that tunnels sent from the local address.',
    read: (s) => s.datagrams,
  },
  {
    name: 'weft_tunnel_send_messages_total',
    help: 'Writes that took them: several datagrams go as one.',
    read: (s) => s.messages,
  },
  {
    name: 'weft_tunnel_send_errors_total',
    help: 'ICMP errors that came back, and what the kernel refused.',
    read: (s) => s.errors,
  },
];

function* gauge<Of>(
  name: string,
  help: string,
  samples: readonly Labelled<Of>[],
  read: (of: Of) => number | null,
): Generator<string> {
  const values = samples.map(({ of }) => read(of));
  if (values.every((value) => value === null)) return;
  yield heading(name, 'gauge', help);
  for (const [i, value] of values.entries()) if (value !== null) yield `${name}{${samples[i]!.labels}} ${value}\n`;
}

/** Samples with the same labels are one series: senders of other options share their address. */
function* totals<Of>(metrics: readonly Total<Of>[], samples: readonly Labelled<Of>[]): Generator<string> {
  if (samples.length === 0) return;
  for (const { name, help, read } of metrics) {
    const sums = new Map<string, number>();
    for (const { labels, of } of samples) sums.set(labels, (sums.get(labels) ?? 0) + read(of));
    yield heading(name, 'counter', help);
    for (const [labels, sum] of sums) yield `${name}{${labels}} ${sum}\n`;
  }
}

/** One series for each address: a static entry with a VNI of its own is one more remote of the same address. */
function remotesOf({ labels, of }: Labelled<TunnelRow>): Labelled<TunnelRemoteRow>[] {
  const byAddress = new Map(of.remotes.map((remote) => [remote.address, remote]));
  return [...byAddress.values()].map((remote) => ({
    labels: `${labels},remote="${escaped(remote.address)}"`,
    of: remote,
  }));
}

function* remoteCounts(tunnels: readonly Labelled<TunnelRow>[]): Generator<string> {
  yield heading('weft_tunnel_remotes', 'gauge', 'Remotes of the tunnel in each state.');
  for (const { labels, of } of tunnels)
    for (const state of TUNNEL_REMOTE_STATES)
      yield `weft_tunnel_remotes{${labels},state="${state}"} ${of.remotes.filter((r) => r.state === state).length}\n`;
}

export interface TunnelSamples {
  readonly tunnels: readonly TunnelRow[];
  readonly endpoints: readonly TunnelEndpointRow[];
  readonly senders: readonly TunnelSenderRow[];
}

export function* tunnelLines({ tunnels, endpoints, senders }: TunnelSamples): Generator<string> {
  if (tunnels.length > 0) {
    const labelled = tunnels.map((of) => ({ labels: portLabels({ bridge: of.bridge, port: of.name }), of }));
    const kinds = labelled.map(({ labels, of }) => ({ labels: `${labels},kind="${of.kind}"`, of }));
    const remotes = labelled.flatMap(remotesOf);
    yield* gauge('weft_tunnel_up', '1 when the tunnel carries frames, 0 when it is down.', kinds, (t) =>
      t.up ? 1 : 0,
    );
    yield* gauge('weft_tunnel_mtu_bytes', 'Longest inner IP packet.', labelled, (t) => t.mtu || null);
    yield* gauge(
      'weft_tunnel_underlay_mtu_bytes',
      'Longest inner IP packet that the ways to all remotes take, only where it is known, and of tunnels that send no fragments.',
      labelled,
      (t) => (t.df && t.mtuUnderlay) || null,
    );
    yield* gauge(
      'weft_tunnel_larger_ports',
      'TAPs of the tunnel’s bridge with an MTU of their own that is larger than the tunnel’s.',
      labelled,
      (t) => t.tooLarge.length,
    );
    yield* remoteCounts(labelled);
    yield* gauge('weft_tunnel_remote_up', '1 when the remote can be reached, 0 when not.', remotes, (r) =>
      r.state === 'up' ? 1 : 0,
    );
    yield* gauge(
      'weft_tunnel_path_mtu_bytes',
      'Longest outer IP packet on the way to the remote, only where it is known.',
      remotes,
      (r) => r.pathMtu || null,
    );
  }
  const ends = endpoints.map((of) => ({ labels: `endpoint="${escaped(of.name)}",kind="${of.kind}"`, of }));
  yield* totals(ENDPOINT_TOTALS, ends);
  const from = senders.map((of) => ({ labels: `local="${escaped(of.local)}",kind="${of.kind}"`, of }));
  yield* totals(SENDER_TOTALS, from);
}
