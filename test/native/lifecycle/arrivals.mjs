/**
 * Sockets that receive tunnels' datagrams, one story a process, in a network namespace of its own: this process's engine reads what Python
 * sends over loopback. Run by arrivals.test.ts and sanitized.test.ts; prints one line of JSON. Plain JavaScript over dist/.
 */
import { ARRIVAL_BAD, ARRIVAL_CRITICAL } from '../../../dist/dataplane/memory/tunnel-words.js';
import {
  close,
  code,
  engine,
  frameOf,
  ip,
  native,
  open,
  openFds,
  PORT,
  receive,
  send,
  vxlan,
} from './arrival-stand.mjs';
import { setUp } from './set-up.mjs';

const [story] = process.argv.slice(2);

/** Sizes, addresses, TOS and headers, by both families; what comes as one message is many frames again. */
function frames() {
  const answer = {};
  for (const [local, port] of [
    ['127.0.0.1', 4789],
    ['::1', 8472],
  ]) {
    const handle = open({ local, port });
    const sizes = [14, 60, 256, 257, 1500, 9000, 60_000];
    const all = sizes.map((bytes, k) => frameOf(k, bytes));
    send(...all.map((frame, k) => ({ to: local, port, bytes: vxlan(0x10203 + k, frame), tos: 4 * k })));
    const got = receive();
    const same = got.filter(
      ({ frame, outer, header }, k) =>
        frame.equals(all[k]) &&
        outer === 4 * k &&
        header === `08000000${(0x10203 + k).toString(16).padStart(6, '0')}00`,
    );
    // 30 of 100 bytes and a last one of 40, in one message.
    const many = Array.from({ length: 30 }, (_, k) => frameOf(k, 92));
    many.push(frameOf(30, 32));
    send({ to: local, port, bytes: vxlan(7, ...many), size: 100 });
    const split = receive();
    const counts = native.tunnelReceiverCounts(handle);
    answer[local] = {
      same: same.length,
      address: got[0]?.address,
      plain: got.every(({ vnet }) => vnet === null),
      split: split.length === 31 && split.every(({ frame }, k) => frame.equals(many[k])),
      counts,
    };
    close(handle);
  }
  return answer;
}

/** TCP segments over IPv4, with sound checksums; payload counts. */
function segmentsOf(count, size, port) {
  const sum = (bytes) => {
    let total = 0;
    for (let k = 0; k < bytes.length; k += 2) total += (bytes[k] << 8) | (bytes[k + 1] ?? 0);
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return ~total & 0xffff;
  };
  return Array.from({ length: count }, (_, k) => {
    const frame = Buffer.alloc(54 + size, 0);
    frame.set([
      2,
      0,
      0,
      0,
      0,
      1,
      2,
      0,
      0,
      0,
      0,
      2,
      8,
      0,
      0x45,
      0,
      0,
      0,
      0,
      k,
      0x40,
      0,
      64,
      6,
      0,
      0,
      10,
      0,
      0,
      1,
      10,
      0,
      0,
      2,
    ]);
    frame.writeUInt16BE(40 + size, 16);
    frame.set([0, port, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0], 34);
    frame.writeUInt32BE(k * size, 38);
    for (let n = 0; n < size; n++) frame[54 + n] = (k * size + n) % 251;
    frame.writeUInt16BE(sum(frame.subarray(14, 34)), 24);
    const pseudo = Buffer.from([10, 0, 0, 1, 10, 0, 0, 2, 0, 6, (20 + size) >> 8, (20 + size) & 255]);
    frame.writeUInt16BE(sum(Buffer.concat([pseudo, frame.subarray(34)])), 50);
    return frame;
  });
}

/** Segments in one message, in many, and two streams in turn: each stream goes on as one frame. */
function streams() {
  const handle = open();
  const size = 1448;
  const one = segmentsOf(40, size, 1);
  const two = segmentsOf(40, size, 2);
  const payload = Buffer.concat(one.map((frame) => frame.subarray(54)));
  const isWhole = ({ frame, vnet }) =>
    frame.subarray(54).equals(payload) && `${vnet}` === `1,1,${size}` && frame.readUInt16BE(16) === frame.length - 14;
  send({ to: '127.0.0.1', bytes: vxlan(7, ...one), size: 8 + 54 + size });
  const together = receive(1).map(isWhole);
  // Every datagram a message of its own, so that one turn may read them all.
  send(...one.map((frame) => ({ to: '127.0.0.1', bytes: vxlan(7, frame) })));
  const alone = receive(8);
  const gathered = Buffer.concat(alone.map(({ frame }) => frame.subarray(54)));
  send(...one.flatMap((frame, k) => [frame, two[k]]).map((frame) => ({ to: '127.0.0.1', bytes: vxlan(7, frame) })));
  const both = receive(10);
  const of = (port) =>
    Buffer.concat(both.filter(({ frame }) => frame[35] === port).map(({ frame }) => frame.subarray(54)));
  const counts = native.tunnelReceiverCounts(handle);
  return {
    together,
    alone: alone.length < 10 && gathered.equals(payload),
    both: both.length < 24 && of(1).equals(payload) && of(2).equals(payload),
    datagrams: counts.datagrams,
    merged: counts.datagrams - counts.merged === 1 + alone.length + both.length,
  };
}

