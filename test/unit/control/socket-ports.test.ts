/** Socket ports without sockets: when a port is up, who is let in, what is sought again and when, and that every descriptor is closed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { WatchClock } from '../../../control/devices/link-watch.ts';
import type { PortHost } from '../../../control/devices/port-device.ts';
import { DgramPort } from '../../../control/devices/socket/dgram-port.ts';
import type { PortNative } from '../../../control/devices/socket/socket-native.ts';
import { StreamPort } from '../../../control/devices/socket/stream-port.ts';
import type { SocketModel } from '../../../control/model/model.ts';
import { SocketEnd } from '../../../native/binding.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-socket-unit-'));
const REMOTE = join(folder, 'remote');
afterAll(() => rmSync(folder, { recursive: true }));

/** Descriptors are numbers from 10 on; devices have handles from 100 on, and end when a test says so. */
class FakeNative implements PortNative {
  readonly open = new Set<number>();
  readonly devices = new Map<number, { ended: number; end: number; full: number }>();
  readonly watches = new Map<number, () => void>();
  /** What connectTo answers. */
  remote = -2;
  connects = 0;
  openSocketFails = false;
  #next = 10;

  make(): number {
    this.open.add(this.#next);
    return this.#next++;
  }
  listenUnix = () => this.make();
  connectUnix = () => this.make();
  acceptUnix = () => -11;
  receiveMessage = () => null;
  sendMessage = () => 0;
  peerOf = () => ({ pid: 7, uid: 1000 });
  connectTo = () => {
    this.connects++;
    return this.remote;
  };
  closeDescriptor = (fd: number) => {
    if (!this.open.delete(fd)) throw new Error(`${fd} is not open`);
  };
  watch = (fd: number, _what: string, callback: (readable: boolean, writable: boolean) => void) => {
    this.watches.set(fd, () => callback(true, false));
    return { close: () => void this.watches.delete(fd) };
  };
  openSocket = (fd: number) => {
    if (this.openSocketFails) throw new Error('dup fd: Too many open files');
    if (!this.open.has(fd)) throw new Error(`${fd} is not open`);
    const handle = 100 + this.#next++;
    this.devices.set(handle, { ended: 1000 + handle, end: SocketEnd.NOT, full: 0 });
    return { handle, ended: 1000 + handle };
  };
  socketState = (handle: number) => this.devices.get(handle)!;
  closeDevice = (handle: number) => {
    if (!this.devices.delete(handle)) throw new Error(`no device ${handle}`);
  };

  end(handle: number, end: number): void {
    const device = this.devices.get(handle)!;
    device.end = end;
    this.watches.get(device.ended)!();
  }
}

class FakeClock implements WatchClock {
  time = 0;
  readonly timers = new Set<{ at: number; callback: () => void }>();
  now = () => this.time;
  after = (milliseconds: number, callback: () => void) => {
    const timer = { at: this.time + milliseconds, callback };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  };
  /** Runs what falls due, in order. */
  pass(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
      if (next === undefined) break;
      this.timers.delete(next);
      this.time = next.at;
      next.callback();
    }
    this.time = end;
  }
}

const settle = async () => {
  for (let k = 0; k < 20; k++) await new Promise(setImmediate);
};

function stand(more: Partial<SocketModel> = {}) {
  const native = new FakeNative();
  const clock = new FakeClock();
  const told = { changes: 0, asides: 0, released: [] as boolean[] };
  const host: PortHost = {
    bridge: 'br0',
    port: 'vm',
    workers: 1,
    changed: () => void told.changes++,
    aside: async (change) => {
      told.asides++;
      await Promise.resolve();
      return change();
    },
  };
  const model = {
    kind: 'socket',
    name: 'vm',
    socket: '/s',
    type: 'stream',
    mode: 'server',
    remote: null,
    group: null,
    ...more,
  } as SocketModel;
  return { native, clock, told, host, model };
}

function stream(more: Partial<SocketModel> = {}) {
  const all = stand(more);
  const port = new StreamPort(all.native, all.model, all.host, all.clock, 0);
  port.use({ reason: '', released: (served) => void all.told.released.push(served), close: () => {} });
  return { ...all, port };
}

