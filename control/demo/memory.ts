/**
 * The demo without devices: compiles the tables of the four hosts into an arena in shared memory, lets a thread forward between memory
 * ports (dataplane/memory-demo.ts, by its file: control imports no path), and reads the counters. Main thread; needs neither root nor addon.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DROPS } from '../../dataplane/drop.ts';
import { Header, layoutFor, PortCell, writeHeader } from '../../dataplane/memory/layout.ts';
import { View } from '../../dataplane/memory/view.ts';
import { PortKind, Takes } from '../../dataplane/tables/port-layout.ts';
import type { TablePort } from '../compile/table-port.ts';
import { compileTables } from '../compile/tables.ts';
import { WeftError } from '../errors.ts';
import { describeVlan, vlanModel } from '../model/vlan.ts';
import { Counters } from '../running/counters.ts';
import { BLUE_VLAN, HOST_LIST, HOSTS, type Host, type HostName } from './hosts.ts';
import type { DemoDrop, DemoPort, Expectation, Findings } from './result.ts';
import { compiled } from './stand.ts';

const BRIDGE_NUMBER = 1;
const FDB_ENTRIES = 1024;
const HOP_FRAMES = 5;

/** What the thread is asked, and what it answers to each, in order. */
export type MemoryTask =
  | { readonly type: 'ping'; readonly from: HostName; readonly to: HostName }
  | {
      readonly type: 'tagged';
      readonly from: HostName;
      readonly to: HostName;
      readonly vlan: number;
      readonly count: number;
    }
  | { readonly type: 'stream'; readonly from: HostName; readonly to: HostName; readonly seconds: number };

export interface MemoryAnswer {
  /** Frames that came back or arrived. */
  readonly frames: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Frames that hosts of another VLAN saw meanwhile. */
  readonly leaked: number;
}

function tablePort(host: Host, index: number): TablePort {
  return {
    number: index + 1,
    bridge: BRIDGE_NUMBER,
    kind: PortKind.MEMORY,
    up: true,
    mtu: 1500,
    vlan: vlanModel({ mode: 'access', tag: host.vlan }),
    flood: { unknown: true, multicast: true, broadcast: true },
    protected: false,
    learning: true,
    sticky: false,
    fdbLimit: 0,
    reserved: 0,
    takes: Takes.ALL,
    bond: 0,
    tunnel: null,
    peer: 0,
  };
}

function makeArena(): View {
  const layout = layoutFor({ workers: 1, fdbEntries: FDB_ENTRIES });
  const arena = new SharedArrayBuffer(layout.bytes);
  writeHeader(arena, layout);
  const view = new View(arena);
  compileTables(view, 1, [{ number: BRIDGE_NUMBER, fdbLimit: FDB_ENTRIES, ageing: 300 }], HOST_LIST.map(tablePort));
  Atomics.store(view.i32, Header.TABLES_GENERATION, 1);
  return view;
}

async function carryOut(view: View, tasks: readonly MemoryTask[]): Promise<MemoryAnswer[]> {
  const hosts = HOST_LIST.map(({ name, address, mac, vlan }, index) => ({ name, address, mac, vlan, port: index + 1 }));
  const file = join(compiled('..'), 'dataplane/memory-demo.js');
  const thread = new Worker(file, { workerData: { arena: view.buffer, hosts, tasks } });
  const [answers] = (await once(thread, 'message')) as [MemoryAnswer[]];
  await thread.terminate();
  if (answers.length !== tasks.length) throw new WeftError('demo-memory', 'the forwarding thread did not finish');
  return answers;
}

function portsOf(counters: Counters): DemoPort[] {
  return HOST_LIST.map((host, index) => {
    const cell = (which: number) => counters.cell(index + 1, which);
    return {
      name: host.name,
      vlan: describeVlan(vlanModel({ mode: 'access', tag: host.vlan })),
      receive: { frames: cell(PortCell.RX_FRAMES), bytes: cell(PortCell.RX_BYTES) },
      transmit: { frames: cell(PortCell.TX_FRAMES), bytes: cell(PortCell.TX_BYTES) },
      dropped: counters.drops(index + 1),
    };
  });
}

function dropsOf(ports: readonly DemoPort[]): DemoDrop[] {
  return ports.flatMap((port) =>
    Object.entries(port.dropped).map(([reason, frames]) => ({
      port: port.name,
      reason,
      meaning: DROPS.find(({ name }) => name === reason)?.sentence ?? '',
      frames,
    })),
  );
}

/** Runs it all. `tell` hears each expectation as it is known. */
export async function runInMemory(seconds: number, tell: (expectation: Expectation) => void): Promise<Findings> {
  const view = makeArena();
  const [red, apart, tagged, blue, stream] = (await carryOut(view, [
    { type: 'ping', from: 'red1', to: 'red2' },
    { type: 'ping', from: 'red1', to: 'blue1' },
    { type: 'tagged', from: 'red1', to: 'blue1', vlan: BLUE_VLAN, count: HOP_FRAMES },
    { type: 'ping', from: 'blue1', to: 'blue2' },
    { type: 'stream', from: 'red1', to: 'red2', seconds },
  ])) as [MemoryAnswer, MemoryAnswer, MemoryAnswer, MemoryAnswer, MemoryAnswer];
  const ports = portsOf(new Counters(view));
  const hopped = ports[0]!.dropped['tagged-on-access'] ?? 0;
  const rate = stream.frames / stream.seconds;
  const answered = ({ frames }: MemoryAnswer) => (frames > 0 ? 'answers' : 'no answer');
  const expectations: Expectation[] = [
    { what: 'red1 reaches red2', held: red.frames > 0, detail: answered(red) },
    {
      what: 'red1 does not reach blue1',
      held: apart.frames === 0 && apart.leaked === 0,
      detail: `${answered(apart)}, ${apart.leaked} frames reached a blue port`,
    },
    {
      what: `red1 can't enter VLAN ${BLUE_VLAN} with a tag of its own`,
      held: hopped === HOP_FRAMES && tagged.leaked === 0,
      detail: `${hopped} of ${HOP_FRAMES} tagged frames were dropped as tagged-on-access`,
    },
    { what: 'blue1 reaches blue2', held: blue.frames > 0, detail: answered(blue) },
    {
      what: 'frames flow from red1 to red2',
      held: stream.frames > 0 && stream.leaked === 0,
      detail: `${Math.round(rate).toLocaleString('en')} frames/s`,
    },
  ];
  for (const expectation of expectations) tell(expectation);
  return {
    expectations,
    ports,
    drops: dropsOf(ports),
    throughput: {
      from: HOSTS.red1.name,
      to: HOSTS.red2.name,
      tool: 'memory',
      seconds: stream.seconds,
      bitsPerSecond: (stream.bytes * 8) / stream.seconds,
      framesPerSecond: rate,
    },
    roundTrip: null,
    metrics: null,
  };
}
