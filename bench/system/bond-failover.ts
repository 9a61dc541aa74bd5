// Scenario bond-failover: how long frames stop when the active member of an active-backup bond loses its carrier, and what a planned change
// of the active member loses, at 100,000 frames a second.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from '../row.ts';
import type { Pair } from '../statistics.ts';
import { bondPort, makeUplink, startOn, type Uplink } from './bond-site.ts';
import { activate, type BondView, bondView, farOf, waitForActive } from './bond-view.ts';
import { onSite, type Scenario } from './context.ts';
import { connectHosts } from './hosts.ts';
import { type NumberedReport, numberedMissing, outageAfter, startNumbers } from './numbered.ts';
import { run } from './process.ts';
import type { Site } from './site.ts';

const FRAMES_PER_SECOND = 100_000;
/** Until V8 has compiled what a frame needs. */
const WARM_SECONDS = 3;
/** Cuts, or planned changes, of one run; the calm after each, and how long a cable stays cut. */
const CHANGES_COUNT = 4;
const CALM_MS = 1000;
const CUT_MS = 500;
/** What asking and commanding may take in all. */
const SPARE_MS = 1500;
/** A queue for 100 ms at the sender's device, so that a pause of the switch isn't taken for loss by the bond. */
const SENDER_QUEUE_COUNT = 10_000;

export const bondFailover: Scenario = {
  name: 'bond-failover',
  about:
    'active-backup at 100,000 frames/s into a Linux bridge: outage when the active member loses its carrier, loss of a planned change',
  weftOnly: true,
  run: async (context) => {
    const missing = numberedMissing();
    if (missing !== null) {
      context.skip(`bond-failover: ${missing}`);
      return [];
    }
    const cuts: number[] = [];
    const lost: number[] = [];
    const notes: string[] = [];
    const calm: string[] = [];
    for (let index = 0; index < context.pairs; index++) {
      const cut = await onSite(context, false, (site) => cutOnce(site));
      const planned = await onSite(context, false, (site) => changeOnce(site));
      cuts.push(...cut.outages);
      calm.push(`${cut.lost} frames, ${cut.calmMs.toFixed(1)} ms`);
      lost.push(planned.lost);
      notes.push(lossText(planned));
      context.progress(
        `bond-failover ${index + 1}/${context.pairs}: carrier lost ${cut.outages.map((ms) => ms.toFixed(2)).join(', ')} ms ` +
          `(${cut.lost} frames; pauses of ${cut.calmMs.toFixed(2)} ms before); planned: ${lossText(planned)}`,
      );
    }
    return [
      alone(
        'carrier lost: outage',
        'ms',
        cuts,
        `${CHANGES_COUNT} cuts a run; frames lost, and the machine's longest pause without a cut: ${calm.join(' · ')}`,
      ),
      alone('planned: frames lost', 'frames', lost, `${CHANGES_COUNT} changes a run; ${notes.join(' · ')}`),
    ];
  },
};

function lossText(report: NumberedReport): string {
  return `${report.lost} of ${report.sent} frames lost, ${report.disorder} out of order, ${report.refused} refused by the sender's device`;
}

/** Frames while `change` is called CHANGES_COUNT times. */
async function underFrames(site: Site, change: (view: BondView, uplink: Uplink) => Promise<void>) {
  const uplink = await makeUplink(site, 2);
  const running = await startOn(site, bondPort(uplink, { mode: 'active-backup' }), uplink.devices[0]);
  const hosts = await connectHosts(site, uplink.devices);
  await run(['ip', '-n', hosts[0].namespace, 'link', 'set', hosts[0].device, 'txqueuelen', `${SENDER_QUEUE_COUNT}`]);
  const view = bondView(running, uplink);
  await waitForActive(view);
  const seconds = (CALM_MS + CHANGES_COUNT * (CALM_MS + CUT_MS) + SPARE_MS) / 1000;
  await (await startNumbers(site, hosts, FRAMES_PER_SECOND, WARM_SECONDS)).report();
  const numbers = await startNumbers(site, hosts, FRAMES_PER_SECOND, seconds);
  await sleep(CALM_MS);
  for (let index = 0; index < CHANGES_COUNT; index++) {
    await change(view, uplink);
    await sleep(CALM_MS);
  }
  const report = await numbers.report();
  const { failovers } = await view.ask();
  if (failovers !== CHANGES_COUNT) throw new Error(`another member was made active ${failovers} times`);
  await running.stop();
  return report;
}

interface Cut {
  /** Milliseconds, after each cut. */
  readonly outages: readonly number[];
  /** Frames, by all of them. */
  readonly lost: number;
  /** The longest time without service before the first, by which the machine's own pauses are known. */
  readonly calmMs: number;
}

/** Cuts the active member's cable at the bridge's end again and again; the one that was cut before is whole again by then. */
async function cutOnce(site: Site): Promise<Cut> {
  const cuts: number[] = [];
  const report = await underFrames(site, async (view, uplink) => {
    const active = await waitForActive(view);
    const set = (state: string) => run(['ip', '-n', uplink.space, 'link', 'set', farOf(view, active), state]);
    cuts.push(Date.now());
    await set('down');
    await sleep(CUT_MS);
    await set('up');
  });
  // Arrival after the cut tells of it; the command itself takes some milliseconds.
  const outages = cuts.map((at) => outageAfter(report, at, CUT_MS + CALM_MS / 2).lossMs);
  return { outages, lost: report.lost, calmMs: outageAfter(report, cuts[0]! - CALM_MS / 2, CALM_MS / 2 - 20).anyMs };
}

function changeOnce(site: Site): Promise<NumberedReport> {
  return underFrames(site, async (view) => {
    const active = await waitForActive(view);
    await activate(view, active === 'm0' ? 'm1' : 'm0');
  });
}

/** Loss that must never be is judged by the worst run, an outage by the worst cut. */
function alone(variant: string, unit: string, values: number[], note: string): Measurement {
  const pairs: Pair[] = values.map((subject) => ({ subject, against: null }));
  return {
    ...{ scenario: 'bond-failover', variant, subject: 'weft', against: '', unit, how: 'absolute', worst: true },
    ...{ pairs, note },
  };
}
