/**
 * The demo without devices: a thread that control/demo/memory.ts starts by this file's name. Simulated hosts sit on memory ports and the
 * real turn, path and tables carry their frames; only the addon is missing. Does its tasks one after the other and posts all answers.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PORTS_MAX } from './limits.ts';
import { Lane } from './memory/lane.ts';
import { View } from './memory/view.ts';
import { PlainEdge } from './plain-edge.ts';
import { MemoryPort } from './ports/memory.ts';
import { Turn } from './turn.ts';
import { ARP_REPLY, ARP_REQUEST } from './wire/arp.ts';
import { parseArp } from './wire/arp-value.ts';
import { buildArpFrame, buildEchoFrame, buildUdpFrame } from './wire/build.ts';
import { ETHERNET_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV4, etherType } from './wire/ethernet.ts';
import { ICMP_ECHO_REQUEST } from './wire/icmp.ts';
import { IP_PROTOCOL_ICMP, ipv4HeaderBytes, ipv4Protocol } from './wire/ipv4.ts';
import { parseIpv4 } from './wire/ipv4-value.ts';

const BATCH_FRAMES = 64;
/** With Ethernet, IPv4 and UDP headers: 1,514 bytes. */
const PAYLOAD_BYTES = 1472;
const TURNS_MAX = 10_000;

interface HostSpec {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  readonly vlan: number;
  readonly port: number;
}

/** As control/demo/memory.ts writes it. */
interface Task {
  readonly type: 'ping' | 'tagged' | 'stream';
  readonly from: string;
  readonly to: string;
  readonly vlan?: number;
  readonly count?: number;
  readonly seconds?: number;
}

/** A host with one address: asks by ARP, answers ARP and ICMP echo as a host's kernel would. */
class Host {
  readonly spec: HostSpec;
  readonly port: MemoryPort;
  frames = 0;
  bytes = 0;
  replies = 0;
  /** MAC of the last ARP reply. */
  neighbour: string | null = null;

  constructor(spec: HostSpec) {
    this.spec = spec;
    this.port = new MemoryPort(spec.port);
  }

  ask(address: string): void {
    this.neighbour = null;
    const { mac } = this.spec;
    this.port.push(
      buildArpFrame({
        operation: ARP_REQUEST,
        senderMac: mac,
        senderAddress: this.spec.address,
        targetMac: '00:00:00:00:00:00',
        targetAddress: address,
      }),
    );
  }

  echo(to: HostSpec, vlan: number | null): void {
    this.port.push(
      buildEchoFrame({
        dst: to.mac,
        src: this.spec.mac,
        ...(vlan === null ? {} : { vlan: [{ vid: vlan }] }),
        ip4: { source: this.spec.address, destination: to.address },
      }),
    );
  }

  /** Takes what the switch sent here, and answers. */
  read(): void {
    for (const { bytes } of this.port.drain()) {
      this.frames++;
      this.bytes += bytes.length;
      const type = etherType(bytes, 0);
      if (type === ETHERTYPE_ARP) this.#readArp(bytes);
      else if (type === ETHERTYPE_IPV4 && ipv4Protocol(bytes, ETHERNET_BYTES) === IP_PROTOCOL_ICMP)
        this.#readEcho(bytes);
    }
  }

  #readArp(bytes: Uint8Array): void {
    const arp = parseArp(bytes, ETHERNET_BYTES, bytes.length);
    if (arp.targetAddress !== this.spec.address) return;
    if (arp.operation === ARP_REPLY) this.neighbour = arp.senderMac;
    if (arp.operation !== ARP_REQUEST) return;
    const reply = { operation: ARP_REPLY, senderMac: this.spec.mac, senderAddress: this.spec.address };
    this.port.push(buildArpFrame({ ...reply, targetMac: arp.senderMac, targetAddress: arp.senderAddress }));
    this.neighbour = arp.senderMac;
  }

  #readEcho(bytes: Uint8Array): void {
    const ip = parseIpv4(bytes, ETHERNET_BYTES, bytes.length);
    if (ip.destination !== this.spec.address) return;
    if (bytes[ETHERNET_BYTES + ipv4HeaderBytes(bytes, ETHERNET_BYTES)] !== ICMP_ECHO_REQUEST) {
      this.replies++;
      return;
    }
    if (this.neighbour === null) return;
    const ip4 = { source: this.spec.address, destination: ip.source };
    this.port.push(buildEchoFrame({ dst: this.neighbour, src: this.spec.mac, reply: true, ip4 }));
  }
}

