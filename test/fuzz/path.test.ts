/**
 * Random and mutated frames and offload headers through the whole path: nothing throws, everything is counted, and the facts of every
 * listed slot describe bytes that are there.
 */
import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { BondTable } from '../../control/compile/bond-table.ts';
import type { TablePort } from '../../control/compile/table-port.ts';
import { HASH_POLICIES } from '../../control/model/bond.ts';
import {
  FRAME_BYTES_MAX,
  HEAD_BYTES,
  HEAD_STRIDE_BYTES,
  HEADROOM_BYTES,
  LARGE_COUNT,
  LARGE_STRIDE_BYTES,
  SLOTS_COUNT,
} from '../../dataplane/limits.ts';
import type { Lane } from '../../dataplane/memory/lane.ts';
import { ENTRY_SLOT_MASK, FACT_WORDS_SHIFT, Fact, Flag, PortCell, Queue } from '../../dataplane/memory/layout.ts';
import { STATIC } from '../../dataplane/tables/fdb-layout.ts';
import { buildTcpFrame, buildUdpFrame } from '../../dataplane/wire/build.ts';
import { isLong } from '../needs.ts';
import { Rig, tablePort } from '../rig.ts';
import { randomFrom, seedFor } from '../seed.ts';
import { frame, place } from '../unit/path/frames.ts';

type Random = (below: number) => number;

const CASES = isLong() ? 20_000_000 : 60_000;
const BATCH = 16;
const TAGS = ['', '', '8100000a', '8100a000', '88a80064', '8100000a8100001e', '88a8006488a800658100000a', '81000fff'];
const SLOW = '0180c2000002';
const MACS = [
  '020000000001',
  '020000000002',
  '020000000003',
  '020000000004',
  'ffffffffffff',
  '01005e000001',
  SLOW,
  '000000000000',
];

/** Bonds: their ports, records, and members. What members receive is counted again at the bond. */
const BONDS = [
  { port: 40, index: 1, members: [41, 42] },
  { port: 50, index: 2, members: [51, 52, 53] },
];

/** Every mode, small and large MTUs, devices that take nothing, patches through tunnels, bonds, and full tables. */
function fuzzRig(): Rig {
  const rig = new Rig({ fdbEntries: 1024 });
  const ports: TablePort[] = [
    tablePort(1, { mtu: 65_535 }),
    tablePort(2, { vlan: { tag: 10 }, mtu: 65_535, takes: 0 }),
    tablePort(3, { vlan: { mode: 'native-untagged', tag: 10, trunks: [20] }, fdbLimit: 5 }),
    tablePort(4, { vlan: { mode: 'native-tagged', tag: 20 }, mtu: 9000, takes: 1 }),
    tablePort(5, { vlan: { mode: 'dot1q-tunnel', tag: 100, cvlans: [0, 10, 30] }, mtu: 65_535 }),
    tablePort(6, { vlan: { tag: 10, 'priority-tags': 'if-nonzero' }, sticky: true, protected: true }),
    tablePort(7, {
      vlan: { mode: 'trunk', trunks: [0, 10], 'priority-tags': 'always' },
      protected: true,
      reserved: 0xffff,
    }),
    tablePort(8, { mtu: 100, up: true, flood: { unknown: false } }),
    tablePort(20, { peer: 21, mtu: 65_535 }),
    tablePort(21, { bridge: 2, peer: 20, vlan: { mode: 'dot1q-tunnel', tag: 100 }, mtu: 65_535 }),
    tablePort(22, { bridge: 2, peer: 23, vlan: { mode: 'dot1q-tunnel', tag: 100 }, mtu: 65_535 }),
    tablePort(23, { bridge: 3, peer: 22, mtu: 65_535 }),
    tablePort(9, { bridge: 2, mtu: 65_535 }),
    tablePort(10, { bridge: 3, mtu: 65_535 }),
    tablePort(30, { bridge: 3, peer: 31, vlan: { tag: 10 }, mtu: 65_535 }),
    tablePort(31, { bridge: 1, peer: 30, vlan: { tag: 10 }, mtu: 65_535 }),
    ...BONDS.flatMap(({ port, index, members }) => [
      tablePort(port, { bond: index, mtu: 65_535, reserved: index === 1 ? 0 : 0xffff }),
      ...members.map((member) => tablePort(member, { bridge: 0, mtu: 65_535, takes: member & 1, learning: false })),
    ]),
  ];
  rig.publish(
    ports,
    [1, 2, 3].map((number) => ({ number, fdbLimit: 20, ageing: 3 })),
  );
  place(rig, '020000000004', 10, 6, STATIC);
  return rig;
}

