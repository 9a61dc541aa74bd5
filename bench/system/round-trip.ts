// Scenario round-trip: what a switch adds to a round trip, as the difference of percentiles to a bare veth pair (and to the Linux bridge).
// ICMP echo answered by the receiver's kernel, sent by a spinning process: nobody is woken but the switch, so the switch is what is measured.
import type { Idle, Peer } from '../peers/peer.ts';
import type { Measurement } from '../row.ts';
import { reasonOf } from './cleanup.ts';
import { type Context, interleave, onPeer, type Scenario } from './context.ts';
import { type EchoTimes, echoTimes, missingTool } from './tools.ts';

interface Variant {
  readonly name: string;
  readonly idle: Idle;
  readonly gapUs: number;
  /** 0: no load; otherwise a 60-byte frame goes out this long before each echo. */
  readonly fillerUs: number;
}

const VARIANTS: readonly Variant[] = [
  { name: 'busy', idle: 'busy', gapUs: 100, fillerUs: 0 },
  { name: 'adaptive under load', idle: 'adaptive', gapUs: 20, fillerUs: 10 },
  { name: 'adaptive asleep', idle: 'adaptive', gapUs: 500, fillerUs: 0 },
];

export const roundTrip: Scenario = {
  name: 'round-trip',
  about: 'ICMP echo p50 and p99 added by the switch: busy, adaptive under load, adaptive asleep',
  weftOnly: false,
  run: async (context) => {
    const missing = missingTool('python3') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`round-trip: ${missing}`);
      return [];
    }
    const rows: Measurement[] = [];
    for (const variant of VARIANTS) {
      // A switch without a choice of idling is measured once, under load and asleep.
      if (variant.idle === 'busy' && context.subject.name !== 'weft') continue;
      for (const other of context.others) rows.push(...(await compare(context, variant, other)));
    }
    return rows;
  },
};

async function compare(context: Context, variant: Variant, other: Peer): Promise<Measurement[]> {
  const title = `round-trip ${variant.name}: ${context.subject.name} vs ${other.name}`;
  const measure = (peer: Peer) => () => measureEcho(context, variant, peer);
  try {
    const pairs = await interleave(context.pairs, measure(context.subject), measure(other), (index, a, b) => {
      const text = `p50 ${a.p50.toFixed(1)} / ${b.p50.toFixed(1)} µs, p99 ${a.p99.toFixed(1)} / ${b.p99.toFixed(1)} µs`;
      context.progress(`${title}, pair ${index + 1}/${context.pairs}: ${text}`);
    });
    return (['p50', 'p99'] as const).map((which) => ({
      scenario: 'round-trip',
      variant: `${variant.name} ${which}`,
      subject: context.subject.name,
      against: other.name,
      unit: 'µs',
      how: 'difference',
      pairs: pairs.map(([subject, against]) => ({ subject: subject[which], against: against[which] })),
    }));
  } catch (error) {
    context.skip(`${title}: ${reasonOf(error)}`);
    return [];
  }
}

/** Pinned: the sender spins on CPU 0, the switch is on CPU 1, the answer is made in the softirq of whoever delivers the frame. */
function measureEcho(context: Context, variant: Variant, peer: Peer): Promise<EchoTimes> {
  const count = Math.ceil((context.seconds * 1e6) / (variant.gapUs + 10));
  return onPeer(context, peer, { pinned: true, idle: variant.idle }, async ({ hosts }) => {
    await echoTimes(hosts, { count: 500, gapUs: variant.gapUs, fillerUs: variant.fillerUs, cpus: '0' });
    return echoTimes(hosts, { count, gapUs: variant.gapUs, fillerUs: variant.fillerUs, cpus: '0' });
  });
}
