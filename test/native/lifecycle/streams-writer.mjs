/** The other worker of the story of writers (streams.mjs): writes to a stream that the main thread writes to as well. */
import { workerData } from 'node:worker_threads';
import { addon } from '../../../dist/native/binding.js';
import { HandEngine } from './hand-engine.mjs';

const ROUNDS = 400;
const { handle, layout, shared } = workerData;
const engine = new HandEngine(1, layout);
const attached = addon().attachQueue(1, handle, 1);
if (attached < 0) throw new Error(`attachQueue: ${attached}`);
Atomics.store(shared, 0, 1);
let sent = 0;
for (let round = 0; round < ROUNDS; round++) {
  const entries = Array.from({ length: 1 + (round % 30) }, (_, k) => k);
  for (const slot of entries) engine.put(slot, Buffer.alloc(1500 - slot * 20, 2));
  engine.turn(new Map([[1, entries]]));
  sent += engine.sent(1);
}
// What is kept of a last frame goes out by itself or with the other's.
for (let k = 0; k < 50; k++) engine.turn();
shared[2] = sent;
Atomics.store(shared, 1, 1);
addon().engineClose();
