/**
 * Who has a UDP port that is to be bound, as a phrase: the kernel's own tunnel device, or a process. Asked when a bind failed with EADDRINUSE;
 * main thread. What can't be seen is left unsaid.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { ipJson, type RunIp, runIp } from '../devices/ip.ts';
import { addressText } from './remote-record.ts';

/** Processes whose descriptors are looked at; beyond them nobody waits for the answer. */
const PROCESSES_MAX = 4096;

interface IpTunnel {
  readonly ifname: string;
  readonly linkinfo?: { readonly info_data?: { readonly port?: number } };
}

export interface PortOwnerOptions {
  readonly run?: RunIp;
  /** Where /proc is. */
  readonly proc?: string;
}

/** A phrase for `… has UDP port N`; null where nobody is found. Never rejects. */
export async function ownerOfPort(local: string, port: number, options: PortOwnerOptions = {}): Promise<string | null> {
  const { run = runIp, proc = '/proc' } = options;
  return (await kernelOwner(run, port)) ?? (await processOwner(proc, local, port).catch(() => null));
}

/** A tunnel of the kernel has its socket on all addresses. */
async function kernelOwner(run: RunIp, port: number): Promise<string | null> {
  for (const kind of ['vxlan', 'geneve']) {
    const args = ['-details', 'link', 'show', 'type', kind];
    const links = await ipJson<IpTunnel>(run, null, args, `links of type ${kind}`).catch(() => []);
    const found = links.find(({ linkinfo }) => linkinfo?.info_data?.port === port);
    if (found !== undefined) return `the kernel's ${kind} device ${found.ifname}`;
  }
  return null;
}

async function processOwner(proc: string, local: string, port: number): Promise<string | null> {
  const inodes = new Set<string>();
  for (const [file, family] of [
    ['net/udp', 4],
    ['net/udp6', 6],
  ] as const) {
    const text = await readFile(`${proc}/${file}`, 'utf8').catch(() => '');
    for (const inode of inodesOf(text, family, local, port)) inodes.add(`socket:[${inode}]`);
  }
  if (inodes.size === 0) return null;
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name)).slice(0, PROCESSES_MAX);
  for (const pid of pids) {
    const folder = `${proc}/${pid}/fd`;
    for (const fd of await readdir(folder).catch(() => [])) {
      if (!inodes.has(await readlink(`${folder}/${fd}`).catch(() => ''))) continue;
      const name = (await readFile(`${proc}/${pid}/comm`, 'utf8').catch(() => '')).trim();
      return `process ${pid}${name === '' ? '' : ` (${name})`}`;
    }
  }
  return null;
}

/** Inodes of sockets that are bound to this port on this address, or on all. */
function inodesOf(table: string, family: 4 | 6, local: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return table.split('\n').flatMap((line) => {
    const [, bound = '', , , , , , , , inode = ''] = line.trim().split(/\s+/);
    const [address = '', number] = bound.split(':');
    if (number !== wanted || inode === '0') return [];
    const words = (address.match(/.{8}/g) ?? []).map((word) => Number.parseInt(word, 16) | 0);
    const isEverywhere = words.every((word) => word === 0);
    return isEverywhere || addressText(family, words) === local ? [inode] : [];
  });
}
