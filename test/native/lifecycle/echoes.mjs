/**
 * Echo requests that nobody may fragment, one story a process, in a network namespace of its own. Run by echoes.test.ts and sanitized.test.ts;
 * prints one line of JSON. Plain JavaScript over dist/.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { openEcho } from '../../../dist/control/doctor/echo.js';
import { longestPacket } from '../../../dist/control/doctor/path.js';
import { addon } from '../../../dist/native/binding.js';

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const ID = 777;
const WAIT_MS = 3000;
/** How long nothing may come of what must get lost. */
const SILENT_MS = 300;
/** The sequence of requests whose answers don't count. */
const FINDER = 60_000;
const EXIT_CODE = 7;
const [story, kind] = process.argv.slice(2);
const native = addon();
const env = { ...process.env, LD_PRELOAD: '' };
const run = (...args) => execFileSync(args[0], args.slice(1), { env }).toString();
const ip = (...args) => run('ip', ...args);
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

/** What comes until all of these sequences are told of, or for so long: `sequence error mtu address`. */
async function heard(fd, id, sequences, ms = WAIT_MS) {
  const told = [];
  const end = Date.now() + ms;
  for (;;) {
    const isLast = Date.now() >= end;
    told.push(...native.readEchoes(fd, id));
    if (isLast || sequences.every((one) => told.some(({ sequence }) => sequence === one))) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const text = ({ sequence, error, mtu, address }) => `${sequence} ${error} ${mtu} ${address}`;
  return told.sort((a, b) => a.sequence - b.sequence).map(text);
}

/** The machine's own addresses, who may ask, and what is refused. */
async function answers() {
  ip('link', 'set', 'lo', 'up');
  const lengths = [100, 1500, 65_535, 65_536, 29, -1];
  const both = {};
  for (const address of ['127.0.0.1', '::1']) {
    const fd = native.openEcho(address);
    const other = native.openEcho(address);
    const sent = lengths.map((bytes, sequence) => native.sendEcho(fd, address, ID, sequence, bytes));
    const told = await heard(fd, ID, [0, 1, 2]);
    both[address] = {
      sent,
      told,
      strange: await heard(other, ID + 1, [0], 50),
      flags: [O_CLOEXEC, O_NONBLOCK].map((flag) => (flags(fd) & flag) !== 0),
      nonsense: native.sendEcho(fd, 'nobody', ID, 0, 100),
      family: native.sendEcho(fd, address === '::1' ? '127.0.0.1' : '::1', ID, 0, 100) < 0,
    };
    native.closeDescriptor(fd);
    native.closeDescriptor(other);
  }
  return {
    both,
    refused: [outcome(() => native.openEcho('192.0.2.77')), outcome(() => native.openEcho('eth0'))],
    closed: native.readEchoes(-1, ID),
  };
}

/** A namespace that lives as long as the process that is answered, which ends with us at the latest. */
async function space() {
  const process = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], { env });
  await once(process.stdout, 'data');
  return { process, run: (...args) => run('nsenter', '-t', String(process.pid), '-n', ...args) };
}

/** here e-a ─ e-b router e-c ─ e-d far, for both families. */
async function way() {
  const [router, far] = [await space(), await space()];
  ip('link', 'add', 'e-a', 'type', 'veth', 'peer', 'name', 'e-b', 'netns', String(router.process.pid));
  router.run('ip', 'link', 'add', 'e-c', 'type', 'veth', 'peer', 'name', 'e-d', 'netns', String(far.process.pid));
  const ends = [
    [run, 'e-a', '192.0.2.1/24', '2001:db8:1::1/64'],
    [router.run, 'e-b', '192.0.2.254/24', '2001:db8:1::fe/64'],
    [router.run, 'e-c', '198.51.100.254/24', '2001:db8:2::fe/64'],
    [far.run, 'e-d', '198.51.100.1/24', '2001:db8:2::1/64'],
  ];
  for (const [inside, device, v4, v6] of ends) {
    inside('ip', 'link', 'set', device, 'up');
    inside('ip', 'address', 'add', v4, 'dev', device);
    inside('ip', 'address', 'add', v6, 'dev', device, 'nodad');
  }
  router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  for (const [inside, v4, v6] of [
    [run, '192.0.2.254', '2001:db8:1::fe'],
    [far.run, '198.51.100.254', '2001:db8:2::fe'],
  ]) {
    inside('ip', 'route', 'add', 'default', 'via', v4);
    inside('ip', '-6', 'route', 'add', 'default', 'via', v6);
  }
  return { router, far, end: () => [router, far].map(({ process }) => process.kill('SIGKILL')) };
}

