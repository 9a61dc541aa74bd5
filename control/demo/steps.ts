/**
 * What the demo shows on real devices, step by step: who reaches whom, who doesn't and what the switch counted meanwhile, and how fast.
 * Called by demo.ts once the switch runs. Each step asks the running switch over its API, as any user could.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { buildEchoFrame } from '../../dataplane/wire/build.ts';
import { type Client, makeClient } from '../cli/client.ts';
import type { PortRow } from '../switch.ts';
import { BLUE_VLAN, DEVICE, HOST_LIST, HOSTS, type Host, type HostName } from './hosts.ts';
import { readSwitch } from './read.ts';
import type { Expectation, Findings, Throughput } from './result.ts';
import { hasTool, type Runner } from './run-in.ts';
import { compiled, namespaceOf, type Stand } from './stand.ts';

const TCP_PORT = 5201;
const HOP_FRAMES = 5;
const UP_MS = 100;
/** What may pass before a server listens, and before a frame that was sent is counted. */
const LISTENS_MS_MAX = 3000;
const COUNTED_MS_MAX = 2000;
/** Five pings go in a second; how long to wait for answers that should come, and for those that should not. */
const PING_SECONDS = { reaches: 3, silence: 1 } as const;
/** How many pings, and how many seconds apart. */
const FEW = { count: 5, apart: 0.2 };
const MANY = { count: 100, apart: 0.005 };
const SEND_RAW = `import socket,sys
s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)
s.bind((sys.argv[1],0))
for _ in range(int(sys.argv[3])): s.send(bytes.fromhex(sys.argv[2]))`;

/** Tells that a step is done, or failed. */
export type Tell = (expectation: Expectation) => void;

export class Steps {
  readonly #runner: Runner;
  readonly #stand: Stand;
  readonly #client: Client;
  readonly #tell: Tell;
  readonly #expectations: Expectation[] = [];
  readonly #hasPing = hasTool('ping');

  constructor(runner: Runner, stand: Stand, tell: Tell) {
    this.#runner = runner;
    this.#stand = stand;
    this.#client = makeClient(stand.socket);
    this.#tell = tell;
  }

