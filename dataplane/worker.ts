/**
 * A forwarding worker: a long task in control's Piscina pool. It loads everything, stands by until an assignment makes it a worker, and
 * then turns until it is told to stop. Orders are read between turns; nothing else happens here that isn't the turn or the wait.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type Addon, addon } from '../native/binding.ts';
import { waitFor } from './idle.ts';
import { Injector, injectRing } from './inject.ts';
import { widenInlining } from './inlining.ts';
import { Lane } from './memory/lane.ts';
import { Block, BlockCell, WorkerState } from './memory/layout.ts';
import { View } from './memory/view.ts';
import { Orderly } from './orderly.ts';
import type { Answer, Assignment } from './orders.ts';
import { abandon } from './settle.ts';
import { breakLocks, recount } from './tables/fdb-recover.ts';
import { Turn } from './turn.ts';

/** How often a moved address is told at the most. */
const MOVED_EVERY_MS = 50;
/** How often an unknown sender is told. */
const STRANGER_EVERY_MS = 10;
const ENGINE_TRIES = 2000;

/** The task: stands by, serves, and resolves with why it ended. Throws when the worker broke. */
export async function serve(task: { readonly orders: MessagePort }): Promise<string> {
  widenInlining();
  const { orders } = task;
  const native = addon();
  const view = new View(native.mapArena());
  const assigned = new Promise<Assignment>((resolve) => orders.once('message', resolve));
  post(orders, { type: 'standing-by' });
  const assignment = await assigned;
  // From here on the thread never returns to its event loop: orders are fetched, not delivered.
  return run(native, view, orders, assignment);
}

function post(orders: MessagePort, answer: Answer): void {
  orders.postMessage(answer);
}

/** A predecessor's thread may still be ending: its ring and queues must be gone before ours serve the same ones. */
function openEngine(native: Addon, assignment: Assignment): number {
  for (let tries = 0; ; tries++) {
    try {
      return native.engineOpen(assignment.index, assignment.io);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || tries >= ENGINE_TRIES) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** What a dead predecessor left: its half-filled lists would be sent by us, its locks would hold everybody up. */
function cleanUp(lane: Lane): void {
  if (breakLocks(lane, lane.index) > 0) recount(lane);
  abandon(lane);
}

function run(native: Addon, view: View, orders: MessagePort, assignment: Assignment): string {
  native.nameThread(`weft-worker-${assignment.index}`);
  if (assignment.cpu !== null) {
    const failed = native.pin(assignment.cpu);
    if (failed < 0)
      throw new Error(`worker ${assignment.index} could not be pinned to CPU ${assignment.cpu} (errno ${-failed})`);
  }
  const io = openEngine(native, assignment);
  const lane = new Lane(view, assignment.index);
  cleanUp(lane);
  const turn = new Turn(lane, native, new Injector(injectRing(view, assignment.index)));
  const orderly = new Orderly(native, view, turn, (answer) => post(orders, answer));
  const { i32, blockAt } = lane;
  // Whatever breaks from here on, the engine is closed: nobody could become this worker again.
  try {
    const failed = orderly.begin(assignment);
    i32[blockAt + Block.IO] = io;
    i32[blockAt + Block.STATE] = WorkerState.RUNNING;
    post(orders, { type: 'running', io, ringError: native.ringError(), failed });
    loop(turn, orderly, orders);
  } finally {
    i32[blockAt + Block.STATE] = WorkerState.STOPPED;
    orderly.end();
    native.engineClose();
  }
  return 'stopped';
}

/** Turns until an order ends it. The wait is bounded, so that an order is never late by more than WAIT_MS_MAX. */
function loop(turn: Turn, orderly: Orderly, orders: MessagePort): void {
  const { lane } = turn;
  const { i32, f64, blockAt } = lane;
  const now = lane.blockCellsAt + BlockCell.NOW_NS;
  let busyNs = f64[now]!;
  let movedMs = 0;
  let strangerMs = 0;
  for (;;) {
    const received = turn.turn();
    if (received < 0) throw new Error(`the native turn failed (errno ${-received})`);
    if (received > 0) busyNs = f64[now]!;
    if (i32[blockAt + Block.WOKEN] !== 0) fetch(orderly, orders);
    if (orderly.stopped) return;
    orderly.afterTurn();
    if (lane.punted !== 0) orderly.tellPunts();
    if (lane.moves !== 0 && (i32[blockAt + Block.NOW_MS]! - movedMs) >>> 0 >= MOVED_EVERY_MS) {
      movedMs = i32[blockAt + Block.NOW_MS]!;
      orderly.tellMoves();
    }
    if (lane.strangers !== 0 && (i32[blockAt + Block.NOW_MS]! - strangerMs) >>> 0 >= STRANGER_EVERY_MS) {
      strangerMs = i32[blockAt + Block.NOW_MS]!;
      orderly.tellStrangers();
    }
    const restless = received > 0 || orderly.isRestless() || turn.hasWork();
    i32[blockAt + Block.WAIT_MS] = restless ? 0 : waitFor(orderly.idle, f64[now]! - busyNs);
    i32[blockAt + Block.YIELD] = received === 0 ? 1 : 0;
  }
}

function fetch(orderly: Orderly, orders: MessagePort): void {
  for (;;) {
    const message = receiveMessageOnPort(orders);
    if (message === undefined) return;
    orderly.carryOut(message.message);
  }
}