class Site {
  readonly #hosts: readonly Host[];
  readonly #turn: Turn;
  readonly #lane: Lane;

  constructor(arena: ArrayBufferLike, specs: readonly HostSpec[]) {
    this.#lane = new Lane(new View(arena), 0);
    this.#turn = new Turn(this.#lane, new PlainEdge(this.#lane, () => Math.round(performance.now() * 1e6)));
    this.#hosts = specs.map((spec) => new Host(spec));
    for (const { port } of this.#hosts) this.#turn.addScript(port);
    if (specs.some(({ port }) => port <= 0 || port >= PORTS_MAX)) throw new RangeError('a port number out of range');
  }

  #host(name: string): Host {
    return this.#hosts.find(({ spec }) => spec.name === name)!;
  }

  /** Turns until nobody has anything to send or to receive. */
  #rest(): void {
    for (let k = 0; k < TURNS_MAX; k++) {
      const received = this.#turn.turn();
      for (const host of this.#hosts) host.read();
      if (received === 0 && !this.#turn.hasWork() && this.#lane.dirtyCount === 0) return;
    }
    throw new Error('the switch did not come to rest');
  }

  /** Carries a task out. What hosts of another VLAN saw meanwhile has leaked. */
  run(task: Task): object {
    const [from, to] = [this.#host(task.from), this.#host(task.to)];
    const others = this.#hosts.filter(({ spec }) => spec.vlan !== from.spec.vlan);
    const before = others.reduce((sum, host) => sum + host.frames, 0);
    const [bytes, start] = [to.bytes, performance.now()];
    const frames = this.#carryOut(task, from, to);
    return {
      frames,
      bytes: to.bytes - bytes,
      seconds: (performance.now() - start) / 1000,
      leaked: others.reduce((sum, host) => sum + host.frames, 0) - before,
    };
  }

  #carryOut(task: Task, from: Host, to: Host): number {
    if (task.type === 'stream') return this.#stream(from, to, task.seconds ?? 1);
    const replies = from.replies;
    if (task.type === 'tagged') {
      for (let k = 0; k < (task.count ?? 1); k++) from.echo(to.spec, task.vlan ?? 0);
      this.#rest();
      return from.replies - replies;
    }
    from.ask(to.spec.address);
    this.#rest();
    // Also to somebody who did not answer: by a MAC that it could have heard of elsewhere.
    from.echo(to.spec, null);
    this.#rest();
    return from.replies - replies;
  }

  #stream(from: Host, to: Host, seconds: number): number {
    const frame = buildUdpFrame({
      dst: to.spec.mac,
      src: from.spec.mac,
      sourcePort: 5201,
      destinationPort: 5201,
      ip4: { source: from.spec.address, destination: to.spec.address },
      payload: new Uint8Array(PAYLOAD_BYTES),
    });
    const before = to.frames;
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      for (let k = 0; k < BATCH_FRAMES; k++) from.port.push(frame);
      this.#turn.turn();
      to.read();
    }
    this.#rest();
    return to.frames - before;
  }
}

const { arena, hosts, tasks } = workerData as {
  arena: ArrayBufferLike;
  hosts: readonly HostSpec[];
  tasks: readonly Task[];
};
const site = new Site(arena, hosts);
parentPort?.postMessage(tasks.map((task) => site.run(task)));
