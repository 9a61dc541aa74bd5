/**
 * Lists as the path would write them, and lists as it never must, given to the engine by hand. Run by lists.test.ts and sanitized.test.ts in
 * a network namespace of its own, where a kernel bridge joins two TAPs: what is written to one is read from the other. Prints one line of
 * JSON. Plain JavaScript over dist/.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Drop } from '../../../dist/dataplane/drop.js';
import { LARGE_STRIDE_BYTES, LIST_COUNT_MAX, PORTS_MAX, SLOTS_COUNT } from '../../../dist/dataplane/limits.js';
import {
  Batch,
  Block,
  FACT_WORDS,
  Fact,
  FINISH_SEGMENT,
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

const [story, io] = process.argv.slice(2);
const native = addon();
const layout = layoutFor({ workers: 2, fdbEntries: 1024 });
native.createArena(layout.bytes, false);
const arena = native.mapArena();
writeHeader(arena, layout);
const i32 = new Int32Array(arena);
const u8 = new Uint8Array(arena);
const at = regionsOf(layout, 0);
const LARGE_AT = workerRegion(layout, Header.LARGE_AT, 0);
const HEAD_BYTES = 64;
const queue = (port, what) => i32[at.queues + port * Queue.WORDS + what];
const fact = (slot, what) => at.facts + slot * FACT_WORDS + what;

/** A frame of `bytes` bytes in large buffer `slot`, to everybody, of an EtherType for experiments. Answers where it lies. */
function put(slot, bytes) {
  const start = LARGE_AT + slot * LARGE_STRIDE_BYTES + 128;
  u8.fill(0xff, start, start + 6).fill(0x02, start + 6, start + 12);
  u8.set([0x88, 0xb5], start + 12);
  i32.fill(0, fact(slot, 0), fact(slot, FACT_WORDS));
  i32[fact(slot, Fact.HEAD_AT)] = start;
  i32[fact(slot, Fact.HEAD_BYTES)] = Math.min(bytes, HEAD_BYTES);
  i32[fact(slot, Fact.LENGTH)] = bytes;
  i32[fact(slot, Fact.TAIL_AT)] = start + Math.min(bytes, HEAD_BYTES);
  i32[fact(slot, Fact.SEGMENTS)] = 1;
  i32[fact(slot, Fact.WIRE_BYTES)] = bytes;
  return start;
}

/** A TCP super-frame of IPv4 whose payload is `slot` all over. */
function putSuper(slot, segments, size) {
  const bytes = 54 + segments * size;
  const start = put(slot, bytes);
  const ip = bytes - 14;
  u8.set([0x08, 0x00, 0x45, 0, ip >> 8, ip & 0xff, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], start + 12);
  u8.set([0, 7, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], start + 34);
  u8.fill(slot, start + 54, start + bytes);
  i32[fact(slot, Fact.FLAGS)] = Flag.NEEDS_CHECKSUM;
  i32[fact(slot, Fact.GSO)] = 1 | (size << 16);
  i32[fact(slot, Fact.CHECKSUM)] = 34 | (16 << 16);
  i32[fact(slot, Fact.SEGMENTS)] = segments;
  i32[fact(slot, Fact.WIRE_BYTES)] = 54 + size;
}

let budget = 512;

/** One turn that sends `entries` to `port`. */
function turn(port = 0, entries = []) {
  i32[at.block + Block.RECEIVE_BUDGET] = budget;
  i32[at.block + Block.DIRTY_COUNT] = entries.length > 0 ? 1 : 0;
  i32[at.dirty] = port;
  if (entries.length > 0) {
    i32[at.queues + port * Queue.WORDS + Queue.COUNT] = entries.length;
    i32.set(entries, at.lists + port * LIST_COUNT_MAX);
  }
  i32[at.block + Block.TURN]++;
  return native.turn();
}

/** [port, reason, count] of every refusal of the last turn. */
function refusals() {
  return Array.from({ length: i32[at.block + Block.REFUSED_COUNT] }, (_, k) => {
    const record = at.refused + k * Refused.WORDS;
    return [i32[record + Refused.PORT], i32[record + Refused.REASON], i32[record + Refused.COUNT]];
  });
}

