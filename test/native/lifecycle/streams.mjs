/**
 * Stream ports by hand: frames go in at one connection and out at another, split at every place, to readers that are slow or gone, by one
 * thread or two. Run by sockets.test.ts as anybody, and under sanitizers; prints one line of JSON.
 */
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Block, Fact, Flag } from '../../../dist/dataplane/memory/layout.js';
import {
  carry,
  connection,
  engine,
  FRAME_MAX,
  folder,
  framed,
  frameOf,
  layout,
  names,
  native,
  Reader,
  random,
  tellOf,
} from './socket-stand.mjs';

/** A stream of frames of all sizes, cut at every place near its frames' ends and at random ones, arrives as it was. */
function splits() {
  const from = connection(1);
  const to = connection(2);
  const reader = new Reader(to.theirs);
  const sizes = [14, 60, 255, 256, 257, 512, 513, 1514, 4000, 65000, FRAME_MAX];
  const frames = sizes.map((bytes, k) => frameOf(k, bytes));
  const stream = Buffer.concat(frames.map(framed));
  const cuts = new Set([1]);
  let end = 0;
  for (const bytes of sizes) {
    for (const near of [-1, 0, 1, 2, 3, 4, 5, 13, 14, 15, 256, 260, 261]) cuts.add(end + near);
    end += 4 + bytes;
  }
  for (let k = 0; k < 100; k++) cuts.add(random(stream.length));
  let same = 0;
  let rounds = 0;
  for (const cut of [...cuts].filter((one) => one > 0 && one < stream.length)) {
    const got = [];
    for (const part of [stream.subarray(0, cut), stream.subarray(cut)]) {
      for (let at = 0; at < part.length; ) {
        const sent = native.sendMessage(from.theirs, part.subarray(at, at + 60000), []);
        if (sent > 0) at += sent;
        carry([2], () => got.push(...reader.all()));
      }
    }
    rounds++;
    if (got.length === frames.length && got.every((frame, k) => frame.equals(frames[k]))) same++;
  }
  return { enough: rounds > 150, differ: rounds - same, budget: budgets(from, reader) };
}

/** As few frames a turn as are asked for, and wholly in the arena when somebody looks at them. */
function budgets({ theirs }, reader) {
  engine.budget = 3;
  engine.i32[engine.at.block + Block.WHOLE] = 1;
  native.sendMessage(theirs, Buffer.concat(Array.from({ length: 20 }, (_, k) => framed(frameOf(k, 1000)))), []);
  const received = [];
  let foreign = 0;
  let lists = new Map();
  for (let idle = 0; idle < 4; ) {
    const frames = engine.turn(lists);
    for (const { slot } of frames) if ((engine.i32[engine.fact(slot, Fact.FLAGS)] & Flag.FOREIGN) !== 0) foreign++;
    received.push(frames.length);
    lists = new Map(frames.length > 0 ? [[2, frames.map(({ slot }) => slot)]] : []);
    idle = frames.length === 0 ? idle + 1 : 0;
  }
  return {
    most: Math.max(...received),
    foreign,
    whole: reader.all().every((frame, k) => frame.equals(frameOf(k, 1000))),
  };
}

/** Nobody reads at port 2; port 3 gets everything, and port 2 whole frames, in order: what was sent. */
function slow() {
  connection(1);
  const [two, three] = [connection(2), connection(3)];
  const readers = [new Reader(two.theirs), new Reader(three.theirs)];
  const got = [[], []];
  const tally = { sent: 0, refused: 0, reasons: {}, offered: 0 };
  let number = 0;
  const round = () => {
    const entries = Array.from({ length: 1 + random(200) }, (_, k) => k);
    for (const slot of entries)
      engine.put(slot, frameOf(number++, random(20) === 0 ? 14 + random(60000) : 14 + random(1500)));
    engine.turn(
      new Map([
        [2, entries],
        [3, entries],
      ]),
    );
    tally.offered += entries.length;
    tally.sent += engine.sent(2);
    for (const [port, reason, count] of engine.refusals()) {
      tally.reasons[`${port} ${names[reason]}`] = (tally.reasons[`${port} ${names[reason]}`] ?? 0) + count;
    }
    got[1].push(...readers[1].all());
  };
  for (let k = 0; k < 300; k++) {
    round();
    // Now and then a few bytes are read at the slow port, so that it stops at every place of a frame.
    if (random(3) === 0) got[0].push(...(readers[0].read(1 + random(70000)) ?? []));
  }
  for (let k = 0; k < 20; k++) {
    for (const which of [0, 1]) got[which].push(...readers[which].all());
    engine.turn();
  }
  const numbers = got[0].map((frame) => frame.readUInt32BE(6));
  return {
    whole:
      got[0].every((frame) => frame.equals(frameOf(frame.readUInt32BE(6), frame.length))) &&
      readers[0].rest.length === 0,
    rising: numbers.every((one, k) => k === 0 || one > numbers[k - 1]),
    sent: got[0].length - tally.sent,
    counted: tally.offered - tally.sent - tally.reasons['2 EGRESS_FULL'],
    others: got[1].length - tally.offered + (tally.reasons['3 EGRESS_FULL'] ?? 0),
    reasons: Object.keys(tally.reasons).filter((name) => name !== '3 EGRESS_FULL'),
    full: native.socketState(two.handle).full === tally.reasons['2 EGRESS_FULL'],
  };
}