/** More than any turn may list: it waits, in order, and nothing is lost. */
function waiting() {
  const handle = open();
  const all = Array.from({ length: 4000 }, (_, k) => frameOf(k, 60));
  const messages = Array.from({ length: 80 }, (_, k) => ({
    to: '127.0.0.1',
    bytes: vxlan(7, ...all.slice(50 * k, 50 * k + 50)),
    size: 68,
  }));
  send(...messages);
  const got = [];
  const sizes = new Set();
  for (const budget of [512, 3, 512]) {
    engine.budget = budget;
    for (let k = 0; k < (budget === 3 ? 100 : 20); k++) {
      const some = receive(1);
      sizes.add(some.length);
      got.push(...some);
    }
  }
  for (let some = receive(1); some.length > 0; some = receive(1)) got.push(...some);
  const { datagrams, messages: read } = native.tunnelReceiverCounts(handle);
  return {
    got: got.length,
    inOrder: got.every(({ frame }, k) => frame.equals(all[k])),
    most: Math.max(...sizes),
    some: sizes.has(3),
    datagrams,
    read,
  };
}

/** What is no tunnel header is listed as that; options that one must know are told. */
function headers() {
  const handle = open({ kind: 'geneve', port: 6081 });
  const frame = frameOf(1, 60);
  const withHeader = (...header) => ({
    to: '127.0.0.1',
    port: 6081,
    bytes: Buffer.concat([Buffer.from(header), frame]),
  });
  send(
    withHeader(0, 0, 0x65, 0x58, 0, 0, 9, 0),
    withHeader(2, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 0x81, 1, 5, 5, 5, 5),
    withHeader(0, 0x40, 0x65, 0x58, 0, 0, 9, 0),
    withHeader(63, 0, 0x65, 0x58, 0, 0, 9, 0),
    { to: '127.0.0.1', port: 6081, bytes: Buffer.alloc(0) },
  );
  const got = receive();
  const flags = got.map(({ outer }) => (outer & ARRIVAL_BAD ? 'bad' : outer & ARRIVAL_CRITICAL ? 'critical' : 'good'));
  const whole = got.slice(0, 3).every((one) => one.frame.equals(frame));
  close(handle);
  return { flags, whole };
}

/** GRE by both families, with the outer IP header stepped over; a further worker has nothing to read. */
function gre() {
  const answer = {};
  for (const local of ['127.0.0.1', '::1']) {
    const handle = open({ kind: 'gre', local, port: 0, workers: 2 });
    const frame = frameOf(3, 400);
    const message = (...header) => ({
      to: local,
      gre: true,
      tos: 0x28,
      bytes: Buffer.concat([Buffer.from(header), frame]),
    });
    send(
      message(0, 0, 0x65, 0x58),
      message(0x20, 0, 0x65, 0x58, 1, 2, 3, 4),
      message(0x40, 0, 0x65, 0x58),
      message(0, 0, 8, 0),
    );
    const got = receive();
    native.detachQueue(PORT);
    engine.turn();
    const idle = native.attachQueue(PORT, handle, 1);
    send(message(0, 0, 0x65, 0x58));
    answer[local] = {
      same: got.slice(0, 2).map((one) => one.frame.equals(frame)),
      told: got.map(({ outer, header }) => [outer, header]),
      idle: [idle, receive().length],
    };
    close(handle);
  }
  return answer;
}

