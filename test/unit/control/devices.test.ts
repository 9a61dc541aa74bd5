/** Devices without devices: what is asked of `ip`, what its answers and its monitor's lines mean. */
import { describe, expect, it } from 'vitest';
import { type IpResult, ipBatch, ipError, ipJson, type RunIp } from '../../../control/devices/ip.ts';
import { parseMonitorLine } from '../../../control/devices/link-lines.ts';
import { type LinkEvent, LinkState } from '../../../control/devices/link-state.ts';
import { LinkWatch, monitorArguments, type WatchClock } from '../../../control/devices/link-watch.ts';
import { type Device, parseMark, removeMarked } from '../../../control/devices/marked.ts';
import { changeCommands, setupCommands } from '../../../control/devices/tap-commands.ts';
import { TapDevices, type TapOpener } from '../../../control/devices/tap-device.ts';
import type { TapSpec } from '../../../control/devices/tap-spec.ts';
import { DeviceError } from '../../../control/errors.ts';

const ok = (stdout = ''): IpResult => ({ exitCode: 0, stdout, stderr: '' });

describe('what ip says', () => {
  it.each([
    ['RTNETLINK answers: Operation not permitted', 'no-permission'],
    ['Cannot open network namespace "x": No such file or directory', 'no-such-netns'],
    ['Cannot find device "x"', 'no-such-device'],
    ['Error: Nexthop has invalid gateway.', 'bad-gateway'],
    ['Error: mtu greater than device maximum.', 'bad-mtu'],
    ['RTNETLINK answers: File exists', 'already-there'],
    ['RTNETLINK answers: No buffer space available', 'no-room'],
    ['something else', 'ip-failed'],
  ])('%s', (stderr, code) => {
    expect(ipError(stderr, 'what')).toMatchObject({ code, exitCode: 1 });
    expect(ipError(stderr, 'what').message).toMatch(/^what: \w/);
  });

  it('of a batch is told command by command', async () => {
    let asked: unknown;
    const stderr = 'Cannot find device "a"\nCommand failed -:1\nRTNETLINK answers: File exists\nCommand failed -:3';
    const run: RunIp = async (args, input) => {
      asked = { args, input };
      return { exitCode: 1, stdout: '', stderr };
    };
    const failures = await ipBatch(run, 'ns', ['one', 'two', 'three']);
    expect(asked).toEqual({ args: ['-n', 'ns', '-force', '-batch', '-'], input: 'one\ntwo\nthree\n' });
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([
      [0, 'no-such-device'],
      [2, 'already-there'],
    ]);
    expect(failures[1]!.error.message).toBe('ip three: File exists');
  });

  it('where nothing could run is one error, and no commands are no process', async () => {
    const run: RunIp = async () => ({
      exitCode: 255,
      stdout: '',
      stderr: 'Cannot open network namespace "x": No such file',
    });
    await expect(ipBatch(run, 'x', ['a'])).rejects.toMatchObject({ code: 'no-such-netns' });
    await expect(ipBatch(() => Promise.reject(new Error('called')), null, [])).resolves.toEqual([]);
  });

  it('as JSON may be nothing, or objects that a filter emptied', async () => {
    expect(await ipJson(async () => ok(''), null, ['x'], 'x')).toEqual([]);
    expect(await ipJson(async () => ok('[{},{"a":1}]'), null, ['x'], 'x')).toEqual([{ a: 1 }]);
  });
});

describe('marks', () => {
  it('are read strictly', () => {
    expect(parseMark('weft:br0/web')).toEqual({ bridge: 'br0', port: 'web' });
    for (const alias of [undefined, '', 'weft:', 'weft:br0', 'weft:a/b/c', 'my weft:a/b', 'weft:a/b c'])
      expect(parseMark(alias)).toBeNull();
  });

  it('are needed to remove a device', async () => {
    const device = { netns: null, name: 'eth0', mark: null } as Device;
    await expect(removeMarked(() => Promise.reject(new Error('called')), [device])).rejects.toMatchObject({
      code: 'not-ours',
    });
  });
});

const SPEC: TapSpec = {
  bridge: 'br0',
  port: 'web',
  device: 'eth0',
  netns: 'web',
  mac: '02:00:00:00:00:01',
  mtu: 9000,
  addresses: ['10.0.0.2/24', 'fd00::2/64'],
  gateways: ['10.0.0.1'],
};

