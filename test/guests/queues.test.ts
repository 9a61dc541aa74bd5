/**
 * A guest with two queue pairs at a switch with two workers, each of which serves one: traffic both ways, a pair that is taken away and
 * given back by the guest's driver while it runs, and workers that are restarted meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guestImage } from '../../control/demo/guests/image.ts';
import { nicArguments } from '../../control/demo/guests/nic.ts';
import { Vm } from '../../control/demo/guests/vm.ts';
import type { PortDetail } from '../../control/switch.ts';
import { describeNeeds, findTool, GUESTS } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { address, fetchFile, GuestPeer, HostPeer, serveFile } from './peer.ts';

const FILE_BYTES = 8_000_000;
const MAC = '02:77:65:00:00:52';
const GUEST = { ipv4: '10.78.0.9', ipv6: 'fd00:78::9' };
const [A, B] = ['02:77:65:00:00:53', '02:77:65:00:00:54'];
const FLOWS = [1, 2, 3, 4, 5, 6];
const flat = (mac: string) => mac.replaceAll(':', '');
const PING_MS = 10;
const OUTAGE_MS_MAX = 100;
/** Restarts of a worker: at least, and while none of them was short enough. */
const TRIES = 3;
const TRIES_MAX = 8;
const EXCHANGES_MAX = 3;
/** What a queue carries that is used. */
const FRAMES_MIN = 100;

