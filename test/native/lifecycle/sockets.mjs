/**
 * Unix sockets by the addon, one story a process: descriptors that are passed and closed, what is refused and how, watches. Run by
 * sockets.test.ts as anybody, and under sanitizers by sanitized.test.ts; prints one line of JSON. Nothing here needs a device.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { addon } from '../../../dist/native/binding.js';

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const WAIT_MS = 20_000;
/** How long nothing may call any more. */
const QUIET_MS = 50;
const [story] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'weft-sockets-'));
const at = (name) => join(folder, name);
const native = addon();
const count = () => readdirSync('/proc/self/fd').length;
const flags = (fd) => Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1], 8);
const isOurs = (fd) => (flags(fd) & O_CLOEXEC) !== 0;
const isQuick = (fd) => (flags(fd) & O_NONBLOCK) !== 0;

/** What a call threw, or its answer. */
function outcome(call) {
  try {
    return call();
  } catch ({ code, errno, syscall, subject }) {
    return { code, errno, syscall, subject: subject.replace(`${folder}/`, '') };
  }
}

/** Both ends of a connection, and the socket that it was made by. */
function pair(name) {
  const listening = native.listenUnix(at(name), 'stream');
  const client = native.connectUnix(at(name), 'stream');
  return { listening, client, server: native.acceptUnix(listening) };
}
const close = (...descriptors) => {
  for (const fd of descriptors) native.closeDescriptor(fd);
};

/** Descriptors go over and name the same files; sixteen of them, and not one stays open. */
function passing() {
  const before = count();
  const { listening, client, server } = pair('pass');
  const made = [listening, client, server].map((fd) => isOurs(fd) && isQuick(fd));
  writeFileSync(at('file'), 'the same file');
  const file = openSync(at('file'), 'r');
  const empty = native.receiveMessage(server, 100);
  const sent = native.sendMessage(client, Buffer.from('hello'), new Array(16).fill(file));
  const { data, descriptors } = native.receiveMessage(server, 100);
  const same = descriptors.map((fd) => fstatSync(fd).ino === fstatSync(file).ino && isOurs(fd));
  close(...descriptors);
  const many = native.sendMessage(client, Buffer.from('x'), new Array(17).fill(file));
  const alone = native.sendMessage(client, Buffer.alloc(0), [file]);
  const closed = native.sendMessage(client, Buffer.from('x'), [9999]);
  const peer = native.peerOf(server);
  closeSync(file);
  close(client);
  const end = native.receiveMessage(server, 100).data.length;
  const broken = native.sendMessage(server, Buffer.from('x'), []);
  close(server, listening);
  const who = [peer.pid === process.pid, peer.uid === process.getuid()];
  const said = { empty, sent, data: data.toString(), same: same.length, all: same.every(Boolean) };
  return { made, ...said, many, alone, closed, who, end, broken, left: count() - before };
}

