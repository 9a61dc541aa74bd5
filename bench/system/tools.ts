// The traffic tools of the system level and what they print: iperf3, trafgen, and our own traffic.py. Parsers are pure.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../root.ts';
import type { Host, Hosts } from './hosts.ts';
import { Daemon, hasCommand, run } from './process.ts';
import type { Site } from './site.ts';

/** Gb/s that arrived, from `iperf3 -J`. Throws an Error with iperf3's own words when the run failed. */
export function parseIperf(text: string): number {
  const report = JSON.parse(text) as { error?: string; end?: { sum_received?: { bits_per_second?: number } } };
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  const rate = report.end?.sum_received?.bits_per_second;
  if (typeof rate !== 'number' || rate <= 0) throw new Error('iperf3 reported no received bits per second');
  return rate / 1e9;
}

/** trafgen's configuration of one frame of that many bytes (without FCS), EtherType 0x88b5 (IEEE 802, local experimental). */
export function trafgenFrame(to: string, from: string, frameBytes = 60): string {
  const bytes = (mac: string) => {
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) throw new Error(`${mac} is not a MAC address`);
    return mac
      .split(':')
      .map((byte) => `0x${byte}`)
      .join(',');
  };
  return `{ ${bytes(to)}, ${bytes(from)}, 0x88, 0xb5, fill(0x55, ${frameBytes - 14}) }\n`;
}

/** Floods 60-byte frames from the first host to the second until stopped, and for at most `seconds`. trafgen binds itself to CPU 0 in every run. */
export function floodFrames(site: Site, hosts: Hosts, seconds: number): Daemon {
  return startTrafgen(site, hosts[0], trafgenFrame(hosts[1].mac, hosts[0].mac), seconds);
}

/** Floods what `frame` describes out of one host's device. */
export function startTrafgen(
  site: Site,
  from: Pick<Host, 'device' | 'namespace'>,
  frame: string,
  seconds: number,
): Daemon {
  const file = join(site.folder, 'trafgen.cfg');
  writeFileSync(file, frame);
  // -q takes the queueing discipline's way: without it trafgen would skip the device's own back-pressure.
  const limit = ['timeout', '--signal=KILL', String(Math.ceil(seconds))];
  const command = [...limit, 'trafgen', '--dev', from.device, '--conf', file, '--cpus', '1', '-n', '1000000000', '-q'];
  return new Daemon(command, site.cleanup, { namespace: from.namespace });
}

export interface EchoTimes {
  readonly count: number;
  readonly lost: number;
  /** Microseconds, for all of these. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface SendReport {
  readonly sent: readonly number[];
  readonly refused: number;
  readonly seconds: number;
  readonly senderPauseMs: number;
}

export interface ReceiveReport {
  readonly received: readonly number[];
  /** Longest time of a flow without service, whoever else paused. */
  readonly outageMs: readonly number[];
  readonly disorder: readonly number[];
}

/** The last line of a tool's output that is a JSON object. */
export function lastJson<T>(text: string): T {
  const line = text.split('\n').findLast((each) => each.startsWith('{'));
  if (line === undefined) throw new Error(`no result was printed: ${text.slice(-300).trim()}`);
  return JSON.parse(line) as T;
}

/** The system's interpreter before a version manager's wrapper, which would add a shell to every start. */
export function pythonCommand(): string {
  return existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
}

/** traffic.py with arguments. */
export function trafficCommand(...args: (string | number)[]): string[] {
  return [pythonCommand(), join(projectRoot(), 'bench', 'system', 'traffic.py'), ...args.map(String)];
}

/** Round trips of ICMP echo from the first host to the second; fails when more than one in a hundred is lost. */
export async function echoTimes(
  hosts: Hosts,
  options: { count: number; gapUs: number; fillerUs: number; cpus: string | undefined },
): Promise<EchoTimes> {
  const args = [hosts[1].address, options.count, options.gapUs, options.fillerUs, hosts[0].device];
  const where = { namespace: hosts[0].namespace, cpus: options.cpus, seconds: 120 };
  const times = lastJson<EchoTimes>(await run(trafficCommand('echo', ...args), where));
  if (times.lost * 100 > times.count) throw new Error(`${times.lost} of ${times.count} echoes were lost`);
  return times;
}

/** A reason when a tool is missing, else null. */
export function missingTool(name: 'iperf3' | 'trafgen' | 'python3' | 'taskset'): string | null {
  const packages = { iperf3: 'iperf3', trafgen: 'netsniff-ng', python3: 'python3', taskset: 'util-linux' };
  return hasCommand(name) ? null : `${name} not installed (${packages[name]})`;
}
