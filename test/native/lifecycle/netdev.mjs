/**
 * An interface's packet sockets and ring, one story a process, in a network namespace of its own: both ends of a veth pair are opened, so that
 * what is sent out of one is received from the other. Run by netdev.test.ts and sanitized.test.ts; prints one line of JSON. Plain
 * JavaScript over dist/.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { HEADROOM_BYTES, LARGE_STRIDE_BYTES, LIST_COUNT_MAX } from '../../../dist/dataplane/limits.js';
import {
  Batch,
  Block,
  FACT_WORDS,
  Fact,
  Flag,
  Header,
  layoutFor,
  Queue,
  Refused,
  workerRegion,
  writeHeader,
} from '../../../dist/dataplane/memory/layout.js';
import { addon } from '../../../dist/native/binding.js';
import { regionsOf } from './hand-engine.mjs';
import { setUp } from './set-up.mjs';

const [story, io] = process.argv.slice(2);
const native = addon();
const layout = layoutFor({ workers: 2, fdbEntries: 1024 });
native.createArena(layout.bytes, false);
const arena = native.mapArena();
writeHeader(arena, layout);
const i32 = new Int32Array(arena);
const u8 = new Uint8Array(arena);
const view = new DataView(arena);
const at = regionsOf(layout, 0);
const LARGE_AT = workerRegion(layout, Header.LARGE_AT, 0);
/** Slots and large buffers that no receive of a turn reaches. */
const OWN_SLOT = 512;
const OWN_LARGE = 200;
const VNET_BYTES = 12;
const EGRESS_DOWN = 13;
const RING_SLOTS = 1024;
const fact = (slot, what) => at.facts + slot * FACT_WORDS + what;
const settings = { env: { ...process.env, LD_PRELOAD: '' } };
const run = (command, ...args) => execFileSync(command, args, settings).toString();
const ip = (...args) => run('ip', ...args);

/** A pair of interfaces, opened as ports 1 and 2 of worker 0. */
function pair(mtu, workers = 1) {
  run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
  ip('link', 'add', 'weft-a', 'mtu', mtu, 'type', 'veth', 'peer', 'name', 'weft-b', 'mtu', mtu);
  setUp(ip, 'weft-a', 'weft-b');
  const opened = ['weft-a', 'weft-b'].map((name) => native.openNetdev(name, workers, RING_SLOTS, null));
  native.engineOpen(0, io);
  opened.forEach(({ handle }, k) => {
    const answer = native.attachQueue(k + 1, handle, 0);
    if (answer !== 0) throw new Error(`attach: ${answer}`);
  });
  return opened;
}

/** A frame of `bytes` bytes behind its tag, whose content tells its length, in a slot and buffer of our own. */
function put(number, bytes, tag = []) {
  const slot = OWN_SLOT + number;
  const start = LARGE_AT + (OWN_LARGE + number) * LARGE_STRIDE_BYTES + HEADROOM_BYTES;
  const length = bytes + tag.length;
  u8.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...tag, 0x88, 0xb5], start);
  for (let k = 14 + tag.length; k < length; k++) u8[start + k] = (k * 7 + length) & 0xff;
  i32.fill(0, fact(slot, 0), fact(slot, FACT_WORDS));
  i32[fact(slot, Fact.HEAD_AT)] = start;
  i32[fact(slot, Fact.HEAD_BYTES)] = Math.min(length, 256);
  i32[fact(slot, Fact.LENGTH)] = length;
  i32[fact(slot, Fact.TAIL_AT)] = start + Math.min(length, 256);
  i32[fact(slot, Fact.SEGMENTS)] = 1;
  i32[fact(slot, Fact.WIRE_BYTES)] = length;
  return { slot, start, length };
}