/** The bonds do something else: send another way, by another hash, or let other members receive. */
function steer(table: BondTable, random: Random): void {
  for (const { port, index, members } of BONDS) {
    const reflects = index === 2;
    const carrying = members.slice(0, random(members.length + 1));
    table.steer(index, {
      send: (['buckets', 'buckets', 'round-robin', 'broadcast', 'none'] as const)[random(5)]!,
      hash: HASH_POLICIES[random(HASH_POLICIES.length)]!,
      seed: random(3),
      members: carrying,
      buckets: Uint8Array.from({ length: 256 }, () => random(Math.max(1, carrying.length))),
      each: random(3),
      reflects,
    });
    for (const member of members)
      table.setMember(member, {
        bond: port,
        receive: (['all', 'all', 'unicast', 'none'] as const)[random(4)]!,
        puntsSlow: random(2) === 0,
        puntsNeighbours: random(2) === 0,
        reflects,
      });
  }
}

const PAYLOAD = new Uint8Array(9000);
const LINK = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const L4 = { sourcePort: 1, destinationPort: 2, unfinished: true };
const IPS = [
  { ip4: { source: '192.0.2.1', destination: '192.0.2.2' } },
  { ip6: { source: '2001:db8::1', destination: '2001:db8::2' } },
];

/** A frame, right or nearly right, with an offload header that is true, false or noise. */
function make(random: Random): { bytes: Uint8Array; vnet: Uint8Array | null } {
  const kind = random(4);
  let bytes: Uint8Array;
  const vnet = new Uint8Array(12);
  if (kind === 0) {
    bytes = new Uint8Array(random(random(20) === 0 ? FRAME_BYTES_MAX + 1 : 400));
    for (let k = 0; k < Math.min(bytes.length, 300); k++) bytes[k] = random(256);
  } else if (kind === 1) {
    const dst = MACS[random(MACS.length)]!;
    bytes = frame(
      dst,
      MACS[random(MACS.length)]!,
      TAGS[random(TAGS.length)]!,
      random(8) === 0 ? random(FRAME_BYTES_MAX) : random(90),
    );
  } else {
    bytes = segment(random, vnet);
  }
  if (kind === 1 && random(3) === 0)
    bytes.set([0x88, 0x09].slice(0, Math.max(0, bytes.length - 12)), Math.min(12, bytes.length));
  for (let k = random(3); k > 0 && bytes.length > 0; k--) bytes[random(Math.min(bytes.length, 70))] = random(256);
  if (kind < 2 && random(2) === 0) return { bytes, vnet: null };
  if (kind < 2) for (let k = 0; k < 12; k++) vnet[k] = random(2) === 0 ? 0 : random(256);
  if (random(2) === 0) vnet[random(12)] = random(256);
  return { bytes, vnet };
}

function makePlain(random: Random): { bytes: Uint8Array; vnet: null } {
  const tags = ['', '', '8100000a', '81000014'][random(4)]!;
  return { bytes: frame(MACS[random(4)]!, MACS[random(4)]!, tags, 60 + random(40)), vnet: null };
}

function segment(random: Random, vnet: Uint8Array): Uint8Array {
  const family = random(2);
  const isTcp = random(2) === 0;
  const vlan = Array.from({ length: random(3) }, () => ({ vid: [10, 20, 30, 100][random(4)]! }));
  const destinationPort = [2, 4789, 6081][random(3)]!;
  const options = {
    ...LINK,
    ...IPS[family]!,
    ...L4,
    destinationPort,
    vlan,
    payload: PAYLOAD.subarray(0, random(9000)),
  } as Parameters<typeof buildTcpFrame>[0];
  const view = new DataView(vnet.buffer);
  view.setUint8(0, 1);
  view.setUint8(1, random(3) === 0 ? 0 : isTcp ? (family === 0 ? 1 : 4) : 5);
  view.setUint16(4, [1, 500, 1448, 9000][random(4)]!, true);
  view.setUint16(6, 14 + 4 * vlan.length + (family === 0 ? 20 : 40), true);
  view.setUint16(8, isTcp ? 16 : 6, true);
  return isTcp ? buildTcpFrame(options) : buildUdpFrame(options);
}

