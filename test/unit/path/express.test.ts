/** `express` against the stages: two switches get the same batches, one by each way, and must look the same afterwards in every word. */
import { expect, test } from 'vitest';
import { BondTable } from '../../../control/compile/bond-table.ts';
import type { TablePort, TableTunnel } from '../../../control/compile/table-port.ts';
import { Fact, Header, workerRegion } from '../../../dataplane/memory/layout.ts';
import { RemoteWord } from '../../../dataplane/memory/tunnel-words.ts';
import { express } from '../../../dataplane/path/express.ts';
import { forward, forwardByStages, forwardPatches } from '../../../dataplane/path/forward.ts';
import { closeBatch, receiveFrame } from '../../../dataplane/ports/receive.ts';
import { bucketOf, ENTRY_VALUE, FDB_SUM_AT, GENERATIONS_AT, seenAt } from '../../../dataplane/tables/fdb-layout.ts';
import { PortKind } from '../../../dataplane/tables/port-layout.ts';
import { remoteAt } from '../../../dataplane/tables/tunnel-layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { randomFrom, seedFor } from '../../seed.ts';
import { keyOf, place } from './frames.ts';

type Way = (lane: Rig['lane'], list: number, n: number, port: number, source: number) => void;

const HOSTS = 14;
/** Hosts behind the remotes, one each. */
const FAR = 40;
const mac = (host: number) => [0x02, 0, 0, 0, 0, host];
/** Port k + 1: every mode that the short way takes, and one of each kind that it must leave to the stages. */
const PORTS: readonly RigPort[] = [
  { vlan: { mode: 'access', tag: 10 } },
  { vlan: { mode: 'trunk', trunks: [10, 20] } },
  { vlan: { mode: 'native-untagged', tag: 10, trunks: [20] }, mtu: 200 },
  { vlan: { mode: 'native-tagged', tag: 20, trunks: [10] }, protected: true },
  { vlan: { mode: 'access', tag: 20 }, protected: true },
  { vlan: { mode: 'dot1q-tunnel', tag: 10 } },
  { vlan: { mode: 'dot1q-tunnel', tag: 10, cvlans: [7] } },
  { vlan: { mode: 'access', tag: 10, 'priority-tags': 'if-nonzero' } },
  { vlan: { mode: 'native-untagged', tag: 10, trunks: [20], 'priority-tags': 'always' }, learning: false },
  { vlan: { mode: 'access', tag: 10 }, sticky: true, fdbLimit: 1 },
  { vlan: { mode: 'trunk', trunks: [10, 20] }, peer: 12, kind: PortKind.PATCH },
  { vlan: { mode: 'trunk', trunks: [10, 20] }, peer: 11, kind: PortKind.PATCH, bridge: 2 },
  { vlan: { mode: 'access', tag: 10 }, bridge: 2 },
  // A bond, and its two members.
  { vlan: { mode: 'trunk', trunks: [10, 20] }, kind: PortKind.BOND, bond: 1 },
  { bridge: 0 },
  { bridge: 0 },
  // Two tunnels: of one VLAN, and with a network for each VLAN.
  {
    vlan: { mode: 'access', tag: 10 },
    kind: PortKind.VXLAN,
    takes: 0,
    mtu: 65_535,
    tunnel: tunnel({ ttl: 'inherit' }),
  },
  {
    vlan: { mode: 'trunk', trunks: [10, 20] },
    kind: PortKind.VXLAN,
    takes: 0,
    mtu: 65_535,
    tunnel: tunnel({ vni: null, vlans: [[10, 1010]], tos: 0x20 }),
  },
];
const BOND = 14;
const MEMBERS = [15, 16];
const TUNNELS = [17, 18];
/** Destinations, their tunnel and the longest frame that fits the way to them. */
const REMOTES = [
  [4096, 17, 9000],
  [4097, 17, 120],
  [4098, 18, 9000],
] as const;
/** Untagged at their hosts. */
const PLAIN = [1, 5, 6, 7, 8, 10, 13, 17];
const BRIDGES = [1, 2].map((number) => ({ number, fdbLimit: 1024, ageing: 300 }));