/** Groups, joined and left under a worker that reads: their datagrams come, those of others don't. */
function groups() {
  ip('link', 'add', 'weft-x', 'type', 'veth', 'peer', 'name', 'weft-y');
  setUp(ip, 'weft-x', 'weft-y');
  ip('addr', 'add', '10.7.0.1/24', 'dev', 'weft-x');
  ip('addr', 'add', 'fd00:7::1/64', 'dev', 'weft-x', 'nodad');
  const [device, other] = ['weft-x', 'lo'].map((name) => Number.parseInt(ip('-o', 'link', 'show', name), 10));
  const answer = {};
  for (const [local, first, second] of [
    ['10.7.0.1', '239.1.1.1', '239.1.1.2'],
    ['fd00:7::1', 'ff05::1:1', 'ff05::1:2'],
  ]) {
    const handle = open({ local });
    const before = openFds();
    const got = () => {
      send(
        { to: local, bytes: vxlan(7, frameOf(1, 60)) },
        ...[first, second].map((to, k) => ({ to, from: local, device, bytes: vxlan(7, frameOf(2 + k, 60)) })),
      );
      return receive()
        .map(({ frame }) => frame.readUInt32BE(6))
        .sort()
        .join('');
    };
    const steps = [got()];
    native.joinTunnelGroup(handle, first, device);
    steps.push(got());
    native.joinTunnelGroup(handle, second, device);
    steps.push(got());
    const again = code(() => native.joinTunnelGroup(handle, first, device));
    native.leaveTunnelGroup(handle, first, device);
    steps.push(got());
    // By another interface it is another group: nothing comes twice.
    for (const by of [device, other]) native.joinTunnelGroup(handle, first, by);
    steps.push(got());
    for (const by of [device, other]) native.leaveTunnelGroup(handle, first, by);
    native.leaveTunnelGroup(handle, second, device);
    steps.push(got());
    // A worker that comes later reads what was joined before.
    native.joinTunnelGroup(handle, second, device);
    native.detachQueue(PORT);
    engine.turn();
    native.attachQueue(PORT, handle, 0);
    steps.push(got());
    native.leaveTunnelGroup(handle, second, device);
    receive();
    answer[local] = {
      steps,
      again,
      absent: code(() => native.leaveTunnelGroup(handle, first, device)),
      odd: [local, first.includes('.') ? 'ff05::1' : '239.1.1.1', 'nobody'].map(
        (group) => code(() => native.joinTunnelGroup(handle, group, device))[0],
      ),
      device: code(() => native.joinTunnelGroup(handle, first, 9999))[0],
      left: openFds() - before,
    };
    close(handle);
  }
  return answer;
}

/** The kernel's queue is bounded; what it had no room for is counted. */
function missed() {
  const handle = open();
  const times = 1800;
  send({ to: '127.0.0.1', bytes: vxlan(7, frameOf(1, 60_000)), times });
  let got = 0;
  for (let some = engine.turn(); some.length > 0; some = engine.turn()) got += some.length;
  const counts = native.tunnelReceiverCounts(handle);
  return { sum: got + counts.missed === times, some: [got > 0, counts.missed > 0] };
}

/** One socket a worker: senders are spread over them, each always to the same. */
function spread() {
  const handle = open({ workers: 2 });
  send(...Array.from({ length: 100 }, (_, k) => ({ to: '127.0.0.1', bytes: vxlan(7, frameOf(k, 60)) })));
  const first = receive().length;
  native.detachQueue(PORT);
  engine.turn();
  native.attachQueue(PORT, handle, 1);
  const second = receive().length;
  return { sum: first + second, both: first > 10 && second > 10, third: native.attachQueue(PORT + 1, handle, 2) };
}

/** What can't be opened says why, and leaves nothing behind. */
function refusals() {
  const before = openFds();
  const receiver = (options) => () =>
    native.openTunnelReceiver({ kind: 'vxlan', local: '127.0.0.1', port: 4789, workers: 1, ...options });
  const handle = receiver()();
  const taken = code(receiver());
  ip('link', 'add', 'weft-v', 'type', 'vxlan', 'id', '5', 'dstport', '4790', 'local', '127.0.0.1', 'dev', 'lo');
  ip('link', 'set', 'weft-v', 'up');
  const kernel = code(receiver({ port: 4790 }));
  const answer = {
    taken,
    kernel,
    others: code(receiver({ local: '127.0.0.2' })),
    absent: code(receiver({ local: '192.0.2.77' })),
    absent6: code(receiver({ local: '2001:db8::77' })),
    kind: code(receiver({ kind: 'stt' }))[0],
    address: code(receiver({ local: 'here' }))[0],
    group: code(receiver({ local: '239.1.1.1' }))[0],
    port: [0, 65536, -1].map((port) => code(receiver({ port }))[0]),
    workers: [0, 17].map((workers) => code(receiver({ workers }))[0]),
    nothing: code(() => native.openTunnelReceiver())[0],
    handle: [code(() => native.tunnelReceiverCounts(99))[0], code(() => native.joinTunnelGroup(99, '239.1.1.1', 1))[0]],
    gre: code(() =>
      native.joinTunnelGroup(
        native.openTunnelReceiver({ kind: 'gre', local: '127.0.0.1', port: 0, workers: 1 }),
        '239.1.1.1',
        1,
      ),
    )[0],
    queue: [native.attachQueue(PORT, handle, -1), native.attachQueue(PORT, handle, 1)],
  };
  for (let one = 1; one < 10; one++) if (native.devices() > 0) code(() => native.closeDevice(one));
  return { ...answer, left: openFds() - before };
}

const stories = { frames, streams, waiting, headers, gre, groups, missed, spread, refusals };
console.log(JSON.stringify(stories[story]()));
native.engineClose();