/** What must hold for a listed slot; a word on what doesn't, or null. */
function wrongFact(lane: Lane, entry: number): string | null {
  const { i32 } = lane;
  const slot = entry & ENTRY_SLOT_MASK;
  const facts = lane.factsAt + (slot << FACT_WORDS_SHIFT);
  const [head, headBytes, length, tail] = [Fact.HEAD_AT, Fact.HEAD_BYTES, Fact.LENGTH, Fact.TAIL_AT].map(
    (fact) => i32[facts + fact]!,
  ) as [number, number, number, number];
  if (slot >= SLOTS_COUNT) return `slot ${slot}`;
  if ((head & 3) !== 0) return `head at ${head}, not on a word`;
  if (length < 14 || length > FRAME_BYTES_MAX + 32) return `length ${length}`;
  if (headBytes < 14 || headBytes > length || headBytes > HEAD_BYTES + 32)
    return `${headBytes} bytes of head of ${length}`;
  if (
    !isWithin(lane.headsAtBytes + slot * HEAD_STRIDE_BYTES, HEAD_STRIDE_BYTES, head, headBytes) &&
    !isInLarge(lane, head, headBytes)
  )
    return `head ${head} + ${headBytes} in no slot`;
  if (length > headBytes && !isInLarge(lane, tail, length - headBytes)) return `tail ${tail} + ${length - headBytes}`;
  const l3 = i32[facts + Fact.L3]!;
  if (l3 < 14 || l3 > headBytes) return `network header at ${l3} of ${headBytes}`;
  return wrongOffload(lane, facts, headBytes, length);
}

function wrongOffload(lane: Lane, facts: number, headBytes: number, length: number): string | null {
  const { i32 } = lane;
  const gso = i32[facts + Fact.GSO]!;
  const wire = i32[facts + Fact.WIRE_BYTES]!;
  const segments = i32[facts + Fact.SEGMENTS]!;
  const needs = (i32[facts + Fact.FLAGS]! & Flag.NEEDS_CHECKSUM) !== 0;
  if (gso !== 0 && !needs) return 'segments without a checksum';
  if (needs) {
    const start = i32[facts + Fact.CHECKSUM]! & 0xffff;
    const field = start + (i32[facts + Fact.CHECKSUM]! >>> 16);
    if (start < 14 || field + 2 > headBytes) return `checksum ${start}, field ${field}, head ${headBytes}`;
  }
  if (gso === 0)
    return wire === length && segments === 1 ? null : `${segments} segments, ${wire} on the wire of ${length}`;
  const size = gso >>> 16;
  const headers = wire - size;
  if (size === 0 || headers < 14 || headers > headBytes) return `segments of ${size} behind ${headers}`;
  return segments === Math.ceil((length - headers) / size) && segments > 1
    ? null
    : `${segments} segments of ${size} in ${length}`;
}

function isWithin(from: number, bytes: number, at: number, count: number): boolean {
  return at >= from && at + count <= from + bytes;
}

function isInLarge(lane: Lane, at: number, count: number): boolean {
  const number = Math.floor((at - lane.largeAtBytes) / LARGE_STRIDE_BYTES);
  if (number < 0 || number >= LARGE_COUNT) return false;
  return isWithin(lane.largeAtBytes + number * LARGE_STRIDE_BYTES, LARGE_STRIDE_BYTES, at, count);
}

function accounts(rig: Rig): { entered: number; left: number } {
  let entered = 0;
  let left = 0;
  for (let port = 0; port <= rig.lane.portsHigh; port++) {
    const isBond = BONDS.some((bond) => bond.port === port);
    entered += (isBond ? 0 : rig.cell(port, PortCell.RX_FRAMES)) + rig.cell(port, PortCell.REPLICATED);
    left += rig.cell(port, PortCell.PUNTED);
    left += rig.cell(port, PortCell.TX_FRAMES) + rig.view.i32[rig.lane.queuesAt + port * Queue.WORDS + Queue.COUNT]!;
  }
  for (const dropped of Object.values(rig.drops())) left += dropped;
  return { entered, left };
}