/**
 * A way that is whole, one whose router tells, one that loses in silence all but the first, and none; by either kind of socket.
 */
async function paths() {
  if (kind === 'ping') run('sysctl', '-qw', 'net.ipv4.ping_group_range=0 10');
  const { router, far, end } = await way();
  const told = {};
  let sequence = 0;
  const ask = async (name, lengths, toldCount = lengths.length) => {
    for (const [local, remote] of [
      ['192.0.2.1', '198.51.100.1'],
      ['2001:db8:1::1', '2001:db8:2::1'],
    ]) {
      const fd = native.openEcho(local);
      const first = sequence + 1;
      const wanted = lengths.map(() => ++sequence);
      // Neighbours are found by the first.
      for (let k = 0; name === 'whole' && k < 20; k++) {
        native.sendEcho(fd, remote, ID, FINDER, 100);
        if ((await heard(fd, ID, [FINDER], 200)).length > 0) break;
      }
      const sent = lengths.map((bytes, k) => native.sendEcho(fd, remote, ID, wanted[k], bytes));
      const left = wanted.filter((_, k) => sent[k] === 0);
      const answered = await heard(fd, ID, left.slice(0, toldCount));
      if (toldCount < left.length) answered.push(...(await heard(fd, ID, left, SILENT_MS)));
      // Of those that found neighbours, some may be answered late.
      const relative = answered
        .filter((text) => !text.startsWith(`${FINDER} `))
        .map((text) => text.replace(/^\d+/, (digits) => String(lengths[Number(digits) - first])));
      told[`${name} ${remote.includes(':') ? 6 : 4}`] = { sent, told: relative };
      native.closeDescriptor(fd);
    }
  };
  await ask('whole', [1400, 1500, 1501]);
  router.run('ip', 'link', 'set', 'e-c', 'mtu', '1400');
  await ask('told', [1400, 1401]);
  router.run('ip', 'link', 'set', 'e-c', 'mtu', '1500');
  far.run('ip', 'link', 'set', 'e-d', 'mtu', '1300');
  await ask('lost', [1300, 1500], 1);
  router.run('ip', 'link', 'set', 'e-c', 'down');
  await ask('gone', [100]);
  end();
  return told;
}

/** A router's word ends no socket: a shorter packet is answered after it, and the longest is found. */
async function search() {
  const { router, end } = await way();
  router.run('ip', 'link', 'set', 'e-c', 'mtu', '1400');
  const echo = openEcho('192.0.2.1');
  const signal = new AbortController().signal;
  let found = await longestPacket(echo, '198.51.100.1', 1500, signal);
  // On a busy machine the router's word may come later than a search waits for it: another one is given time.
  if (found.told === null) found = await longestPacket(echo, '198.51.100.1', 1500, signal);
  const again = await longestPacket(echo, '198.51.100.1', 1400, signal);
  echo.close();
  end();
  return { found, again: again.passed };
}

/** A hundred sockets, and none when they are closed. */
function descriptors() {
  ip('link', 'set', 'lo', 'up');
  const before = count();
  const open = Array.from({ length: 100 }, (_, k) => native.openEcho(k % 2 === 0 ? '127.0.0.1' : '::1'));
  const during = count() - before;
  for (const fd of open) native.closeDescriptor(fd);
  return { during, left: count() - before };
}

/** The process ends while it waits for an answer. */
function ends() {
  ip('link', 'set', 'lo', 'up');
  const fd = native.openEcho('127.0.0.1');
  native.watch(fd, 'read', () => process.exit(EXIT_CODE));
  native.sendEcho(fd, '127.0.0.1', ID, 1, 100);
  return new Promise(() => undefined);
}

const answer = await { answers, paths, search, descriptors, ends }[story]();
process.stdout.write(JSON.stringify(answer));