/** A TCP super-frame of IPv4, tagged or not. */
function putSuper(number, segments, size, tag = []) {
  const headers = 54 + tag.length;
  const { slot, start, length } = put(number, 54 + segments * size, tag);
  const packet = length - headers + 40;
  const l3 = headers - 40;
  u8.set(
    [0x08, 0x00, 0x45, 0, packet >> 8, packet & 0xff, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
    start + l3 - 2,
  );
  u8.set([0, 7, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], start + l3 + 20);
  describe(slot, 1, size, l3 + 20, 16, headers);
  i32[fact(slot, Fact.SEGMENTS)] = segments;
  return { slot, start, length };
}

function describe(slot, gso, size, start, offset, headers) {
  i32[fact(slot, Fact.FLAGS)] |= Flag.NEEDS_CHECKSUM;
  i32[fact(slot, Fact.GSO)] = gso | (size << 16);
  i32[fact(slot, Fact.CHECKSUM)] = start | (offset << 16);
  i32[fact(slot, Fact.WIRE_BYTES)] = headers + size;
}

/** One turn that sends `entries` to `port`; with `whole` nothing may stay in a ring. */
function turn(port = 0, entries = [], whole = false) {
  i32[at.block + Block.RECEIVE_BUDGET] = 512;
  i32[at.block + Block.WAIT_MS] = 20;
  i32[at.block + Block.WHOLE] = whole ? 1 : 0;
  i32[at.block + Block.DIRTY_COUNT] = entries.length > 0 ? 1 : 0;
  i32[at.dirty] = port;
  if (entries.length > 0) {
    i32[at.queues + port * Queue.WORDS + Queue.COUNT] = entries.length;
    i32.set(entries, at.lists + port * LIST_COUNT_MAX);
  }
  i32[at.block + Block.TURN]++;
  const received = native.turn();
  if (received < 0) throw new Error(`turn: ${received}`);
  return received;
}

/** [port, slot] of what the last turn received. */
function listed() {
  const found = [];
  for (let k = 0; k < i32[at.block + Block.BATCHES_COUNT]; k++) {
    const batch = at.batches + k * Batch.WORDS;
    for (let n = 0; n < i32[batch + Batch.COUNT]; n++)
      found.push([i32[batch + Batch.PORT], i32[at.received + i32[batch + Batch.FIRST] + n]]);
  }
  return found;
}

/** Turns until something comes; answers port and slot of it. */
function await_(port, entries, whole) {
  let received = turn(port, entries, whole);
  for (let tries = 0; received === 0 && tries < 50; tries++) received = turn(0, [], whole);
  return listed();
}

/** [port, reason, count] of every refusal of the last turn. */
function refusals() {
  return Array.from({ length: i32[at.block + Block.REFUSED_COUNT] }, (_, k) => {
    const record = at.refused + k * Refused.WORDS;
    return [i32[record + Refused.PORT], i32[record + Refused.REASON], i32[record + Refused.COUNT]];
  });
}

const isForeign = (slot) => (i32[fact(slot, Fact.FLAGS)] & Flag.FOREIGN) !== 0;
/** What the path makes of a received frame: facts of one segment. */
function accept(slot) {
  i32[fact(slot, Fact.GSO)] = 0;
  i32[fact(slot, Fact.SEGMENTS)] = 1;
  i32[fact(slot, Fact.WIRE_BYTES)] = i32[fact(slot, Fact.LENGTH)];
}
const same = (slot, start, length) =>
  i32[fact(slot, Fact.LENGTH)] === length &&
  Buffer.compare(Buffer.from(arena, i32[fact(slot, Fact.HEAD_AT)], length), Buffer.from(arena, start, length)) === 0;
/** A received frame's vnet header: flags, type, header bytes, segment bytes, checksum start and offset. */
function vnetOf(slot) {
  const from = i32[fact(slot, Fact.HEAD_AT)] - VNET_BYTES;
  return [
    u8[from],
    u8[from + 1],
    view.getUint16(from + 4, true),
    view.getUint16(from + 6, true),
    view.getUint16(from + 8, true),
    view.getUint16(from + 10, true),
  ];
}

const TAG = [0x81, 0x00, 0x60, 0x0a];
const SERVICE = [0x88, 0xa8, 0x00, 0x14];
const TAGS = { none: [], vlan: TAG, service: SERVICE, both: [...SERVICE, ...TAG] };
const SIZES = [
  14, 15, 60, 64, 65, 248, 252, 253, 256, 257, 300, 1000, 1514, 1962, 1963, 1972, 1973, 2048, 4096, 9014, 65_000,
];

/** There and back again: the first way may leave the tail in a ring, the second is read whole. Every byte and every tag survives. */
function frames() {
  pair('65500');
  const wrong = [];
  const foreign = {};
  for (const [name, tag] of Object.entries(TAGS)) {
    foreign[name] = 0;
    // The kernel drops what has nothing behind its tag.
    for (const size of SIZES.filter((bytes) => bytes > 15 || tag.length === 0)) {
      const { slot, start, length } = put(0, size, tag);
      const there = await_(1, [slot], false);
      if (there.length !== 1 || there[0][0] !== 2) {
        wrong.push([name, size, 'there', there]);
        continue;
      }
      if (isForeign(there[0][1])) foreign[name]++;
      accept(there[0][1]);
      const back = await_(2, [there[0][1]], true);
      if (back.length !== 1 || back[0][0] !== 1 || isForeign(back[0][1]) || !same(back[0][1], start, length))
        wrong.push([name, size, 'back', back]);
    }
  }
  return { wrong, foreign };
}

/** Super-frames and unfinished checksums, tagged and not, stay what they are. */
function supers() {
  pair('1500');
  const seen = {};
  for (const [name, tag] of Object.entries(TAGS)) {
    const sent = putSuper(0, 20, 1448, tag);
    const [[, slot] = []] = await_(1, [sent.slot], true);
    seen[name] = slot === undefined ? refusals() : [vnetOf(slot), same(slot, sent.start, sent.length)];
  }
  return seen;
}

/** Small frames in long lists: all arrive, in order. */
function many() {
  const opened = pair('1500');
  const entries = Array.from({ length: 50 }, (_, k) => put(k, 60 + k).slot);
  const expected = [];
  const got = [];
  const take = () => {
    for (const [, slot] of listed()) got.push(i32[fact(slot, Fact.LENGTH)]);
  };
  for (let round = 0; round < 100; round++) {
    turn(1, entries);
    take();
    for (let k = 0; k < 50; k++) expected.push(60 + k);
  }
  while (turn() > 0) take();
  const inOrder = JSON.stringify(got) === JSON.stringify(expected);
  return { got: got.length, inOrder, missed: opened.map(({ handle }) => native.netdevStatistics(handle).missed) };
}

/** More than the ring holds while nobody reads: the rest is counted by the kernel. */
function missed() {
  const [, b] = pair('1500');
  native.detachQueue(2);
  const { slot } = put(0, 60);
  const entries = new Array(1000).fill(slot);
  let refused = 0;
  for (let round = 0; round < 3; round++) {
    turn(1, entries);
    for (const [, , count] of refusals()) refused += count;
  }
  const lost = native.netdevStatistics(b.handle).missed;
  native.attachQueue(2, b.handle, 0);
  let got = 0;
  for (let k = 0; k < 100; k++) got += turn();
  return { sum: got + lost + refused, got, again: native.netdevStatistics(b.handle).missed === lost };
}

/** Long frames while nobody reads: those that find no room whole are listed as cut. */
function truncated() {
  const [, b] = pair('65500');
  native.detachQueue(2);
  const { slot, start, length } = put(0, 65_000);
  for (let round = 0; round < 4; round++) turn(1, new Array(100).fill(slot), true);
  native.attachQueue(2, b.handle, 0);
  const seen = { whole: 0, cut: 0, wrong: 0 };
  for (let k = 0; k < 200; k++) {
    if (turn(0, [], true) === 0) continue;
    for (const [, got] of listed()) {
      const flags = i32[fact(got, Fact.FLAGS)];
      if ((flags & Flag.SPOILT) !== 0 && i32[fact(got, Fact.TAG)] === 23 && i32[fact(got, Fact.LENGTH)] === 0)
        seen.cut++;
      else if (same(got, start, length)) seen.whole++;
      else seen.wrong++;
    }
  }
  const lost = native.netdevStatistics(b.handle).missed;
  return { sum: seen.whole + seen.cut + lost, lost, some: [seen.whole > 0, seen.cut > 0], wrong: seen.wrong };
}

/** One frame that is too long doesn't hold up those behind it; a link that is down refuses the list, and serves again when it is up. */
function refused() {
  pair('1500');
  const good = put(0, 60).slot;
  const bad = put(1, 3000).slot;
  const got = turn(1, [good, bad, good, bad, good]) + turn() + turn();
  turn(1, [good, bad, good]);
  const long = refusals();
  turn();
  ip('link', 'set', 'weft-a', 'down');
  turn(1, new Array(100).fill(good));
  const down = refusals();
  ip('link', 'set', 'weft-a', 'up');
  for (let k = 0; k < 3; k++) turn();
  const again = turn(1, [good, good]) + turn() + turn();
  const up = refusals();
  ip('link', 'del', 'weft-a');
  turn(1, new Array(100).fill(good));
  return { got, long, down, again, up, gone: refusals(), reason: EGRESS_DOWN };
}

/** What can't be opened, and what is left of it: nothing. */
function oddities() {
  const count = () => readdirSync('/proc/self/fd').length;
  const before = count();
  const outcome = (call) => {
    try {
      return call();
    } catch ({ code, syscall }) {
      return [code, syscall];
    }
  };
  ip('link', 'set', 'lo', 'up');
  const answers = {
    absent: outcome(() => native.openNetdev('nowhere', 1, RING_SLOTS, null)),
    long: outcome(() => native.openNetdev('a-name-that-is-too-long', 1, RING_SLOTS, null)),
    empty: outcome(() => native.openNetdev('', 1, RING_SLOTS, null)),
    none: outcome(() => native.openNetdev('lo', 0, RING_SLOTS, null)),
    loopback: outcome(() => native.openNetdev('lo', 1, RING_SLOTS, null)),
    slots: outcome(() => native.openNetdev('lo', 1, 0, null)),
    netns: outcome(() => native.openNetdev('lo', 1, RING_SLOTS, '/run/netns/weft-is-not-here')),
    statistics: outcome(() => native.netdevStatistics(99)),
  };
  const [a, b] = pair('1500', 2);
  answers.queue = [native.attachQueue(3, a.handle, 2), native.attachQueue(3, a.handle, -1)];
  native.engineClose();
  for (const { handle } of [a, b]) native.closeDevice(handle);
  const rings = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('socket:')).length;
  return { ...answers, left: count() - before, rings, shield: [a.shieldError, b.shieldError], takes: a.takes & 7 };
}

const stories = { frames, supers, many, missed, truncated, refused, oddities };
process.stdout.write(`${JSON.stringify(stories[story]())}\n`);
process.exit(0);
