/** What a successor does with the lists of a worker that died; and what a lane tells main. */
import { expect, it } from 'vitest';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { BlockCell, PortCell, Queue } from '../../../dataplane/memory/layout.ts';
import { abandon, publishTornReads, settle } from '../../../dataplane/settle.ts';
import { Turn } from '../../../dataplane/turn.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame } from '../path/frames.ts';

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
