/** Tunnels in a scrape: names and labels of the contract, and nothing of them where there are none. */
import { describe, expect, it } from 'vitest';
import type { MetricsSource } from '../../../control/metrics/source.ts';
import { renderSwitch } from '../../../control/metrics/text.ts';
import { fakeSource } from './fake-switch.ts';
import { MAPPED, PLAIN, POD7, remoteRow } from './tunnel-rows.ts';

async function rendered(change: Partial<MetricsSource>): Promise<string[]> {
  return (await renderSwitch(fakeSource(change))).toString().split('\n');
}

const ALL: Partial<MetricsSource> = {
  tunnels: () => [POD7, MAPPED, PLAIN],
  tunnelEndpoints: () => [POD7.endpoint!],
  tunnelSenders: () => [POD7.sender!, { ...POD7.sender!, datagrams: 5, messages: 1, errors: 0 }],
  drops: () => [{ bridge: '', port: 'vxlan 192.0.2.1:4789', reason: 'unknown-vni', frames: 4 }],
};

describe('the metrics of tunnels', () => {
  it('have the names, labels and units of the contract', async () => {
    const lines = await rendered(ALL);
    const pod7 = 'bridge="br0",port="pod7"';
    const trunk = 'bridge="br0",port="trunk"';
    const plain = 'bridge="br1",port="pod7"';
    const endpoint = 'endpoint="vxlan 192.0.2.1:4789",kind="vxlan"';
    const sender = 'local="192.0.2.1",kind="vxlan"';
    for (const line of [
      `weft_tunnel_up{${pod7},kind="vxlan"} 1`,
      `weft_tunnel_up{${plain},kind="gre"} 0`,
      `weft_tunnel_mtu_bytes{${pod7}} 1450`,
      `weft_tunnel_underlay_mtu_bytes{${trunk}} 1430`,
      `weft_tunnel_larger_ports{${pod7}} 0`,
      `weft_tunnel_larger_ports{${trunk}} 2`,
      `weft_tunnel_remotes{${pod7},state="up"} 2`,
      `weft_tunnel_remotes{${pod7},state="unreachable"} 1`,
      `weft_tunnel_remotes{${pod7},state="refused"} 0`,
      `weft_tunnel_remotes{${plain},state="up"} 0`,
      `weft_tunnel_remote_up{${pod7},remote="192.0.2.2"} 1`,
      `weft_tunnel_remote_up{${pod7},remote="192.0.2.3"} 0`,
      `weft_tunnel_remote_up{${trunk},remote="2001:db8::2"} 0`,
      `weft_tunnel_path_mtu_bytes{${pod7},remote="192.0.2.2"} 1500`,
      `weft_tunnel_received_datagrams_total{${endpoint}} 1234567`,
      `weft_tunnel_received_messages_total{${endpoint}} 30000`,
      `weft_tunnel_merged_segments_total{${endpoint}} 900000`,
      `weft_tunnel_missed_datagrams_total{${endpoint}} 3`,
      `weft_tunnel_sent_datagrams_total{${sender}} 2000005`,
      `weft_tunnel_send_messages_total{${sender}} 50001`,
      `weft_tunnel_send_errors_total{${sender}} 2`,
      'weft_dropped_frames_total{bridge="",port="vxlan 192.0.2.1:4789",reason="unknown-vni"} 4',
    ])
      expect(lines).toContain(line);
    expect(
      lines.filter((line) => /mtu_bytes.*(192\.0\.2\.3|bridge="br1")/.test(line)),
      'what is unknown has no value',
    ).toEqual([]);
  });

  it('tell no underlay’s MTU of tunnels that send fragments', async () => {
    const lines = await rendered({ tunnels: () => [{ ...POD7, df: false }, MAPPED] });
    const told = lines.filter((line) => line.startsWith('weft_tunnel_underlay_mtu_bytes'));
    expect(told).toEqual(['weft_tunnel_underlay_mtu_bytes{bridge="br0",port="trunk"} 1430']);
  });

  it('are written once each, with a type', async () => {
    const twice = { ...POD7, remotes: [...POD7.remotes, remoteRow('192.0.2.2', { origin: 'static', vni: 9 })] };
    const lines = await rendered({ ...ALL, tunnels: () => [twice, MAPPED, PLAIN] });
    const samples = lines.filter((line) => line.startsWith('weft_tunnel')).map((line) => line.replace(/ \S+$/, ''));
    expect(samples.length).toBeGreaterThan(20);
    expect(new Set(samples).size).toBe(samples.length);
    const typed = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]!);
    expect(new Set(typed).size).toBe(typed.length);
    for (const sample of samples) expect(typed).toContain(sample.split('{')[0]);
  });

  it('are absent where there are no tunnels', async () => {
    expect((await rendered({})).filter((line) => /weft_tunnel/.test(line))).toEqual([]);
  });
});
