/**
 * vhost-user ports over real sockets and the real addon, with a front end in the same process and without workers: who may connect, when
 * the port is up, what is given back. What passes through a port is proven by test/guests.
 */
import {
  chownSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { GuestModel } from '../../control/devices/guest/guest-port.ts';
import { VhostUserOpener } from '../../control/devices/guest/opener.ts';
import type { PortDevice, PortHost } from '../../control/devices/port-device.ts';
import { groupId } from '../../control/groups.ts';
import { type Addon, addon } from '../../native/binding.ts';
import { describeNeeds, itNeeds } from '../needs.ts';
import { recorded, state, wire, words } from '../unit/control/protocols/front-end.ts';

const VIRTIO_USER = recorded['virtio-user'];
const RUNNING = VIRTIO_USER.findIndex(({ bytes }) => bytes.startsWith('0b')) - 2;
const MEMORY_BYTES = 128 << 20;
const CHECKSUM_TSO = 1 | 2 | 4;

/** Giving a socket to a group. */
const GROUP = { root: true, because: groupId('kvm') === null ? 'this host has no group kvm' : null };
const NOBODY = 65_534;
/** A client that finds nobody asks every five seconds at last. */
const WAIT_MS = 6000;
const waitFor = <T>(check: () => T) => vi.waitFor(check, WAIT_MS);

/** SET_VRING_KICK, SET_VRING_CALL and SET_VRING_ERR bring eventfds, all others files. */
const BRINGS_EVENTFD = [12, 13, 14];

/** A front end that replays messages; its memory is a file. */
class FrontEnd {
  readonly #native: Addon;
  readonly #fd: number;
  readonly #file: number;

  constructor(native: Addon, fd: number, file: number) {
    this.#native = native;
    this.#fd = fd;
    this.#file = file;
  }

  send(bytes: Buffer, descriptors = 0): void {
    const event = BRINGS_EVENTFD.includes(bytes.readUInt32LE()) ? eventfd(this.#native) : null;
    const sent = this.#native.sendMessage(this.#fd, bytes, new Array(descriptors).fill(event ?? this.#file));
    if (event !== null) this.#native.closeDescriptor(event);
    expect(sent).toBe(bytes.length);
  }

  replay(from = 0, to = RUNNING): void {
    for (const { bytes, descriptors } of VIRTIO_USER.slice(from, to)) this.send(Buffer.from(bytes, 'hex'), descriptors);
  }

  /** What it got until now; null when weft hung up. */
  read(): Buffer | null {
    const got = this.#native.receiveMessage(this.#fd, 4096);
    if (got === null) return Buffer.alloc(0);
    return got.data.length === 0 ? null : got.data;
  }

  leave(): void {
    this.#native.closeDescriptor(this.#fd);
  }
}

/** The addon makes none for others, but gives its devices' alarms away. */
function eventfd(native: Addon): number {
  const handle = native.openGuest(1);
  const fd = native.guestAlarm(handle);
  native.closeDevice(handle);
  return fd;
}

/** The switch: without workers, so that nobody is ever in the way; remembers what it was asked. */
class Host implements PortHost {
  readonly bridge = 'br0';
  readonly port = 'vm1';
  readonly workers = 2;
  asides = 0;
  changes = 0;
  changed(): void {
    this.changes++;
  }
  async aside<T>(change: () => T | Promise<T>): Promise<T> {
    this.asides++;
    await Promise.resolve();
    return change();
  }
}

describeNeeds({ addon: true }, 'a vhost-user port', () => {
  let folder: string;
  let native: Addon;
  let host: Host;
  let file: number;
  let ports: PortDevice[];
  let before: { files: number; devices: number };
  const announced: string[] = [];
  const path = () => join(folder, 'vm1.sock');
  const files = () => readdirSync('/proc/self/fd').length;

  const open = async (model: Partial<GuestModel> = {}): Promise<PortDevice> => {
    const announce = (...what: string[]) => void announced.push(what.join(' '));
    const opener = new VhostUserOpener({ native, announce });
    const port = await opener.open(
      { name: 'vm1', socket: path(), mode: 'server', group: null, queues: 1, mtu: 1500, ...model },
      host,
    );
    ports.push(port);
    return port;
  };
  const connect = () => new FrontEnd(native, native.connectUnix(path(), 'stream'), file);
  const connected = async (port: PortDevice) => {
    const front = connect();
    front.replay();
    await waitFor(() => expect(port.reason).toBeNull());
    return front;
  };

  beforeEach(() => {
    native = addon();
    folder = mkdtempSync(join(tmpdir(), 'weft-vhost-'));
    writeFileSync(join(folder, 'memory'), '');
    truncateSync(join(folder, 'memory'), MEMORY_BYTES);
    file = openSync(join(folder, 'memory'), 'r+');
    host = new Host();
    ports = [];
    announced.length = 0;
    // The first device of a process makes what all of them share.
    native.closeDevice(native.openGuest(1));
    before = { files: files(), devices: native.devices() };
  });

  afterEach(async () => {
    await Promise.all(ports.map((port) => port.close()));
    native.closeDescriptor(file);
    rmSync(folder, { recursive: true });
  });

  /** Everything is given back. */
  const expectNothingLeft = async () => {
    for (const port of ports) await port.close();
    await waitFor(() => expect({ files: files(), devices: native.devices() }).toEqual(before));
  };

  it('listens for its owner alone, and is down until somebody comes', async () => {
    const port = await open();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    expect(port).toMatchObject({ up: false, handle: null, takes: 0, reason: `no front end is connected to ${path()}` });
    await port.close();
    expect(existsSync(path())).toBe(false);
    await expectNothingLeft();
  });

  itNeeds(GROUP, 'may give a group its socket', async () => {
    const port = await open({ group: 'kvm' });
    const { mode, gid, uid } = statSync(path());
    expect([mode & 0o777, gid, uid]).toEqual([0o660, groupId('kvm'), 0]);
    await port.close();
    await expect(open({ group: 'none-such' })).rejects.toMatchObject({
      code: 'no-group',
      message: 'br0/vm1: there is no group "none-such" in /etc/group',
    });
    expect(existsSync(path())).toBe(false);
    await expectNothingLeft();
  });

  itNeeds(GROUP, 'says that it may not give its socket away, and leaves none', async () => {
    // Without root's right to write anywhere: the socket goes into a folder of nobody's.
    chownSync(folder, NOBODY, NOBODY);
    process.seteuid!(NOBODY);
    try {
      await expect(open({ group: 'kvm' })).rejects.toMatchObject({
        code: 'socket-group',
        message: expect.stringMatching(/^br0\/vm1: weft can't give .*vm1\.sock to the group "kvm": EPERM/),
      });
      expect(existsSync(path())).toBe(false);
    } finally {
      process.seteuid!(0);
    }
    await expectNothingLeft();
  });

  it('comes up with its rings, goes down with them, and gives everything back', async () => {
    const port = await open();
    const front = await connected(port);
    expect(port).toMatchObject({ up: true, takes: 0, handle: expect.any(Number) });
    expect(port.details()).toMatchObject({
      features: 'mrg-rxbuf, ring-indirect-desc, protocol-features, version-1, in-order',
      memory: '128 MiB in 1 region',
      queues: '1 of 1 run, of 256 entries',
    });
    expect(host.asides).toBe(0);
    front.replay(RUNNING, VIRTIO_USER.length);
    await waitFor(() => expect(port.up).toBe(false));
    expect(port.reason).toBe("the guest's driver has not started its rings");
    front.leave();
    await waitFor(() => expect(port.reason).toBe(`no front end is connected to ${path()}`));
    await expectNothingLeft();
  });

  it('tells why the last front end got nowhere, until one does', async () => {
    const port = await open();
    const none = `no front end is connected to ${path()}; the last one`;
    connect().leave();
    await waitFor(() => expect(port.reason).toBe(`${none} left before its rings ran (queue pairs here: 1)`));
    const greedy = connect();
    greedy.send(wire({ request: 8, payload: state(2, 256) }));
    const refused = 'was refused: SET_VRING_NUM: ring 2 is not one of 2';
    await waitFor(() => expect(port.reason).toBe(`${none} ${refused}`));
    greedy.leave();
    const good = await connected(port);
    good.leave();
    await waitFor(() => expect(port.reason).toBe(`no front end is connected to ${path()}`));
    await expectNothingLeft();
  });

  it('tells what it refused of a front end that stays', async () => {
    const port = await open();
    const front = connect();
    // GET_PROTOCOL_FEATURES' REPLY_ACK, agreed on; then an answer is asked for.
    front.send(wire({ request: 16, payload: words(1n << 3n) }));
    front.send(wire({ request: 8, flags: 9, payload: state(2, 256) }));
    await waitFor(() =>
      expect(port.reason).toBe(
        "the guest's driver has not started its rings; weft refused SET_VRING_NUM: ring 2 is not one of 2",
      ),
    );
    front.leave();
    await waitFor(() => expect(port.reason).toMatch(/; the last one was refused: SET_VRING_NUM/));
  });

  it('asks for workers to be away only for what touches the guest while it runs', async () => {
    const port = await open();
    const front = await connected(port);
    front.send(wire({ request: 1 }));
    front.send(wire({ request: 19, payload: words(0x0605_0403_0202) }));
    await waitFor(() => expect(announced).toEqual(['br0 vm1 02:02:03:04:05:06']));
    expect(host.asides).toBe(0);
    front.send(wire({ request: 13, payload: words(0) }), 1);
    await waitFor(() => expect(host.asides).toBe(1));
    front.leave();
    await waitFor(() => expect(port.up).toBe(false));
    expect(host.asides).toBe(2);
    await expectNothingLeft();
  });

  it('takes what the guest agreed to take', async () => {
    const port = await open();
    const front = connect();
    const features = 1n | 2n | (1n << 7n) | (1n << 8n) | (1n << 54n) | (1n << 30n) | (1n << 32n);
    for (const { bytes, descriptors } of VIRTIO_USER.slice(0, RUNNING)) {
      const isFeatures = bytes.startsWith('02000000');
      const changed = isFeatures ? wire({ request: 2, payload: words(features) }) : Buffer.from(bytes, 'hex');
      front.send(changed, descriptors);
    }
    await waitFor(() => expect(port.up).toBe(true));
    expect(port.takes).toBe(CHECKSUM_TSO);
    front.leave();
  });

  it('refuses a second client at once, and the first stays', async () => {
    const port = await open();
    const front = await connected(port);
    const second = connect();
    await waitFor(() => expect(second.read()).toBeNull());
    expect(port.up).toBe(true);
    expect(port.details()).toMatchObject({ 'refused clients': '1', connections: '1' });
    second.leave();
    front.leave();
    await waitFor(() => expect(port.up).toBe(false));
    await expectNothingLeft();
  });

  it('takes a front end that is back before its end was noticed', async () => {
    const port = await open();
    const front = await connected(port);
    front.leave();
    const again = connect();
    again.replay();
    await waitFor(() => expect(port.details()).toMatchObject({ connections: '2', 'refused clients': '0' }));
    await waitFor(() => expect(port.up).toBe(true));
    again.leave();
    await waitFor(() => expect(port.up).toBe(false));
    await expectNothingLeft();
  });

  it('hangs up on nonsense, says why, and takes the next', async () => {
    const port = await open();
    const front = connect();
    front.send(wire({ request: 8, payload: state(0, 3) }));
    await waitFor(() => expect(front.read()).toBeNull());
    front.leave();
    const shouting = connect();
    shouting.send(wire({ request: 1, bytes: 1 << 30 }), 1);
    await waitFor(() => expect(shouting.read()).toBeNull());
    shouting.leave();
    const details = port.details();
    expect(details).toMatchObject({ 'refused messages': '2', 'last refusal': expect.stringContaining('1073741824') });
    const good = await connected(port);
    good.leave();
    await waitFor(() => expect(port.up).toBe(false));
    await expectNothingLeft();
  });

  it('refuses memory that its file does not have', async () => {
    truncateSync(join(folder, 'memory'), 4096);
    const port = await open();
    const front = connect();
    front.replay(0, 8);
    await waitFor(() => expect(port.details()['last refusal']).toMatch(/^SET_MEM_TABLE: .*can't be mapped: errno 22$/));
    front.leave();
    await waitFor(() => expect(port.reason).toMatch(/^no front end/));
    await expectNothingLeft();
  });

  it('takes over the socket of a dead weft, not that of a live one, and no other file', async () => {
    native.closeDescriptor(native.listenUnix(path(), 'stream'));
    const port = await open();
    await expect(open()).rejects.toMatchObject({ code: 'socket-in-use' });
    await port.close();
    writeFileSync(path(), 'mine');
    await expect(open()).rejects.toMatchObject({ code: 'socket-taken' });
    await expect(open({ socket: join(folder, 'none', 'vm') })).rejects.toMatchObject({ code: 'socket-failed' });
    expect(native.devices()).toBe(before.devices);
  });

  it('as a client seeks its front end until it is there, and again when it has gone', async () => {
    const port = await open({ mode: 'client' });
    await waitFor(() => expect(port.reason).toBe(`no front end answers at ${path()}: ENOENT`));
    const seen: number[] = [];
    for (let round = 0; round < 2; round++) {
      const listening = native.listenUnix(path(), 'stream');
      const accept = () => {
        const accepted = native.acceptUnix(listening);
        expect(accepted).toBeGreaterThan(0);
        return accepted;
      };
      const fd = await waitFor(accept);
      const front = new FrontEnd(native, fd, file);
      front.replay();
      await waitFor(() => expect(port.up).toBe(true));
      seen.push(port.handle!);
      native.closeDescriptor(listening);
      rmSync(path());
      front.leave();
      await waitFor(() => expect(port.reason).toMatch(/^no front end answers/));
    }
    expect(seen[0]).toBe(seen[1]);
    await expectNothingLeft();
  });

  it('may be closed in the middle of everything', async () => {
    const port = await open();
    const front = await connected(port);
    front.send(wire({ request: 13, payload: words(0) }).subarray(0, 12), 1);
    const waiting = connect();
    front.send(words(0));
    await port.close();
    front.leave();
    waiting.leave();
    await expectNothingLeft();
    const changes = host.changes;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(host.changes).toBe(changes);
  });

  it('hears a live server where a foreign one listens', async () => {
    const foreign = createServer().listen(path());
    await new Promise((resolve) => foreign.once('listening', resolve));
    await expect(open()).rejects.toMatchObject({ code: 'socket-in-use' });
    await new Promise((resolve) => foreign.close(resolve));
  });
});
