// Scenario bond-tcp: what a bond costs one TCP stream, as the ratio to a weft that has one of its veths as a port; a Linux bridge on the
// other side of both.
import type { Peer } from '../peers/peer.ts';
import { netdevPort } from '../peers/weft-daemon.ts';
import type { Measurement } from '../row.ts';
import { bondPort, makeUplink, startOn, UPLINK } from './bond-site.ts';
import { bondView, waitForActive } from './bond-view.ts';
import { type Context, interleave, onPeer, type Scenario } from './context.ts';
import { streamRate } from './tcp.ts';
import { missingTool } from './tools.ts';

export const bondTcp: Scenario = {
  name: 'bond-tcp',
  about: 'one TCP stream (iperf3) over a bond of two veths into a Linux bridge, against one of these veths as a port',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('iperf3') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`bond-tcp: ${missing}`);
      return [];
    }
    const rows: Measurement[] = [];
    for (const mode of ['active-backup', 'balance-slb']) rows.push(await compareStream(context, mode));
    return rows;
  },
};

async function compareStream(context: Context, mode: string): Promise<Measurement> {
  const rate = (peer: Peer) => () =>
    onPeer(context, peer, { pinned: true }, (bench) => streamRate(bench, context.seconds, true));
  const pairs = await interleave(context.pairs, rate(overBond(mode)), rate(overPort), (index, a, b) =>
    context.progress(
      `bond-tcp ${mode}, pair ${index + 1}/${context.pairs}: ${a.toFixed(2)} / ${b.toFixed(2)} Gb/s = ${(a / b).toFixed(2)}`,
    ),
  );
  return {
    ...{ scenario: 'bond-tcp', variant: mode, subject: 'weft', against: 'netdev port', unit: 'Gb/s', how: 'ratio' },
    pairs: pairs.map(([subject, against]) => ({ subject, against })),
  };
}

const overPort: Peer = {
  name: 'netdev port',
  about: 'weft with one veth as a port',
  available: async () => null,
  start: async (site) => {
    const uplink = await makeUplink(site, 1);
    const running = await startOn(site, netdevPort(UPLINK, uplink.near[0]!), uplink.devices[0]);
    return { devices: uplink.devices, pid: running.pid, stop: () => running.stop() };
  },
};

function overBond(mode: string): Peer {
  return {
    name: 'weft',
    about: `weft with a bond over two veths, ${mode}`,
    available: async () => null,
    start: async (site) => {
      const uplink = await makeUplink(site, 2);
      const running = await startOn(site, bondPort(uplink, { mode }), uplink.devices[0]);
      await waitForActive(bondView(running, uplink));
      return { devices: uplink.devices, pid: running.pid, stop: () => running.stop() };
    },
  };
}
