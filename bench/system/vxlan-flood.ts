// Scenario vxlan-flood: broadcast frames from a TAP to 100 remotes, a copy to each, against one socket that sends the same payload to the same
// addresses by sendmmsg (flood.c, compiled by the bench). The remotes are addresses of one namespace with one socket that takes nothing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Machine, makeMachines } from '../peers/machines.ts';
import { INNER_MTU, VNI } from '../peers/vxlan.ts';
import { startWeft, tapPort } from '../peers/weft-daemon.ts';
import { projectRoot } from '../root.ts';
import type { Measurement } from '../row.ts';
import { type Context, interleave, onSite, type Scenario } from './context.ts';
import { Daemon, missingCommand, run } from './process.ts';
import type { Site } from './site.ts';
import { startTrafgen, trafgenFrame } from './tools.ts';

const REMOTES_COUNT = 100;
const REMOTES_NET = '10.77.0';
const FRAME_BYTES = 1014;
const VXLAN_BYTES = 8;
const SETTLE_MS = 1000;
/** Whoever sends the datagrams; trafgen is on CPU 0. */
const SENDER_CPUS = '1';

export const vxlanFlood: Scenario = {
  name: 'vxlan-flood',
  about: 'broadcast frames of 1,014 bytes to 100 remotes, against one socket with sendmmsg',
  weftOnly: true,
  run: async (context) => {
    const missing = missingCommand(['gcc', 'trafgen', 'taskset'], 'gcc, netsniff-ng, util-linux');
    if (missing !== null) {
      context.skip(`vxlan-flood: ${missing}`);
      return [];
    }
    return [await compareFloods(context)];
  },
};

async function compareFloods(context: Context): Promise<Measurement> {
  const rate = (start: Start) => () => onSite(context, true, (site) => rateOf(context, site, start));
  const pairs = await interleave(context.pairs, rate(floodByWeft), rate(floodBySocket), (index, a, b) =>
    context.progress(
      `vxlan-flood, pair ${index + 1}/${context.pairs}: ${a.toFixed(0)} / ${b.toFixed(0)} kdatagrams/s = ${(a / b).toFixed(2)}`,
    ),
  );
  return {
    scenario: 'vxlan-flood',
    variant: `${REMOTES_COUNT} remotes`,
    subject: 'weft',
    against: 'sendmmsg',
    unit: 'kdatagrams/s',
    how: 'ratio',
    pairs: pairs.map(([subject, against]) => ({ subject, against })),
  };
}

/** Begins to send from `machine`, for longer than is measured. `program` is flood.c. */
type Start = (site: Site, machine: Machine, program: string, seconds: number) => Promise<Daemon>;

const floodByWeft: Start = async (site, machine, _, seconds) => {
  const far = { vni: VNI, local: machine.address, remotes: remotes(), mtu: INNER_MTU };
  await startWeft(machine, {
    namespace: machine.space,
    workers: 1,
    ports: [
      { ...tapPort('container', machine.device, machine.container), mtu: INNER_MTU },
      { name: 'far', kind: 'vxlan', ...far },
    ],
  });
  await run(['ip', '-n', machine.container, 'link', 'set', machine.device, 'up']);
  const frame = trafgenFrame('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01', FRAME_BYTES);
  return startTrafgen(site, { device: machine.device, namespace: machine.container }, frame, seconds);
};

const floodBySocket: Start = async (site, machine, program, seconds) => {
  const what = [machine.address, `${REMOTES_NET}.1`, REMOTES_COUNT, FRAME_BYTES + VXLAN_BYTES, seconds];
  const where = { namespace: machine.space, cpus: SENDER_CPUS };
  return new Daemon([program, 'send', ...what.map(String)], site.cleanup, where);
};

/** Thousand datagrams a second that arrive in the remotes' namespace, whether or not their socket takes them. */
async function rateOf(context: Context, site: Site, start: Start): Promise<number> {
  const [near, far] = await makeMachines(site);
  const program = join(site.folder, 'flood');
  await run(['gcc', '-O2', '-o', program, join(projectRoot(), 'bench/system/flood.c')]);
  await run(['ip', '-n', far.space, 'route', 'add', 'local', `${REMOTES_NET}.0/24`, 'dev', 'lo']);
  await run(['ip', '-n', near.space, 'route', 'add', `${REMOTES_NET}.0/24`, 'via', near.other]);
  const sink = new Daemon([program, 'sink', '4789'], site.cleanup, { namespace: far.space });
  await sink.until(/listening/, 10);
  const sender = await start(site, { ...near, switchCpus: SENDER_CPUS }, program, context.seconds + 20);
  await sleep(SETTLE_MS);
  const before = datagramsIn(sink.pid);
  const begin = process.hrtime.bigint();
  await sleep(context.seconds * 1000);
  const count = datagramsIn(sink.pid) - before;
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (!sender.running) throw new Error(`the sender ended: ${sender.output.slice(-300).trim()}`);
  if (count <= 0) throw new Error('no datagram arrived');
  return count / seconds / 1000;
}

function remotes(): string[] {
  return Array.from({ length: REMOTES_COUNT }, (_, k) => `${REMOTES_NET}.${k + 1}`);
}

/** UDP datagrams that came to the namespace of a process: those that its sockets took, and those that they had no room for. */
function datagramsIn(pid: number): number {
  return parseDatagrams(readFileSync(`/proc/${pid}/net/snmp`, 'utf8'));
}

/** From /proc/net/snmp: two lines for UDP, names and numbers. */
export function parseDatagrams(text: string): number {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.trim().split(/\s+/));
  const counted = (name: string) => Number(values?.[names?.indexOf(name) ?? -1]);
  const sum = counted('InDatagrams') + counted('InErrors');
  if (!Number.isFinite(sum)) throw new Error('/proc/net/snmp has no counts of UDP');
  return sum;
}