function tunnel(settings: Partial<TableTunnel>): TableTunnel {
  const fixed = { kind: 'vxlan', endpoint: 40, splitHorizon: true, suppress: false, clampMss: false } as const;
  return { ...fixed, vni: 77, vlans: null, remotes: [4096], ttl: 0, tos: 0, ...settings };
}

function makeRig(change: (port: TablePort) => TablePort = (port) => port): Rig {
  const rig = new Rig();
  publish(rig, change);
  return rig;
}

function publish(rig: Rig, change: (port: TablePort) => TablePort): void {
  rig.publish(
    PORTS.map((port, k) => change(tablePort(k + 1, port))),
    BRIDGES,
  );
  new BondTable(rig.view).steer(1, {
    send: 'buckets',
    hash: 'layer2',
    seed: 5,
    members: MEMBERS,
    buckets: Uint8Array.from({ length: 256 }, (_, k) => k & 1),
    each: 1,
    reflects: false,
  });
  // It takes no untagged frame, so its host would rarely be heard.
  place(rig, '020000000007', 10, 7);
  REMOTES.forEach(([destination, port, fits], k) => {
    const at = remoteAt(rig.lane.remotesAt, destination);
    rig.view.i32[at + RemoteWord.PORT] = port;
    rig.view.i32[at + RemoteWord.FAMILY] = 4;
    rig.view.i32[at + RemoteWord.VNI] = -1;
    rig.view.i32[at + RemoteWord.FRAME_BYTES_MAX] = fits;
    for (const vlan of [10, 20]) place(rig, `0200000000${(FAR + k).toString(16)}`, vlan, destination);
  });
}

/** Something that both switches see between two batches; what is published holds until the next. */
function disturb(rigs: readonly Rig[], next: (below: number) => number): void {
  // Members are as their bond is: control writes both.
  const port = 1 + next(BOND);
  const what = next(3);
  const mtu = 40 + next(200);
  for (const rig of rigs) {
    if (what === 0) Atomics.add(rig.view.i32, rig.lane.fdbCountsAt + GENERATIONS_AT + port, 1);
    else publish(rig, (one) => (one.number !== port ? one : what === 1 ? { ...one, up: false } : { ...one, mtu }));
  }
}

/** Mostly plain frames between known hosts, so that many batches are express; now and then anything else. */
function frame(next: (below: number) => number, port: number, odd: boolean): Uint8Array {
  const bytes = new Uint8Array(odd ? 10 + next(300) : 60 + next(140)).fill(0x5a);
  const source = [...mac(port)];
  const near = next(6) === 0 ? BOND - 1 : (port + next(2)) % 3;
  const destination = [...mac(next(5) === 0 ? FAR + next(REMOTES.length) : 1 + (next(8) < 2 ? next(HOSTS) : near))];
  if (odd && next(3) === 0) destination[0] = [0xff, 0x01, 0x03][next(3)]!;
  if (odd && next(5) === 0) source[next(6)] ^= 1;
  const tag = PLAIN.includes(port) ? [] : [0x81, 0, next(4) << 5, [10, 10, 10, 20][next(4)]!];
  const odds = [[], [0x88, 0xa8, 0, 10], [0x81, 0, 0x20, 0], [0x81, 0, 0x0f, 0xff], [0x81, 0, 0, 10, 0x81, 0, 0, 7]];
  const type = odd ? odds[next(odds.length)]! : tag;
  const head = [...destination, ...source, ...type, 0x88, 0xb5];
  bytes.set(head.slice(0, bytes.length));
  return bytes;
}

/** Now and then a frame is followed by others that begin as it does: as long, longer, shorter, tagged once more after its tag. */
function trains(next: (below: number) => number, frames: readonly Uint8Array[]): Uint8Array[] {
  return frames.flatMap((first) => {
    const rest = Array.from({ length: next(3) === 0 ? 1 + next(3) : 0 }, () => {
      const bytes = new Uint8Array(next(3) === 0 ? 14 + next(250) : first.length).fill(0x5a);
      bytes.set(first.subarray(0, Math.min(first.length, bytes.length)));
      if (bytes.length > 18 && next(6) === 0) bytes.set([[0x81, 0x88][next(2)]!, [0, 0xa8][next(2)]!], 16);
      return bytes;
    });
    return [first, ...rest];
  });
}

