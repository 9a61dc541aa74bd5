// What every scenario gets, and the two steps that they share: one measurement on one fresh site, and interleaved pairs of them.
import type { Attached, Peer, StartOptions } from '../peers/peer.ts';
import type { Measurement } from '../row.ts';
import { reasonOf } from './cleanup.ts';
import { connectHosts, type Hosts } from './hosts.ts';
import { openSite, type Site } from './site.ts';

export interface Context {
  /** Pairs per comparison, or repetitions of an absolute value. */
  readonly pairs: number;
  /** Seconds of traffic per measurement. */
  readonly seconds: number;
  /** Fewer ports, rounds and seconds: to try the harness, not to quote. */
  readonly quick: boolean;
  readonly subject: Peer;
  readonly others: readonly Peer[];
  /** One line of progress on stderr. */
  progress(text: string): void;
  /** Notes what could not be measured, and why. */
  skip(text: string): void;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** True: only weft can run it. */
  readonly weftOnly: boolean;
  run(context: Context): Promise<Measurement[]>;
}

export interface Bench {
  readonly site: Site;
  readonly hosts: Hosts;
  readonly attached: Attached;
}

export interface Setting extends StartOptions {
  readonly pinned: boolean;
}

/** Opens a site, calls `work`, and removes everything, also when `work` throws. What could not be removed is reported as progress. */
export async function onSite<T>(context: Context, pinned: boolean, work: (site: Site) => Promise<T>): Promise<T> {
  const site = await openSite({ pinned });
  try {
    return await work(site);
  } finally {
    for (const problem of await site.cleanup.run()) context.progress(`left behind: ${problem}`);
  }
}

/** One measurement: fresh site, switch started, hosts connected, `measure`, everything removed. */
export function onPeer<T>(
  context: Context,
  peer: Peer,
  setting: Setting,
  measure: (bench: Bench) => Promise<T>,
): Promise<T> {
  return onSite(context, setting.pinned, async (site) => {
    const attached = await peer.start(site, setting);
    const hosts = await connectHosts(site, attached.devices);
    const result = await measure({ site, hosts, attached });
    await attached.stop();
    return result;
  });
}

/** `count` times A then B, one right after the other. */
export async function interleave<T>(
  count: number,
  a: () => Promise<T>,
  b: () => Promise<T>,
  said: (i: number, a: T, b: T) => void,
) {
  const pairs: [T, T][] = [];
  for (let index = 0; index < count; index++) {
    const first = await a();
    const second = await b();
    pairs.push([first, second]);
    said(index, first, second);
  }
  return pairs;
}

/** The same for a rate on the subject and on each other switch: one ratio row per switch. A switch that fails is skipped with its reason. */
export async function compareRates(
  context: Context,
  what: { scenario: string; variant: string; unit: string; setting: Setting; note?: string; others?: readonly Peer[] },
  measure: (bench: Bench) => Promise<number>,
): Promise<Measurement[]> {
  const rows: Measurement[] = [];
  for (const other of what.others ?? context.others) {
    const title = `${what.scenario} ${what.variant}: ${context.subject.name} vs ${other.name}`;
    try {
      const pairs = await interleave(
        context.pairs,
        () => onPeer(context, context.subject, what.setting, measure),
        () => onPeer(context, other, what.setting, measure),
        (index, a, b) => context.progress(`${title}, pair ${index + 1}/${context.pairs}: ${pairText(a, b, what.unit)}`),
      );
      rows.push({
        scenario: what.scenario,
        variant: what.variant,
        subject: context.subject.name,
        against: other.name,
        unit: what.unit,
        how: 'ratio',
        pairs: pairs.map(([subject, against]) => ({ subject, against })),
        ...(what.note === undefined ? {} : { note: what.note }),
      });
    } catch (error) {
      context.skip(`${title}: ${reasonOf(error)}`);
    }
  }
  return rows;
}

function pairText(a: number, b: number, unit: string): string {
  return `${a.toPrecision(3)} / ${b.toPrecision(3)} ${unit} = ${(a / b).toFixed(2)}`;
}
