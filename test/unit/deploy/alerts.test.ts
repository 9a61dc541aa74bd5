/** Each alert fires when what it names happens and is silent when it doesn't, by `promtool test rules`; no Prometheus runs. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { itNeeds } from '../../needs.ts';
import { alerts, CONFIG_FILE, RULES_FILE } from './questions.ts';

const PROMTOOL = { tools: ['promtool'] };
/** Samples once a minute for half an hour: `0+60x30` is a counter of 60 a minute. */
const AT = '30m';
const SWITCH = 'job="weft",instance="a:9475"';
const PORT = `${SWITCH},bridge="br0",port="web"`;
const MEMBER = `${PORT},member="eth1"`;
const BRIDGE = `${SWITCH},bridge="br0"`;
const ENDPOINT = `${SWITCH},endpoint="vxlan 192.0.2.1:4789",kind="vxlan"`;
const WORKER = `${SWITCH},worker="0"`;

interface Course {
  /** Series and its course, in promtool's notation. */
  readonly fires: Readonly<Record<string, string>>;
  readonly silent: Readonly<Record<string, string>>;
}

const received = { [`weft_port_receive_frames_total{${PORT}}`]: '0+60000x30' };
const bucket = (le: string) => `weft_residence_seconds_bucket{${PORT},le="${le}"}`;

