/**
 * Socket ports by hand: frames go in at one connection and out at another, split at every place, to readers that are slow or gone. Run by
 * sockets.test.ts as anybody, and under sanitizers; prints one line of JSON. The other ends are this process too, so that every turn is
 * known.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Drop } from '../../../dist/dataplane/drop.js';
import { Block, Fact, FINISH_CHECKSUM, FINISH_SEGMENT, Flag } from '../../../dist/dataplane/memory/layout.js';
import { addon } from '../../../dist/native/binding.js';
import { HandEngine } from './hand-engine.mjs';

const [story, seed] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'weft-streams-'));
const native = addon();
const layout = HandEngine.arena(2);
const engine = new HandEngine(0, layout);
const names = Object.fromEntries(Object.entries(Drop).map(([name, number]) => [number, name]));
const FRAME_MAX = 65557;

let state = Number(seed) >>> 0;
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const framed = (frame) => {
  const bytes = Buffer.alloc(4 + frame.length);
  bytes.writeUInt32BE(frame.length);
  bytes.set(frame, 4);
  return bytes;
};
/** A frame that tells its number, its length and, all over, both. */
function frameOf(number, bytes) {
  const frame = Buffer.alloc(bytes, number + bytes);
  frame.writeUInt32BE(number, 6);
  frame.writeUInt32BE(bytes, 10);
  return frame;
}

let sockets = 0;
/** A connection: the device of one end, and the other end's descriptor. */
function connection(port, type = 'stream', receiver = 0) {
  const path = join(folder, `${sockets++}`);
  const listening = native.listenUnix(path, type);
  let ours = listening;
  let theirs;
  if (type === 'stream') {
    theirs = native.connectUnix(path, type);
    ours = native.acceptUnix(listening);
    native.closeDescriptor(listening);
  } else {
    theirs = native.listenUnix(`${path}r`, type);
    native.connectTo(ours, `${path}r`);
    // Like QEMU, who names no peer: its queue is short then.
    if (port === 1) native.connectTo(theirs, path);
  }
  const { handle, ended } = native.openSocket(ours, receiver);
  native.closeDescriptor(ours);
  const attached = native.attachQueue(port, handle, 0);
  if (attached < 0) throw new Error(`attachQueue: ${attached}`);
  return { handle, ended, theirs, path };
}

/** All frames that a stream's other end has got by now. */
class Reader {
  constructor(fd) {
    this.fd = fd;
    this.rest = Buffer.alloc(0);
  }
  /** Frames that are whole now, after one read; null when there was nothing. */
  read(most = 1 << 20) {
    const message = native.receiveMessage(this.fd, most);
    if (message === null) return null;
    this.rest = Buffer.concat([this.rest, message.data]);
    const frames = [];
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE()) {
      const length = this.rest.readUInt32BE();
      frames.push(this.rest.subarray(4, 4 + length));
      this.rest = this.rest.subarray(4 + length);
    }
    return frames;
  }
  all() {
    const frames = [];
    for (let some = this.read(); some !== null; some = this.read()) frames.push(...some);
    return frames;
  }
}

/** Turns until nothing comes any more; what comes from port 1 goes to `ports`. Answers how many came. */
function carry(ports, drain = () => {}) {
  let count = 0;
  let lists = new Map();
  for (let idle = 0; idle < 4; ) {
    const frames = engine.turn(lists);
    drain();
    const slots = frames.filter(({ port }) => port === 1).map(({ slot }) => slot);
    lists = new Map(slots.length === 0 ? [] : ports.map((port) => [port, slots]));
    count += slots.length;
    idle = slots.length === 0 ? idle + 1 : 0;
  }
  return count;
}

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

/** A TCP super-frame over IPv4, whose payload counts, in `slot`. */
function putSuper(slot, segments, size) {
  const frame = Buffer.alloc(54 + segments * size);
  frame.set([
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
  ]);
  frame.writeUInt16BE(frame.length - 14, 16);
  frame.set([0, 7, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], 34);
  for (let at = 54; at < frame.length; at++) frame[at] = at % 251;
  engine.put(slot, frame);
  const set = (what, value) => {
    engine.i32[engine.fact(slot, what)] = value;
  };
  set(Fact.FLAGS, Flag.NEEDS_CHECKSUM);
  set(Fact.GSO, 1 | (size << 16));
  set(Fact.CHECKSUM, 34 | (16 << 16));
  set(Fact.SEGMENTS, segments);
  set(Fact.WIRE_BYTES, 54 + size);
  return frame;
}

