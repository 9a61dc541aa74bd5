/**
 * A switch with tunnels over memory ports: hosts on 1 and 2, tunnels where the test puts them, and their endpoint, which receives what the test
 * says that somebody sent.
 */
import { Buffer } from 'node:buffer';
import type { TablePort, TableTunnel } from '../../../control/compile/table-port.ts';
import { count } from '../../../dataplane/counters.ts';
import { REMOTE_SLOTS_COUNT } from '../../../dataplane/limits.ts';
import type { Lane } from '../../../dataplane/memory/lane.ts';
import {
  Block,
  ENTRY_SLOT_MASK,
  FACT_WORDS_SHIFT,
  Fact,
  PortCell,
  RECEIVED_FLAGS,
} from '../../../dataplane/memory/layout.ts';
import { Arrival, Outer, RemoteWord } from '../../../dataplane/memory/tunnel-words.ts';
import { MemoryPort } from '../../../dataplane/ports/memory.ts';
import { closeBatch, hasRoom, receiveFrame } from '../../../dataplane/ports/receive.ts';
import { readFrame } from '../../../dataplane/ports/script-port.ts';
import { PortKind } from '../../../dataplane/tables/port-layout.ts';
import { ENDPOINT, ENDPOINT_KIND_SHIFT, remoteAt, remoteSlot } from '../../../dataplane/tables/tunnel-layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';

export const TUNNEL = 10;
export const ENDPOINT_PORT = 40;
/** Destinations of three remotes of the first tunnel. */
export const REMOTES = [4096, 4097, 4098];

/** What a tunnel was given to send. */
export interface Departure {
  readonly frame: Uint8Array;
  readonly header: string;
  /** Destinations. */
  readonly to: readonly number[];
  readonly flow: number;
  readonly tos: number;
  readonly ttl: number;
}

/** What its endpoint received. */
export interface Arriving {
  readonly frame: Uint8Array;
  readonly from: string;
  /** The tunnel header's first eight bytes. */
  readonly header: string;
  readonly outer?: number;
  readonly vnet?: Uint8Array;
}

class Leaving extends MemoryPort {
  readonly departures: Departure[] = [];

  override take(lane: Lane, entry: number): boolean {
    const { i32, u8 } = lane;
    const facts = lane.factsAt + ((entry & ENTRY_SLOT_MASK) << FACT_WORDS_SHIFT);
    const outer = i32[facts + Fact.OUTER]!;
    const remote = i32[facts + Fact.REMOTE]!;
    const at = i32[facts + Fact.HEAD_AT]!;
    this.departures.push({
      frame: readFrame(lane, entry).bytes,
      header: Buffer.from(u8.subarray(at - 4 * (outer >>> Outer.HEADER_WORDS_SHIFT), at)).toString('hex'),
      to: remote >= 0 ? [remote] : [...i32.subarray(~remote + 1, ~remote + 1 + i32[~remote]!)],
      flow: outer & Outer.FLOW_MASK,
      tos: (outer >>> Outer.TOS_SHIFT) & 0xff,
      ttl: (outer >>> Outer.TTL_SHIFT) & 0xff,
    });
    // As native does: one entry to a set is as many datagrams as that has remotes.
    if (remote < 0) {
      count(lane, this.port, PortCell.TX_FRAMES, i32[~remote]! - 1);
      count(lane, this.port, PortCell.REPLICATED, i32[~remote]! - 1);
    }
    return true;
  }
}

class Arrivals extends MemoryPort {
  readonly #coming: Arriving[] = [];

  come(arriving: Arriving): void {
    this.#coming.push(arriving);
  }

  override hasWork(): boolean {
    return this.#coming.length > 0;
  }

  override receive(lane: Lane): void {
    const first = lane.i32[lane.blockAt + Block.RECEIVED_COUNT]!;
    while (this.#coming.length > 0 && hasRoom(lane)) {
      const { frame, from, header, outer = 0, vnet } = this.#coming.shift()!;
      receiveFrame(lane, this.port, frame, vnet ?? null);
      const slot = lane.i32[lane.receiveListAt + lane.i32[lane.blockAt + Block.RECEIVED_COUNT]! - 1]!;
      const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
      if (vnet === undefined) lane.i32[facts + Fact.FLAGS] = lane.i32[facts + Fact.FLAGS]! & ~RECEIVED_FLAGS;
      const head = lane.i32[facts + Fact.HEAD_AT]! >> 2;
      lane.i32.set(addressWords(from), head + Arrival.ADDRESS);
      lane.i32[head + Arrival.OUTER] = outer;
      lane.u8.set(Buffer.from(header.padEnd(16, '0'), 'hex'), (head + Arrival.HEADER) << 2);
    }
    closeBatch(lane, this.port, first);
  }
}

