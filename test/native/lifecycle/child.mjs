/**
 * One process's life with the addon, ended where the first argument says. Run by lifecycle.test.ts in a network namespace of its own; prints
 * one line of JSON. Plain JavaScript over dist/, since a process and its worker threads load it as it is.
 */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { layoutFor, writeHeader } from '../../../dist/dataplane/memory/layout.js';
import { addon } from '../../../dist/native/binding.js';

const WORKERS = 8;
const EXIT_CODE = 7;
const [story, step] = process.argv.slice(2);

const openDescriptors = () => readdirSync('/proc/self/fd').length;
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

function ready() {
  const native = addon();
  const layout = layoutFor({ workers: WORKERS, fdbEntries: 1024 });
  native.createArena(layout.bytes, false);
  writeHeader(native.mapArena(), layout);
  return native;
}

/** A worker that has attached queue `index` of the device and turns until it is terminated. */
async function startWorker(index, handle) {
  const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { index, handle } });
  const failed = new Promise((_, refuse) => worker.once('error', refuse));
  failed.catch(() => {});
  await Promise.race([failed, new Promise((resolve) => worker.once('message', resolve))]);
  return worker;
}

async function descriptors() {
  const native = ready();
  native.closeDevice(native.openTap('weft-warm', 2, null).handle);
  const before = openDescriptors();
  let during = 0;
  for (let round = 0; round < 3; round++) {
    const handles = Array.from({ length: 16 }, (_, k) => native.openTap(`weft-l${k}`, 2, null).handle);
    during = openDescriptors();
    for (const handle of handles) native.closeDevice(handle);
  }
  answer({ before, during, after: openDescriptors(), devices: native.devices() });
}

async function terminations(seed) {
  const native = ready();
  const { handle } = native.openTap('weft-w', WORKERS, null);
  // The first life may open what the process keeps: worker pools, the registry's own descriptors.
  const first = await startWorker(0, handle);
  await first.terminate();
  const before = openDescriptors();
  let pick = Number(seed);
  for (let round = 0; round < 3; round++) {
    const workers = [];
    for (let index = 0; index < WORKERS; index++) workers.push(await startWorker(index, handle));
    while (workers.length > 0) {
      pick = (Math.imul(pick, 1103515245) + 12345) >>> 0;
      const [victim] = workers.splice((pick >>> 8) % workers.length, 1);
      if ((pick & 64) !== 0) await sleep((pick >>> 16) % 20);
      await victim.terminate();
    }
  }
  native.closeDevice(handle);
  answer({ before, after: openDescriptors() + WORKERS, devices: native.devices() });
}

/** What a call did: its answer when it is a number, `code` of what it threw, or what else came. */
function outcome(call) {
  try {
    const value = call();
    return typeof value === 'number' ? value : typeof value;
  } catch (error) {
    return error.code ?? `no code: ${error.message}`;
  }
}

function handles() {
  const native = ready();
  const { handle } = native.openTap('weft-h', 1, null);
  native.closeDevice(handle);
  native.engineOpen(0, 'read-write');
  answer({
    closedTwice: outcome(() => native.closeDevice(handle)),
    foreign: outcome(() => native.closeDevice(handle + 1000)),
    persistClosed: outcome(() => native.persistTap(handle, true)),
    attachClosed: outcome(() => native.attachQueue(1, handle, 0)),
    detachUnknown: outcome(() => native.detachQueue(1)),
    openTwice: outcome(() => native.engineOpen(1, 'read-write')),
    secondArena: outcome(() => native.createArena(1 << 20, false)),
    turn: outcome(() => native.turn()),
  });
}

/** Every call with every odd argument in every place: an answer or an Error, never the process's end. */
function oddities() {
  const odd = [
    undefined,
    null,
    Number.NaN,
    -1,
    0,
    0.5,
    2 ** 31,
    -(2 ** 31),
    2 ** 53,
    '',
    'x'.repeat(4096),
    'a/b',
    'a\0b',
    {},
    [],
    true,
  ];
  const calls = Object.entries(addon()).filter(([name]) => name !== 'abi' && name !== 'createArena');
  let count = 0;
  const sweep = (native) => {
    for (const [name] of calls) {
      for (const first of odd)
        for (const second of odd) {
          outcome(() => native[name](first, second, second));
          count++;
        }
    }
  };
  sweep(addon());
  sweep(ready());
  answer({ count, devices: addon().devices() });
}

/** `nice` of the main thread, of threads that it starts afterwards and of a process. */
async function priority() {
  const nice = (stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  const tasks = () =>
    readdirSync('/proc/self/task').map((task) => [task, nice(readFileSync(`/proc/self/task/${task}/stat`, 'utf8'))]);
  const answered = addon().preferThread();
  const before = new Set(tasks().map(([task]) => task));
  const worker = new Worker('setTimeout(() => {}, 10_000)', { eval: true });
  await once(worker, 'online');
  const main = tasks().find(([task]) => task === String(process.pid))[1];
  const others = tasks().filter(([task]) => !before.has(task));
  const child = nice(execFileSync('cat', ['/proc/self/stat'], { env: { ...process.env, LD_PRELOAD: '' } }).toString());
  await worker.terminate();
  answer({ answered, main, started: others.length > 0, others: others.every(([, one]) => one === 0), child });
}

/** Ends the process at once, in the middle of its life. */
async function exits() {
  const end = (here) => here === step && process.exit(EXIT_CODE);
  addon();
  end('loaded');
  const native = ready();
  end('mapped');
  const { handle } = native.openTap('weft-x', WORKERS, null);
  end('opened');
  native.engineOpen(0, 'auto');
  end('engine');
  native.attachQueue(1, handle, 0);
  end('attached');
  native.turn();
  end('turned');
  for (let index = 1; index < WORKERS; index++) await startWorker(index, handle);
  await sleep(randomInt(1, 30));
  end('workers');
}

await { descriptors, terminations, handles, oddities, priority, exits }[story](step);