/** Regions that both ways write, with how many of their words this test can reach. */
const REGIONS = {
  QUEUES_AT: 76,
  DIRTY_AT: 16,
  LISTS_AT: 19 * 1024,
  FACTS_AT: 128 * 16,
  LARGE_AT: 12 * 16_640,
  COUNTERS_AT: 4096,
  UNITS_AT: 512,
} as const;
/** One length of so many comes with an offload header; it asks for a checksum, or lies. */
const OFFLOADED = 20;

/** Regions of the two that differ. The facts' scratch (FDB sets, egress, hops) means nothing after the turn. */
function differences(one: Rig, other: Rig): string[] {
  const leaving = JSON.stringify(leavingBy(one)) === JSON.stringify(leavingBy(other)) ? [] : ['remotes'];
  for (const { view, lane } of [one, other])
    for (let slot = 0; slot < 128; slot++)
      view.i32.fill(0, lane.factsAt + slot * 16 + 12, lane.factsAt + slot * 16 + 16);
  const found: string[] = leaving;
  const compare = (name: string, at: number, bytes: number): void => {
    const [a, b] = [one, other].map(({ view }) => Buffer.from(view.buffer, at, bytes));
    if (!a!.equals(b!)) found.push(name);
  };
  for (const [name, words] of Object.entries(REGIONS))
    compare(name, workerRegion(one.view.layout, Header[name as keyof typeof REGIONS], 0), words * 4);
  const fdb = one.view.layout.words[Header.FDB_BUCKETS_AT]!;
  if (JSON.stringify(one.drops()) !== JSON.stringify(other.drops())) found.push('drops');
  compare('FDB', fdb, one.view.layout.words[Header.FDB_LOCKS_AT]! - fdb);
  return found;
}

/** How many entries stood in the tunnels' lists before the batch: their slots are used again meanwhile. */
const listedBefore = new WeakMap<Rig, number[]>();

/** What native is told of each frame that the batch listed at a tunnel. */
function leavingBy(rig: Rig): number[][] {
  const { i32 } = rig.view;
  const { queuesAt, listsAt, factsAt } = rig.lane;
  return TUNNELS.flatMap((port, n) => {
    const first = listedBefore.get(rig)?.[n] ?? 0;
    return Array.from({ length: i32[queuesAt + port * 4]! - first }, (_, k) => {
      const slot = i32[listsAt + port * 1024 + first + k]! & 0xffff;
      return [slot, i32[factsAt + slot * 16 + Fact.REMOTE]!, i32[factsAt + slot * 16 + Fact.OUTER]!];
    });
  });
}

function play(rig: Rig, port: number, frames: readonly Uint8Array[], way: Way): void {
  rig.edge.now += 1e8;
  rig.edge.turn();
  rig.lane.nowS = Math.floor(rig.edge.now / 1e9);
  rig.lane.replicasUsed = 0;
  for (const bytes of frames) {
    const vnet =
      bytes.length % OFFLOADED === 7 ? new Uint8Array([1, 0, 0, 0, 0, 0, 22, bytes.length % 3, 16, 0, 0, 0]) : null;
    receiveFrame(rig.lane, port, bytes, vnet);
  }
  closeBatch(rig.lane, port, 0);
  listedBefore.set(
    rig,
    TUNNELS.map((tunnel) => rig.view.i32[rig.lane.queuesAt + tunnel * 4]!),
  );
  way(rig.lane, rig.lane.receiveListAt, frames.length, port, port);
}

/** Empties the transmit lists, as a native turn does. */
function sent(rig: Rig): void {
  for (let k = 0; k < rig.lane.dirtyCount; k++)
    rig.view.i32[rig.lane.queuesAt + rig.view.i32[rig.lane.dirtyAt + k]! * 4] = 0;
  rig.lane.dirtyCount = 0;
}