describe('commands', () => {
  it('of a new TAP end with up and routes', () => {
    expect(setupCommands(SPEC, SPEC, null).map(({ line }) => line)).toEqual([
      'link set dev eth0 alias weft:br0/web',
      'link set dev eth0 address 02:00:00:00:00:01 mtu 9000 txqueuelen 4096',
      'addr replace 10.0.0.2/24 dev eth0',
      'addr replace fd00::2/64 dev eth0 nodad',
      'link set dev eth0 up',
      'route add 0.0.0.0/0 via 10.0.0.1 dev eth0',
    ]);
  });

  it('of a takeover remove only addresses that are not wanted, however they are written', () => {
    const existing = { addresses: ['10.0.0.9/24', '10.0.0.2/24', 'fd00::2/64'] } as unknown as Device;
    const spec = { ...SPEC, addresses: ['10.0.0.2/24', 'FD00:0::2/64'] };
    const lines = setupCommands(spec, spec, existing).map(({ line }) => line);
    expect(lines.filter((line) => line.startsWith('addr del'))).toEqual(['addr del 10.0.0.9/24 dev eth0']);
  });

  it('of a change are what changed, going first, and routes that an address took along', () => {
    const after = { ...SPEC, mtu: 1500, addresses: ['10.0.0.3/24', 'fd00::2/64'] };
    expect(changeCommands(SPEC, after).map(({ line }) => line)).toEqual([
      'addr del 10.0.0.2/24 dev eth0',
      'link set dev eth0 mtu 1500',
      'addr replace 10.0.0.3/24 dev eth0',
      'route add 0.0.0.0/0 via 10.0.0.1 dev eth0',
    ]);
    expect(changeCommands(SPEC, SPEC)).toEqual([]);
    expect(changeCommands(SPEC, { ...SPEC, gateways: [] }).map(({ line }) => line)).toEqual([
      'route del 0.0.0.0/0 via 10.0.0.1 dev eth0',
    ]);
  });
});

/** Remembers what happened; `open` throws where told. */
function scriptedOpener(fail: (name: string) => Error | null = () => null) {
  const calls: string[] = [];
  const opener: TapOpener<string> = {
    open(name, queues, { netnsPath }) {
      const error = fail(name);
      if (error !== null) throw error;
      calls.push(`open ${name} ${queues} ${netnsPath}`);
      return name;
    },
    persist: (name) => calls.push(`persist ${name}`),
    close: (name) => calls.push(`close ${name}`),
  };
  return { opener, calls };
}

