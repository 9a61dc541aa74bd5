/**
 * A daemon with traffic for a test: two namespaces, a TAP in each that reach one another, a third whose VLAN nobody else carries, so
 * that something is lost, and two bonds with a cable
 * between them, and a tunnel to the kernel's own VXLAN. Started with the arguments and with no
 * more capabilities than the systemd unit gives. Everything that it makes is named after this process and
 * removed by `stop`. Needs root.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa, type ResultPromise } from 'execa';
import { UNIT_FILE } from '../unit/deploy/questions.ts';

export const MAIN = fileURLToPath(new URL('../../dist/control/cli/main.js', import.meta.url));

type Child = ResultPromise<{ reject: false }>;

const READY_MS_MAX = 20_000;
const TRAFFIC_SECONDS = 120;
/** A worker that is kept away longer than this takes no part in a test that anybody wants to wait for. */
const PAUSE_MS_MAX = 3000;
const TAG = process.pid % 100_000;
const [A, B] = [`wp-a${TAG}`, `wp-b${TAG}`];
const PEER = '10.99.1.2';
/** A cable between two bonds that speak LACP. */
const [NEAR, FAR] = [`wp-n${TAG}`, `wp-f${TAG}`];

/** The tunnel's way: weft here, the kernel in namespace A, with a second network that weft does not know. */
const UNDERLAY = ['10.99.9.1', '10.99.9.2'] as const;
const UDP_PORT = 20_000 + (TAG % 20_000);
const [HERE, THERE] = [`wp-h${TAG}`, `wp-r${TAG}`];

export interface LiveSwitch {
  /** host:port of its /metrics. */
  readonly target: string;
  /** TCP, pings both ways and broadcasts that nobody takes, until `stop`. */
  startTraffic(): Promise<void>;
  /** Stops the daemon for a moment while a sender goes on, so that the kernel loses frames. Answers how many it says it ever lost. */
  overload(): Promise<number>;
  /** Ends all; answers the daemon's exit code and its log. */
  stop(): Promise<{ readonly code: number | undefined; readonly log: string }>;
}

function documentText(folder: string): string {
  const port = (name: string, device: string, netns: string, address: string, tag: number) => ({
    ...{ name, kind: 'tap', device, netns, address, speed: '10G' },
    ...(tag === 0 ? {} : { vlan: { mode: 'access', tag } }),
  });
  const bond = (name: string, device: string) => ({
    ...{ name, kind: 'bond', mode: '802.3ad', lacp: { rate: 'fast' }, vlan: { mode: 'access', tag: 30 } },
    members: [{ kind: 'netdev', device, speed: '10G' }],
  });
  const [local, far] = UNDERLAY;
  const tunnel = { name: 'tunnel', kind: 'vxlan', vni: TAG, local, remotes: [far], port: UDP_PORT };
  return JSON.stringify({
    api: { socket: join(folder, 'weft.sock') },
    metrics: { listen: '127.0.0.1:0' },
    bridges: [
      {
        name: 'br0',
        ports: [
          port('a', A, A, '10.99.1.1/24', 10),
          port('b', B, B, `${PEER}/24`, 10),
          port('alone', `wp-l${TAG}`, A, '10.99.2.1/24', 20),
          // For a guest that never comes.
          { name: 'guest', kind: 'vhost-user', socket: join(folder, 'guest.sock') },
          bond('lag', NEAR),
        ],
      },
      { name: 'br1', ports: [bond('far', FAR)] },
      { name: 'br2', ports: [port('t', `wp-t${TAG}`, B, '10.99.8.2/24', 0), tunnel] },
    ],
  });
}

/** The daemon as the unit starts it, with another document: `setpriv` and its arguments. */
function unitCommand(file: string): string[] {
  const unit = readFileSync(UNIT_FILE, 'utf8');
  const words = /^ExecStart=.*?main\.js (.*)$/m.exec(unit)![1]!.split(' ');
  const capabilities = /^CapabilityBoundingSet=(.*)$/m.exec(unit)![1]!.toLowerCase().split(' ');
  const bounds = ['-all', ...capabilities.map((name) => name.replace('cap_', '+'))].join(',');
  const weft = [MAIN, ...words.map((word) => (word.endsWith('.yaml') ? file : word))];
  return ['--bounding-set', bounds, '--no-new-privs', process.execPath, ...weft];
}

