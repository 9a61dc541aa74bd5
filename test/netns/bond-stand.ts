/**
 * What the tests of bonds into a Linux bridge stand on: a host on weft, a bond whose cables end in the bridge, a host behind that.
 * `open` makes it all; the lab's `close` removes it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { cable, cables, ip, kernelBridge, untilBond } from './bond-rig.ts';
import type { Daemon } from './daemon.ts';
import { type Host, outageOf } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';

/** Addresses of the host on weft, and of the one behind the bridge. */
export const A = '10.41.0.1';
export const B = '10.41.0.2';
/** Frames a second of a flow. */
export const RATE = 2000;
/** What a failover may take on a busy machine; the bench measures it. */
export const OUTAGE_MS_MAX = 500;
export const NEEDS = { ...REAL, tools: [...REAL.tools, 'bridge'] };

export interface FlowOutcome {
  readonly sent: number;
  readonly lost: number;
  readonly duplicates: number;
  /** The longest time for which nothing got through. */
  readonly outageMs: number;
}

/** Numbered frames from one host's eth0 to another's for `seconds`, while `work` is done: what was lost, and how long nothing got through. */
export async function flowBetween(
  from: Host,
  to: Host,
  number: number,
  seconds: number,
  work: () => Promise<unknown>,
): Promise<FlowOutcome> {
  const address = async (host: Host) => (await host.run('cat', '/sys/class/net/eth0/address')).replaceAll(':', '');
  await to.listenFlow('eth0', number);
  const options = { device: 'eth0', source: await address(from), destination: await address(to) };
  const sending = from.sendFlow({ ...options, number, rate: RATE, seconds });
  await sleep(400);
  await work();
  const sent = await sending;
  const result = await until(
    () => to.flowResult(number, sent),
    ({ received }) => received >= sent,
    2000,
  );
  const { received, duplicates } = result;
  return { sent, lost: sent - received, duplicates, outageMs: outageOf(result, RATE) };
}

/** A host on weft, a bond of three cables into a Linux bridge, a host behind that. */
export class Stand {
  readonly lab = new Lab();
  daemon!: Daemon;
  a!: Host;
  b!: Host;
  /** Where the Linux bridge is. */
  sw!: Host;
  #flows = 0;

  async open(up: { name: string }, top: object = {}): Promise<void> {
    const { lab } = this;
    await lab.netns('hub', { ipv6: false });
    ({ a: this.a, b: this.b, sw: this.sw } = await lab.hosts(['a', 'b', 'sw'], { ipv6: false }));
    await cables(lab, 3, 'sw');
    await cable(lab, 0, 'sw', { near: 'b', nearPrefix: 'eth', farPrefix: 'b' });
    await ip(lab, 'b', 'addr', 'add', `${B}/24`, 'dev', 'eth0');
    await kernelBridge(lab, 'sw', 'sw0', ['f0', 'b0']);
    this.daemon = await lab.daemon(this.document(up, top));
    await this.plug(['f0', 'f1', 'f2']);
  }

  /** Only these cables end in the bridge: without LACP a bond that sends over several into one bridge is a loop's half. */
  async plug(devices: readonly string[]): Promise<void> {
    for (const device of devices) await ip(this.lab, 'sw', 'link', 'set', device, 'master', 'sw0');
  }

  /** Every cable in its place, with both ends up, whatever a test did to them. */
  async mend(): Promise<void> {
    for (const index of [0, 1, 2]) {
      const there = await ip(this.lab, 'hub', 'link', 'set', `m${index}`, 'up').catch(() => null);
      if (there === null) await cable(this.lab, index, 'sw');
      await this.link('sw', `f${index}`, 'up');
    }
    await this.plug(['f0', 'f1', 'f2']);
    await this.linked();
  }

  /** Waits until every member has its link. */
  async linked(): Promise<void> {
    const row = await untilBond(this.daemon, ({ members }) => members.every(({ link }) => link));
    expect(row.members.filter(({ link }) => !link)).toEqual([]);
  }

  document(up: { name: string }, top: object = {}): object {
    const port = tap(this.lab, 'a', { address: [`${A}/24`] });
    return bridge([port, up], {}, top);
  }

  apply(up: { name: string }): Promise<unknown> {
    return this.daemon.apply(this.document(up));
  }

  /** Frames from one host to the other, both known by name. */
  flow(from: 'a' | 'b', seconds: number, work: () => Promise<unknown>): Promise<FlowOutcome> {
    return flowBetween(this[from], this[from === 'a' ? 'b' : 'a'], ++this.#flows, seconds, work);
  }

  link(space: 'sw' | 'hub', device: string, state: 'up' | 'down'): Promise<unknown> {
    return ip(this.lab, space, 'link', 'set', device, state);
  }

  /** The bridge port behind which the Linux bridge believes an address. */
  async portOf(address: string): Promise<string | undefined> {
    const rows = JSON.parse(await this.sw.run('bridge', '-json', 'fdb', 'show', 'br', 'sw0')) as {
      mac: string;
      ifname: string;
    }[];
    return rows.find(({ mac }) => mac === address)?.ifname;
  }
}
