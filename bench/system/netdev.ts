// Scenario netdev: two netdev ports on veths against the kernel's bridge on such veths, and Open vSwitch's userspace datapath on veths and TAPs.
import { VETH_PEERS } from '../peers/all.ts';
import type { Peer } from '../peers/peer.ts';
import { weftNetdev } from '../peers/weft-netdev.ts';
import type { Measurement } from '../row.ts';
import { type Bench, type Context, compareRates, type Scenario } from './context.ts';
import { frameRate } from './frames.ts';
import { streamRate } from './tcp.ts';
import { missingTool } from './tools.ts';

export const netdev: Scenario = {
  name: 'netdev',
  about: 'one TCP stream and 60-byte frames between netdev ports on veths',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('iperf3') ?? missingTool('trafgen') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`netdev: ${missing}`);
      return [];
    }
    // Bars are weft's, whichever of its ports are measured.
    const own: Context = { ...context, subject: { ...weftNetdev, name: 'weft' }, others: await opponents(context) };
    const rows: Measurement[] = [];
    for (const pinned of [true, false])
      rows.push(
        ...(await compare(own, pinned ? 'TCP pinned' : 'TCP unpinned', 'Gb/s', pinned, (bench) =>
          streamRate(bench, context.seconds, pinned),
        )),
      );
    rows.push(...(await compare(own, '60 B', 'kframes/s', true, (bench) => frameRate(bench, context.seconds))));
    return rows;
  },
};

/** The kernel's bridge, and every Open vSwitch that was asked for, on TAPs and on veths. */
async function opponents(context: Context): Promise<Peer[]> {
  const asked = context.others.filter(({ name }) => name === 'linux-bridge' || name.startsWith('ovs-'));
  const twins = VETH_PEERS.filter((peer) => asked.some(({ name }) => peer.name === `${name}-veth`));
  const found: Peer[] = [...asked];
  for (const peer of twins) if ((await peer.available()) === null) found.push(peer);
  return found;
}

function compare(
  context: Context,
  variant: string,
  unit: string,
  pinned: boolean,
  measure: (bench: Bench) => Promise<number>,
): Promise<Measurement[]> {
  return compareRates(context, { scenario: 'netdev', variant, unit, setting: { pinned } }, measure);
}
