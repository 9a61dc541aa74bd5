// Scenario tcp: one TCP stream by iperf3 between two hosts, pinned and not pinned, Gb/s that arrived.
import type { Measurement } from '../row.ts';
import { type Bench, type Context, compareRates, type Scenario } from './context.ts';
import { Daemon, run } from './process.ts';
import { missingTool, parseIperf } from './tools.ts';

export const tcp: Scenario = {
  name: 'tcp',
  about: 'one TCP stream (iperf3), pinned and not pinned',
  weftOnly: false,
  run: async (context) => {
    const missing = missingTool('iperf3') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`tcp: ${missing}`);
      return [];
    }
    return [...(await variant(context, true)), ...(await variant(context, false))];
  },
};

function variant(context: Context, pinned: boolean): Promise<Measurement[]> {
  const what = { scenario: 'tcp', variant: pinned ? 'pinned' : 'unpinned', unit: 'Gb/s', setting: { pinned } };
  return compareRates(context, what, (bench) => streamRate(bench, context.seconds, pinned));
}

/** Client on CPU 0, server free to use CPU 0 or 1, switch on CPU 1 when pinned. The first second is left out (slow start). */
export async function streamRate({ site, hosts }: Bench, seconds: number, pinned: boolean): Promise<number> {
  const server = new Daemon(['iperf3', '-s', '-1', '--forceflush'], site.cleanup, {
    namespace: hosts[1].namespace,
    cpus: pinned ? '0,1' : undefined,
  });
  await server.until(/Server listening/, 5);
  const client = ['iperf3', '-c', hosts[1].address, '-t', String(seconds), '-O', '1', '-J'];
  const where = { namespace: hosts[0].namespace, cpus: pinned ? '0' : undefined, seconds: seconds + 20 };
  const rate = parseIperf(await run(client, where));
  await server.stop();
  return rate;
}
