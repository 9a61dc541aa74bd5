/**
 * DPDK's testpmd with virtio-user ports: a front end of vhost-user that is neither QEMU nor Linux. Ended by `close`, at the latest with this
 * process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Transcript } from '../../bench/system/transcript.ts';

export interface VirtioUser {
  readonly path: string;
  /** It listens and weft connects. */
  readonly listen: boolean;
  readonly mac: string;
  /** Further settings of the device: `mrg_rxbuf=0`. */
  readonly settings?: readonly string[];
  readonly queues?: number;
}

/** `icmpecho` answers ARP and echo requests for every address, `txonly` sends what it can, to addresses that nobody has. */
export type Forwarding = 'icmpecho' | 'txonly';

const START_MS_MAX = 30_000;
const MEMORY_MIB = 256;

function device({ path, listen, mac, settings = [], queues = 1 }: VirtioUser, index: number): string {
  const own = [`mac=${mac}`, `path=${path}`, `server=${listen ? 1 : 0}`, `queues=${queues}`, 'queue_size=256'];
  return [`net_virtio_user${index}`, ...own, ...settings].join(',');
}

export class Testpmd {
  readonly #child: ChildProcess;
  readonly #said = new Transcript();

  private constructor(netns: string, folder: string, ports: readonly VirtioUser[], mode: Forwarding) {
    // Without huge pages its memory is an anonymous file, which can be shared as well.
    const eal = ['--lcores', '0@0,1@0', '--no-pci', '--no-telemetry', '--no-huge', '-m', `${MEMORY_MIB}`];
    const queues = Math.max(...ports.map((port) => port.queues ?? 1));
    const forward = [`--forward-mode=${mode}`, '--auto-start', '--nb-cores=1', '--total-num-mbufs=4096'];
    const args = [
      ...eal,
      ...ports.map((port, index) => `--vdev=${device(port, index)}`),
      ...['--', ...forward, `--rxq=${queues}`, `--txq=${queues}`, '--rxd=256', '--txd=256'],
    ];
    const command = ['ip', 'netns', 'exec', netns, 'stdbuf', '-oL', 'dpdk-testpmd', ...args];
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, RUNTIME_DIRECTORY: folder },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) this.#said.follow(stream, () => {});
  }

  /** Resolves when it forwards. `folder` is for files of its own. */
  static async start(
    netns: string,
    folder: string,
    ports: readonly VirtioUser[],
    mode: Forwarding = 'icmpecho',
  ): Promise<Testpmd> {
    const testpmd = new Testpmd(netns, folder, ports, mode);
    const end = performance.now() + START_MS_MAX;
    while (!testpmd.#said.text.includes('Press enter to exit')) {
      if (testpmd.#child.exitCode !== null || performance.now() > end) {
        await testpmd.close();
        throw new Error(`testpmd did not start: ${testpmd.#said.text.trim().split('\n').slice(-8).join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return testpmd;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
