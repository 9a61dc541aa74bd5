/**
 * What our LACPDUs look like to somebody else: captured behind the link in the partner's namespace, while Open vSwitch answers, and
 * dissected by tshark, which must find nothing to complain about.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { bond, cables, member } from '../netns/bond-rig.ts';
import { bridge, Lab, REAL, until } from '../netns/lab.ts';
import { OpenVSwitch, OVS_TOOLS } from './ovs.ts';

const TOOLS = [...REAL.tools, ...OVS_TOOLS, 'tcpdump', 'tshark'];
const SYSTEM = '02:00:5e:00:53:01';
const OURS = `lacp.actor.sysid == ${SYSTEM}`;
/** More of ours than these are captured, the last of them in full collecting and distributing. */
const OURS_MIN = 4;
const FULL_MS_MAX = 30_000;

/** tshark's fields of every frame that matches; `-` where it has none. */
async function fields(file: string, filter: string, names: readonly string[]): Promise<string[][]> {
  const asked = names.flatMap((name) => ['-e', name]);
  const { stdout } = await execa('tshark', ['-n', '-r', file, '-Y', filter, '-T', 'fields', ...asked]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'));
}

describeNeeds({ ...REAL, tools: TOOLS }, 'LACPDUs as tshark sees them', () => {
  let lab: Lab;
  let ovs: OpenVSwitch;
  let file: string;

  /** Of each of ours, whether it is synchronized, collecting and distributing. */
  async function ourStates(): Promise<boolean[][]> {
    const bits = ['synchronization', 'collecting', 'distributing'].map((bit) => `lacp.actor.state.${bit}`);
    return (await fields(file, OURS, bits)).map((flags) => flags.map((flag) => flag === '1' || flag === 'True'));
  }

  beforeAll(async () => {
    lab = new Lab();
    await lab.netns('hub', { ipv6: false });
    await lab.netns('far', { ipv6: false });
    await cables(lab, 2, 'far');
    ovs = await OpenVSwitch.start(lab, 'far');
    file = join(lab.folder, 'lacp.pcap');
    const words = [
      'netns',
      'exec',
      lab.name('far'),
      'tcpdump',
      '--immediate-mode',
      '-U',
      '-n',
      '-i',
      'f0',
      '-w',
      file,
      'ether proto 0x8809',
    ];
    const capture = spawn('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    await once(capture.stderr!, 'data');
    const lacp = { mode: 'active', rate: 'fast', 'system-mac': SYSTEM, 'system-priority': 100, key: 5 };
    const members = [member('m0', { priority: 3 }), member('m1', { priority: 4 })];
    await lab.daemon(bridge([bond(members, { mode: '802.3ad', lacp })]));
    await ovs.bond(['f0', 'f1'], ['lacp=active', 'bond_mode=balance-tcp', 'other_config:lacp-time=fast']);
    // The last of the file may be half written.
    const last = async () => (await ourStates().catch(() => [])).slice(OURS_MIN).at(-1);
    expect(await until(last, (flags) => flags?.every(Boolean) ?? false, FULL_MS_MAX)).toEqual([true, true, true]);
    capture.kill('SIGINT');
    await once(capture, 'exit');
  });
  afterAll(async () => {
    await ovs?.close();
    await lab.close();
  });

  it('none is malformed, none raises an expert’s doubt', async () => {
    expect(await fields(file, '_ws.malformed or _ws.expert', ['frame.number', '_ws.expert.message'])).toEqual([]);
    expect((await fields(file, 'lacp', ['frame.number'])).length).toBeGreaterThan(4);
  });

  it('ours say what the document says, and end in full collecting and distributing', async () => {
    const names = ['actor.sysid', 'actor.sys_priority', 'actor.key', 'actor.port_priority', 'version'];
    const ours = await fields(
      file,
      OURS,
      names.map((name) => `lacp.${name}`),
    );
    expect(ours.length).toBeGreaterThan(2);
    for (const line of ours) expect(line).toEqual([SYSTEM, '100', '5', '3', '0x01']);
    const [frame] = await fields(file, OURS, ['frame.len', 'eth.dst', 'slow.subtype', 'lacp.collector.max_delay']);
    expect(frame!.slice(0, 2)).toEqual(['124', '01:80:c2:00:00:02']);
    expect((await ourStates()).at(-1)).toEqual([true, true, true]);
  });

  it('the source is the member’s own address, a device’s and not the bond’s group', async () => {
    const { stdout } = await execa('ip', ['-n', lab.name('hub'), '-json', 'link', 'show', 'dev', 'm0']);
    const [{ address }] = JSON.parse(stdout) as [{ address: string }];
    const sources = await fields(file, OURS, ['eth.src']);
    expect(new Set(sources.flat())).toEqual(new Set([address]));
  });
});