/** The first line with these words. Rejects with what the program said when it ends before, or says nothing for too long. */
function untilSaid(child: Child, words: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`no ${words} after ${READY_MS_MAX} ms: ${said}`)), READY_MS_MAX);
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      const line = said.split('\n').find((one) => words.test(one));
      if (line === undefined) return;
      clearTimeout(timer);
      resolve(line);
    });
    void child.then(({ exitCode, stdout, stderr }) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${exitCode} before ${words}: ${stdout} ${stderr}`));
    });
  });
}

function inside(netns: string, ...command: string[]): Child {
  return execa('ip', ['netns', 'exec', netns, ...command], { reject: false });
}

async function linkOf(netns: string, device: string): Promise<{ txqlen: number; lost: number }> {
  const { stdout } = await execa('ip', ['-n', netns, '-s', '-j', 'link', 'show', 'dev', device]);
  const [link] = JSON.parse(stdout) as [{ txqlen: number; stats64: { tx: { dropped: number } } }];
  return { txqlen: link.txqlen, lost: link.stats64.tx.dropped };
}

/** Removes the cable and the namespaces with the TAPs in them, whether they are there or not. At once, so that it also works when the test ends early. */
function removeAll(): void {
  for (const words of [`link del ${NEAR}`, `link del ${HERE}`, `netns del ${A}`, `netns del ${B}`]) {
    try {
      execFileSync('ip', words.split(' '), { stdio: 'ignore' });
    } catch {
      // It was not made, or is gone already.
    }
  }
}

/** The kernel's end of the tunnel, in namespace A. */
async function makeFarEnd(): Promise<void> {
  const [local, far] = UNDERLAY;
  const vxlan = (id: number) => `type vxlan id ${id} local ${far} remote ${local} dstport ${UDP_PORT}`;
  for (const words of [
    `link add ${HERE} up type veth peer name ${THERE} netns ${A}`,
    `address add ${local}/30 dev ${HERE}`,
    `-n ${A} address add ${far}/30 dev ${THERE}`,
    `-n ${A} link set ${THERE} up`,
    `-n ${A} link add known ${vxlan(TAG)}`,
    `-n ${A} link add unknown ${vxlan(TAG + 1)}`,
    `-n ${A} address add 10.99.8.1/24 dev known`,
    `-n ${A} address add 10.99.7.1/24 dev unknown`,
    `-n ${A} link set known up`,
    `-n ${A} link set unknown up`,
  ])
    await execa('ip', words.split(' '));
}

/** Makes the namespaces and starts the daemon; resolves when it is ready. Undoes it all when it can't. */
export async function startLiveSwitch(): Promise<LiveSwitch> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is not built`);
  const folder = await mkdtemp(join(tmpdir(), 'weft-live-'));
  const running: Child[] = [];
  const stop = async () => {
    const [daemon, ...others] = running;
    daemon?.kill('SIGCONT');
    for (const child of [...others, daemon]) child?.kill('SIGTERM');
    const [result] = await Promise.all(running);
    removeAll();
    process.off('exit', removeAll);
    await rm(folder, { recursive: true, force: true });
    return { code: result?.exitCode, log: result?.stderr ?? '' };
  };
  process.once('exit', removeAll);
  try {
    for (const netns of [A, B]) await execa('ip', ['netns', 'add', netns]);
    await execa('ip', ['link', 'add', NEAR, 'up', 'type', 'veth', 'peer', 'name', FAR]);
    await execa('ip', ['link', 'set', FAR, 'up']);
    await makeFarEnd();
    writeFileSync(join(folder, 'weft.yaml'), documentText(folder));
    const daemon = execa('setpriv', unitCommand(join(folder, 'weft.yaml')), { reject: false });
    running.push(daemon);
    const ready = await untilSaid(daemon, /\bready\b/);
    return {
      target: new URL(/metrics=(\S+)/.exec(ready)![1]!).host,
      async startTraffic() {
        await execa('ip', ['netns', 'exec', A, 'ping', '-c', '2', '-i', '0.2', '-W', '2', PEER]);
        const server = inside(B, 'iperf3', '--server', '--one-off', '--forceflush');
        running.push(server);
        await untilSaid(server, /listening/);
        running.push(inside(A, 'iperf3', '--client', PEER, '--time', String(TRAFFIC_SECONDS), '--bitrate', '50M'));
        running.push(inside(B, 'ping', '-q', '-i', '0.2', '10.99.1.1'));
        running.push(inside(A, 'ping', '-q', '-i', '0.2', '10.99.2.9'));
        running.push(inside(A, 'ping', '-q', '-i', '0.2', '10.99.8.2'));
        running.push(inside(A, 'ping', '-q', '-i', '0.2', '10.99.7.9'));
      },
      async overload() {
        const before = await linkOf(B, B);
        const frames = String(4 * before.txqlen);
        daemon.kill('SIGSTOP');
        const flood = inside(B, 'ping', '-q', '-c', frames, '-l', frames, '-w', '1', '10.99.1.1');
        const end = Date.now() + PAUSE_MS_MAX;
        while ((await linkOf(B, B)).lost === before.lost && Date.now() < end) await delay(20);
        daemon.kill('SIGCONT');
        await flood;
        const { lost } = await linkOf(B, B);
        if (lost === before.lost) throw new Error(`the kernel lost nothing of ${frames} frames`);
        return lost;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
