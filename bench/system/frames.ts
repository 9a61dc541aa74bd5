// Scenario frames-60: 60-byte frames flooded by trafgen from CPU 0, counted where they arrive.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, compareRates, type Scenario } from './context.ts';
import { receiveRate } from './hosts.ts';
import { floodFrames, missingTool } from './tools.ts';

export const frames60: Scenario = {
  name: 'frames-60',
  about: '60-byte frames flooded from one core (trafgen), counted at the receiving device',
  weftOnly: false,
  run: async (context) => {
    const missing = missingTool('trafgen') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`frames-60: ${missing}`);
      return [];
    }
    const what = { scenario: 'frames-60', variant: 'pinned', unit: 'kframes/s', setting: { pinned: true } };
    return compareRates(context, what, (bench) => frameRate(bench, context.seconds));
  },
};

/** Thousand frames per second that reach the second host's device. Half a second of flood passes before the first reading. */
export async function frameRate({ site, hosts }: Bench, seconds: number): Promise<number> {
  const sender = floodFrames(site, hosts, seconds + 20);
  await sleep(500);
  if (!sender.running) throw new Error(`trafgen ended: ${sender.output.slice(-300).trim()}`);
  const rate = await receiveRate(hosts[1], seconds);
  if (!sender.running) throw new Error(`trafgen ended during the measurement: ${sender.output.slice(-300).trim()}`);
  await sender.stop('SIGINT');
  if (rate < 1) throw new Error('no frame arrived');
  return rate / 1000;
}