  /** Everything, in an order in which blue hosts are silent until red has tried to reach them. `quiet`: hosts send nothing by themselves. */
  async all(seconds: number, quiet: boolean): Promise<Findings> {
    const stop = await this.#listen();
    try {
      await this.#reaches('red1', 'red2');
      await this.#isApart('red1', 'blue1', quiet);
      await this.#hops('red1', 'blue1');
      await this.#reaches('blue1', 'blue2');
      await this.#cannotReach('blue2', 'red2');
      const throughput = await this.#stream('red1', 'red2', seconds);
      const roundTrip = await this.#quickest('red1', 'red2');
      const seen = await readSwitch(this.#client, this.#stand.metricsUrl);
      this.#expect('metrics can be scraped', seen.metrics.sample.length > 0, seen.metrics.url);
      return { ...seen, expectations: this.#expectations, roundTrip, throughput };
    } finally {
      await stop();
    }
  }

  #expect(what: string, held: boolean, detail: string): void {
    const expectation = { what, held, detail };
    this.#expectations.push(expectation);
    this.#tell(expectation);
  }

  /** Without ping, hosts answer a TCP port instead. */
  async #listen(): Promise<() => Promise<void>> {
    if (this.#hasPing) return async () => {};
    const stops = HOST_LIST.map((host) =>
      this.#runner.serve(namespaceOf(host), process.execPath, [
        compiled('demo/tcp-host.js'),
        'serve',
        String(TCP_PORT + 1),
      ]),
    );
    await sleep(5 * UP_MS);
    return async () => void (await Promise.all(stops.map((stop) => stop())));
  }

  /** The quickest of some round trips in milliseconds, or null when none came back within so many seconds. */
  async #ping(from: Host, to: Host, seconds: number, { count, apart } = FEW): Promise<number | null> {
    if (!this.#hasPing) {
      const args = [compiled('demo/tcp-host.js'), 'probe', to.address, String(TCP_PORT + 1)];
      const probed = await this.#runner.in(namespaceOf(from), process.execPath, args);
      return probed.exitCode === 0 ? (JSON.parse(probed.stdout) as { milliseconds: number }).milliseconds : null;
    }
    const args = ['-n', '-q', '-c', String(count), '-i', String(apart), '-W', '1', '-w', String(seconds), to.address];
    const pinged = await this.#runner.in(namespaceOf(from), 'ping', args);
    // One answer is an answer, whatever ping's exit code makes of the others.
    const quickest = /= ([\d.]+)\//.exec(pinged.stdout)?.[1];
    return quickest === undefined ? null : Number(quickest);
  }

  /** Once the switch has run for a while: its first frames meet code that is not optimised yet. */
  async #quickest(from: HostName, to: HostName): Promise<Findings['roundTrip']> {
    const milliseconds = await this.#ping(HOSTS[from], HOSTS[to], PING_SECONDS.reaches, MANY);
    return milliseconds === null ? null : { from, to, milliseconds };
  }

  async #reaches(from: HostName, to: HostName): Promise<void> {
    const milliseconds = await this.#ping(HOSTS[from], HOSTS[to], PING_SECONDS.reaches);
    const detail =
      milliseconds === null ? 'no answer' : `answers in ${milliseconds.toFixed(3)} ms (VLAN ${HOSTS[to].vlan})`;
    this.#expect(`${from} reaches ${to}`, milliseconds !== null, detail);
  }

  async #cannotReach(from: HostName, to: HostName, how = ''): Promise<void> {
    const milliseconds = await this.#ping(HOSTS[from], HOSTS[to], PING_SECONDS.silence);
    const detail = milliseconds === null ? 'no answer, as it should be' : `answered in ${milliseconds} ms`;
    this.#expect(`${from} does not reach ${to}${how}`, milliseconds === null, detail);
  }

  async #port(name: HostName): Promise<PortRow> {
    const rows = await this.#client.get<PortRow[]>('/v1/ports');
    return rows.find((row) => row.name === name)!;
  }

  async #sentToBlue(): Promise<number> {
    return (await this.#port('blue1')).transmit.frames + (await this.#port('blue2')).transmit.frames;
  }

  /** Red calls blue, by broadcast and, with a neighbour entry of its own making, by blue's very MAC: the frames stay with red. */
  async #isApart(from: HostName, to: HostName, quiet: boolean): Promise<void> {
    const namespace = namespaceOf(HOSTS[from]);
    const neighbour = [HOSTS[to].address, 'dev', DEVICE];
    const [redBefore, blueBefore] = [(await this.#port('red2')).transmit.frames, await this.#sentToBlue()];
    await this.#cannotReach(from, to);
    const known = [...neighbour.slice(0, 1), 'lladdr', HOSTS[to].mac, ...neighbour.slice(1)];
    await this.#runner.run('ip', ['-n', namespace, 'neigh', 'replace', ...known]);
    await this.#cannotReach(from, to, ', nor by its MAC address');
    await this.#runner.run('ip', ['-n', namespace, 'neigh', 'del', ...neighbour]);
    const flooded = (await this.#port('red2')).transmit.frames - redBefore;
    const leaked = (await this.#sentToBlue()) - blueBefore;
    const detail = `${flooded} frames were flooded in VLAN ${HOSTS[from].vlan}, ${leaked} reached a blue port`;
    if (quiet) this.#expect('what red sends to blue stays with red', flooded > 0 && leaked === 0, detail);
  }

  /** Red puts blue's tag on its frames. Needs a raw socket, which Node has not: left out without python3. */
  async #hops(from: HostName, to: HostName): Promise<void> {
    if (!hasTool('python3')) return;
    const frame = buildEchoFrame({
      src: HOSTS[from].mac,
      dst: HOSTS[to].mac,
      vlan: [{ vid: BLUE_VLAN }],
      ip4: { source: HOSTS[from].address, destination: HOSTS[to].address },
    });
    const hex = Buffer.from(frame).toString('hex');
    const before = (await this.#port(from)).dropped['tagged-on-access'] ?? 0;
    const args = ['-c', SEND_RAW, DEVICE, hex, String(HOP_FRAMES)];
    const sent = await this.#runner.in(namespaceOf(HOSTS[from]), 'python3', args);
    if (sent.exitCode !== 0) return;
    const end = performance.now() + COUNTED_MS_MAX;
    let dropped = 0;
    do {
      await sleep(UP_MS);
      dropped = ((await this.#port(from)).dropped['tagged-on-access'] ?? 0) - before;
    } while (dropped < HOP_FRAMES && performance.now() < end);
    const detail = `${dropped} of ${HOP_FRAMES} tagged frames were dropped as tagged-on-access`;
    this.#expect(`${from} can't enter VLAN ${BLUE_VLAN} with a tag of its own`, dropped === HOP_FRAMES, detail);
  }

  async #stream(from: HostName, to: HostName, seconds: number): Promise<Throughput | null> {
    const tool = hasTool('iperf3') ? 'iperf3' : 'node';
    const found = tool === 'iperf3' ? await this.#iperf(from, to, seconds) : await this.#node(from, to, seconds);
    const gigabits = found === null ? '' : `${(found / 1e9).toFixed(2)} Gb/s for ${seconds} s, by ${tool}`;
    this.#expect(`TCP flows from ${from} to ${to}`, found !== null && found > 0, gigabits || 'the transfer failed');
    return found === null ? null : { from, to, tool, seconds, bitsPerSecond: found, framesPerSecond: null };
  }

  /**
   * Bits per second as `read` finds them in what a client prints; null when it failed. It runs again and again while the server that was just
   * started does not listen yet.
   */
  async #call(
    from: HostName,
    program: string,
    args: readonly string[],
    read: (stdout: string) => number | null,
  ): Promise<number | null> {
    const end = performance.now() + LISTENS_MS_MAX;
    for (;;) {
      const { exitCode, stdout } = await this.#runner.in(namespaceOf(HOSTS[from]), program, args);
      const found = exitCode === 0 ? read(stdout) : null;
      if (found !== null || performance.now() > end) return found;
      await sleep(UP_MS);
    }
  }

  async #iperf(from: HostName, to: HostName, seconds: number): Promise<number | null> {
    const stop = this.#runner.serve(namespaceOf(HOSTS[to]), 'iperf3', ['-s', '-1', '-p', String(TCP_PORT)]);
    try {
      const args = ['-c', HOSTS[to].address, '-p', String(TCP_PORT), '-t', String(seconds), '-J'];
      return await this.#call(from, 'iperf3', args, (stdout) => {
        // Without a connection its exit code is 0 all the same.
        const { end } = JSON.parse(stdout) as { end: { sum_received?: { bits_per_second: number } } };
        return end.sum_received?.bits_per_second ?? null;
      });
    } finally {
      await stop();
    }
  }

  async #node(from: HostName, to: HostName, seconds: number): Promise<number | null> {
    const program = compiled('demo/tcp-host.js');
    const stop = this.#runner.serve(namespaceOf(HOSTS[to]), process.execPath, [program, 'serve', String(TCP_PORT)]);
    try {
      const args = [program, 'send', HOSTS[to].address, String(TCP_PORT), String(seconds)];
      return await this.#call(from, process.execPath, args, (stdout) => {
        const sent = JSON.parse(stdout) as { bytes: number; seconds: number };
        return (sent.bytes * 8) / sent.seconds;
      });
    } finally {
      await stop();
    }
  }
}
