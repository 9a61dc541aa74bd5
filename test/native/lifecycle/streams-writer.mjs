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
  // The longer ones are more than one buffer of the kernel's, 49 kB: a list that fits into one is taken whole or not at all.
  const entries = Array.from({ length: 1 + (round % 80) }, (_, k) => k);
  for (const slot of entries) engine.put(slot, Buffer.alloc(1500 - slot * 10, 2));
  engine.turn(new Map([[1, entries]]));
  sent += engine.sent(1);
}
// What is kept of a last frame goes out by itself, or at the latest with the other's next one.
for (let k = 0; k < 50; k++) engine.turn();
shared[2] = sent;
Atomics.store(shared, 1, 1);
addon().engineClose();