const COURSES: Readonly<Record<string, Course>> = {
  WeftScrapeDown: {
    fires: { [`up{${SWITCH}}`]: '0x30' },
    silent: { [`up{${SWITCH}}`]: '1x30', 'up{job="other"}': '0x30' },
  },
  WeftRestartsOften: {
    fires: { [`process_start_time_seconds{${SWITCH}}`]: '1+60x30' },
    silent: { [`process_start_time_seconds{${SWITCH}}`]: '1x20 1000x10' },
  },
  WeftPortDown: {
    fires: { [`weft_port_up{${PORT}}`]: '1x20 0x10' },
    silent: { [`weft_port_up{${PORT}}`]: '0x20 1x10' },
  },
  WeftBondMemberDown: {
    fires: { [`weft_bond_members{${PORT},state="down"}`]: '0x20 1x10' },
    silent: {
      [`weft_bond_members{${PORT},state="down"}`]: '1x20 0x10',
      [`weft_bond_members{${PORT},state="disabled"}`]: '1x30',
    },
  },
  WeftBondFlaps: {
    fires: { [`weft_bond_failovers_total{${PORT}}`]: '0x15 0+1x15' },
    silent: {
      [`weft_bond_failovers_total{${PORT}}`]: '0x20 1x10',
      [`weft_bond_member_link_failures_total{${MEMBER}}`]: '0x20 2x10',
    },
  },
  WeftBondWithoutPartner: {
    fires: { [`weft_bond_lacp_negotiated{${PORT}}`]: '1x20 0x10' },
    silent: { [`weft_bond_lacp_negotiated{${PORT}}`]: '0x20 1x10' },
  },
  WeftLacpChurn: {
    fires: { [`weft_lacp_actor_churned{${MEMBER}}`]: '0x30', [`weft_lacp_partner_churned{${MEMBER}}`]: '0x20 1x10' },
    silent: { [`weft_lacp_actor_churned{${MEMBER}}`]: '1x20 0x10', [`weft_lacp_partner_churned{${MEMBER}}`]: '0x30' },
  },
  WeftLacpNonsense: {
    fires: { [`weft_lacp_frames_bad_total{${MEMBER}}`]: '0+60x30' },
    silent: { [`weft_lacp_frames_bad_total{${MEMBER}}`]: '7x30' },
  },
  WeftTunnelRemoteDown: {
    fires: { [`weft_tunnel_remote_up{${PORT},remote="192.0.2.2"}`]: '1x20 0x10' },
    silent: { [`weft_tunnel_remote_up{${PORT},remote="192.0.2.2"}`]: '0x20 1x10' },
  },
  WeftTunnelMtu: {
    fires: { [`weft_tunnel_mtu_bytes{${PORT}}`]: '1450x30', [`weft_tunnel_underlay_mtu_bytes{${PORT}}`]: '1350x30' },
    silent: {
      [`weft_tunnel_mtu_bytes{${PORT}}`]: '1450x20 1350x10',
      [`weft_tunnel_underlay_mtu_bytes{${PORT}}`]: '1350x30',
      [`weft_tunnel_larger_ports{${PORT}}`]: '2x20 0x10',
    },
  },
  WeftTunnelDatagramsMissed: {
    fires: {
      [`weft_tunnel_received_datagrams_total{${ENDPOINT}}`]: '0+60000x30',
      [`weft_tunnel_missed_datagrams_total{${ENDPOINT}}`]: '0+120x30',
    },
    silent: {
      [`weft_tunnel_received_datagrams_total{${ENDPOINT}}`]: '0+60000x30',
      [`weft_tunnel_missed_datagrams_total{${ENDPOINT}}`]: '0+30x30',
    },
  },
  WeftTunnelDatagramsDropped: {
    fires: {
      [`weft_tunnel_received_datagrams_total{${ENDPOINT}}`]: '0+60000x30',
      [`weft_dropped_frames_total{${SWITCH},bridge="",port="vxlan 192.0.2.1:4789",reason="unknown-vni"}`]: '0+120x30',
    },
    silent: {
      [`weft_tunnel_received_datagrams_total{${ENDPOINT}}`]: '0+60000x30',
      [`weft_dropped_frames_total{${SWITCH},bridge="",port="vxlan 192.0.2.1:4789",reason="unknown-vni"}`]: '0+30x30',
      [`weft_dropped_frames_total{${SWITCH},bridge="",port="geneve 192.0.2.1:6081",reason="unknown-vni"}`]: '0+120x30',
      [`weft_dropped_frames_total{${SWITCH},bridge="",port="vxlan 192.0.2.1:4789",reason="tagged-on-access"}`]:
        '0+120x30',
      [`weft_dropped_frames_total{${PORT},reason="path-mtu"}`]: '0+120x30',
    },
  },
  WeftLossRatio: {
    fires: { ...received, [`weft_dropped_frames_total{${PORT},reason="egress-full"}`]: '0+120x30' },
    silent: {
      ...received,
      [`weft_dropped_frames_total{${PORT},reason="egress-full"}`]: '0+30x30',
      [`weft_dropped_frames_total{${PORT},reason="vlan-not-admitted"}`]: '0+60000x30',
      [`weft_dropped_frames_total{${PORT},reason="answered"}`]: '0+60000x30',
    },
  },
  WeftFramesMissed: {
    fires: { ...received, [`weft_port_receive_missed_frames_total{${PORT},reason="queue-full"}`]: '0+120x30' },
    silent: { ...received, [`weft_port_receive_missed_frames_total{${PORT},reason="queue-full"}`]: '0+30x30' },
  },
  WeftAddressesNotLearned: {
    fires: { [`weft_fdb_learn_limited_total{${PORT}}`]: '0+1x30' },
    silent: { [`weft_fdb_learn_limited_total{${PORT}}`]: '7x30' },
  },
  WeftAddressesNearlyFull: {
    fires: { [`weft_fdb_entries{${BRIDGE}}`]: '950x30', [`weft_fdb_limit{${BRIDGE}}`]: '1000x30' },
    silent: { [`weft_fdb_entries{${BRIDGE}}`]: '950x20 800x10', [`weft_fdb_limit{${BRIDGE}}`]: '1000x30' },
  },
  WeftAddressFlapping: {
    fires: { [`weft_fdb_moves_total{${PORT}}`]: '0+120x30' },
    silent: { [`weft_fdb_moves_total{${PORT}}`]: '0+6x30' },
  },
  WeftWorkerRestarted: {
    fires: { [`weft_worker_restarts_total{${WORKER}}`]: '0x25 1x5' },
    silent: { [`weft_worker_restarts_total{${WORKER}}`]: '0x10 1x20' },
  },
  WeftWorkerStalled: {
    fires: { [`weft_worker_turns_total{${WORKER}}`]: '0+240x20 4800x10' },
    silent: { [`weft_worker_turns_total{${WORKER}}`]: '0+240x30' },
  },
  WeftWorkerSaturated: {
    fires: { [`weft_worker_busy_seconds_total{${WORKER}}`]: '0+59x30' },
    silent: { [`weft_worker_busy_seconds_total{${WORKER}}`]: '0+50x30' },
  },
  WeftResidence: {
    fires: { [bucket('0.004096')]: '0+900x30', [bucket('0.008192')]: '0+1000x30', [bucket('+Inf')]: '0+1000x30' },
    silent: { [bucket('0.000016')]: '0+1000x30', [bucket('0.000032')]: '0+1000x30', [bucket('+Inf')]: '0+1000x30' },
  },
  WeftControlPlaneSlow: {
    fires: { [`nodejs_eventloop_lag_seconds{${SWITCH}}`]: '0.8x30' },
    silent: { [`nodejs_eventloop_lag_seconds{${SWITCH}}`]: '0.8x20 0.01x10' },
  },
  WeftFileDescriptors: {
    fires: { [`process_open_fds{${SWITCH}}`]: '900x30', [`process_max_fds{${SWITCH}}`]: '1000x30' },
    silent: { [`process_open_fds{${SWITCH}}`]: '700x30', [`process_max_fds{${SWITCH}}`]: '1000x30' },
  },
};