describe('TapDevices', () => {
  const root = (port: string): TapSpec => ({ ...SPEC, port, device: port, netns: null, addresses: [], gateways: [] });

  it('makes 1,000 ports here with three processes', async () => {
    const { opener, calls } = scriptedOpener();
    const processes: (readonly string[])[] = [];
    const run: RunIp = async (args) => {
      processes.push(args);
      return ok('[]');
    };
    const specs = Array.from({ length: 1000 }, (_, i) => root(`t${i}`));
    const outcomes = await new TapDevices({ opener, run }).create(specs, 2);
    expect(outcomes.every((outcome) => 'handle' in outcome && !outcome.takenOver)).toBe(true);
    expect(processes).toHaveLength(3);
    expect(calls[0]).toBe('open t0 2 null');
    expect(calls.at(-1)).toBe('persist t999');
  });

  it('closes what could not be set up, keeps the rest, and says which port it was', async () => {
    const { opener, calls } = scriptedOpener((name) =>
      name === 'b' ? Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }) : null,
    );
    const run: RunIp = async (_, input, program) =>
      input === undefined || program === 'tc'
        ? ok('[]')
        : { exitCode: 1, stdout: '', stderr: 'Error: mtu greater than device maximum.\nCommand failed -:2' };
    const [a, b, c] = await new TapDevices({ opener, run }).create([root('a'), root('b'), root('c')], 1);
    expect(a).toMatchObject({ error: { code: 'bad-mtu' } });
    expect((a as { error: Error }).error.message).toMatch(/^br0\/a: ip link set dev a address/);
    expect(b).toMatchObject({ error: { code: 'tap-failed', hint: expect.stringContaining('ulimit -n') } });
    expect(c).toMatchObject({ handle: 'c', takenOver: false });
    expect(calls).toEqual(['open a 1 null', 'open c 1 null', 'close a', 'persist c']);
  });

  it('gives a port without its namespace an error and opens nothing for it', async () => {
    const { opener, calls } = scriptedOpener();
    const run: RunIp = async (args) =>
      args[0] === '-n'
        ? { exitCode: 1, stdout: '', stderr: 'Cannot open network namespace "web": No such file' }
        : ok('[]');
    const outcomes = await new TapDevices({ opener, run }).create([SPEC, root('x')], 1);
    expect(outcomes[0]).toMatchObject({ error: { code: 'no-such-netns' } });
    expect(calls).toEqual(['open x 1 null', 'persist x']);
  });

  it('takes over a marked TAP where it lies, and no other device', async () => {
    const tap = {
      ifindex: 2,
      ifname: 'eth0',
      flags: [],
      mtu: 1500,
      linkinfo: { info_kind: 'tun', info_data: { type: 'tap', numqueues: 0 } },
    };
    const create = async (link: object) => {
      const { opener, calls } = scriptedOpener();
      const run: RunIp = async (args) => ok(args.includes('-json') ? JSON.stringify([link]) : '');
      const [outcome] = await new TapDevices({ opener, run, netnsFolder: '/ns' }).create([SPEC], 1);
      return { outcome, calls };
    };
    const taken = await create({ ...tap, ifalias: 'weft:br0/web' });
    expect(taken.outcome).toMatchObject({ takenOver: true, handle: 'eth0' });
    expect(taken.calls).toEqual(['open eth0 1 /ns/web', 'persist eth0']);
    const unmarked = await create(tap);
    expect(unmarked.outcome).toMatchObject({ error: { code: 'device-exists' } });
    expect((unmarked.outcome as { error: Error }).error.message).toContain('device eth0 in namespace web exists');
    const held = await create({
      ...tap,
      ifalias: 'weft:br0/web',
      linkinfo: { info_kind: 'tun', info_data: { type: 'tap', numqueues: 1 } },
    });
    expect(held.outcome).toMatchObject({ error: { code: 'device-in-use' } });
    expect([...unmarked.calls, ...held.calls]).toEqual([]);
  });
});

describe('the monitor’s lines', () => {
  it.each([
    [
      '[nsid 0]50: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9000 qdisc noop state UP group default \\    link/ether 02',
      { type: 'link', nsid: 0, gone: false, index: 50, name: 'eth0', adminUp: true, carrier: true, mtu: 9000 },
    ],
    [
      '[nsid current]Deleted 50: wd-t0: <BROADCAST> mtu 9000 qdisc noop state DOWN \\ new-netns wd-a new-ifindex 50',
      { type: 'link', nsid: null, gone: true, index: 50, name: 'wd-t0', adminUp: false, carrier: false, mtu: 9000 },
    ],
    [
      '7: veth0@if6: <UP> mtu 1500',
      { type: 'link', nsid: null, gone: false, index: 7, name: 'veth0', adminUp: true, carrier: false, mtu: 1500 },
    ],
    ['[nsid current]Deleted nsid 0 (iproute2 netns name: wd-a)', { type: 'netns', gone: true, nsid: 0 }],
    ['[nsid current]nsid 3 (iproute2 netns name: wd-a)', { type: 'netns', gone: false, nsid: 3 }],
    ['    link/ether 02:00:00:00:00:05', null],
    ['', null],
  ])('%s', (line, value) => {
    expect(parseMonitorLine(line)).toEqual(value);
  });
});

const sight = { index: 5, name: 'a', adminUp: true, carrier: true, mtu: 1500 };

describe('LinkState', () => {
  it('tells what changed', () => {
    const state = new LinkState();
    const types = (events: readonly LinkEvent[]) => events.map(({ type }) => type);
    expect(types(state.see(1, null, sight))).toEqual(['device-appeared']);
    expect(types(state.see(1, null, sight))).toEqual([]);
    expect(state.see(2, null, { ...sight, name: 'b', carrier: false, adminUp: false, mtu: 9000 })).toEqual([
      { type: 'device-renamed', time: 2, netns: null, device: 'a', to: 'b', index: 5 },
      { type: 'admin-down', time: 2, netns: null, device: 'b', index: 5 },
      { type: 'carrier-down', time: 2, netns: null, device: 'b', index: 5 },
      { type: 'mtu-changed', time: 2, netns: null, device: 'b', index: 5, mtu: 9000 },
    ]);
    expect(types(state.replace(3, null, [{ ...sight, index: 6 }]))).toEqual(['device-vanished', 'device-appeared']);
    expect(types(state.vanish(4, null, 99))).toEqual([]);
    expect(state.forget('never seen')).toBe(false);
  });
});

