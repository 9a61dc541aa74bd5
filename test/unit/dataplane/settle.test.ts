/** What a successor does with the lists of a worker that died; and what a lane tells main. */
import { expect, it } from 'vitest';
import { Drop } from '../../../dataplane/drop.ts';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { Block, BlockCell, PortCell, Queue } from '../../../dataplane/memory/layout.ts';
import { abandon, publishTornReads, settle } from '../../../dataplane/settle.ts';
import { Turn } from '../../../dataplane/turn.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame } from '../path/frames.ts';
import { TUNNEL, TunnelRig } from '../path/tunnel-rig.ts';

it('frames that were listed are lost with a reason, and none is sent from a slot of its own', () => {
  const rig = new Rig();
  rig.publish([1, 2, 3].map((number) => tablePort(number)));
  rig.send(2, frame(ALL, B));
  rig.port(1).push(frame(ALL, A));
  rig.port(1).push(frame(B, A));
  rig.turns.turn();
  const lane = new Lane(rig.view, 0);
  abandon(lane);
  expect(rig.drops()).toEqual({ '2 worker-died': 2, '3 worker-died': 1 });
  const cells = (cell: number) => [1, 2, 3].reduce((sum, port) => sum + rig.cell(port, cell), 0);
  expect(cells(PortCell.RX_FRAMES) + cells(PortCell.REPLICATED)).toBe(cells(PortCell.TX_FRAMES) + 3);
  const successor = new Turn(lane, rig.edge);
  for (const port of rig.ports.values()) successor.addScript(port);
  for (let k = 0; k < 3; k++) successor.turn();
  expect([2, 3].map((port) => rig.port(port).drain().length)).toEqual([0, 0]);
  rig.port(1).push(frame(B, A));
  for (let k = 0; k < 3; k++) successor.turn();
  expect([2, 3].map((port) => rig.port(port).drain().length)).toEqual([1, 0]);
});

it('half-written entries are told as a sum that a successor goes on with', () => {
  const rig = new Rig();
  const told = (lane: Lane, torn: number) => {
    lane.tornReads = torn;
    publishTornReads(lane);
    return lane.f64[lane.blockCellsAt + BlockCell.TORN_READS];
  };
  const lane = new Lane(rig.view, 0);
  expect([told(lane, 0), told(lane, 3), told(lane, 0)]).toEqual([0, 3, 3]);
  expect(told(new Lane(rig.view, 0), 2)).toBe(5);
});

it('what a tunnel sent to many in a turn may be more than 2 GiB', () => {
  const rig = new Rig();
  const { lane } = rig;
  const queue = lane.queuesAt + 2 * Queue.WORDS;
  lane.i32[lane.dirtyAt] = 2;
  lane.dirtyCount = 1;
  lane.i32.set([1, 50_000, 3_000_000_000, 2_000_000], queue);
  settle(lane);
  expect(rig.cell(2, PortCell.TX_BYTES)).toBe(3_000_000_000);
});

it('a flood out of a tunnel counts as replicated what native sent or refused beyond what was listed', () => {
  const rig = new TunnelRig();
  const { lane } = rig;
  const sendTo = (sent: number, refused: number): number => {
    const before = rig.cell(TUNNEL, PortCell.REPLICATED);
    lane.i32[lane.dirtyAt] = TUNNEL;
    lane.dirtyCount = 1;
    lane.i32.set([1, sent, 64, sent], lane.queuesAt + TUNNEL * Queue.WORDS);
    lane.i32.set([0, TUNNEL, Drop.EGRESS_FULL, refused], lane.refusedAt);
    lane.i32[lane.blockAt + Block.REFUSED_COUNT] = refused === 0 ? 0 : 1;
    settle(lane);
    lane.i32[lane.blockAt + Block.REFUSED_COUNT] = 0;
    return rig.cell(TUNNEL, PortCell.REPLICATED) - before;
  };
  // To three remotes; to three, of which one was refused; to nobody, since no worker serves the port any more.
  expect([sendTo(3, 0), sendTo(2, 1), sendTo(0, 1)]).toEqual([2, 2, 0]);
});