/** A worker dies while its reader has a part of a frame: its successor sends the rest, also when it has nothing to send itself. */
function left() {
  const { handle, theirs } = connection(2);
  const reader = new Reader(theirs);
  const entries = Array.from({ length: 50 }, (_, slot) => slot);
  for (const slot of entries) engine.put(slot, frameOf(slot, 60000 + slot));
  engine.turn(new Map([[2, entries]]));
  const sent = engine.sent(2);
  native.detachQueue(2);
  engine.turn();
  const got = reader.all();
  const part = reader.rest.length;
  native.attachQueue(2, handle, 0);
  for (let k = 0; k < 4; k++) {
    engine.turn();
    got.push(...reader.all());
  }
  return {
    some: sent > 0 && sent < entries.length,
    part: part > 0,
    missing: sent - got.length,
    whole: got.every((frame, k) => frame.equals(frameOf(k, 60000 + k))),
  };
}

/** Lengths that can't be: what came before them arrives, then it is over for both sides. */
function broken() {
  const answers = {};
  for (const length of [0, 1, 13, FRAME_MAX + 1, 2 ** 31, 2 ** 32 - 1]) {
    const { handle, ended, theirs } = connection(1);
    const bad = Buffer.alloc(100);
    bad.writeUInt32BE(length);
    native.sendMessage(theirs, Buffer.concat([framed(frameOf(1, 60)), framed(frameOf(2, 600)), bad]), []);
    const frames = carry([]);
    const { end } = native.socketState(handle);
    const heard = native.receiveMessage(theirs, 10).data.length;
    engine.put(0, frameOf(0, 60));
    engine.turn(new Map([[1, [0]]]));
    answers[length] = [frames, end, heard, engine.refusals().map(([, reason]) => names[reason]), ended > 2];
    native.detachQueue(1);
    engine.turn();
    native.closeDevice(handle);
    native.closeDescriptor(theirs);
  }
  return answers;
}

/** The other side closes: what it sent arrives, then nothing more goes out; and no descriptor stays. */
function ends() {
  engine.turn();
  const before = readdirSync('/proc/self/fd').length;
  const { handle, theirs } = connection(1);
  native.sendMessage(theirs, Buffer.concat([framed(frameOf(1, 60)), framed(frameOf(2, 6000)).subarray(0, 3000)]), []);
  native.closeDescriptor(theirs);
  const frames = carry([]);
  const { end } = native.socketState(handle);
  engine.put(0, frameOf(0, 60));
  engine.turn(new Map([[1, [0, 0, 0]]]));
  const refusals = engine.refusals().map(([port, reason, count]) => [port, names[reason], count]);
  native.detachQueue(1);
  engine.turn();
  native.closeDevice(handle);
  return { frames, end, refusals, sent: engine.sent(1), left: readdirSync('/proc/self/fd').length - before };
}

/** The other side sends and closes, and a frame of ours is the first to find that out: what it sent arrives all the same. */
function farewell() {
  const { handle, theirs } = connection(1);
  const frames = Array.from({ length: 200 }, (_, k) => frameOf(k, 60 + k));
  native.sendMessage(theirs, Buffer.concat(frames.map(framed)), []);
  native.closeDescriptor(theirs);
  engine.put(0, frameOf(0, 60));
  let arrived = engine.turn(new Map([[1, [0]]])).length;
  const early = native.socketState(handle).end;
  arrived += carry([]);
  return { early, arrived, end: native.socketState(handle).end };
}

