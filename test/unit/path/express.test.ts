/** `express` against the stages: two switches get the same batches, one by each way, and must look the same afterwards in every word. */
import { expect, test } from 'vitest';
import type { VlanDocument } from '../../../control/config/document.ts';
import { Header, workerRegion } from '../../../dataplane/memory/layout.ts';
import { express } from '../../../dataplane/path/express.ts';
import { forward, forwardByStages } from '../../../dataplane/path/forward.ts';
import { closeBatch, receiveFrame } from '../../../dataplane/ports/receive.ts';
import { Rig, tablePort } from '../../rig.ts';

type Way = (lane: Rig['lane'], list: number, n: number, port: number) => void;

const HOSTS = 6;
const mac = (host: number) => [0x02, 0, 0, 0, 0, host];
const VLANS: VlanDocument[] = [
  { mode: 'access', tag: 10 },
  { mode: 'trunk', trunks: [10, 20] },
  { mode: 'native-untagged', tag: 10, trunks: [20] },
  { mode: 'native-tagged', tag: 20, trunks: [10] },
  { mode: 'access', tag: 20 },
];

/** A small seeded generator (Lehmer), so that a failure can be run again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state % below;
  };
}

function makeRig(): Rig {
  const rig = new Rig();
  rig.publish(
    VLANS.map((vlan, k) => tablePort(k + 1, { vlan, mtu: k === 2 ? 200 : 1500, protected: k === 3 || k === 4 })),
  );
  return rig;
}

/** Mostly plain frames between known hosts, so that many batches are express; now and then anything else. */
function frame(next: (below: number) => number, port: number, odd: boolean): Uint8Array {
  const bytes = new Uint8Array(odd ? 10 + next(300) : 60 + next(140)).fill(0x5a);
  const source = [...mac(port)];
  const destination = [...mac(1 + (next(8) === 0 ? next(HOSTS) : (port + next(2)) % 3))];
  if (odd && next(3) === 0) destination[0] = [0xff, 0x01, 0x03][next(3)]!;
  if (odd && next(5) === 0) source[next(6)] ^= 1;
  const tag = port === 1 || port === 5 ? [] : [0x81, 0, next(4) << 5, [10, 10, 10, 20][next(4)]!];
  const odds = [[], [0x88, 0xa8, 0, 10], [0x81, 0, 0x20, 0], [0x81, 0, 0x0f, 0xff], [0x81, 0, 0, 10, 0x81, 0, 0, 7]];
  const type = odd ? odds[next(odds.length)]! : tag;
  const head = [...destination, ...source, ...type, 0x88, 0xb5];
  bytes.set(head.slice(0, bytes.length));
  return bytes;
}

/** Regions that both ways write, with how many of their words this test can reach. */
const REGIONS = {
  QUEUES_AT: 64,
  DIRTY_AT: 16,
  LISTS_AT: 6 * 1024,
  FACTS_AT: 128 * 16,
  LARGE_AT: 12 * 16_640,
  COUNTERS_AT: 4096,
} as const;

/** Regions of the two that differ. The facts' scratch (FDB sets, egress, hops) means nothing after the turn. */
function differences(one: Rig, other: Rig): string[] {
  for (const { view, lane } of [one, other])
    for (let slot = 0; slot < 128; slot++)
      view.i32.fill(0, lane.factsAt + slot * 16 + 12, lane.factsAt + slot * 16 + 16);
  const found: string[] = [];
  const compare = (name: string, at: number, bytes: number): void => {
    const [a, b] = [one, other].map(({ view }) => Buffer.from(view.buffer, at, bytes));
    if (!a!.equals(b!)) found.push(name);
  };
  for (const [name, words] of Object.entries(REGIONS))
    compare(name, workerRegion(one.view.layout, Header[name as keyof typeof REGIONS], 0), words * 4);
  const fdb = one.view.layout.words[Header.FDB_BUCKETS_AT]!;
  compare('FDB', fdb, one.view.layout.words[Header.FDB_LOCKS_AT]! - fdb);
  return found;
}

function play(rig: Rig, port: number, frames: readonly Uint8Array[], way: Way): void {
  rig.edge.now += 1e8;
  rig.edge.turn();
  rig.lane.nowS = Math.floor(rig.edge.now / 1e9);
  rig.lane.replicasUsed = 0;
  for (const bytes of frames) receiveFrame(rig.lane, port, bytes, null);
  closeBatch(rig.lane, port, 0);
  way(rig.lane, rig.lane.receiveListAt, frames.length, port);
}

/** Empties the transmit lists, as a native turn does. */
function sent(rig: Rig): void {
  for (let k = 0; k < rig.lane.dirtyCount; k++)
    rig.view.i32[rig.lane.queuesAt + rig.view.i32[rig.lane.dirtyAt + k]! * 4] = 0;
  rig.lane.dirtyCount = 0;
}

test('a batch ends the same by the express way and by the stages', () => {
  const seed = Number(process.env.WEFT_SEED ?? (Date.now() % 1e9) + 1);
  const next = numbers(seed);
  const [quick, slow] = [makeRig(), makeRig()];
  let expressed = 0;
  const counted: Way = (lane, list, n, port) => {
    const by = express(lane, list, n, port);
    if (by === n) expressed++;
    if (by < n) forwardByStages(lane, list + by, n - by, port);
  };
  for (let round = 0; round < 600; round++) {
    const port = 1 + next(VLANS.length);
    const odd = next(4) === 0;
    const frames = Array.from({ length: 1 + next(6) }, (_, k) => frame(next, port, odd && k % 3 === 0));
    play(quick, port, frames, counted);
    play(slow, port, frames, forwardByStages);
    expect(differences(quick, slow), `WEFT_SEED=${seed} runs this again; round ${round}`).toEqual([]);
    if (next(3) === 0) for (const rig of [quick, slow]) sent(rig);
  }
  expect(expressed, `WEFT_SEED=${seed}`).toBeGreaterThan(20);
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
