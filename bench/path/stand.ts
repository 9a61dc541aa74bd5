// Everything a path scenario stands on, in one process: an arena from the addon (a stretch behind it holds the pool of heads), one lane,
// compiled tables, and the real turn around the bench's edge. Made once by run-one.ts, on its main thread.
import { BondTable } from '../../control/compile/bond-table.ts';
import { compileTables } from '../../control/compile/tables.ts';
import type { VlanDocument } from '../../control/config/document.ts';
import { REASONS_COUNT } from '../../dataplane/drop.ts';
import { BUCKETS_COUNT, HEAD_BYTES } from '../../dataplane/limits.ts';
import { Lane } from '../../dataplane/memory/lane.ts';
import {
  BlockCell,
  Header,
  layoutFor,
  PORT_CELLS_COUNT,
  PortCell,
  writeHeader,
} from '../../dataplane/memory/layout.ts';
import { View } from '../../dataplane/memory/view.ts';
import { FDB_SUM_AT } from '../../dataplane/tables/fdb-layout.ts';
import { Turn } from '../../dataplane/turn.ts';
import { addon } from '../../native/binding.ts';
import { tablePort } from '../../test/rig.ts';
import { BenchEdge, BURST_COUNT, Feed } from './edge.ts';
import { Random, shuffled, writeHead } from './pool.ts';
import { type Scenario, TRAFFIC, type Traffic } from './scenarios.ts';

const VLAN = 10;
const POOL_HEADS_MIN = 65_536;
/** What the database of a daemon holds when its document says nothing: a small scenario doesn't get a smaller table. */
const FDB_ENTRIES_MIN = 65_536;
const BROADCAST = -1;
/** Of the scenarios with a bond: its port, its record, its members, and which of them sends. */
const BOND = 4;
const BOND_INDEX = 1;
const MEMBERS = [5, 6];
const BOND_SENDER = 6;
const BOND_PORTS = 6;

export interface Stand {
  readonly view: View;
  readonly lane: Lane;
  readonly edge: BenchEdge;
  readonly turn: Turn;
  readonly huge: boolean;
  readonly hasBond: boolean;
  /** Feeds that send when a rate is measured; all of them send while addresses are learned. */
  readonly sending: number;
  readonly feeds: number;
  /** Turns until every feed has sent its whole stretch of the pool. */
  readonly passTurns: number;
}

const ACCESS: VlanDocument = { mode: 'access', tag: VLAN };
const TRUNK: VlanDocument = { mode: 'trunk', trunks: [VLAN] };

/** The VLAN configuration of port 1, 2, …, and which of them send: those that a rate counts come first. */
function portsFor(traffic: Traffic): { vlans: VlanDocument[]; senders: number[]; sending: number } {
  switch (traffic) {
    case TRAFFIC.unicast:
      return { vlans: [ACCESS, ACCESS], senders: [1, 2], sending: 2 };
    case TRAFFIC.vlan:
      return { vlans: [ACCESS, TRUNK], senders: [1, 2], sending: 2 };
    case TRAFFIC.push:
      return { vlans: [ACCESS, TRUNK], senders: [1, 2], sending: 1 };
    case TRAFFIC.pop:
      return { vlans: [ACCESS, TRUNK], senders: [2, 1], sending: 1 };
    case TRAFFIC.bond:
    case TRAFFIC.bondActive:
      // Ports 1 and 2 are the plain twin; 3 sends to the bond, whose second member sends to 3.
      return { vlans: Array<VlanDocument>(6).fill(ACCESS), senders: [1, 2, 3, BOND_SENDER], sending: 2 };
    case TRAFFIC.flood8:
      return { vlans: Array<VlanDocument>(9).fill(ACCESS), senders: [1], sending: 1 };
    case TRAFFIC.flood8Forms:
      return {
        vlans: [...Array<VlanDocument>(5).fill(ACCESS), ...Array<VlanDocument>(4).fill(TRUNK)],
        senders: [1],
        sending: 1,
      };
  }
}

/** Bytes of a head in the pool: what lies in the slot's head, in whole steps of the copy. */
function headBytesOf(frameBytes: number): number {
  return Math.ceil(Math.min(frameBytes, HEAD_BYTES) / 64) * 64;
}

export function makeStand(scenario: Scenario, wantHuge: boolean): Stand {
  const { vlans, senders, sending } = portsFor(scenario.traffic);
  const own = Math.max(1, Math.floor(scenario.addresses / senders.length));
  const least = scenario.kind === 'learning' ? own : Math.max(own, POOL_HEADS_MIN / sending);
  const heads = Math.ceil(least / BURST_COUNT) * BURST_COUNT;
  const headBytes = headBytesOf(scenario.frameBytes);
  const layout = layoutFor({ workers: 1, fdbEntries: Math.max(FDB_ENTRIES_MIN, scenario.addresses) });
  const { huge } = addon().createArena(layout.bytes + heads * senders.length * headBytes, wantHuge);
  const arena = addon().mapArena();
  writeHeader(arena, layout);
  const view = new View(arena);
  const lane = new Lane(view, 0);
  const feeds = new Int32Array(senders.length * Feed.WORDS);
  const random = new Random(2889);
  for (let k = 0; k < senders.length; k++) {
    feeds.set([senders[k]!, k * heads, heads, 0], k * Feed.WORDS);
    fillStretch(view.u8, layout.bytes + k * heads * headBytes, heads, headBytes, own, {
      base: k * own,
      peer: senders.length > 1 ? (k ^ 1) * own : BROADCAST,
      vlan: vlans[senders[k]! - 1] === TRUNK ? VLAN : 0,
      isUdp: scenario.kind === 'cost',
      random,
    });
  }
  publish(view, vlans, scenario.addresses);
  if (scenario.kind === 'cost') makeBond(view, scenario.traffic === TRAFFIC.bond ? MEMBERS : MEMBERS.slice(1));
  const large = layout.words[Header.LARGE_AT]!;
  const edge = new BenchEdge(lane, feeds, layout.bytes >> 3, headBytes >> 3, scenario.frameBytes, large);
  const turn = new Turn(lane, edge);
  const hasBond = scenario.kind === 'cost';
  return { view, lane, edge, turn, huge, hasBond, sending, feeds: senders.length, passTurns: heads / BURST_COUNT };
}