/** One case for promtool: over these courses the alert fires exactly `times`. */
function testCase(alert: string, courses: Readonly<Record<string, string>>, times: number): object {
  return {
    name: `${alert} fires ${times} times`,
    interval: '1m',
    input_series: Object.entries(courses).map(([series, values]) => ({ series, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
        eval_time: AT,
        exp_samples: [{ labels: '{}', value: times }],
      },
    ],
  };
}

function promtoolTest(tests: readonly object[]): { readonly status: number | null; readonly output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'weft-rules-'));
  try {
    const file = join(folder, 'test.yaml');
    writeFileSync(file, stringify({ rule_files: [RULES_FILE], evaluation_interval: '1m', tests }));
    const done = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    return { status: done.status, output: `${done.stdout}${done.stderr}` };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('alerts', () => {
  it('have a course here, each of them', () => {
    expect(Object.keys(COURSES).sort()).toEqual(
      alerts()
        .map(({ alert }) => alert)
        .sort(),
    );
  });

  itNeeds(PROMTOOL, 'fire when they should and only then', () => {
    const tests = Object.entries(COURSES).flatMap(([alert, { fires, silent }]) => [
      testCase(alert, fires, 1),
      testCase(alert, silent, 0),
    ]);
    const { status, output } = promtoolTest(tests);
    expect(status, output).toBe(0);
  });

  itNeeds(PROMTOOL, 'that did not fire would be noticed', () => {
    const [alert, { silent }] = Object.entries(COURSES)[0]!;
    expect(promtoolTest([testCase(alert, silent, 1)]).status).not.toBe(0);
  });

  itNeeds(PROMTOOL, '`promtool check` has nothing to say about the rules and the scrape example', () => {
    for (const asked of [
      ['rules', RULES_FILE],
      ['config', CONFIG_FILE],
    ]) {
      const done = spawnSync('promtool', ['check', ...asked, '--lint-fatal'], { encoding: 'utf8' });
      expect(done.status, done.stdout + done.stderr).toBe(0);
      expect(done.stdout + done.stderr).not.toMatch(/warning|duplicate|failed/i);
    }
  });
});
