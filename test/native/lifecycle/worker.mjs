/** A worker thread of child.mjs: attaches one queue and turns for ever. Two in three sleep in native meanwhile, the third looks only. */
import { parentPort, workerData } from 'node:worker_threads';
import { Block, Header, readLayout, workerRegion } from '../../../dist/dataplane/memory/layout.js';
import { addon } from '../../../dist/native/binding.js';

const WAIT_MS = 20;
const { index, handle } = workerData;
const native = addon();
const arena = native.mapArena();
const block = new Int32Array(arena, workerRegion(readLayout(arena), Header.BLOCK_AT, index));
block[Block.WAIT_MS] = index % 3 === 0 ? 0 : WAIT_MS;
native.engineOpen(index, index % 2 === 0 ? 'auto' : 'read-write');
const attached = native.attachQueue(1, handle, index);
if (attached < 0) throw new Error(`attachQueue: ${attached}`);
parentPort.postMessage('turning');
// A function of its own: V8 notices a termination where a function is entered, but in a bare loop of slow native calls only after
// about a hundred rounds.
function turn() {
  if (native.turn() < 0) throw new Error('the turn failed');
}
for (;;) turn();
