/**
 * The child process of heap.test.ts, run with --expose-gc: turns with traffic, and what they left on the heap. Prints one line of JSON.
 */
import { type BondRecord, BondTable, type MemberRecord } from '../../control/compile/bond-table.ts';
import type { TablePort } from '../../control/compile/table-port.ts';
import { compileTables } from '../../control/compile/tables.ts';
import { Lane } from '../../dataplane/memory/lane.ts';
import { Header, plainArena } from '../../dataplane/memory/layout.ts';
import { View } from '../../dataplane/memory/view.ts';
import { Turn } from '../../dataplane/turn.ts';
import { tablePort } from '../rig.ts';
import { HotEdge, HotPort, type Traffic } from './hot-port.ts';

const BATCH = 64;
/** Rounds leave boxes until the engine has compiled what makes them: mostly two rounds, three at the most on a quiet machine. */
const ROUNDS_MAX = 40;
const ROUNDS_KEEPING = 5;
const QUIET: Traffic = { batch: 0, source: 0, sources: 1, destination: 0, destinations: 1, tag: 0, bytes: 60 };
/** Both ends send to each other's addresses. */
const NEAR: Traffic = { ...QUIET, batch: BATCH, sources: 1024, destination: 1 << 20, destinations: 1024 };
const FAR: Traffic = { ...NEAR, source: 1 << 20, destination: 0 };
const TAG_10 = 0x0a00_0081;

interface Scene {
  readonly ports: readonly TablePort[];
  readonly traffic: readonly Traffic[];
  readonly fdbLimit?: number;
  readonly bond?: {
    readonly port: number;
    readonly members: readonly number[];
    readonly record: Partial<BondRecord>;
    readonly member: Partial<MemberRecord>;
  };
}

const SCENES: Readonly<Record<string, Scene>> = {
  unicast: { ports: [tablePort(1), tablePort(2)], traffic: [NEAR, FAR] },
  'push and pop': {
    ports: [tablePort(1, { vlan: { tag: 10 } }), tablePort(2)],
    traffic: [NEAR, { ...FAR, tag: TAG_10, bytes: 64 }],
  },
  'flood to 8': {
    ports: Array.from({ length: 9 }, (_, k) => tablePort(k + 1, k % 2 === 0 ? { vlan: { tag: 10 } } : {})),
    traffic: [{ ...NEAR, destinations: 0 }, ...Array.from({ length: 8 }, () => QUIET)],
  },
  'new addresses that evict': {
    ports: [tablePort(1), tablePort(2)],
    traffic: [{ ...NEAR, sources: 1 << 20 }, QUIET],
    fdbLimit: 1000,
  },
  'addresses that move': { ports: [tablePort(1), tablePort(2)], traffic: [NEAR, { ...NEAR, batch: BATCH }] },
  drops: {
    ports: [tablePort(1, { vlan: { tag: 10 } }), tablePort(2)],
    traffic: [{ ...NEAR, tag: TAG_10, bytes: 64 }, QUIET],
  },
  bond: {
    ports: [tablePort(1), tablePort(2, { bond: 1 }), tablePort(3, { bridge: 0 }), tablePort(4, { bridge: 0 })],
    traffic: [NEAR, QUIET, FAR, FAR],
    bond: { port: 2, members: [3, 4], record: {}, member: {} },
  },
  'bond that is sifted': {
    ports: [tablePort(1), tablePort(2, { bond: 1 }), tablePort(3, { bridge: 0 }), tablePort(4, { bridge: 0 })],
    traffic: [NEAR, QUIET, FAR, { ...FAR, destinations: 0 }],
    bond: {
      port: 2,
      members: [3, 4],
      record: { send: 'round-robin', reflects: true },
      member: { receive: 'unicast', reflects: true, puntsSlow: true, puntsNeighbours: true },
    },
  },
  patch: {
    ports: [tablePort(1), tablePort(2, { bridge: 2 }), tablePort(3, { peer: 4 }), tablePort(4, { bridge: 2, peer: 3 })],
    traffic: [NEAR, FAR],
  },
};

function makeBond(view: View, { port, members, record, member }: NonNullable<Scene['bond']>): void {
  const table = new BondTable(view);
  const buckets = Uint8Array.from({ length: 256 }, (_, k) => k % members.length);
  const own = { send: 'buckets', hash: 'layer3+4', seed: 0, each: 1, reflects: false } as const;
  table.steer(1, { ...own, members, buckets, ...record });
  const quiet = { receive: 'all', puntsSlow: false, puntsNeighbours: false, reflects: false } as const;
  for (const one of members) table.setMember(one, { bond: port, ...quiet, ...member });
}

function turnsOf(scene: Scene): Turn {
  const view = new View(plainArena({ workers: 1, fdbEntries: 65_536 }));
  const lane = new Lane(view, 0);
  const turn = new Turn(lane, new HotEdge(lane));
  compileTables(
    view,
    1,
    [1, 2].map((number) => ({ number, fdbLimit: scene.fdbLimit ?? 65_536, ageing: 300 })),
    scene.ports,
  );
  view.i32[Header.TABLES_GENERATION] = 1;
  if (scene.bond !== undefined) makeBond(view, scene.bond);
  scene.traffic.forEach((traffic, k) => {
    turn.addScript(new HotPort(scene.ports[k]!.number, traffic));
  });
  return turn;
}

/** Heap bytes that `turns` turns leave behind, and how many frames they carried. */
function measure(turn: Turn, turns: number): { bytes: number; frames: number } {
  let frames = 0;
  const before = process.memoryUsage().heapUsed;
  for (let k = 0; k < turns; k++) frames += turn.turn();
  return { bytes: process.memoryUsage().heapUsed - before, frames };
}

/** Scene, frames of a round, and bytes that a million frames may leave: a round with no more is the last. Or `keep`. */
const [name, framesWanted, limit] = [process.argv[2]!, Number(process.argv[3]), process.argv[4]!];
const keep = limit === 'keep';
const turn = turnsOf(SCENES[name]!);
const perTurn = SCENES[name]!.traffic.reduce((sum, traffic) => sum + traffic.batch, 0);
const turns = Math.ceil(framesWanted / perTurn);
const kept: object[] = [];
if (keep) {
  // How the test knows that it would notice: one small object a turn.
  const plain = turn.turn.bind(turn);
  turn.turn = () => {
    kept.push({ turn: kept.length });
    return plain();
  };
}
measure(turn, turns);
/** `grown`: bytes of the heap that a million frames left; negative when a collection took more away. */
const rounds: { frames: number; grown: number }[] = [];
const isLast = ({ grown }: { grown: number }) => grown <= Number(limit) && grown > -Number(limit);
do {
  global.gc!();
  global.gc!();
  measure(turn, 0);
  const noise = measure(turn, 0).bytes;
  const { bytes, frames } = measure(turn, turns);
  rounds.push({ frames, grown: ((bytes - noise) / frames) * 1e6 });
} while (keep ? rounds.length < ROUNDS_KEEPING : rounds.length < ROUNDS_MAX && !isLast(rounds.at(-1)!));
process.stdout.write(`${JSON.stringify({ rounds, kept: kept.length })}\n`);
