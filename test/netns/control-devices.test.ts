/**
 * TAPs, marks and link events on the real kernel, in namespaces named wd-*. A Python process holds the TAPs, as native code
 * does in the switch: no part of weft but control/devices runs here.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runIp } from '../../control/devices/ip.ts';
import type { LinkEvent } from '../../control/devices/link-state.ts';
import { LinkWatch } from '../../control/devices/link-watch.ts';
import { devicesIn, findMarked, removeMarked } from '../../control/devices/marked.ts';
import { TapDevices, type TapOpener, type TapOutcome } from '../../control/devices/tap-device.ts';
import type { TapSpec } from '../../control/devices/tap-spec.ts';
import { describeNeeds } from '../needs.ts';

const HOLDER = `
import fcntl, os, struct, sys, ctypes
name, queues, netns = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if netns:
    if ctypes.CDLL(None, use_errno=True).setns(os.open(netns, os.O_RDONLY), 0): sys.exit('setns')
fds = []
for _ in range(queues):
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), 0x0002 | 0x1000 | 0x0100))
    fds.append(fd)
print('open', flush=True)
for line in sys.stdin:
    fcntl.ioctl(fds[0], 0x400454cb, 1)
    print('persistent', flush=True)
`;

type Holder = ChildProcessWithoutNullStreams;
const holders = new Set<Holder>();
/** Kept when a holder says that its device is persistent. */
const persistent = new WeakMap<Holder, Promise<unknown>>();

async function end(holder: Holder): Promise<void> {
  if (holder.exitCode === null && holder.signalCode === null) {
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
  }
  holders.delete(holder);
}

const opener: TapOpener<Holder> = {
  async open(name, queues, { netnsPath }) {
    const holder = spawn('python3', ['-c', HOLDER, name, String(queues), netnsPath ?? '']);
    holders.add(holder);
    await once(holder.stdout, 'data');
    return holder;
  },
  persist(holder) {
    persistent.set(holder, once(holder.stdout, 'data'));
    holder.stdin.write('\n');
  },
  close: (holder) => void holder.kill('SIGKILL'),
};

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const quietly = (...args: string[]) => {
  try {
    ip(...args);
  } catch {
    // Not there.
  }
};

const WEB: TapSpec = {
  bridge: 'wd-br',
  port: 'web',
  device: 'eth0',
  netns: 'wd-web',
  mac: '02:00:00:00:0d:01',
  mtu: 9000,
  addresses: ['10.213.0.2/24', 'fd13::2/64'],
  gateways: ['10.213.0.1', 'fd13::1'],
};
const HERE: TapSpec = {
  ...WEB,
  port: 'here',
  device: 'wd-here',
  netns: null,
  mac: '02:00:00:00:0d:02',
  addresses: [],
  gateways: [],
};

const devices = new TapDevices({ opener, owner: 'us' });
const device = async (netns: string | null, name: string) =>
  (await devicesIn(runIp, netns)).find((found) => found.name === name);