it(`${CASES} random frames: nothing throws, every fact is in bounds, everything is counted`, {
  timeout: 3_600_000,
}, () => {
  const random = randomFrom(seedFor('random frames'));
  const rig = fuzzRig();
  let last: { bytes: Uint8Array; vnet: Uint8Array | null }[] = [];
  let wrong: string | null = null;
  let looked = 0;
  rig.turns.addTap({
    received: (_lane, _list, n) => n,
    sending: (lane, list, n, port) => {
      for (let k = 0; k < n; k++) {
        looked++;
        const why = wrongFact(lane, lane.i32[list + k]!);
        if (why !== null) wrong ??= `port ${port}: ${why}`;
      }
      return n;
    },
  });
  const ports = [...rig.ports.keys()].filter((port) => !BONDS.some((bond) => bond.port === port));
  const table = new BondTable(rig.view);
  steer(table, random);
  for (let sent = 0; sent < CASES; sent += BATCH) {
    last = [];
    if (random(30) === 0) steer(table, random);
    // Every other batch is of one port and nearly all plain, as the path's short way wants them.
    const plainPort = random(2) === 0 ? ports[random(ports.length)]! : 0;
    for (let k = 0; k < BATCH; k++) {
      const made = plainPort !== 0 && random(40) !== 0 ? makePlain(random) : make(random);
      last.push(made);
      rig.port(plainPort || ports[random(ports.length)]!).push(made.bytes, made.vnet);
    }
    rig.run(random(100) === 0 ? 4e9 : 1e5);
    for (const port of rig.ports.values()) port.drain();
    const dump = () =>
      last
        .map(
          ({ bytes, vnet }) =>
            `${Buffer.from(vnet ?? []).toString('hex')} ${Buffer.from(bytes.subarray(0, 100)).toString('hex')} (${bytes.length})`,
        )
        .join('\n');
    if (wrong !== null) throw new Error(`after ${sent} frames, ${wrong}:\n${dump()}`);
    if (sent % (8 * BATCH) !== 0) continue;
    const { entered, left } = accounts(rig);
    if (entered !== left)
      throw new Error(`after ${sent} frames ${entered} entered and ${left} are accounted for:\n${dump()}`);
  }
  const { entered, left } = accounts(rig);
  expect(entered).toBe(left);
  // The cases were not all refused at the door.
  expect(looked).toBeGreaterThan(CASES);
  const punted = BONDS[0]!.members.map((member) => rig.cell(member, PortCell.PUNTED));
  expect(punted.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(0);
  const reasons = new Set(Object.keys(rig.drops()).map((name) => name.split(' ')[1]));
  for (const reason of [
    'runt',
    'giant',
    'bad-offload',
    'bad-tag',
    'vlan-not-admitted',
    'tagged-on-access',
    'reserved-address',
    'bad-source',
    'mtu-exceeded',
    'patch-loop',
    'member-inactive',
    'reflected',
  ])
    expect(reasons).toContain(reason);
});

it('the look at facts would notice each that is wrong', () => {
  const rig = new Rig();
  rig.publish([tablePort(1), tablePort(2)]);
  const found: (string | null)[] = [];
  const breaks: readonly (readonly [number, number])[] = [
    [Fact.HEAD_AT, 2],
    [Fact.HEAD_AT, 1 << 26],
    [Fact.HEAD_BYTES, 1],
    [Fact.LENGTH, 70_000],
    [Fact.LENGTH, -50],
    [Fact.L3, 100],
    [Fact.WIRE_BYTES, 1],
    [Fact.SEGMENTS, 1],
    [Fact.GSO, 1],
  ];
  rig.turns.addTap({
    received: (_lane, _list, n) => n,
    sending: (lane, list, n) => {
      const entry = lane.i32[list]!;
      const facts = lane.factsAt + ((entry & ENTRY_SLOT_MASK) << FACT_WORDS_SHIFT);
      found.push(wrongFact(lane, entry));
      for (const [fact, by] of breaks) {
        const held = lane.i32[facts + fact]!;
        lane.i32[facts + fact] = held + by;
        found.push(wrongFact(lane, entry));
        lane.i32[facts + fact] = held;
      }
      return n;
    },
  });
  rig.send(1, frame('ffffffffffff', '020000000001'));
  expect(found[0]).toBeNull();
  for (const why of found.slice(1)) expect(why).not.toBeNull();
  expect(HEADROOM_BYTES).toBeGreaterThanOrEqual(12 + 32);
});
