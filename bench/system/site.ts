// A site: two namespaces that stand for two hosts, a name prefix, a temporary folder and a cleanup. Made fresh for every measurement,
// so that no measurement inherits another's tables, buffers or processes. Main thread; needs root.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cleanup } from './cleanup.ts';
import { Daemon, run } from './process.ts';

/** All that a switch needs to be started: guests are reached by sockets in the folder, hosts by the namespaces of a Site. */
export interface Workplace {
  /** At most 10 characters, unique to this process and site: device names may add 5. */
  readonly prefix: string;
  readonly folder: string;
  readonly cleanup: Cleanup;
  /** CPUs of the switch's process for taskset, or undefined when not pinned. */
  readonly switchCpus: string | undefined;
}

export interface Site extends Workplace {
  readonly namespaces: readonly [string, string];
  /** Processes that live in the two namespaces as long as the site: the way to look at their counters. */
  readonly holders: readonly [number, number];
}

let count = 0;

/** The prefix of site `index` of process `pid`: both in base 36, so that the longest pid leaves room for a device's name. */
export function sitePrefix(pid: number, index: number): string {
  return `wb${pid.toString(36)}-${(index % 1296).toString(36)}`;
}

/** The pid in a name that begins with a site's prefix, or null. */
export function pidOfPrefix(name: string): number | null {
  const match = /^wb([0-9a-z]{1,5})-[0-9a-z]/.exec(name);
  return match === null ? null : Number.parseInt(match[1]!, 36);
}

/** A prefix, a folder and an empty cleanup; needs no root. */
export function openWorkplace(switchCpus?: string): Workplace {
  const cleanup = new Cleanup();
  const prefix = sitePrefix(process.pid, count++);
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
  cleanup.defer('removing the temporary folder', () => rmSync(folder, { recursive: true, force: true }));
  return { prefix, folder, cleanup, switchCpus };
}

/** Makes the namespaces. IPv6 is off in them: neighbour discovery would be frames that nobody sent on purpose. */
export async function openSite(options: { pinned: boolean }): Promise<Site> {
  const place = openWorkplace(options.pinned ? '1' : undefined);
  const { prefix, cleanup } = place;
  try {
    const namespaces: [string, string] = [
      await addNamespace(`${prefix}-a`, cleanup),
      await addNamespace(`${prefix}-b`, cleanup),
    ];
    const holders: [number, number] = [
      await holdNamespace(namespaces[0], cleanup),
      await holdNamespace(namespaces[1], cleanup),
    ];
    return { ...place, namespaces, holders };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** Adds one namespace, with loopback up and IPv6 off, and registers its removal. */
export async function addNamespace(name: string, cleanup: Cleanup): Promise<string> {
  await run(['ip', 'netns', 'add', name]);
  cleanup.defer(`removing namespace ${name}`, () => run(['ip', 'netns', 'del', name]));
  const quiet =
    'for d in all default; do echo 1 > /proc/sys/net/ipv6/conf/$d/disable_ipv6; done 2>/dev/null; ip link set lo up';
  await run(['sh', '-c', quiet], { namespace: name });
  return name;
}

async function holdNamespace(namespace: string, cleanup: Cleanup): Promise<number> {
  const holder = new Daemon(['sleep', '86400'], cleanup, { namespace });
  for (let tries = 0; tries < 500; tries++) {
    if (readIfThere(`/proc/${holder.pid}/comm`).trim() === 'sleep') return holder.pid;
    await sleep(2);
  }
  throw new Error(`no process could be started in namespace ${namespace}`);
}

/** Removes namespaces, devices and temporary folders, and nothing else, that a killed bench left: those whose prefix names a process that is gone. */
export async function removeStale(print: (text: string) => void): Promise<void> {
  const dead = (name: string) => {
    const pid = pidOfPrefix(name);
    return pid !== null && !existsSync(`/proc/${pid}`);
  };
  const namespaces = (await run(['ip', 'netns', 'list'])).split('\n').map((line) => line.split(' ')[0]!);
  for (const name of namespaces.filter(dead)) {
    print(`removing namespace ${name} of an earlier bench`);
    await run(['ip', 'netns', 'del', name]).catch(() => {});
  }
  for (const name of readdirSync(tmpdir()).filter(dead)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  const links = JSON.parse((await run(['ip', '-j', 'link', 'show'])) || '[]') as { ifname?: string }[];
  for (const { ifname } of links) {
    if (ifname === undefined || !dead(ifname)) continue;
    print(`removing device ${ifname} of an earlier bench`);
    await run(['ip', 'link', 'del', ifname]).catch(() => {});
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