/** Super-frames among plain ones: cut while they are written, also by a reader that stops in the middle of one. */
function finished(type) {
  const { theirs } = connection(2, type);
  const [segments, size] = [40, 1448];
  const mark = FINISH_CHECKSUM | FINISH_SEGMENT;
  const reader = new Reader(theirs);
  let sent = 0;
  let counts = 0;
  const got = [];
  const read = () => {
    if (type === 'stream') return got.push(...reader.all());
    for (let one = native.receiveMessage(theirs, 1 << 17); one !== null; one = native.receiveMessage(theirs, 1 << 17))
      got.push(one.data);
  };
  const whole = putSuper(0, segments, size);
  putSuper(1, 1, 400);
  engine.put(2, frameOf(7, 700));
  for (let k = 0; k < 80; k++) {
    engine.turn(new Map([[2, [2, 0 | mark, 2, 1 | FINISH_CHECKSUM, 1 | FINISH_CHECKSUM, 0 | mark]]]));
    sent += engine.sent(2);
    counts += engine.refusals().reduce((sum, [, , count]) => sum + count, 0);
    if (k % 40 === 39 || type === 'dgram') read();
  }
  for (let k = 0; k < 10; k++) {
    read();
    engine.turn();
  }
  const lengths = Object.entries(grouped(got)).map(([bytes, all]) => [Number(bytes), all.length]);
  const parts = got.filter((one) => one.length === 54 + size);
  const payload = Buffer.concat(parts.slice(0, segments).map((one) => one.subarray(54)));
  const of = (bytes) => lengths.find(([one]) => one === bytes)?.[1] ?? 0;
  return {
    entries: sent + counts - 480,
    lost: type === 'stream' ? of(700) + of(454) + of(54 + size) / segments - sent : 0,
    some: counts > 0,
    payload: payload.equals(whole.subarray(54)),
    sizes: lengths.map(([bytes]) => bytes).sort((a, b) => a - b),
  };
}
function grouped(all) {
  const groups = {};
  for (const one of all) groups[one.length] = [...(groups[one.length] ?? []), one];
  return groups;
}

/** Datagrams of all sizes in and out; one that no frame can be; a queue that is full; a peer that is gone. */
function dgrams() {
  const from = connection(1, 'dgram');
  const to = connection(2, 'dgram');
  const got = [];
  const read = () => {
    for (
      let one = native.receiveMessage(to.theirs, 1 << 17);
      one !== null;
      one = native.receiveMessage(to.theirs, 1 << 17)
    )
      got.push(one.data);
  };
  const sizes = [0, 13, 14, 60, 256, 257, 1514, 9000, 65557, 65558, 70000];
  const refused = [];
  for (const [k, bytes] of sizes.entries()) {
    native.sendMessage(from.theirs, bytes < 14 ? Buffer.alloc(bytes) : frameOf(k, bytes), []);
    carry([2], read);
  }
  const same = got.filter(
    (data) =>
      data.length >= 14 && data.length <= FRAME_MAX && data.equals(frameOf(sizes.indexOf(data.length), data.length)),
  );
  const lengths = got.map(({ length }) => length);
  // More than the reader's queue, and ours behind it, hold: what was sent arrives all the same, in order.
  got.length = 0;
  let sent = 0;
  for (let k = 0; k < 100; k++) {
    const entries = Array.from({ length: 50 }, (_, slot) => slot);
    for (const slot of entries) engine.put(slot, frameOf(50 * k + slot, 60 + 20 * slot));
    engine.turn(new Map([[2, entries]]));
    sent += engine.sent(2);
    for (const [, reason] of engine.refusals()) if (!refused.includes(names[reason])) refused.push(names[reason]);
  }
  const full = native.socketState(to.handle).full;
  for (let k = 0; k < 500; k++) {
    read();
    engine.turn();
  }
  const numbers = got.map((frame) => frame.readUInt32BE(6));
  const rising = numbers.every((one, k) => k === 0 || one > numbers[k - 1]);
  const whole = got.every((frame) => frame.equals(frameOf(frame.readUInt32BE(6), frame.length)));
  native.closeDescriptor(to.theirs);
  engine.turn(new Map([[2, [0, 0]]]));
  refused.push(...engine.refusals().map(([port, reason, count]) => [port, names[reason], count]));
  const { end } = native.socketState(to.handle);
  return { lengths, same: same.length, refused, arrived: got.length - sent, full: full + sent, rising, whole, end };
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
    engine.turn();
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
    const entries = Array.from({ length: 1 + (round % 40) }, (_, k) => k);
    for (const slot of entries) engine.put(slot, Buffer.alloc(60 + slot * 20, 1));
    engine.turn(new Map([[1, entries]]));
    mine += engine.sent(1);
    got.push(...reader.all());
    if (round % 50 === 0) await new Promise(setImmediate);
  }
  await over;
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

const answer = await {
  splits,
  slow,
  broken,
  ends,
  noise,
  writers,
  stream: () => finished('stream'),
  segments: () => finished('dgram'),
  dgrams,
}[story]();
rmSync(folder, { recursive: true });
process.stdout.write(`${JSON.stringify(answer)}\n`);
