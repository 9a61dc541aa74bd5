/**
 * `weft demo --guests`: two QEMU guests on one switch, one at each type of `socket` port. Nothing here needs root. Called by demo.ts on the
 * main thread.
 */
import { makeClient } from '../../cli/client.ts';
import type { Document } from '../../config/document.ts';
import { WeftError } from '../../errors.ts';
import type { PortRow } from '../../switch.ts';
import { readSwitch } from '../read.ts';
import type { Expectation, Findings, Throughput } from '../result.ts';
import { findTool } from '../run-in.ts';
import type { Stand } from '../stand.ts';
import type { Tell } from '../steps.ts';
import { guestImage } from './image.ts';
import { type Netdev, nicArguments } from './nic.ts';
import { Vm } from './vm.ts';

const VLAN = 10;
const OTHER_VLAN = 20;
const FILE_BYTES = 20_000_000;
const HTTP_PORT = 8080;
/** The parts of a guest by the packages that Debian has them in. */
const TOOLS = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static' } as const;
const ADDRESSES = { vm1: '10.1.0.1', vm2: '10.1.0.2' } as const;
type Name = keyof typeof ADDRESSES;

/** Throws a WeftError that says in one sentence what is not installed. */
export function checkGuests(): void {
  const missing = Object.entries(TOOLS).filter(([tool]) => findTool(tool) === null);
  if (missing.length === 0) return;
  const tools = missing.map(([tool]) => tool).join(' and ');
  const packages = missing.map(([, name]) => name).join(' ');
  throw new WeftError(
    'demo-needs',
    `the demo with guests needs ${tools} (apt-get install ${packages}); ` +
      'without that, `npm run demo -- --memory` shows the same switch over memory ports',
  );
}

export function guestDocument(folder: string): Document {
  const vlan = { mode: 'access' as const, tag: VLAN };
  const common = { kind: 'socket' as const, vlan };
  return {
    metrics: { listen: '127.0.0.1:0' },
    bridges: [
      {
        name: 'br0',
        ports: [
          { ...common, name: 'vm1', type: 'stream', socket: `${folder}/vm1` },
          { ...common, name: 'vm2', type: 'dgram', socket: `${folder}/vm2`, remote: `${folder}/vm2-guest` },
        ],
      },
    ],
  };
}

class Show {
  readonly #stand: Stand;
  readonly #signal: AbortSignal;
  readonly #tell: Tell;
  readonly #client;
  readonly #vms = new Map<Name, Vm>();
  readonly expectations: Expectation[] = [];

  constructor(stand: Stand, signal: AbortSignal, tell: Tell) {
    this.#stand = stand;
    this.#signal = signal;
    this.#tell = tell;
    this.#client = makeClient(stand.socket);
  }

  async boot(): Promise<void> {
    const { folder } = this.#stand;
    const image = await guestImage(findTool('busybox')!);
    const started = performance.now();
    const start = async (name: Name, netdev: Netdev) => {
      const args = nicArguments([{ mac: `02:57:0a:01:00:0${name.slice(2)}`, netdev }]);
      const vm = await Vm.start({ image, folder, name, args, signal: this.#signal });
      this.#vms.set(name, vm);
      await vm.run(`ip addr add ${ADDRESSES[name]}/24 dev eth0; ip link set eth0 up`);
    };
    await Promise.all([
      start('vm1', { type: 'stream', path: `${folder}/vm1`, listen: false }),
      start('vm2', { type: 'dgram', path: `${folder}/vm2-guest`, remote: `${folder}/vm2` }),
    ]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    this.expect('both guests are up', true, `Linux ${image.release}, emulated in software, in ${seconds} s`);
  }

  expect(what: string, held: boolean, detail: string): void {
    const expectation = { what, held, detail };
    this.expectations.push(expectation);
    this.#tell(expectation);
  }

  async ping(): Promise<Findings['roundTrip']> {
    const { output } = await this.#vms.get('vm1')!.ask(`ping -c 5 -i 0.2 -W 3 ${ADDRESSES.vm2}`);
    const quickest = /= ([\d.]+)\//.exec(output)?.[1];
    this.expect('vm1 reaches vm2', quickest !== undefined, quickest === undefined ? 'no answer' : `in ${quickest} ms`);
    return quickest === undefined ? null : { from: 'vm1', to: 'vm2', milliseconds: Number(quickest) };
  }

  /** A file by TCP: what arrived must be what was sent. */
  async copy(): Promise<Throughput | null> {
    const [from, to] = [this.#vms.get('vm1')!, this.#vms.get('vm2')!];
    await from.run(`head -c ${FILE_BYTES} /dev/urandom >/run/file; httpd -p ${HTTP_PORT} -h /run`);
    const sent = await from.run('sha256sum </run/file');
    const started = performance.now();
    const url = `http://${ADDRESSES.vm1}:${HTTP_PORT}/file`;
    const received = await to.ask(`set -o pipefail; wget -q -O - ${url} | sha256sum`, 60);
    const seconds = (performance.now() - started) / 1000;
    const whole = received.status === 0 && received.output === sent;
    const detail = whole
      ? `${FILE_BYTES / 1e6} MB by TCP, SHA-256 ${sent.slice(0, 12)}… at both ends`
      : received.output;
    this.expect('a file arrives as it was sent', whole, detail);
    if (!whole) return null;
    const bitsPerSecond = (FILE_BYTES * 8) / seconds;
    return { from: 'vm1', to: 'vm2', tool: 'wget', seconds, bitsPerSecond, framesPerSecond: null };
  }

  /** A guest that tags its own frames gets nowhere from an access port. */
  async tag(): Promise<void> {
    const device = `eth0.${OTHER_VLAN}`;
    await this.#vms.get('vm1')!.ask(`
      ip link add link eth0 name ${device} type vlan id ${OTHER_VLAN}
      ip addr add 10.2.0.1/24 dev ${device}
      ip link set ${device} up
      arping -c 3 -w 3 -I ${device} 10.2.0.2`);
    const rows = await this.#client.get<PortRow[]>('/v1/ports');
    const dropped = rows.find(({ name }) => name === 'vm1')?.dropped['tagged-on-access'] ?? 0;
    const detail = `${dropped} tagged frames were dropped as tagged-on-access`;
    this.expect(`vm1 can't enter VLAN ${OTHER_VLAN} with a tag of its own`, dropped > 0, detail);
  }

  async read(): Promise<Pick<Findings, 'ports' | 'drops' | 'metrics'>> {
    const seen = await readSwitch(this.#client, this.#stand.metricsUrl);
    this.expect('metrics can be scraped', seen.metrics.sample.length > 0, seen.metrics.url);
    return seen;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#vms.values()].map((vm) => vm.kill()));
  }
}

/** Boots the guests, lets them talk and ends them; `signal` ends them at once. */
export async function showGuests(stand: Stand, signal: AbortSignal, tell: Tell): Promise<Findings> {
  const show = new Show(stand, signal, tell);
  try {
    await show.boot();
    const roundTrip = await show.ping();
    const throughput = await show.copy();
    await show.tag();
    return { ...(await show.read()), expectations: show.expectations, roundTrip, throughput };
  } catch (error) {
    throw signal.aborted ? new WeftError('interrupted', 'interrupted') : error;
  } finally {
    await show.end();
  }
}
