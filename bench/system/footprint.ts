// Scenarios about weft alone: many TAPs of which few are busy, CPU while idle, time to `ready`, memory of the default configuration.
import { setTimeout as sleep } from 'node:timers/promises';
import { startWeft, type TapPort, tapPort, type WeftOptions } from '../peers/weft-daemon.ts';
import type { Measurement } from '../row.ts';
import type { Pair } from '../statistics.ts';
import { cpuSeconds, memoryUse } from './accounting.ts';
import { type Bench, type Context, interleave, onSite, type Scenario } from './context.ts';
import { frameRate } from './frames.ts';
import { connectHosts } from './hosts.ts';
import { addNamespace, type Site } from './site.ts';
import { missingTool } from './tools.ts';

const MANY = 1000;
const QUICK_MANY = 50;

/** The two busy ports in the hosts' namespaces, and idle ones up to `count`, in `netns` or where weft runs. */
function manyPorts(site: Site, count: number, netns?: string): TapPort[] {
  const ports = [
    tapPort('a', `${site.prefix}a`, site.namespaces[0]),
    tapPort('b', `${site.prefix}b`, site.namespaces[1]),
  ];
  for (let index = 2; index < count; index++) ports.push(tapPort(`t${index}`, `${site.prefix}t${index}`, netns));
  return ports;
}

/** weft with `count` TAPs, the idle ones in a namespace without IPv6, so that they are silent; hosts connected. */
async function startMany(site: Site, count: number, options: Omit<WeftOptions, 'ports'> = {}): Promise<Bench> {
  const idle = count > 2 ? await addNamespace(`${site.prefix}-i`, site.cleanup) : undefined;
  const running = await startWeft(site, { ...options, ports: manyPorts(site, count, idle), seconds: 120 });
  const devices = [`${site.prefix}a`, `${site.prefix}b`] as const;
  const hosts = await connectHosts(site, devices);
  return { site, hosts, attached: { devices, pid: running.pid, stop: () => running.stop() } };
}

function onMany<T>(context: Context, count: number, measure: (bench: Bench) => Promise<T>): Promise<T> {
  return onSite(context, true, async (site) => {
    const bench = await startMany(site, count, { workers: 1, idle: 'adaptive' });
    const result = await measure(bench);
    await bench.attached.stop();
    return result;
  });
}

const label = (count: number) => count.toLocaleString('en-US');
const absolute = (values: readonly number[]): Pair[] => values.map((subject) => ({ subject, against: null }));

async function repeat(context: Context, title: string, unit: string, once: () => Promise<number>): Promise<Pair[]> {
  const values: number[] = [];
  for (let index = 0; index < context.pairs; index++) {
    values.push(await once());
    context.progress(`${title}, ${index + 1}/${context.pairs}: ${values[index]!.toPrecision(3)} ${unit}`);
  }
  return absolute(values);
}

function alone(scenario: string, variant: string, unit: string, pairs: Pair[], note?: string): Measurement {
  const about = note === undefined ? {} : { note };
  return { scenario, variant, subject: 'weft', against: '', unit, how: 'absolute', pairs, ...about };
}

export const thousandTaps: Scenario = {
  name: 'thousand-taps',
  about: '60-byte frames between 2 busy TAPs among 1,000, against a weft with only these 2',
  weftOnly: true,
  run: async (context) => {
    const missing = missingTool('trafgen') ?? missingTool('taskset');
    if (missing !== null) {
      context.skip(`thousand-taps: ${missing}`);
      return [];
    }
    const many = context.quick ? QUICK_MANY : MANY;
    const measure = (count: number) => () => onMany(context, count, (bench) => frameRate(bench, context.seconds));
    const pairs = await interleave(context.pairs, measure(many), measure(2), (index, a, b) =>
      context.progress(
        `thousand-taps, pair ${index + 1}/${context.pairs}: ${a.toFixed(0)} / ${b.toFixed(0)} kframes/s`,
      ),
    );
    return [
      {
        scenario: 'thousand-taps',
        variant: `${label(many)} TAPs vs 2`,
        subject: 'weft',
        against: 'weft',
        unit: 'kframes/s',
        how: 'ratio',
        pairs: pairs.map(([subject, against]) => ({ subject, against })),
      },
    ];
  },
};

export const idleCpu: Scenario = {
  name: 'idle-cpu',
  about: 'CPU of an idle weft with 1,000 TAPs over 10 s, in percent of one core',
  weftOnly: true,
  run: async (context) => {
    const many = context.quick ? QUICK_MANY : MANY;
    const seconds = context.quick ? 2 : 10;
    const pairs = await repeat(context, 'idle-cpu', '%', () =>
      onMany(context, many, async ({ attached }) => {
        await sleep(context.quick ? 1000 : 5000);
        const before = cpuSeconds(attached.pid!);
        const start = process.hrtime.bigint();
        await sleep(seconds * 1000);
        const used = cpuSeconds(attached.pid!) - before;
        return (100 * used) / (Number(process.hrtime.bigint() - start) / 1e9);
      }),
    );
    return [alone('idle-cpu', `${label(many)} TAPs`, '%', pairs)];
  },
};

export const startTime: Scenario = {
  name: 'start',
  about: 'seconds from exec to the line with `ready`, for 2 and for 1,000 ports in the root namespace',
  weftOnly: true,
  run: async (context) => {
    const rows: Measurement[] = [];
    for (const count of [2, context.quick ? QUICK_MANY : MANY]) {
      const pairs = await repeat(context, `start ${label(count)} ports`, 's', () =>
        onSite(context, false, async (site) => {
          const ports = manyPorts(site, count).map(({ name, device }) => tapPort(name, device));
          const running = await startWeft(site, { ports, seconds: 120 });
          await running.stop();
          return running.readySeconds;
        }),
      );
      rows.push(alone('start', `${label(count)} ports`, 's', pairs));
    }
    return rows;
  },
};

export const memory: Scenario = {
  name: 'memory',
  about: 'Pss and huge pages of the default configuration with two ports, after traffic',
  weftOnly: true,
  run: async (context) => {
    const parts: string[] = [];
    const pairs = await repeat(context, 'memory', 'MB', () =>
      onSite(context, false, async (site) => {
        const { attached } = await startMany(site, 2);
        await sleep(2000);
        const use = memoryUse(attached.pid!);
        parts.push(`Pss ${use.pssMB.toFixed(0)} + huge pages ${use.hugeMB.toFixed(0)} MB`);
        await attached.stop();
        return use.pssMB + use.hugeMB;
      }),
    );
    return [alone('memory', 'default configuration', 'MB', pairs, parts.at(-1))];
  },
};
