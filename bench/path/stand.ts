// Everything a path scenario stands on, in one process: an arena from the addon (a stretch behind it holds the pool of heads), one lane,
// compiled tables, and the real turn around the bench's edge. Made once by run-one.ts, on its main thread.
import { BondTable } from '../../control/compile/bond-table.ts';
import { compileTables } from '../../control/compile/tables.ts';
import { REASONS_COUNT } from '../../dataplane/drop.ts';
import { BUCKETS_COUNT, HEAD_BYTES, RECEIVE_SLOTS_COUNT } from '../../dataplane/limits.ts';
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
import { BenchEdge, BURST_COUNT, Feed } from './edge.ts';
import { LEAD_BYTES, Random, shuffled, writeArrival, writeHead } from './pool.ts';
import { type Scenario, TRAFFIC } from './scenarios.ts';
import { BOND, BOND_INDEX, BROADCAST, type FeedSetup, MEMBERS, plainSetup, type Setup } from './setups.ts';
import { tunnelSetup, vniSetup, writeTunnel } from './tunnels.ts';

const POOL_HEADS_MIN = 65_536;
/** What the database of a daemon holds when its document says nothing: a small scenario doesn't get a smaller table. */
const FDB_ENTRIES_MIN = 65_536;
/** Feeds that send in one turn. */
const FEEDS_MAX = RECEIVE_SLOTS_COUNT / BURST_COUNT;

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

/** Bytes of a head in the pool: what lies in the slot's head, in whole steps of the copy. */
function headBytesOf(frameBytes: number): number {
  return Math.ceil(Math.min(frameBytes, HEAD_BYTES) / 64) * 64;
}

function setupFor(scenario: Scenario): Setup {
  if (scenario.traffic === TRAFFIC.vxlan || scenario.traffic === TRAFFIC.vxlanIn) return tunnelSetup(scenario);
  if (scenario.traffic === TRAFFIC.vnis || scenario.traffic === TRAFFIC.vnisIn) return vniSetup(scenario);
  return plainSetup(scenario);
}

export function makeStand(scenario: Scenario, wantHuge: boolean): Stand {
  const setup = setupFor(scenario);
  const { feeds, sending, hasBond } = setup;
  const most = Math.max(...feeds.map(({ own }) => own));
  const least = scenario.kind === 'learning' ? most : Math.max(most, POOL_HEADS_MIN / sending);
  const heads = Math.ceil(least / BURST_COUNT) * BURST_COUNT;
  const headBytes = headBytesOf(scenario.frameBytes);
  const addresses = Math.max(FDB_ENTRIES_MIN, feeds.length * most);
  const layout = layoutFor({ workers: 1, fdbEntries: addresses });
  const strides = feeds.map(({ arrival }) => headBytes + (arrival === null ? 0 : LEAD_BYTES));
  const poolBytes = strides.reduce((sum, stride) => sum + heads * stride, 0);
  const { huge } = addon().createArena(layout.bytes + poolBytes, wantHuge);
  const arena = addon().mapArena();
  writeHeader(arena, layout);
  const view = new View(arena);
  const lane = new Lane(view, 0);
  const records = new Int32Array(feeds.length * Feed.WORDS);
  const random = new Random(2889);
  let at = layout.bytes;
  for (const [k, feed] of feeds.entries()) {
    const lead = strides[k]! - headBytes;
    records.set([feed.port, at >> 3, heads, 0, lead >> 3], k * Feed.WORDS);
    fillStretch(view.u8, at, { heads, headBytes, lead }, feed, random);
    at += heads * strides[k]!;
  }
  publish(view, setup, addresses);
  if (hasBond) makeBond(view, scenario.traffic === TRAFFIC.bond ? MEMBERS : MEMBERS.slice(1));
  for (const tunnel of setup.tunnels) writeTunnel(lane, tunnel);
  const edge = new BenchEdge(lane, records, headBytes >> 3, scenario.frameBytes, layout.words[Header.LARGE_AT]!);
  const turn = new Turn(lane, edge);
  return { view, lane, edge, turn, huge, hasBond, sending, feeds: feeds.length, passTurns: heads / BURST_COUNT };
}

interface Stretch {
  readonly heads: number;
  readonly headBytes: number;
  /** Bytes before each head. */
  readonly lead: number;
}

/**
 * Every address of a feed is the source of as many frames, and of the other side's the destination, within a network. What comes by a tunnel
 * comes in bursts of one remote.
 */
function fillStretch(u8: Uint8Array, at: number, stretch: Stretch, feed: FeedSetup, random: Random): void {
  const { heads, headBytes, lead } = stretch;
  const { nets, arrival, isUdp } = feed;
  const remotes = arrival?.remotes ?? 1;
  const sources = sourcesOf(heads, feed, remotes, random);
  const destinations = shuffled(heads, feed.own, random);
  for (let h = 0; h < heads; h++) {
    const net = sources[h]! % nets;
    const theirs = destinations[h]! - (destinations[h]! % nets) + net;
    const destination = feed.peer === BROADCAST ? BROADCAST : feed.peer + theirs;
    const vlan = feed.vlan === 0 ? 0 : feed.vlan + net;
    const head = at + h * (headBytes + lead) + lead;
    writeHead(u8, head, headBytes, { destination, source: feed.base + sources[h]!, vlan, serial: h, isUdp });
    if (arrival !== null) writeArrival(u8, head, remoteOf(h, remotes), arrival.vni + net);
  }
}

/** Behind which remote the source of head `h` lives. */
function remoteOf(h: number, remotes: number): number {
  return Math.floor(h / BURST_COUNT) % remotes;
}

/** Addresses of one side, each as often: shuffled over all heads, or over those of its remote. Address k lives behind remote k / nets % remotes. */
function sourcesOf(heads: number, { own, nets }: FeedSetup, remotes: number, random: Random): Int32Array {
  if (remotes === 1) return shuffled(heads, own, random);
  const parts = Array.from({ length: remotes }, () =>
    shuffled(Math.ceil(heads / remotes) + BURST_COUNT, own / remotes, random),
  );
  const taken = new Int32Array(remotes);
  return Int32Array.from({ length: heads }, (_, h) => {
    const remote = remoteOf(h, remotes);
    const k = parts[remote]![taken[remote]!++]!;
    return (Math.floor(k / nets) * remotes + remote) * nets + (k % nets);
  });
}

function publish(view: View, setup: Setup, addresses: number): void {
  const bridges = Array.from({ length: setup.bridges }, (_, k) => ({
    number: k + 1,
    fdbLimit: addresses,
    ageing: 300,
  }));
  compileTables(view, 1, bridges, setup.ports);
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

/** Lets every address be learned: each feed sends its stretch once, the last ones first, so that what counts then finds its destinations. */
export function teach(stand: Stand): void {
  const { edge } = stand;
  const { first } = edge;
  edge.countsCopies = true;
  for (let end = stand.feeds; end > 0; end = edge.first) {
    edge.first = Math.max(0, end - FEEDS_MAX);
    edge.sending = end - edge.first;
    spin(stand.turn, stand.passTurns);
  }
  spin(stand.turn, 1);
  edge.first = first;
  edge.sending = stand.sending;
  edge.countsCopies = false;
}

/** Empties the forwarding database between repetitions, as a switch that was just started has it. */
export function forget(stand: Stand): void {
  const { i32 } = stand.view;
  const { fdbAt, fdbCountsAt, fdbBucketMask } = stand.lane;
  i32.fill(0, fdbAt, fdbAt + (fdbBucketMask + 1) * 16);
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
