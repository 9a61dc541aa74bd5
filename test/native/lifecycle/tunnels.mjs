/**
 * Tunnels' senders and ways through the addon, one story a process, in a network namespace of its own with nothing but its loopback. Run by
 * tunnel-sender.test.ts and sanitized.test.ts; prints one line of JSON. Plain JavaScript over dist/.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { PORTS_MAX } from '../../../dist/dataplane/limits.js';
import { Fact, Header, REMOTE_WORDS_SHIFT } from '../../../dist/dataplane/memory/layout.js';
import { Outer, RemoteWord } from '../../../dist/dataplane/memory/tunnel-words.js';
import { addon } from '../../../dist/native/binding.js';
import { HandEngine } from './hand-engine.mjs';

const [story] = process.argv.slice(2);
const native = addon();
const SENDER = { kind: 'vxlan', local: '127.0.0.1', workers: 1, df: true, checksum: true, scope: 0 };
const UDP_PORT = 4789;
const REMOTE = PORTS_MAX + 3;

execFileSync('ip', ['link', 'set', 'lo', 'up'], { env: { ...process.env, LD_PRELOAD: '' } });

const descriptors = () => readdirSync('/proc/self/fd').length;
const codeOf = (call) => {
  try {
    call();
    return null;
  } catch ({ code, syscall }) {
    return [code, syscall];
  }
};

/** Two ports on one sender: to a remote, and to one that is none. */
async function frames() {
  const sink = createSocket('udp4');
  const got = [];
  sink.on('message', (message) => got.push(message.length - 8));
  sink.bind(UDP_PORT, '0.0.0.0');
  await once(sink, 'listening');
  const layout = HandEngine.arena(1);
  const hand = new HandEngine(0, layout);
  const before = descriptors();
  const handle = native.openTunnelSender(SENDER);
  for (const port of [7, 8]) native.attachQueue(port, handle, 0);
  const record = (layout.words[Header.REMOTES_AT] >> 2) + ((REMOTE - PORTS_MAX) << REMOTE_WORDS_SHIFT);
  hand.u8.set([127, 0, 0, 2], (record + RemoteWord.ADDRESS) * 4);
  hand.i32[record + RemoteWord.UDP_PORT] = ((UDP_PORT & 0xff) << 8) | (UDP_PORT >> 8);
  hand.i32[record + RemoteWord.FAMILY] = 4;
  [60, 60, 60, 300, 60].forEach((bytes, slot) => {
    hand.put(slot, new Uint8Array(bytes).fill(slot));
    hand.i32[hand.fact(slot, Fact.REMOTE)] = slot < 4 ? REMOTE : REMOTE + 1;
    hand.i32[hand.fact(slot, Fact.OUTER)] = 5 | (2 << Outer.HEADER_WORDS_SHIFT);
  });
  hand.turn(
    new Map([
      [7, [0, 1, 2, 3]],
      [8, [4]],
    ]),
  );
  const refused = hand.refusals();
  while (got.length < 4) await once(sink, 'message');
  const counts = native.tunnelSenderCounts(handle);
  const troubles = native.tunnelTroubles(handle);
  const sent = [hand.sent(7), hand.sent(8)];
  for (const port of [7, 8]) native.detachQueue(port);
  native.closeDevice(handle);
  hand.turn();
  const left = descriptors() - before;
  sink.close();
  return { got, sent, refused, counts, troubles, descriptors: left };
}

function ways() {
  return {
    near: native.wayTo('127.0.0.1', '127.0.0.9', 0),
    v6: native.wayTo('::1', '::1', 0),
    far: native.wayTo('127.0.0.1', '192.0.2.1', 0),
    foreign: native.wayTo('192.0.2.1', '127.0.0.1', 0),
    mixed: codeOf(() => native.wayTo('127.0.0.1', '::1', 0))?.[0],
    wrong: codeOf(() => native.wayTo('127.0.0.1', 'nobody', 0))?.[0],
  };
}

function oddities() {
  const open = (options) => codeOf(() => native.openTunnelSender(options));
  const answer = {
    foreign: open({ ...SENDER, local: '192.0.2.1' }),
    wrong: open({ ...SENDER, local: '300.1.1.1' }),
    none: open({ ...SENDER, workers: 0 }),
    many: open({ ...SENDER, workers: 17 }),
    scope: open({ ...SENDER, scope: 99 }),
    nothing: open(undefined),
  };
  const handle = native.openTunnelSender(SENDER);
  HandEngine.arena(1);
  native.mapArena();
  native.engineOpen(0, 'read-write');
  answer.queue = native.attachQueue(7, handle, 1);
  native.engineClose();
  native.closeDevice(handle);
  answer.closed = [native.tunnelSenderCounts, native.tunnelTroubles].map((call) => codeOf(() => call(handle))?.[0]);
  answer.devices = native.devices();
  return answer;
}

const answer = await { frames, ways, oddities }[story]();
process.stdout.write(`${JSON.stringify(answer)}\n`);