describe('LinkWatch', () => {
  /** A watch over a scripted monitor, a scripted `ip` and a clock that stands until it is told. */
  function scripted() {
    const events: LinkEvent[] = [];
    const timers: { at: number; run: () => void }[] = [];
    const monitors: { onLine: (line: string) => void; onEnd: (reason: string) => void; stopped: boolean }[] = [];
    const world = { links: [{ ifindex: 5, ifname: 'a', flags: ['UP', 'LOWER_UP'], mtu: 1500 }] as object[], now: 0 };
    const clock: WatchClock = {
      now: () => world.now,
      after(milliseconds, run) {
        const timer = { at: world.now + milliseconds, run };
        timers.push(timer);
        return () => timers.includes(timer) && timers.splice(timers.indexOf(timer), 1);
      },
    };
    const run: RunIp = async () => ok(JSON.stringify(world.links));
    const link = new LinkWatch({
      onEvent: (event) => events.push(event),
      run,
      clock,
      netnsFolder: '/nowhere',
      startMonitor(onLine, onEnd) {
        const monitor = { onLine, onEnd, stopped: false };
        monitors.push(monitor);
        return { stop: () => Object.assign(monitor, { stopped: true }) };
      },
    });
    const advance = async (milliseconds: number) => {
      world.now += milliseconds;
      for (const timer of timers.filter(({ at }) => at <= world.now)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.run();
      }
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { events, monitors, world, link, advance, timers };
  }

  it('reports changes, not what was there', async () => {
    const { events, monitors, link, world } = scripted();
    await link.start();
    expect(events).toEqual([]);
    world.now = 77;
    monitors[0]!.onLine('[nsid current]5: a: <UP> mtu 1500');
    monitors[0]!.onLine('[nsid 9]5: a: <> mtu 1500');
    expect(events).toEqual([{ type: 'carrier-down', time: 77, netns: null, device: 'a', index: 5 }]);
    await link.close();
    expect(monitors[0]!.stopped).toBe(true);
  });

  it('looks again soon after the monitor started, for what fell between', async () => {
    const { events, link, world, advance } = scripted();
    await link.start();
    world.links = [];
    await advance(300);
    expect(events.map(({ type }) => type)).toEqual(['device-vanished']);
    await link.close();
  });

  it('starts a dead monitor again and finds what it missed', async () => {
    const { events, monitors, link, world, advance, timers } = scripted();
    await link.start();
    await advance(300);
    monitors[0]!.onEnd('killed');
    world.links = [];
    await advance(499);
    expect(monitors).toHaveLength(1);
    await advance(1);
    expect(monitors).toHaveLength(2);
    expect(events).toMatchObject([
      { type: 'monitor-restarted', reason: 'killed' },
      { type: 'device-vanished', device: 'a' },
    ]);
    await link.close();
    monitors[1]!.onEnd('stopped');
    expect(timers).toEqual([]);
    expect(events).toHaveLength(2);
  });

  it('throws where there is no ip at all', async () => {
    const { link } = scripted();
    await link.close();
    const without = new LinkWatch({
      onEvent: () => undefined,
      run: () => Promise.reject(new DeviceError('no-ip', 'the command ip was not found')),
      startMonitor: () => ({ stop: () => undefined }),
    });
    await expect(without.start()).rejects.toMatchObject({ code: 'no-ip' });
    await without.close();
  });
});

describe('the monitor', () => {
  it('hears all namespaces where it may, else its own', () => {
    const status = (capabilities: string) => `Name:\tnode\nCapEff:\t${capabilities}\nCapBnd:\t000001ffffffffff\n`;
    expect(monitorArguments(status('000001ffffffffff'))).toEqual(['-o', 'monitor', 'link', 'nsid', 'all-nsid']);
    expect(monitorArguments(status('0000000000000800'))).toEqual(['-o', 'monitor', 'link', 'nsid', 'all-nsid']);
    for (const less of ['0000000000000000', '0000000000001000']) {
      expect(monitorArguments(status(less))).toEqual(['-o', 'monitor', 'link']);
    }
    expect(monitorArguments('')).toEqual(['-o', 'monitor', 'link']);
  });
});