/** Somebody who sends more descriptors than a message may bring: all of them are closed, and the message is refused. */
async function flood() {
  const listening = native.listenUnix(at('flood'), 'stream');
  const code = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
socket.send_fds(s, [b'hello'], [os.open('/dev/null', os.O_RDONLY)] * 40); s.recv(1)`;
  const child = spawn('python3', ['-c', code, at('flood')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  const ready = (fd) =>
    new Promise((resolve) => {
      const watching = native.watch(fd, 'read', () => resolve(watching.close()));
    });
  await ready(listening);
  const server = native.acceptUnix(listening);
  await ready(server);
  const before = count();
  const refused = outcome(() => native.receiveMessage(server, 100));
  const left = count() - before;
  close(server, listening);
  await once(child, 'exit');
  return { refused, left };
}

/** Every refusal, with what it tells; a datagram that is longer than its reader takes. */
function refusals() {
  const before = count();
  const listening = native.listenUnix(at('taken'), 'stream');
  const nobody = native.listenUnix(at('left'), 'stream');
  close(nobody);
  const bound = native.listenUnix(at('bound'), 'dgram');
  const sender = native.connectUnix(at('bound'), 'dgram');
  const sizes = [0, 1, 100].map((bytes) => native.sendMessage(sender, Buffer.alloc(bytes), []));
  const answer = {
    long: outcome(() => native.listenUnix(`/${'x'.repeat(107)}`, 'stream')).code,
    longest: outcome(() => native.connectUnix(`/${'x'.repeat(106)}`, 'stream')).code,
    zero: outcome(() => native.connectUnix('a\0b', 'stream')).code,
    empty: outcome(() => native.listenUnix('', 'stream')).code,
    type: outcome(() => native.listenUnix(at('x'), 'seqpacket')).code,
    taken: outcome(() => native.listenUnix(at('taken'), 'stream')),
    left: outcome(() => native.connectUnix(at('left'), 'stream')),
    absent: outcome(() => native.connectUnix(at('absent'), 'dgram')).code,
    wrong: outcome(() => native.connectUnix(at('bound'), 'stream')).code,
    nobody: native.acceptUnix(listening),
    sizes,
    got: [0, 1].map(() => native.receiveMessage(bound, 50).data.length),
    cut: outcome(() => native.receiveMessage(bound, 50)).code,
    max: outcome(() => native.receiveMessage(bound, 0)).code,
    peer: native.peerOf(9999),
    standard: outcome(() => native.closeDescriptor(0)).code,
  };
  close(listening, bound, sender);
  const twice = outcome(() => close(bound)).code;
  return { ...answer, twice, after: count() - before };
}

/** Watches: called while something is there, closed from within and twice, many of them, and not from another thread. */
async function watches() {
  const { listening, client, server } = pair('watch');
  // The loop opens what it keeps.
  native.watch(listening, 'read', () => {}).close();
  await new Promise(setImmediate);
  const before = count();
  const called = [];
  native.sendMessage(client, Buffer.from('ab'), []);
  await new Promise((resolve) => {
    const end = () => resolve([watching.close(), watching.close()]);
    const never = setTimeout(end, WAIT_MS);
    const watching = native.watch(server, 'read', (...ready) => {
      called.push(ready);
      if (native.receiveMessage(server, 1) === null) throw new Error('nothing was there');
      if (called.length !== 2) return;
      clearTimeout(never);
      setTimeout(end, QUIET_MS);
    });
  });
  const both = await new Promise((resolve) => {
    const watching = native.watch(server, 'both', (...ready) => resolve([watching.close(), ready][1]));
  });
  for (let k = 0; k < 1000; k++) native.watch(client, 'write', () => called.push('never')).close();
  const odd = [
    outcome(() => native.watch(9999, 'read', () => {})).code,
    outcome(() => native.watch(client, 'see', () => {})).code,
    outcome(() => native.watch(client, 'read')).code,
  ];
  const threw = once(process, 'uncaughtException');
  const watching = native.watch(client, 'write', () => {
    watching.close();
    throw new Error('from a callback');
  });
  const [{ message }] = await threw;
  const left = count() - before;
  const thread = await otherThread(client);
  close(listening, client, server);
  return { called, both, odd, message, left, thread };
}

/** A thread that tries to watch is told that it may not. */
async function otherThread(fd) {
  const folderOf = process.env.WEFT_ADDON ?? new URL('../../../build/Release', import.meta.url).pathname;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const native = require(workerData.addon + '/weft.node');
    try { native.watch(workerData.fd, 'read', () => {}); } catch (error) { parentPort.postMessage(error.code); }`;
  const worker = new Worker(code, { eval: true, workerData: { addon: folderOf, fd } });
  // Both may be told in one call, after which nobody would hear of its end.
  const gone = once(worker, 'exit');
  const [answer] = await once(worker, 'message');
  await gone;
  return answer;
}

/** The process ends while a watch and its descriptors are open, by itself or at once. */
async function ends() {
  const { client } = pair('end');
  native.watch(client, 'read', () => {});
  native.watch(pair('again').client, 'both', () => {});
  rmSync(folder, { recursive: true });
  await new Promise(setImmediate);
  process.exit(7);
}

const answer = await { passing, flood, refusals, watches, ends }[story]();
rmSync(folder, { recursive: true });
process.stdout.write(`${JSON.stringify(answer)}\n`);
