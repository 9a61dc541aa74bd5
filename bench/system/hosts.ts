// The two hosts of a site once a switch joins them: addresses, the wait until they reach each other, and their devices' counters.
// Counters are read from this process through /proc/PID/root of a process in the namespace: no command is started while we measure.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './process.ts';
import type { Site } from './site.ts';

export interface Host {
  readonly namespace: string;
  readonly device: string;
  readonly address: string;
  readonly mac: string;
  readonly holder: number;
}

export type Hosts = readonly [Host, Host];

export type Counter = 'rx_packets' | 'tx_packets' | 'rx_dropped' | 'tx_dropped';

/** One counter of the host's device (linux, Documentation/ABI/testing/sysfs-class-net-statistics). */
export function readCounter(host: Host, counter: Counter): number {
  return Number(
    readFileSync(`/proc/${host.holder}/root/sys/class/net/${host.device}/statistics/${counter}`, 'utf8').trim(),
  );
}

/** Frames per second that a host's device receives, over `seconds`, between two readings with their own times. */
export async function receiveRate(host: Host, seconds: number): Promise<number> {
  const before = readCounter(host, 'rx_packets');
  const start = process.hrtime.bigint();
  await sleep(seconds * 1000);
  const after = readCounter(host, 'rx_packets');
  return (after - before) / (Number(process.hrtime.bigint() - start) / 1e9);
}

/** Gives both devices an address, sets them up and waits until they reach each other: both addresses are then learned. */
export async function connectHosts(site: Site, devices: readonly [string, string], seconds = 20): Promise<Hosts> {
  const hosts = [await connectHost(site, devices, 0), await connectHost(site, devices, 1)] as const;
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      await run(['ping', '-q', '-c', '2', '-i', '0.05', '-W', '1', hosts[1].address], {
        namespace: hosts[0].namespace,
      });
      return hosts;
    } catch {
      if (Date.now() > deadline) throw new Error(`the hosts did not reach each other within ${seconds} s`);
      await sleep(100);
    }
  }
}

async function connectHost(site: Site, devices: readonly [string, string], index: 0 | 1): Promise<Host> {
  const namespace = site.namespaces[index];
  const device = devices[index];
  const address = `10.199.0.${index + 1}`;
  await run(['ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', device]);
  await run(['ip', '-n', namespace, 'link', 'set', device, 'up']);
  const [link] = JSON.parse(await run(['ip', '-n', namespace, '-j', 'link', 'show', 'dev', device])) as {
    address: string;
  }[];
  return { namespace, device, address, mac: link!.address, holder: site.holders[index] };
}