/** Nonsense of every kind at both kinds' receiving ends, in pieces of every size: nothing but frames and ends come of it. */
function noise() {
  const tally = { rounds: 0, frames: 0, odd: 0, ends: 0, framed: 0 };
  const bytes = (length) => Buffer.from(Array.from({ length }, () => random(256)));
  const kinds = [
    () => bytes(random(300)),
    () => framed(bytes(14 + random(2000))),
    () => Buffer.concat(Array.from({ length: random(80) }, () => framed(bytes(14 + random(80))))),
    () => framed(bytes(14 + random(FRAME_MAX - 14))).subarray(0, random(70000)),
    () => Buffer.concat([framed(bytes(14 + random(60))), Buffer.alloc(4, random(3) === 0 ? 0xff : 0)]),
  ];
  for (let round = 0; round < 150; round++) {
    const type = random(4) === 0 ? 'dgram' : 'stream';
    const from = connection(1, type);
    const to = connection(2, random(2) === 0 ? 'dgram' : 'stream');
    engine.budget = 1 + random(200);
    engine.i32[engine.at.block + Block.WHOLE] = random(2);
    for (let k = 0; k < 12; k++) {
      // Mostly what is well framed, so that it goes on for a while.
      const some = kinds[random(5) === 0 ? random(kinds.length) : 1 + random(2)]();
      for (let at = 0; at < some.length; ) {
        const part = some.subarray(at, at + 1 + random(random(2) === 0 ? 5000 : 60000));
        if (native.sendMessage(from.theirs, part, []) < 0) break;
        at += part.length;
        for (const { slot, length } of noisyTurn()) {
          tally.frames++;
          if (length > FRAME_MAX || (type === 'stream' && length < 14) || slot < 0) tally.odd++;
        }
      }
      if (random(6) === 0) native.receiveMessage(to.theirs, 1 << 20);
    }
    if (random(2) === 0) native.closeDescriptor(to.theirs);
    else to.open = true;
    for (let k = 0; k < 5; k++) noisyTurn();
    const { end } = native.socketState(from.handle);
    if (end !== 0) tally.ends++;
    if (end !== 0 && end !== 2) tally.framed++;
    for (const port of [1, 2]) native.detachQueue(port);
    // Refuses what is pending: it lies in memory that goes with its port.
    noisyTurn();
    for (const { handle } of [from, to]) native.closeDevice(handle);
    native.closeDescriptor(from.theirs);
    if (to.open) native.closeDescriptor(to.theirs);
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    tally.rounds++;
  }
  return { rounds: tally.rounds, odd: tally.odd, other: tally.framed, enough: tally.frames > 1000 && tally.ends > 10 };
}

let pending = [];
/** Sends what the last turn received to port 2, some of it twice. */
function noisyTurn() {
  const lists = pending.length > 0 ? new Map([[2, pending]]) : new Map();
  const frames = engine.turn(lists);
  pending = frames.flatMap(({ slot, length }) => (length < 14 ? [] : random(4) === 0 ? [slot, slot] : [slot]));
  return frames;
}

/** Another thread, as the other worker, and this one write to one stream: whole frames, and each refusal counted once. */
async function writers() {
  const { handle, theirs } = connection(1);
  const shared = new Int32Array(new SharedArrayBuffer(16));
  const worker = new Worker(new URL('streams-writer.mjs', import.meta.url), { workerData: { handle, layout, shared } });
  const over = once(worker, 'exit');
  const reader = new Reader(theirs);
  const got = [];
  const counts = { 0: 0, 1: 0 };
  let mine = 0;
  while (Atomics.load(shared, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  for (let round = 0; round < 400 || Atomics.load(shared, 1) === 0; round++) {
    const entries = Array.from({ length: 1 + (round % 60) }, (_, k) => k);
    for (const slot of entries) engine.put(slot, Buffer.alloc(60 + slot * 40, 1));
    engine.turn(new Map([[1, entries]]));
    mine += engine.sent(1);
    got.push(...reader.all());
    if (round % 50 === 0) await new Promise(setImmediate);
  }
  await over;
  got.push(...reader.all());
  // What the other one kept at its end, while nobody read, goes before the next frame: this one's carrier waits for no room.
  engine.turn(new Map([[1, [0]]]));
  mine += engine.sent(1);
  for (let k = 0; k < 5; k++) {
    engine.turn();
    got.push(...reader.all());
  }
  for (const frame of got) counts[frame[0] - 1]++;
  const whole = got.every((frame) => frame.every((byte) => byte === frame[0]));
  return {
    whole,
    rest: reader.rest.length,
    mine: counts[0] - mine,
    others: counts[1] - shared[2],
    both: counts[0] > 0 && counts[1] > 0,
  };
}

await tellOf({ splits, slow, left, broken, ends, farewell, noise, writers });