const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
/** Runs a tool without what the sanitizers preload into this process. */
const tool = (name, ...args) => execFileSync(name, args, { env: { ...process.env, LD_PRELOAD: '' } });
const ip = (...args) => tool('ip', ...args);

/** TAPs that a kernel bridge joins, ports 1, 2 and so on. */
function bridged(names = ['weft-a', 'weft-b']) {
  const handles = names.map((name) => native.openTap(name, 1, null).handle);
  ip('link', 'add', 'weft-k', 'type', 'bridge');
  tool('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
  for (const name of names) ip('link', 'set', name, 'txqueuelen', '5000', 'mtu', '65000', 'master', 'weft-k', 'up');
  ip('link', 'set', 'weft-k', 'up');
  native.engineOpen(0, io);
  for (const [k, handle] of handles.entries()) native.attachQueue(k + 1, handle, 0);
}

/** Sends `entries` to port 1 and turns until nothing has come for a while. Calls `visit(start, bytes, port)` for every frame. */
function exchange(entries, visit) {
  i32[at.block + Block.WAIT_MS] = 30;
  let empty = 0;
  for (let received = turn(1, entries); empty < 3; received = turn()) {
    empty = received === 0 ? empty + 1 : 0;
    if (received < 0) throw new Error(`turn: ${received}`);
    for (let k = 0; k < i32[at.block + Block.BATCHES_COUNT]; k++) {
      const batch = at.batches + k * Batch.WORDS;
      for (let n = 0; n < i32[batch + Batch.COUNT]; n++) {
        const slot = i32[at.received + i32[batch + Batch.FIRST] + n];
        visit(i32[fact(slot, Fact.HEAD_AT)], i32[fact(slot, Fact.LENGTH)], i32[batch + Batch.PORT]);
      }
    }
  }
}

/** Segments that need more requests than the ring has left, behind a thousand plain frames. */
function segments() {
  const [plain, supers, each, size] = [1000, 8, 20, 1448];
  bridged();
  put(0, 60);
  for (let slot = 1; slot <= supers; slot++) putSuper(slot, each, size);
  const entries = Array.from({ length: plain + supers }, (_, k) => (k < plain ? 0 : (k - plain + 1) | FINISH_SEGMENT));
  const seen = { plain: 0, whole: new Array(supers + 1).fill(0), torn: 0 };
  exchange(entries, (start, bytes, port) => {
    const kind = (u8[start + 12] << 8) | u8[start + 13];
    if (port === 2 && bytes === 60 && kind === 0x88b5) seen.plain++;
    if (port !== 2 || bytes !== 54 + size) return;
    const mark = u8[start + 54];
    if (u8.subarray(start + 54, start + bytes).every((byte) => byte === mark)) seen.whole[mark]++;
    else seen.torn++;
  });
  return { sent: queue(1, Queue.SENT), segments: queue(1, Queue.SEGMENTS), ...seen };
}

/** Frames of many sizes from one device to the other: all bytes the same, none missing. */
function sizes() {
  bridged();
  const wanted = [
    60, 61, 63, 64, 65, 127, 255, 256, 257, 383, 384, 385, 1513, 1514, 1515, 9014, 16383, 32768, 65013, 65014,
  ];
  let got = 0;
  for (const bytes of wanted) {
    const start = put(5, bytes);
    for (let k = 14; k < bytes; k++) u8[start + k] = (k * 7 + bytes) & 0xff;
    exchange([5, 5, 5], (at, length, port) => {
      if (port !== 2 || length !== bytes) return;
      let same = 14;
      while (same < bytes && u8[at + same] === ((same * 7 + bytes) & 0xff)) same++;
      if (same === bytes) got++;
    });
  }
  return { wanted: wanted.length * 3, got };
}

/** How many frames of the other device each turn brought when `count` of `bytes` bytes were sent at once. */
function brought(count, bytes) {
  put(0, bytes);
  const turns = [0];
  let last = -1;
  exchange(new Array(count).fill(0), (_start, length, port) => {
    if (port !== 2 || length !== bytes) return;
    if (i32[at.block + Block.TURN] !== last) turns.push(0);
    last = i32[at.block + Block.TURN];
    turns[turns.length - 1]++;
  });
  return turns.slice(1);
}

/** Small frames come in full windows, large ones within the turn's bytes. */
function windows() {
  bridged();
  const small = brought(1000, 60);
  const large = brought(300, 60_000);
  return {
    small: sum(small),
    smallMost: Math.max(...small),
    large: sum(large),
    largeLast: Math.max(...large.slice(-20)),
  };
}

/** A queue that still has frames when the turn may take no more stays ready, though epoll names it only once. */
function budgets() {
  bridged();
  budget = 1;
  const turns = brought(50, 60);
  return { all: sum(turns), most: Math.max(...turns) };
}

/** Frames that wait behind one that came alone don't go on coming one by one. */
function crowd() {
  bridged();
  budget = 1;
  put(0, 60);
  const turns = new Set();
  let all = 0;
  exchange(new Array(50).fill(0), (_start, length, port) => {
    if (port !== 2 || length !== 60) return;
    turns.add(i32[at.block + Block.TURN]);
    all++;
    budget = 512;
  });
  return { all, few: turns.size < 15 };
}

/** A turn that sends a frame to `address`, or nothing; answers the ports that its frames came from. */
function heard(address = []) {
  // What is received lies in the same buffers.
  if (address.length > 0) u8.set(address, put(0, 60));
  turn(1, address.length > 0 ? [0] : []);
  return Array.from({ length: i32[at.block + Block.BATCHES_COUNT] }, (_, k) => {
    const batch = at.batches + k * Batch.WORDS;
    return new Array(i32[batch + Batch.COUNT]).fill(i32[batch + Batch.PORT]);
  }).flat();
}

/** Three TAPs of which one speaks alone, then all three at once: who did, and whom the turns heard from then on. */
function lone() {
  const hosts = ['weft-b', 'weft-c', 'weft-d'].map((name, k) => ({ name, address: [2, 0, 0, 0, 0, k] }));
  bridged(['weft-a', ...hosts.map(({ name }) => name)]);
  for (const { name, address } of hosts) {
    const mac = address.map((byte) => `0${byte}`).join(':');
    tool('bridge', 'fdb', 'add', mac, 'dev', name, 'master', 'static');
  }
  // Who spoke is looked at again and again, for some hundred turns.
  i32[at.block + Block.WAIT_MS] = 0;
  for (const { address } of hosts) for (let came = heard(address); came.length === 0; ) came = heard();
  const rounds = [];
  for (let port = 2; rounds.length < 4; ) {
    while (heard().length > 0);
    const alone = heard(hosts[port - 2].address);
    const then = [heard(new Array(6).fill(0xff)), heard(), heard(), heard()];
    rounds.push({ port, alone, then });
    // Not the one whose turn it would be.
    port = then.flat()[1];
  }
  return { ring: io === 'io_uring', rounds };
}

/** What a device that is down refuses, and a port that isn't there: every entry once, thousands in one record. */
function refused() {
  const { handle } = native.openTap('weft-d', 1, null);
  native.engineOpen(0, io);
  native.attachQueue(1, handle, 0);
  put(0, 60);
  putSuper(1, 20, 1448);
  const answer = turn(1, [1 | FINISH_SEGMENT, 0, 1 | FINISH_SEGMENT]);
  const down = { answer, refused: refusals(), sent: queue(1, Queue.SENT), bytes: queue(1, Queue.BYTES) };
  turn(7, new Array(1000).fill(0));
  return { down, absent: { refused: refusals(), sent: queue(7, Queue.SENT) }, reason: Drop.EGRESS_DOWN };
}

/** Lists that name what isn't there: each ends the engine with EFAULT, and it stays ended. */
function unsound() {
  const { handle } = native.openTap('weft-u', 1, null);
  const block = (what, value) => () => (i32[at.block + what] = value);
  const count = (value) => () => (i32[at.queues + Queue.WORDS + Queue.COUNT] = value);
  const facts = (what, value) => () => (i32[fact(0, what)] = value);
  const mistakes = {
    dirtyNegative: block(Block.DIRTY_COUNT, -1),
    dirtyMany: block(Block.DIRTY_COUNT, PORTS_MAX + 1),
    portNone: () => (i32[at.dirty] = 0),
    portNegative: () => (i32[at.dirty] = -1),
    portBeyond: () => (i32[at.dirty] = PORTS_MAX),
    countNegative: count(-1),
    countBeyond: count(LIST_COUNT_MAX + 1),
    slotBeyond: () => (i32[at.lists + LIST_COUNT_MAX] = SLOTS_COUNT),
    headNegative: facts(Fact.HEAD_AT, -1),
    headBefore: facts(Fact.HEAD_AT, 11),
    headBehind: facts(Fact.HEAD_AT, layout.bytes - 63),
    headLonger: facts(Fact.HEAD_BYTES, 1001),
    lengthBeyond: facts(Fact.LENGTH, LARGE_STRIDE_BYTES + 1),
    lengthNegative: facts(Fact.LENGTH, -1),
    tailNegative: facts(Fact.TAIL_AT, -1),
    tailBehind: facts(Fact.TAIL_AT, layout.bytes - 900),
  };
  const answers = {};
  for (const [name, mistake] of Object.entries(mistakes)) {
    native.engineOpen(0, io);
    native.attachQueue(1, handle, 0);
    put(0, 1000);
    i32[at.block + Block.DIRTY_COUNT] = 1;
    i32[at.dirty] = 1;
    i32[at.queues + Queue.WORDS + Queue.COUNT] = 1;
    i32[at.lists + LIST_COUNT_MAX] = 0;
    mistake();
    const first = native.turn();
    i32[at.block + Block.DIRTY_COUNT] = 0;
    answers[name] = [first, native.turn()];
    native.engineClose();
  }
  i32[at.block + Block.WAIT_MS] = -1;
  native.engineOpen(0, io);
  answers.waitNegative = [native.turn(), native.turn()];
  return answers;
}

/** Two threads that want to be the same worker; the second gets it when the first closes with a queue attached. */
async function twins() {
  const { handle } = native.openTap('weft-t', 2, null);
  native.engineOpen(0, io);
  native.attachQueue(1, handle, 0);
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const native = require(workerData.addon);
    native.mapArena();
    const open = () => { try { return native.engineOpen(0, workerData.io) > 0; } catch (error) { return error.code; } };
    parentPort.once('message', () => parentPort.postMessage([open(), native.attachQueue(1, workerData.handle, 0), native.turn()]));
    parentPort.postMessage([open(), native.turn()]);`;
  const folder = process.env.WEFT_ADDON ?? new URL('../../../build/Release', import.meta.url).pathname;
  const worker = new Worker(code, { eval: true, workerData: { addon: `${folder}/weft.node`, io, handle } });
  const [first] = await once(worker, 'message');
  native.engineClose();
  worker.postMessage('again');
  const [second] = await once(worker, 'message');
  await worker.terminate();
  return { first, second };
}

/** Queues that the limit of open files leaves no room for: refused whole, and served once there is room. */
function files() {
  native.closeDevice(native.openTap('weft-f', 1, null).handle);
  const limit = (count) => tool('prlimit', '--pid', `${process.pid}`, `--nofile=${count}:`);
  const open = () => readdirSync('/proc/self/fd').length;
  // What Node keeps of its first child is there already.
  limit(1024);
  const before = open();
  limit(before + 12);
  let code = null;
  try {
    native.openTap('weft-f', 16, null);
  } catch (error) {
    code = error.code;
  }
  limit(1024);
  const left = open() - before;
  const { handle } = native.openTap('weft-f', 16, null);
  native.engineOpen(0, io);
  return { code, left, attached: native.attachQueue(1, handle, 15), ringError: native.ringError(), received: turn() };
}

/** What the host leaves this process, and a turn with it. */
function fallback() {
  return { io: native.engineOpen(0, io), ringError: native.ringError(), received: turn() };
}

const answer = await { budgets, crowd, fallback, files, lone, segments, sizes, windows, refused, unsound, twins }[
  story
]();
process.stdout.write(`${JSON.stringify(answer)}\n`);
