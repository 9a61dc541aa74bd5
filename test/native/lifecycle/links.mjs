/**
 * What the kernel tells of links, one story a process, in a network namespace of its own. Run by links.test.ts and sanitized.test.ts; prints one
 * line of JSON. Plain JavaScript over dist/.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startLinkMonitor } from '../../../dist/control/devices/link-monitor.js';
import { addon } from '../../../dist/native/binding.js';

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const NOBODY = 65534;
const EXIT_CODE = 7;
/** More changes than a monitor's 4 MiB hold. */
const LOUD = 12_000;
const WAIT_MS = 5000;
/** Namespaces end in one queue of the machine, behind everybody else's. */
const SPACE_MS = 30_000;
const [story] = process.argv.slice(2);
const native = addon();
const env = { ...process.env, LD_PRELOAD: '' };
const ip = (...args) => execFileSync('ip', args, { env }).toString();
const count = () => readdirSync('/proc/self/fd').length;
const flags = (fd) => Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1], 8);

/** What a call threw, or its answer. */
function outcome(call) {
  try {
    return call();
  } catch ({ code, syscall }) {
    return [code, syscall];
  }
}

/** All that a monitor has now. */
function all(fd, numbered) {
  const notices = [];
  for (let some = native.readLinkMonitor(fd, numbered); some.length > 0; some = native.readLinkMonitor(fd, numbered))
    notices.push(...some);
  return notices;
}

/** `gone`, up, carrier, name and MTU of each thing that a link became. */
function states(notices, index) {
  const told = notices
    .filter((notice) => notice.index === index)
    .map(({ gone, adminUp, carrier, name, mtu }) => [gone, adminUp, carrier, name, mtu].join(' '));
  return told.filter((state, k) => state !== told[k - 1]);
}

const indexOf = (name) => JSON.parse(ip('-json', 'link', 'show', 'dev', name))[0].ifindex;

/** Adds to the notices what comes until the last of a link has this carrier: the kernel tells of it in its own time. */
async function untilCarrier(fd, notices, index, carrier) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(2)) {
    notices.push(...all(fd, false));
    if (notices.findLast((notice) => notice.index === index)?.carrier === carrier) return;
  }
}

/** Every change of a link here; a bridge's words about its port are none. */
async function changes() {
  const fd = native.openLinkMonitor(false);
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  const index = indexOf('weft-a');
  ip('link', 'set', 'weft-a', 'up');
  ip('link', 'set', 'weft-b', 'up');
  const notices = [];
  await untilCarrier(fd, notices, index, true);
  ip('link', 'set', 'weft-b', 'down');
  await untilCarrier(fd, notices, index, false);
  ip('link', 'set', 'weft-a', 'mtu', '1400');
  ip('link', 'set', 'weft-a', 'name', 'weft-c');
  ip('link', 'add', 'weft-br', 'type', 'bridge');
  ip('link', 'set', 'weft-c', 'master', 'weft-br');
  ip('link', 'set', 'weft-c', 'nomaster');
  ip('link', 'del', 'weft-c');
  await sleep(20);
  notices.push(...all(fd, false));
  return {
    states: states(notices, index),
    foreign: notices.filter(({ type, nsid }) => type !== 'link' || nsid !== null).length,
    flags: [O_CLOEXEC, O_NONBLOCK].map((flag) => (flags(fd) & flag) !== 0),
    empty: native.readLinkMonitor(fd, false),
  };
}

const spaceOf = (process) => readlinkSync(`/proc/${process}/ns/net`);

/** Links of another namespace, its number and its end. */
async function numbered() {
  const own = native.openLinkMonitor(false);
  const others = native.openLinkMonitor(true);
  const other = spawn('unshare', ['--net', 'sleep', '1000'], { env, stdio: 'ignore' });
  while (spaceOf(other.pid) === spaceOf('self')) await sleep(2);
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  ip('link', 'set', 'weft-b', 'netns', String(other.pid));
  execFileSync('nsenter', ['-t', String(other.pid), '-n', 'ip', 'link', 'set', 'weft-b', 'mtu', '1300'], { env });
  const here = all(own, false);
  const { nsid } = here.find(({ type }) => type === 'netns');
  const there = all(others, true);
  const heard = there.filter(({ name, mtu }) => name === 'weft-b' && mtu === 1300);
  other.kill('SIGKILL');
  await once(other, 'exit');
  const isEnd = (notice) => notice.type === 'netns' && notice.gone && notice.nsid === nsid;
  let ended = false;
  for (const end = Date.now() + SPACE_MS; !ended; await sleep(20)) {
    const isLast = Date.now() >= end;
    ended = all(own, false).some(isEnd);
    if (isLast) break;
  }
  return {
    nsid,
    spaces: [...new Set(there.map((notice) => notice.nsid))],
    heard: heard.length > 0,
    mistaken: here.filter(({ mtu }) => mtu === 1300).length,
    ended,
  };
}

/** A namespace that has a number in itself: its own links are still its own. Older kernels tell of them with that number too. */
async function itself() {
  const number = 'mount -t tmpfs none /run && ip netns attach own $$ && ip netns set own 5';
  execFileSync('unshare', ['--mount', 'sh', '-c', number], { env });
  const own = native.openLinkMonitor(false);
  const others = native.openLinkMonitor(true);
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  const spaces = (notices) => [...new Set(notices.map(({ nsid }) => nsid))];
  return { own: spaces(all(own, false)), others: spaces(all(others, true)).every((nsid) => nsid === 5) };
}

/** More than a monitor has room for, while nobody reads: it says so; who reads on hears on. An ordinary user hears no other namespaces. */
async function overrun() {
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  const events = [];
  const before = count();
  process.seteuid(NOBODY);
  const refused = outcome(() => native.openLinkMonitor(true));
  const fd = native.openLinkMonitor(false);
  const monitor = startLinkMonitor(
    () => events.push('notice'),
    (reason) => events.push(reason),
  );
  process.seteuid(0);
  const lines = Array.from({ length: LOUD }, (_, k) => `link set dev weft-a mtu ${1000 + (k % 200)}\n`);
  execFileSync('ip', ['-batch', '-'], { env, input: lines.join('') });
  const first = outcome(() => native.readLinkMonitor(fd, false));
  const rest = all(fd, false).length;
  for (const end = Date.now() + WAIT_MS; events.length === 0 && Date.now() < end; ) await sleep(2);
  // One more look of the loop: a monitor that had not ended would tell more.
  await new Promise(setImmediate);
  native.closeDescriptor(fd);
  monitor.stop();
  return { refused, first, more: rest > 0 && rest < LOUD, events, left: count() - before };
}

/** Monitors that come and go give everything back. */
async function descriptors() {
  const monitor = () =>
    startLinkMonitor(
      () => {},
      () => {},
    );
  monitor().stop();
  await new Promise(setImmediate);
  const before = count();
  const running = Array.from({ length: 50 }, monitor);
  const during = count() - before;
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  await new Promise(setImmediate);
  for (const one of running) one.stop();
  for (const one of running) one.stop();
  const closed = outcome(() => native.readLinkMonitor(9999, false));
  return { during, left: count() - before, closed };
}

/** The process ends while a monitor listens, something came and nobody read it. */
async function ends() {
  startLinkMonitor(
    () => process.exit(EXIT_CODE),
    () => {},
  );
  native.openLinkMonitor(true);
  ip('link', 'add', 'weft-a', 'type', 'veth', 'peer', 'name', 'weft-b');
  await sleep(10_000);
}

process.stdout.write(`${JSON.stringify(await { changes, numbered, itself, overrun, descriptors, ends }[story]())}\n`);
