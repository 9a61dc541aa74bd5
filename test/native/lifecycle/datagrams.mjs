/**
 * Datagram ports by hand, and frames that are finished on their way into either kind. Run by sockets.test.ts as anybody, and under sanitizers;
 * prints one line of JSON.
 */
import { Fact, FINISH_CHECKSUM, FINISH_SEGMENT, Flag } from '../../../dist/dataplane/memory/layout.js';
import { carry, connection, engine, FRAME_MAX, frameOf, names, native, Reader, tellOf } from './socket-stand.mjs';

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
  const spoilt = [];
  // As 1-parse does: it goes no further.
  const passes = (slot) => {
    if ((engine.i32[engine.fact(slot, Fact.FLAGS)] & Flag.SPOILT) === 0) return true;
    spoilt.push(names[engine.i32[engine.fact(slot, Fact.TAG)]]);
    return false;
  };
  for (const [k, bytes] of sizes.entries()) {
    native.sendMessage(from.theirs, bytes < 14 ? Buffer.alloc(bytes) : frameOf(k, bytes), []);
    carry([2], read, passes);
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
  return {
    lengths,
    same: same.length,
    spoilt,
    refused,
    arrived: got.length - sent,
    full: full + sent,
    rising,
    whole,
    end,
  };
}

/** A reader who leaves before he took what waited for him: each frame was read, or is counted as lost. */
function leaving() {
  const to = connection(1, 'dgram');
  const entries = Array.from({ length: 50 }, (_, slot) => slot);
  for (const slot of entries) engine.put(slot, frameOf(slot, 1000));
  const reasons = new Set();
  const lost = () =>
    engine.refusals().reduce((sum, [, reason, count]) => {
      reasons.add(names[reason]);
      return sum + count;
    }, 0);
  let sent = 0;
  // Until his queue and ours behind it are full.
  for (let k = 0; k < 1000 && reasons.size === 0; k++) {
    engine.turn(new Map([[1, entries]]));
    sent += engine.sent(1);
    lost();
  }
  let read = 0;
  while (native.receiveMessage(to.theirs, 1 << 17) !== null) read++;
  native.closeDescriptor(to.theirs);
  let late = 0;
  for (let k = 0; k < 20; k++) {
    engine.turn();
    late += lost();
  }
  return { missing: sent - read - late, waited: late > 0, reasons: [...reasons] };
}

await tellOf({ stream: () => finished('stream'), segments: () => finished('dgram'), dgrams, leaving });