/** An IPv4 address as the four words of a remote's. */
export function addressWords(address: string): Int32Array {
  const bytes = new Uint8Array(16);
  bytes.set(address.split('.').map(Number));
  return new Int32Array(bytes.buffer);
}

export class TunnelRig extends Rig {
  readonly #arrivals = new Arrivals(ENDPOINT_PORT);
  readonly #leaving = new Map<number, Leaving>();

  /** `tunnels`: by port number. Kinds of all are one endpoint's. */
  constructor(
    tunnels: Readonly<Record<number, Partial<TableTunnel> & { readonly port?: RigPort }>> = { [TUNNEL]: {} },
    hosts: readonly TablePort[] = [tablePort(1), tablePort(2)],
  ) {
    super();
    const kinds = new Set<number>();
    const ports = Object.entries(tunnels).map(([key, { port, ...tunnel }]) => {
      const number = Number(key);
      const kind = tunnel.kind ?? 'vxlan';
      kinds.add({ vxlan: 1, geneve: 2, gre: 3 }[kind]);
      const leaving = new Leaving(number);
      this.#leaving.set(number, leaving);
      this.ports.set(number, leaving);
      this.turns.addScript(leaving);
      return tablePort(number, {
        kind: PortKind.VXLAN,
        takes: 0,
        mtu: 65_535,
        ...port,
        tunnel: {
          kind,
          endpoint: ENDPOINT_PORT,
          vni: 5007,
          vlans: null,
          remotes: REMOTES.slice(0, 1),
          ttl: 0,
          tos: 0,
          splitHorizon: true,
          suppress: false,
          clampMss: false,
          ...tunnel,
        },
      });
    });
    this.turns.addScript(this.#arrivals);
    this.view.i32[this.lane.membersAt + ENDPOINT_PORT] = ENDPOINT | ([...kinds][0]! << ENDPOINT_KIND_SHIFT);
    for (const [k, destination] of REMOTES.entries()) this.remote(destination, TUNNEL, `192.0.2.${k + 2}`);
    this.publish([...hosts, ...ports]);
  }

  /** Writes a remote and finds it a place in the index. */
  remote(destination: number, port: number, address: string, more: { fits?: number; vni?: number } = {}): void {
    const { i32 } = this.view;
    const at = remoteAt(this.lane.remotesAt, destination);
    const words = addressWords(address);
    i32[at + RemoteWord.PORT] = port;
    i32[at + RemoteWord.FAMILY] = 4;
    i32.set(words, at + RemoteWord.ADDRESS);
    i32[at + RemoteWord.VNI] = more.vni ?? -1;
    i32[at + RemoteWord.FRAME_BYTES_MAX] = more.fits ?? 8950;
    let slot = remoteSlot(port, words[0]!, words[1]!, words[2]!, words[3]!);
    while (![0, destination].includes(i32[this.lane.remoteIndexAt + slot]!)) slot = (slot + 1) % REMOTE_SLOTS_COUNT;
    i32[this.lane.remoteIndexAt + slot] = destination;
  }

  /** Receives from outside; answers what came out at ports that are no tunnels. */
  arrive(...arriving: Arriving[]): Map<number, Uint8Array[]> {
    for (const one of arriving) this.#arrivals.come(one);
    this.run();
    return this.collected();
  }

  collected(): Map<number, Uint8Array[]> {
    const out = new Map<number, Uint8Array[]>();
    for (const [number, memory] of this.ports) {
      const frames = memory.drain().map(({ bytes }) => bytes);
      if (frames.length > 0) out.set(number, frames);
    }
    return out;
  }

  /** What a tunnel sent since it was last asked. */
  left(port = TUNNEL): Departure[] {
    return this.#leaving.get(port)!.departures.splice(0);
  }

  /** Drops at the endpoint are beyond the ports of the tables. */
  override drops(): Record<string, number> {
    const high = this.lane.portsHigh;
    this.lane.portsHigh = Math.max(high, ENDPOINT_PORT);
    const found = super.drops();
    this.lane.portsHigh = high;
    return found;
  }
}