async function made(specs: readonly TapSpec[]): Promise<Extract<TapOutcome<Holder>, { takenOver: boolean }>[]> {
  const outcomes = await devices.create(specs, 2);
  for (const outcome of outcomes) if ('handle' in outcome) await persistent.get(outcome.handle);
  return outcomes.map((outcome) => {
    if ('error' in outcome) throw outcome.error;
    return outcome;
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  // The kernel takes namespaces away one after another, when it comes to it.
  const end = performance.now() + 15_000;
  while (performance.now() < end) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect.fail('did not happen within 15 s');
}

describeNeeds({ root: true, tun: true, tools: ['ip', 'python3'] }, 'control/devices on the kernel', () => {
  beforeEach(() => {
    ip('netns', 'add', 'wd-web');
  });
  afterEach(async () => {
    for (const holder of [...holders]) await end(holder);
    for (const name of ['wd-here', 'wd-other']) quietly('link', 'del', name);
    for (const netns of ['wd-web', 'wd-late']) quietly('netns', 'del', netns);
    const left = (await findMarked(runIp)).filter(({ mark }) => mark?.bridge.startsWith('wd-'));
    await removeMarked(runIp, left);
    expect(left.map(({ name }) => name).filter((name) => name !== 'eth0')).toEqual([]);
  });

  it('sets a TAP up in a namespace, under a name that the host may have too', async () => {
    await made([WEB]);
    expect(await device('wd-web', 'eth0')).toMatchObject({
      mark: { bridge: 'wd-br', port: 'web' },
      mac: WEB.mac,
      mtu: 9000,
      adminUp: true,
      carrier: true,
      inUse: true,
      addresses: WEB.addresses,
    });
    expect(ip('-n', 'wd-web', 'link', 'show', 'eth0')).toContain('qdisc noqueue');
    expect(ip('-n', 'wd-web', 'route', 'show', 'default')).toContain('via 10.213.0.1 dev eth0');
    expect(ip('-n', 'wd-web', '-6', 'route', 'show', 'default')).toContain('via fd13::1 dev eth0');
  });

  it('changes addresses, gateways, MAC and MTU live, and takes a failed change back', async () => {
    await made([WEB]);
    const after = {
      ...WEB,
      mac: '02:00:00:00:0d:09',
      mtu: 1400,
      addresses: ['10.213.0.3/24'],
      gateways: ['10.213.0.254'],
    };
    await devices.change(WEB, after);
    expect(await device('wd-web', 'eth0')).toMatchObject({
      mac: after.mac,
      mtu: 1400,
      addresses: after.addresses,
      carrier: true,
    });
    expect(ip('-n', 'wd-web', 'route', 'show', 'default')).toContain('via 10.213.0.254 dev eth0');
    await expect(devices.change(after, { ...after, mtu: 1300, gateways: ['192.0.2.1'] })).rejects.toMatchObject({
      code: 'bad-gateway',
      message: expect.stringContaining('wd-br/web'),
    });
    expect(await device('wd-web', 'eth0')).toMatchObject({ mtu: 1400 });
    expect(ip('-n', 'wd-web', 'route', 'show', 'default')).toContain('via 10.213.0.254 dev eth0');
  });

  it('takes marked devices over after the holder was killed, and removes addresses that are not wanted', async () => {
    const [web] = await made([WEB]);
    await made([HERE]);
    await end(web!.handle);
    const index = (await device('wd-web', 'eth0'))!.index;
    expect((await findMarked(runIp)).filter(({ mark }) => mark?.bridge === 'wd-br')).toMatchObject([
      { name: 'wd-here', netns: null, inUse: true },
      { name: 'eth0', netns: 'wd-web', inUse: false },
    ]);
    const [again] = await made([{ ...WEB, addresses: ['10.213.0.7/24'], gateways: ['10.213.0.1'] }]);
    expect(again!.takenOver).toBe(true);
    expect(await device('wd-web', 'eth0')).toMatchObject({
      index,
      inUse: true,
      carrier: true,
      addresses: ['10.213.0.7/24'],
    });
  });

  it('never touches an unmarked device, nor one that a process holds', async () => {
    ip('tuntap', 'add', 'wd-other', 'mode', 'tap');
    const [other, here] = await devices.create([{ ...HERE, device: 'wd-other' }, HERE], 1);
    expect(other).toMatchObject({
      error: { code: 'device-exists', message: expect.stringContaining('device wd-other') },
    });
    expect(here).toMatchObject({ takenOver: false });
    const [twice] = await devices.create([HERE], 1);
    expect(twice).toMatchObject({ error: { code: 'device-in-use' } });
    await devices.remove([{ ...HERE, device: 'wd-other' }]);
    expect(await device(null, 'wd-other')).toMatchObject({ mark: null, adminUp: false });
  });

  it('leaves nothing behind of a TAP that fails after its move', async () => {
    const [failed] = await devices.create([{ ...WEB, gateways: ['192.0.2.1'] }], 1);
    expect(failed).toMatchObject({ error: { code: 'bad-gateway' } });
    await until(async () => (await device('wd-web', 'eth0')) === undefined);
    expect((await devicesIn(runIp, null)).filter(({ name }) => name.startsWith('wf'))).toEqual([]);
  });

  it('removes and undoes, also where the namespace went first', async () => {
    const taps = await made([WEB, HERE]);
    await devices.undo(taps);
    expect([await device('wd-web', 'eth0'), await device(null, 'wd-here')]).toEqual([undefined, undefined]);
    await made([WEB]);
    ip('netns', 'del', 'wd-web');
    await devices.remove([WEB]);
  });

  it('configures 1,000 devices here within 6 s', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `tuntap add wd-k${i} mode tap multi_queue`);
    const specs = lines.map((_, i) => ({
      ...HERE,
      port: `k${i}`,
      device: `wd-k${i}`,
      mac: `02:00:00:0d:${hex(i >> 8)}:${hex(i & 255)}`,
    }));
    // Marked devices without a holder: `create` takes them over, which is the longer way.
    const marks = specs.map(({ device, port }) => `link set dev ${device} alias weft:wd-br/${port}`);
    const none = new TapDevices<string>({
      owner: 'us',
      opener: { open: (name) => name, persist: () => undefined, close: () => undefined },
    });
    try {
      execFileSync('ip', ['-batch', '-'], { input: [...lines, ...marks].join('\n') });
      const start = performance.now();
      const outcomes = await none.create(specs, 1);
      const created = performance.now() - start;
      expect(outcomes.filter((outcome) => 'error' in outcome)).toEqual([]);
      expect(created).toBeLessThan(6000);
      console.info(`1,000 devices configured in ${created.toFixed(0)} ms`);
      expect((await device(null, 'wd-k999'))!).toMatchObject({ adminUp: true, mtu: 9000 });
    } finally {
      const start = performance.now();
      await none.remove(specs);
      const removed = performance.now() - start;
      console.info(`and removed in ${removed.toFixed(0)} ms`);
      expect(removed).toBeLessThan(6000);
    }
    expect((await findMarked(runIp)).filter(({ mark }) => mark?.bridge === 'wd-br')).toEqual([]);
  });

  it('reports what happens to devices and namespaces', async () => {
    await made([WEB]);
    const events: LinkEvent[] = [];
    const link = new LinkWatch({ onEvent: (event) => events.push(event) });
    const saw = (type: LinkEvent['type'], of: object) => () =>
      events.some(
        (event) => event.type === type && Object.entries(of).every(([key, value]) => (event as never)[key] === value),
      );
    await link.start(['wd-web', 'wd-late']);
    try {
      ip('-n', 'wd-web', 'link', 'set', 'eth0', 'down');
      await until(saw('admin-down', { netns: 'wd-web', device: 'eth0' }));
      ip('-n', 'wd-web', 'link', 'set', 'eth0', 'name', 'eth9');
      await until(saw('device-renamed', { netns: 'wd-web', device: 'eth0', to: 'eth9' }));
      ip('-n', 'wd-web', 'link', 'set', 'eth9', 'up', 'mtu', '1400');
      await until(saw('mtu-changed', { netns: 'wd-web', device: 'eth9', mtu: 1400 }));
      await until(saw('admin-up', { netns: 'wd-web', device: 'eth9' }));
      ip('tuntap', 'add', 'wd-other', 'mode', 'tap');
      await until(saw('device-appeared', { netns: null, device: 'wd-other' }));
      ip('link', 'del', 'wd-other');
      await until(saw('device-vanished', { netns: null, device: 'wd-other' }));
      for (const holder of [...holders]) await end(holder);
      await until(saw('carrier-down', { netns: 'wd-web', device: 'eth9' }));
      // The monitor itself does not keep the namespace alive.
      ip('netns', 'del', 'wd-web');
      await until(saw('netns-deleted', { netns: 'wd-web' }));
      ip('netns', 'add', 'wd-web');
      await until(saw('netns-appeared', { netns: 'wd-web' }));
      ip('netns', 'add', 'wd-late');
      await until(saw('netns-appeared', { netns: 'wd-late' }));
      ip('-n', 'wd-late', 'tuntap', 'add', 'eth5', 'mode', 'tap');
      await until(saw('device-appeared', { netns: 'wd-late', device: 'eth5' }));
      expect(events.filter(({ type }) => type === 'monitor-restarted' || type === 'netns-appeared')).toHaveLength(2);
    } finally {
      await link.close();
    }
    expect(existsSync('/run/netns/wd-late')).toBe(true);
  });
});

function hex(octet: number): string {
  return octet.toString(16).padStart(2, '0');
}
