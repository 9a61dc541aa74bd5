// Scenarios about weft under change: ports that come and go beside traffic (churn), and a worker killed under traffic (worker-kill).
import { setTimeout as sleep } from 'node:timers/promises';
import { BRIDGE, startWeft, tapPort, type Weft } from '../peers/weft-daemon.ts';
import type { Measurement } from '../row.ts';
import type { Pair } from '../statistics.ts';
import { type Context, onSite, type Scenario } from './context.ts';
import { type Affected, splitByOutage, startFlows } from './flows.ts';
import { connectHosts, type Hosts } from './hosts.ts';
import { addNamespace, type Site } from './site.ts';
import { missingTool } from './tools.ts';

const PORTS = `/v1/bridges/${BRIDGE}/ports`;
const FRAMES_PER_SECOND = 50_000;
const OUTAGE_FROM_MS = 5;
const KILL_FLOWS = 16;
const KILL_FRAMES_PER_SECOND = 16_000;

export const churn: Scenario = {
  name: 'churn',
  about: 'A↔B at 50,000 frames/s for 60 s while 100 other ports come and go: frames lost, counted exactly',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('python3');
    if (missing !== null) {
      context.skip(`churn: ${missing}`);
      return [];
    }
    const seconds = context.quick ? 5 : 60;
    const outcome = await onSite(context, false, (site) => churnOnce(context, site, seconds));
    context.progress(`churn: ${outcome.note}`);
    return [alone('churn', 'A↔B frames lost', 'frames', [outcome.lost], outcome.note)];
  },
};

async function churnOnce(context: Context, site: Site, seconds: number): Promise<{ lost: number; note: string }> {
  const { running, hosts } = await startPair(site, 1);
  const others = await addNamespace(`${site.prefix}-c`, site.cleanup);
  const options = { rate: FRAMES_PER_SECOND / 2, seconds, count: 1 };
  const forth = await startFlows(site, hosts[0], hosts[1], options);
  const back = await startFlows(site, hosts[1], hosts[0], options);
  const changes = await comeAndGo(running, site, others, context.quick ? 10 : 100, seconds);
  const reports = [await forth.report(), await back.report()];
  await running.stop();
  const sum = (pick: (report: (typeof reports)[number]) => number) => reports.reduce((total, r) => total + pick(r), 0);
  const lost = sum((report) => report.lost);
  const rate = Math.round(sum((report) => report.framesPerSecond));
  const note =
    `${lost} of ${sum((report) => report.sent)} frames lost at ${rate} frames/s, ${sum((r) => r.droppedAtDevice)} of them in the ` +
    `sender's device, ${sum((r) => r.disorder)} out of order, during ${changes.added} ports added and ${changes.deleted} deleted`;
  if (changes.deleted === 0) throw new Error('no port came and went while the frames flowed');
  return { lost, note };
}

/** Adds `count` ports through the API, one after the other, then deletes them, again and again until `seconds` are over. */
async function comeAndGo(running: Weft, site: Site, netns: string, count: number, seconds: number) {
  const end = Date.now() + seconds * 1000;
  let added = 0;
  let deleted = 0;
  while (Date.now() < end) {
    const names: string[] = [];
    for (let index = 0; index < count && Date.now() < end; index++) {
      const name = `c${index}`;
      await running.request('POST', PORTS, tapPort(name, `${site.prefix}c${index}`, netns));
      names.push(name);
      added++;
    }
    for (const name of names) {
      await running.request('DELETE', `${PORTS}/${name}`);
      deleted++;
    }
  }
  return { added, deleted };
}

export const workerKill: Scenario = {
  name: 'worker-kill',
  about: 'one of two workers killed under 16 flows: longest outage of a flow, and loss on flows without an outage',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('python3');
    if (missing !== null) {
      context.skip(`worker-kill: ${missing}`);
      return [];
    }
    const results: Affected[] = [];
    for (let index = 0; index < context.pairs; index++) {
      const result = await onSite(context, false, (site) => killOnce(site));
      results.push(result);
      context.progress(
        `worker-kill ${index + 1}/${context.pairs}: ${result.outageMs.toFixed(1)} ms, ${result.flows} of ${KILL_FLOWS} flows hit, ` +
          `lost ${result.lostOnAffected} on these and ${result.lostOnOthers} on the others`,
      );
    }
    const note = `a flow counts as hit when it was without service for over ${OUTAGE_FROM_MS} ms; hit: ${results.map((r) => r.flows).join(', ')} of ${KILL_FLOWS}`;
    return [
      alone(
        'worker-kill',
        'outage',
        'ms',
        results.map((r) => r.outageMs),
        note,
      ),
      alone(
        'worker-kill',
        'lost on other flows',
        'frames',
        results.map((r) => r.lostOnOthers),
        note,
      ),
    ];
  },
};

async function killOnce(site: Site): Promise<Affected> {
  const { running, hosts } = await startPair(site, 2);
  const flows = await startFlows(site, hosts[0], hosts[1], {
    rate: KILL_FRAMES_PER_SECOND,
    seconds: 4,
    count: KILL_FLOWS,
  });
  await sleep(2000);
  await running.request('POST', '/v1/workers/0/restart');
  const report = await flows.report();
  await running.stop();
  if (report.sent === report.lost) throw new Error('no frame arrived');
  return splitByOutage(report.flows, OUTAGE_FROM_MS);
}

async function startPair(site: Site, workers: number): Promise<{ running: Weft; hosts: Hosts }> {
  const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
  const ports = [tapPort('a', devices[0], site.namespaces[0]), tapPort('b', devices[1], site.namespaces[1])];
  const running = await startWeft(site, { workers, ports });
  return { running, hosts: await connectHosts(site, devices) };
}

function alone(scenario: string, variant: string, unit: string, values: number[], note: string): Measurement {
  const pairs: Pair[] = values.map((subject) => ({ subject, against: null }));
  // One lost frame in one of the runs is a lost frame: the worst run is judged.
  return { scenario, variant, subject: 'weft', against: '', unit, how: 'absolute', pairs, note, worst: true };
}