describeNeeds({ ...REAL, tools: [...REAL.tools, ...GUESTS.tools, 'gcc'] }, 'a guest with two queue pairs', () => {
  const lab = new Lab();
  let daemon: Daemon;
  let hosts: Record<'a' | 'b', Host>;
  let server: HostPeer;
  let vm: Vm | undefined;
  let guest: GuestPeer;
  let sent: string;
  const at = (name: string) => join(lab.folder, name);

  const queues = async () =>
    (await daemon.client.get<PortDetail>('/v1/bridges/br0/ports/vm')).details.queues?.split(',')[0];
  const frames = async () => (await daemon.workers()).map((worker) => worker.frames);

  beforeAll(async () => {
    mkdirSync(at('tools'));
    execFileSync(findTool('busybox')!, ['--install', '-s', at('tools')]);
    hosts = await lab.hosts(['a', 'b']);
    const port = { name: 'vm', kind: 'vhost-user', socket: at('vm.sock') };
    const ports = [
      tap(lab, 'a', { mac: A, address: '10.78.0.1/24' }),
      tap(lab, 'b', { mac: B, address: '10.78.0.2/24' }),
    ];
    daemon = await lab.daemon(bridge([...ports, port], {}, { workers: { count: 2 } }));
    const netdev = { type: 'vhost-user', path: at('vm.sock'), listen: false, queues: 2 } as const;
    vm = await Vm.start({
      image: await guestImage(findTool('busybox')!),
      ...{ folder: lab.folder, name: 'vm', memory: 192, shared: true, cpus: 2 },
      args: nicArguments([{ mac: MAC, netdev }]),
    });
    guest = new GuestPeer('vm', vm, MAC);
    await guest.enter();
    await address(guest, GUEST);
    server = new HostPeer('a', lab.name('a'), at('tools'));
    sent = await serveFile(server, at('files'), FILE_BYTES);
    const source = new URL('channels.c', import.meta.url).pathname;
    await execa('gcc', ['-static', '-Os', '-s', '-o', at('files/channels'), source]);
    await guest.run('wget -q -O /run/channels http://10.78.0.1:8080/channels; chmod +x /run/channels');
  }, 120_000);
  afterAll(async () => {
    server?.close();
    await vm?.kill();
    await lab.close();
  });

  /** Several connections at once, so that both sides use all the queues they have. Answers how many frames each worker carried. */
  async function exchange(): Promise<number[]> {
    const before = await frames();
    const fetching = FLOWS.map((n) => `wget -q -O - http://10.78.0.1:8080/file | sha256sum >/run/sum${n} &`).join(' ');
    await guest.run(`${fetching} wait; cat /run/sum*`, 60);
    const sums = (await guest.run('cat /run/sum*')).trim().split('\n');
    expect(sums.map((line) => line.split(' ')[0])).toEqual(FLOWS.map(() => sent));
    return (await frames()).map((count, worker) => count - before[worker]!);
  }

  /** Exchanges until each worker carried some: all flows of one exchange may happen to be in one queue. */
  async function exchangeByBoth(): Promise<void> {
    let carried: number[] = [];
    for (let k = 0; k < EXCHANGES_MAX; k++) {
      carried = await exchange();
      if (carried.every((count) => count > FRAMES_MIN)) break;
    }
    for (const count of carried) expect(count).toBeGreaterThan(FRAMES_MIN);
  }

  it('uses both, in both directions', { timeout: 120_000 }, async () => {
    expect(await queues()).toBe('2 of 2 run');
    await exchangeByBoth();
    const own = await serveFile(guest, '/run/files', FILE_BYTES);
    expect(await fetchFile(server, GUEST.ipv4)).toBe(own);
  });

  it('goes on with one, and with both again', { timeout: 120_000 }, async () => {
    for (const [count, running] of [
      [1, '1 of 2 run'],
      [2, '2 of 2 run'],
      [1, '1 of 2 run'],
      [2, '2 of 2 run'],
    ] as const) {
      await guest.run(`/run/channels eth0 ${count}`);
      expect(await until(queues, (now) => now === running)).toBe(running);
      await exchange();
    }
    await exchangeByBoth();
  });

  /** The longest time without an answer while `work` goes on, of a ping every 10 ms: what was lost in a row, or came late. */
  async function outage(work: () => Promise<unknown>): Promise<number> {
    const args = ['netns', 'exec', lab.name('a'), 'ping', '-n', '-i', `${PING_MS / 1000}`, '-c', '200', GUEST.ipv4];
    const asking = execa('ip', args, { reject: false });
    await sleep(500);
    await work();
    const answers = [...(await asking).stdout.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
    const numbers = answers.map(([, number]) => Number(number)).sort((x, y) => x - y);
    expect(numbers.at(-1)).toBeGreaterThan(190);
    const lost = Math.max(...numbers.map((number, index) => number - (numbers[index - 1] ?? 0) - 1));
    return Math.max(lost * PING_MS, ...answers.map(([, , ms]) => Number(ms)));
  }

  it('a worker restarted: its guests are back at once, the other’s traffic loses nothing', {
    timeout: 180_000,
  }, async () => {
    const rate = 2000;
    /** A flow between the hosts, beside the guest's pings. Answers what was lost of it. */
    const beside = async (number: number, work: () => Promise<void>) => {
      await hosts.b.listenFlow('eth0', number);
      const sending = hosts.a.sendFlow({
        device: 'eth0',
        destination: flat(B),
        source: flat(A),
        number,
        rate,
        seconds: 2,
      });
      await work();
      const count = await sending;
      const result = () => hosts.b.flowResult(number);
      return count - (await until(result, ({ received }) => received === count, 1500)).received;
    };
    const restarts = async () => (await daemon.workers()).map((worker) => worker.restarts);
    const done = await restarts();
    const before = await frames();
    expect(await beside(1, async () => undefined)).toBe(0);
    const carried = (await frames()).map((count, worker) => count - before[worker]!);
    const busy = carried[0]! > carried[1]! ? 0 : 1;
    for (const worker of [0, 1]) {
      const outages: number[] = [];
      // The best of them: the guest is emulated on the same cores, and may be late by itself.
      const isLate = () => Math.min(...outages) >= OUTAGE_MS_MAX;
      for (let k = 0; k < TRIES || (k < TRIES_MAX && isLate()); k++) {
        done[worker]!++;
        const restarted = async () => void outages.push(await outage(() => daemon.restartWorker(worker)));
        const lost = await beside(10 * worker + k + 2, restarted);
        if (worker !== busy) expect(lost).toBe(0);
      }
      if (process.env.WEFT_TEST_VERBOSE !== undefined) console.log({ worker, busy, outages });
      expect(Math.min(...outages), outages.join(', ')).toBeLessThan(OUTAGE_MS_MAX);
      expect(await queues()).toBe('2 of 2 run');
      await exchange();
    }
    expect(await restarts()).toEqual(done);
  });
});
