/** Bonds in a scrape: names and labels of the contract, and nothing of them where there are none. */
import { describe, expect, it } from 'vitest';
import type { MetricsSource } from '../../../control/metrics/source.ts';
import { renderSwitch } from '../../../control/metrics/text.ts';
import { BACKUP, bondSample, LAG } from './bond-rows.ts';
import { fakeSource } from './fake-switch.ts';

async function rendered(change: Partial<MetricsSource>): Promise<string[]> {
  return (await renderSwitch(fakeSource(change))).toString().split('\n');
}

describe('the metrics of bonds', () => {
  it('have the names, labels and units of the contract', async () => {
    const lines = await rendered({ bonds: () => [bondSample(LAG), bondSample(BACKUP)] });
    const lag = 'bridge="br0",port="lag"';
    const up = 'bridge="br1",port="up"';
    const eth1 = `${lag},member="eth1"`;
    for (const line of [
      `weft_bond_info{${lag},mode="802.3ad",hash="layer3+4"} 1`,
      `weft_bond_info{${up},mode="active-backup",hash="none"} 1`,
      `weft_bond_members{${lag},state="enabled"} 1`,
      `weft_bond_members{${lag},state="waiting"} 1`,
      `weft_bond_members{${lag},state="down"} 0`,
      `weft_bond_members{${up},state="down"} 1`,
      `weft_bond_failovers_total{${up}} 3`,
      `weft_bond_buckets_moved_total{${lag}} 9`,
      `weft_bond_lacp_negotiated{${lag}} 1`,
      `weft_bond_member_up{${up},member="a"} 1`,
      `weft_bond_member_up{${up},member="b"} 0`,
      `weft_bond_member_carrying{${up},member="a"} 1`,
      `weft_bond_member_carrying{${up},member="c"} 0`,
      `weft_bond_member_active{${up},member="a"} 1`,
      `weft_bond_member_active{${eth1}} 0`,
      `weft_bond_member_speed_bytes{${eth1}} 1250000000`,
      `weft_bond_member_buckets{${eth1}} 256`,
      `weft_bond_member_link_failures_total{${up},member="b"} 2`,
      `weft_bond_member_receive_frames_total{${eth1}} 1234567`,
      `weft_bond_member_receive_bytes_total{${eth1}} 1500000000`,
      `weft_bond_member_receive_segments_total{${eth1}} 2000000`,
      `weft_bond_member_transmit_frames_total{${eth1}} 10`,
      `weft_bond_member_transmit_bytes_total{${eth1}} 640`,
      `weft_bond_member_transmit_segments_total{${eth1}} 12`,
      `weft_bond_member_punted_frames_total{${eth1}} 21`,
      `weft_bond_member_injected_frames_total{${eth1}} 22`,
      `weft_lacp_frames_received_total{${eth1}} 12`,
      `weft_lacp_frames_sent_total{${eth1}} 13`,
      `weft_lacp_frames_bad_total{${eth1}} 1`,
      `weft_lacp_markers_answered_total{${eth1}} 2`,
      `weft_lacp_actor_churned{${eth1}} 0`,
      `weft_lacp_partner_churned{${lag},member="eth2"} 1`,
      `weft_lacp_state{${eth1},side="actor",flag="distributing"} 1`,
      `weft_lacp_state{${eth1},side="actor",flag="timeout"} 0`,
      `weft_lacp_state{${eth1},side="partner",flag="timeout"} 1`,
      `weft_lacp_partner_info{${eth1},system="0a:00:00:00:00:02",key="7",partner_port="3"} 1`,
    ])
      expect(lines).toContain(line);
    expect(
      lines.filter((line) => /^weft_lacp_.*port="up"/.test(line)),
      'no LACP, no metrics of it',
    ).toEqual([]);
    expect(
      lines.filter((line) => /member="eth2".*side="partner"/.test(line)),
      'no partner, no state',
    ).toEqual([]);
    expect(lines.some((line) => line.startsWith(`weft_bond_member_speed_bytes{${up},member="b"`))).toBe(false);
  });

  it('name every state of a member, and every bit of LACP’s, whether one has it or not', async () => {
    const lines = await rendered({ bonds: () => [bondSample(LAG)] });
    const valuesOf = (metric: RegExp, label: string) =>
      lines.filter((line) => metric.test(line)).map((line) => new RegExp(`${label}="(\\w+)"`).exec(line)![1]);
    const states = ['active', 'enabled', 'standby', 'waiting', 'disabled', 'down'];
    expect(valuesOf(/^weft_bond_members\{/, 'state')).toEqual(states);
    const bits = ['activity', 'timeout', 'aggregation', 'synchronization', 'collecting', 'distributing'];
    expect(valuesOf(/^weft_lacp_state.*"eth1".*"actor"/, 'flag')).toEqual([...bits, 'defaulted', 'expired']);
  });

  it('are written once each, with a type', async () => {
    const lines = await rendered({ bonds: () => [bondSample(LAG), bondSample(BACKUP)] });
    const samples = lines.filter((line) => /^weft_(bond|lacp)/.test(line)).map((line) => line.split(' ')[0]!);
    expect(new Set(samples).size).toBe(samples.length);
    const typed = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]!);
    expect(new Set(typed).size).toBe(typed.length);
    for (const sample of samples) expect(typed).toContain(sample.split('{')[0]);
  });

  it('are absent where there are no bonds, and LACP’s where nobody speaks it', async () => {
    expect((await rendered({})).filter((line) => /weft_(bond|lacp)/.test(line))).toEqual([]);
    const lines = await rendered({ bonds: () => [bondSample(BACKUP)] });
    expect(lines.filter((line) => /lacp/.test(line))).toEqual([]);
    expect(lines.some((line) => line.startsWith('weft_bond_info'))).toBe(true);
  });
});