test.each([0, 100_000])(
  'frames end the same by the express way and by the stages, beside %i other addresses',
  (others) => {
    const next = randomFrom(seedFor('frames end the same by the express way and by the stages'));
    const rigs = [makeRig(), makeRig()] as const;
    // Where there are many, the database's lines are asked for ahead.
    for (const { view, lane } of rigs) view.i32[lane.fdbCountsAt + FDB_SUM_AT]! += others;
    const [quick, slow] = rigs;
    const expressed = new Set<number>();
    let listed = 0;
    let left = 0;
    let by = 0;
    const first: Way = (lane, list, n, port) => {
      by = express(lane, list, n, port, port);
      if (by > 0) expressed.add(port);
      listed += by;
      if (by > 0) left += leavingBy(quick).length;
      if (by < n) forwardByStages(lane, list + by, n - by, port, port);
      if (lane.patchesCount > 0) forwardPatches(lane);
    };
    // In the same two pieces: stages learn all senders of a piece before they decide for the first of its frames.
    const second: Way = (lane, list, n, port) => {
      if (by > 0) forwardByStages(lane, list, by, port, port);
      if (by < n) forwardByStages(lane, list + by, n - by, port, port);
      if (lane.patchesCount > 0) forwardPatches(lane);
    };
    for (let round = 0; round < 1500; round++) {
      // A member's frames come in as the bond's.
      const port = next(12) === 0 ? TUNNELS[next(2)]! : Math.min(1 + next(16), BOND);
      const odd = next(4) === 0;
      const heads = Array.from({ length: 1 + next(6) }, (_, k) => frame(next, port, odd && k % 3 === 0));
      const frames = trains(next, heads);
      play(quick, port, frames, first);
      play(slow, port, frames, second);
      expect(differences(quick, slow), `round ${round}, port ${port}`).toEqual([]);
      if (next(3) === 0) for (const rig of rigs) sent(rig);
      if (next(15) === 0) disturb(rigs, next);
    }
    expect(listed).toBeGreaterThan(200);
    // Not the tunnels, nor the port that does not learn.
    for (const port of [1, 2, 3, 4, 5, 8, BOND, 17]) expect([...expressed]).toContain(port);
    expect(left).toBeGreaterThan(20);
    for (const port of [6, 7, 9]) expect([...expressed]).not.toContain(port);
  },
);

test('an address whose first place was left is still known', () => {
  const rig = makeRig();
  const plain = new Uint8Array([...mac(2), ...mac(1), 0x88, 0xb5, ...new Array<number>(46).fill(0)]);
  place(rig, '020000000001', 10, 1);
  place(rig, '020000000002', 10, 2);
  const { i32, u16, fdbAt, fdbBucketMask } = rig.lane;
  const { key0, key1 } = keyOf('020000000001', 1, 10);
  const at = fdbAt + bucketOf(key0, key1, fdbBucketMask) * 16;
  // As displacement leaves it: the key stands, the value is 0, the address is further on.
  i32.copyWithin(at + 4, at, at + 4);
  u16[seenAt(at + 4)] = 0;
  i32[at + ENTRY_VALUE] = 0;
  let by = 0;
  play(rig, 1, [plain], (lane, list, n, port) => {
    by = express(lane, list, n, port, port);
  });
  expect(by).toBe(1);
  expect(u16[seenAt(at + 4)]).toBe(rig.lane.nowS);
});

test('a full list drops what does not fit, by either way', () => {
  const [quick, slow] = [makeRig(), makeRig()];
  const plain = new Uint8Array([...mac(2), ...mac(1), 0x88, 0xb5, ...new Array<number>(46).fill(0)]);
  const known = new Uint8Array([...mac(1), ...mac(2), 0x81, 0, 0, 10, 0x88, 0xb5, ...new Array<number>(46).fill(0)]);
  for (const rig of [quick, slow]) {
    play(rig, 1, [plain], forwardByStages);
    play(rig, 2, [known], forwardByStages);
  }
  for (let round = 0; round < 20; round++) {
    play(quick, 1, Array<Uint8Array>(64).fill(plain), forward);
    play(slow, 1, Array<Uint8Array>(64).fill(plain), forwardByStages);
  }
  expect(quick.drops()['2 egress-full']).toBeGreaterThan(0);
  expect(quick.drops()).toEqual(slow.drops());
});
