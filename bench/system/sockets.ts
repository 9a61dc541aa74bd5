// Scenario sockets: frames between two guests without root, over weft's stream sockets and over vde_switch's. The guests are socket-guest.cc on
// CPU 0, the switch is on CPU 1; what arrives is counted.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWeft } from '../peers/weft-daemon.ts';
import { projectRoot } from '../root.ts';
import type { Measurement } from '../row.ts';
import { type Context, interleave, type Scenario } from './context.ts';
import { Daemon, missingCommand, run } from './process.ts';
import { openWorkplace, type Workplace } from './site.ts';

const GUEST_CPUS = '0';
const SWITCH_CPUS = '1';
const SETTLE_MS = 500;
/** Frames of one system call of the sending guest. */
const BATCH = 64;

interface Load {
  readonly variant: string;
  readonly bytes: number;
  readonly batch: number;
}

const LOADS: readonly Load[] = [
  { variant: '60 B', bytes: 60, batch: BATCH },
  { variant: '1,514 B', bytes: 1514, batch: BATCH },
  { variant: '60 B, one a call', bytes: 60, batch: 1 },
  { variant: '1,514 B, one a call', bytes: 1514, batch: 1 },
];

/** A switch with two places for guests, and how they speak to it. */
interface Guests {
  readonly protocol: 'stream' | 'vde';
  readonly paths: readonly [string, string];
}

export const sockets: Scenario = {
  name: 'sockets',
  about: 'frames between two stream sockets, against vde_switch with guests that speak its protocol the same way',
  weftOnly: true,
  run: async (context) => {
    const missing = missingCommand(['vde_switch', 'g++', 'taskset'], 'vde2, g++, util-linux');
    if (missing !== null || !context.others.some(({ name }) => name === 'vde')) {
      context.skip(`sockets: ${missing ?? 'vde was not asked for'}`);
      return [];
    }
    const rows: Measurement[] = [];
    for (const load of LOADS) rows.push(await compare(context, load));
    return rows;
  },
};

async function compare(context: Context, load: Load): Promise<Measurement> {
  const title = `sockets ${load.variant}: weft vs vde`;
  const pairs = await interleave(
    context.pairs,
    () => rateOn(context, load, startSockets),
    () => rateOn(context, load, startVde),
    (index, a, b) =>
      context.progress(`${title}, pair ${index + 1}/${context.pairs}: ${a.toFixed(0)} / ${b.toFixed(0)} kframes/s`),
  );
  return {
    scenario: 'sockets',
    variant: load.variant,
    subject: 'weft',
    against: 'vde',
    unit: 'kframes/s',
    how: 'ratio',
    pairs: pairs.map(([subject, against]) => ({ subject, against })),
  };
}

async function startSockets(place: Workplace): Promise<Guests> {
  const paths = [join(place.folder, 'a'), join(place.folder, 'b')] as const;
  const ports = paths.map((socket, k) => ({ name: `guest${k}`, kind: 'socket' as const, socket }));
  await startWeft(place, { workers: 1, ports });
  return { protocol: 'stream', paths };
}

async function startVde(place: Workplace): Promise<Guests> {
  const folder = join(place.folder, 'vde');
  const daemon = new Daemon(['vde_switch', '-s', folder], place.cleanup, { cpus: place.switchCpus });
  await sleep(SETTLE_MS);
  if (!daemon.running) throw new Error(`vde_switch ended: ${daemon.output.slice(-400)}`);
  return { protocol: 'vde', paths: [folder, folder] };
}

/** Thousand frames per second that arrive, on a switch of its own. */
async function rateOn(context: Context, load: Load, start: (place: Workplace) => Promise<Guests>): Promise<number> {
  const place = openWorkplace(SWITCH_CPUS);
  try {
    const program = join(place.folder, 'socket-guest');
    const source = join(projectRoot(), 'bench/system/socket-guest.cc');
    await run(['g++', '-O2', '-std=c++20', '-D_GNU_SOURCE', '-o', program, source]);
    const { protocol, paths } = await start(place);
    const guest = (path: string, ...what: string[]) =>
      new Daemon([program, protocol, path, ...what], place.cleanup, { cpus: GUEST_CPUS });
    const counter = guest(paths[1], 'count');
    await sleep(SETTLE_MS);
    const sender = guest(paths[0], 'send', `${load.bytes}`, `${load.batch}`);
    await counter.until(/\n/, 10);
    await sleep(SETTLE_MS);
    const from = counter.output.length;
    await sleep(context.seconds * 1000);
    for (const each of [sender, counter])
      if (!each.running) throw new Error(`a guest ended: ${each.output.slice(-300)}`);
    return rateOf(counter.output.slice(from));
  } finally {
    for (const problem of await place.cleanup.run()) context.progress(`left behind: ${problem}`);
  }
}

/** From lines of clock and count, the first of which may be cut: thousand a second. */
export function rateOf(text: string): number {
  const lines = text.split('\n').slice(1, -1);
  const [first, last] = [lines.at(0), lines.at(-1)].map((line) => (line ?? '').split(' ').map(Number));
  const seconds = (last?.[0] ?? 0) - (first?.[0] ?? 0);
  if (!(seconds > 0)) throw new Error('no frame arrived');
  return ((last![1] ?? 0) - (first![1] ?? 0)) / seconds / 1000;
}