interface Stretch {
  /** Number of the first address that lives here, and of the first that it sends to. */
  readonly base: number;
  readonly peer: number;
  readonly vlan: number;
  readonly isUdp: boolean;
  readonly random: Random;
}

function fillStretch(u8: Uint8Array, at: number, heads: number, bytes: number, own: number, stretch: Stretch): void {
  const sources = shuffled(heads, own, stretch.random);
  const destinations = shuffled(heads, own, stretch.random);
  for (let h = 0; h < heads; h++) {
    const destination = stretch.peer === BROADCAST ? BROADCAST : stretch.peer + destinations[h]!;
    const source = stretch.base + sources[h]!;
    writeHead(u8, at + h * bytes, bytes, { destination, source, vlan: stretch.vlan, serial: h, isUdp: stretch.isUdp });
  }
}

function publish(view: View, vlans: readonly VlanDocument[], addresses: number): void {
  const bond = (number: number) => (vlans.length === BOND_PORTS && number === BOND ? BOND_INDEX : 0);
  const bridge = (number: number) => (vlans.length === BOND_PORTS && MEMBERS.includes(number) ? 0 : 1);
  const ports = vlans.map((vlan, k) => tablePort(k + 1, { vlan, mtu: 9000, bond: bond(k + 1), bridge: bridge(k + 1) }));
  compileTables(view, 1, [{ number: 1, fdbLimit: Math.max(FDB_ENTRIES_MIN, addresses), ageing: 300 }], ports);
  view.i32[Header.TABLES_GENERATION] = 1;
}

function makeBond(view: View, members: readonly number[]): void {
  const table = new BondTable(view);
  const buckets = Uint8Array.from({ length: BUCKETS_COUNT }, (_, k) => k % members.length);
  const record = { hash: 'layer3+4', seed: 0, members, buckets, each: 1, reflects: false } as const;
  table.steer(BOND_INDEX, { send: 'buckets', ...record });
  for (const member of MEMBERS)
    table.setMember(member, { bond: BOND, receive: 'all', puntsSlow: true, puntsNeighbours: false, reflects: false });
}

/** Turns by hand. Answers frames received; throws when the edge broke. */
export function spin(turn: Turn, turns: number): number {
  let frames = 0;
  for (let k = 0; k < turns; k++) frames += turn.turn();
  return frames;
}

/** The edge alone, as often: what the generator costs. Nothing is listed meanwhile. */
export function spinEdge(edge: BenchEdge, turns: number): number {
  let frames = 0;
  for (let k = 0; k < turns; k++) frames += edge.turn();
  return frames;
}

/** Lets every address be learned: each feed sends its stretch once. */
export function teach(stand: Stand): void {
  stand.edge.sending = stand.feeds;
  spin(stand.turn, stand.passTurns);
  stand.edge.sending = stand.sending;
}

/** Empties the forwarding database between repetitions, as a switch that was just started has it. */
export function forget(stand: Stand): void {
  const { i32, u16 } = stand.view;
  const { fdbAt, fdbSeenAt, fdbCountsAt, fdbBucketMask } = stand.lane;
  i32.fill(0, fdbAt, fdbAt + (fdbBucketMask + 1) * 16);
  u16.fill(0, fdbSeenAt, fdbSeenAt + (fdbBucketMask + 1) * 4);
  i32.fill(0, fdbCountsAt, fdbCountsAt + FDB_SUM_AT + 1);
}

/** One of a port's counters (PortCell), summed over all ports; a bond counts again what its members received. */
export function sumOf(stand: Stand, cell: number): number {
  let sum = 0;
  for (let port = 1; port < 16; port++)
    if (!stand.hasBond || port !== BOND || cell !== PortCell.RX_FRAMES)
      sum += stand.view.f64[stand.lane.countersAt + port * PORT_CELLS_COUNT + cell]!;
  return sum;
}

export function dropsOf(stand: Stand): number {
  let sum = 0;
  for (let k = 0; k < 16 * REASONS_COUNT; k++) sum += stand.view.f64[stand.lane.dropsAt + k]!;
  return sum;
}

/** Share of the bench clock that the turns reported as busy: a check that they did account. */
export function busyNs(stand: Stand): number {
  return stand.view.f64[stand.lane.blockCellsAt + BlockCell.BUSY_NS]!;
}