describe('a stream port', () => {
  it('is up while somebody is connected, and tells who and why not', async () => {
    const { native, clock, told, port } = stream();
    expect([port.up, port.handle, port.reason]).toEqual([false, null, 'nobody is connected to /s']);
    port.onClient(native.make());
    expect([port.up, port.reason, told.changes, native.open.size]).toEqual([true, null, 1, 0]);
    expect(port.details()).toMatchObject({ peer: 'process 7, user 1000', connections: '1' });
    native.devices.get(port.handle!)!.full = 5;
    clock.pass(2000);
    native.end(port.handle!, SocketEnd.BY_FRAMING);
    await settle();
    expect([port.up, told.asides, told.changes, told.released]).toEqual([false, 1, 2, [true]]);
    expect(port.reason).toBe(
      'nobody is connected to /s; of the last connection: the other side sent a length that no frame has',
    );
    expect(port.details()).toMatchObject({ peer: 'not connected', 'lost to a slow reader': '5' });
    expect([native.devices.size, native.watches.size]).toEqual([0, 0]);
  });

  it('lets a second one wait for the first one’s end, and refuses a third, and the second when it waited in vain', async () => {
    const { native, clock, port } = stream();
    port.onClient(native.make());
    const first = port.handle!;
    port.onClient(native.make());
    port.onClient(native.make());
    expect(native.open.size).toBe(1);
    native.end(first, SocketEnd.BY_PEER);
    await settle();
    expect(port.up).toBe(true);
    expect(port.handle).not.toBe(first);
    port.onClient(native.make());
    clock.pass(499);
    expect(native.open.size).toBe(1);
    clock.pass(1);
    expect([native.open.size, port.details()['refused connections']]).toEqual([0, '2']);
    expect([port.up, clock.timers.size]).toEqual([true, 0]);
  });

  it('of a connection that ended at once says that it was not worth having', async () => {
    const { native, told, port } = stream({ mode: 'client' });
    port.onClient(native.make());
    native.end(port.handle!, SocketEnd.BY_PEER);
    await settle();
    expect([port.reason, told.released]).toEqual([
      'nobody answers at /s; of the last connection: it was closed by the other side',
      [false],
    ]);
  });

  it('goes on when there is no room for a connection, and closes all that it has, whoever waits', async () => {
    const { native, clock, told, port } = stream();
    native.openSocketFails = true;
    port.onClient(native.make());
    expect([port.up, native.open.size, told.released]).toEqual([false, 0, [false]]);
    expect(port.reason).toContain('Too many open files');
    native.openSocketFails = false;
    port.onClient(native.make());
    port.onClient(native.make());
    await port.close();
    await port.close();
    expect([native.open.size, native.devices.size, native.watches.size, clock.timers.size]).toEqual([0, 0, 0, 0]);
    port.onClient(native.make());
    expect([port.up, native.open.size]).toEqual([false, 0]);
  });

  it('closes when the port is deleted while its connection ends', async () => {
    const { native, host, port } = stream();
    port.onClient(native.make());
    host.aside = () => Promise.reject(new Error('the port is being deleted'));
    native.end(port.handle!, -104);
    await port.close();
    await settle();
    expect([native.open.size, native.devices.size, native.watches.size]).toEqual([0, 0, 0]);
  });
});

describe('a datagram port', () => {
  const dgram = () => {
    const all = stand({ type: 'dgram', socket: join(folder, 'own'), remote: REMOTE });
    return { ...all, port: new DgramPort(all.native, all.model, all.host, all.clock, 0) };
  };

  it('tries its guest’s path ever more seldom, at last once a second, and says why in vain', async () => {
    const { native, clock, told, port } = dgram();
    expect([port.up, port.reason, native.connects]).toEqual([false, `nobody receives at ${REMOTE}: ENOENT`, 1]);
    clock.pass(100 + 200 + 400 + 800);
    expect(native.connects).toBe(5);
    clock.pass(10_000);
    expect(native.connects).toBe(15);
    native.remote = -13;
    told.changes = 0;
    clock.pass(2000);
    expect([port.reason, told.changes]).toEqual([`nobody receives at ${REMOTE}: EACCES`, 1]);
    native.remote = 0;
    clock.pass(1000);
    expect([port.up, port.reason, told.changes]).toEqual([true, null, 2]);
    await port.close();
    expect([native.open.size, native.devices.size, clock.timers.size]).toEqual([0, 0, 0]);
  });

  it('seeks its guest anew when sending fails', async () => {
    const { native, clock, told, port } = dgram();
    native.remote = 0;
    clock.pass(100);
    const { handle } = port;
    native.end(handle!, -111);
    await settle();
    expect([port.up, told.asides]).toEqual([true, 1]);
    expect(port.handle).not.toBe(handle);
    await port.close();
    expect([native.open.size, native.devices.size]).toEqual([0, 0]);
  });

  it('asks once a second who receives at its guest’s path, and takes whoever it is', async () => {
    const { native, clock, told, port } = dgram();
    native.remote = 0;
    clock.pass(100);
    const { handle } = port;
    const { connects } = native;
    clock.pass(3000);
    expect(native.connects).toBe(connects + 3);
    // Its file is gone: it may receive all the same.
    native.remote = -2;
    clock.pass(1000);
    await settle();
    expect([port.up, port.handle, told.asides]).toEqual([true, handle, 0]);
    // Killed: its file is still there. Nothing was sent.
    native.remote = -111;
    clock.pass(1000);
    native.end(handle!, -111);
    await settle();
    expect([port.up, port.reason, told.asides]).toEqual([false, `nobody receives at ${REMOTE}: ECONNREFUSED`, 1]);
    expect(native.devices.size).toBe(0);
    native.remote = 0;
    clock.pass(1000);
    expect(port.up).toBe(true);
    await port.close();
    expect([native.open.size, native.devices.size, clock.timers.size]).toEqual([0, 0, 0]);
  });
});
