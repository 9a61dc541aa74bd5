/** Devices without devices: what is asked of `ip`, and what its answers mean. */
import { describe, expect, it } from 'vitest';
import { type IpResult, ipBatch, ipError, ipJson, type RunIp } from '../../../control/devices/ip.ts';
import { type Device, markOf, ownerOf, parseMark, removeMarked } from '../../../control/devices/marked.ts';
import { changeCommands, setupCommands } from '../../../control/devices/tap-commands.ts';
import { TapDevices, type TapOpener } from '../../../control/devices/tap-device.ts';
import type { TapSpec } from '../../../control/devices/tap-spec.ts';

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
    expect(parseMark('weft:br0/web')).toEqual({ bridge: 'br0', port: 'web', owner: null });
    expect(parseMark(markOf('br0', 'web', ownerOf('/run/a')))).toEqual({
      bridge: 'br0',
      port: 'web',
      owner: ownerOf('/run/a'),
    });
    expect(ownerOf('/run/a')).not.toBe(ownerOf('/run/b'));
    for (const alias of [
      undefined,
      '',
      'weft:',
      'weft:br0',
      'weft:a/b/c',
      'my weft:a/b',
      'weft:a/b c',
      'weft:a/b@',
      'weft:a/b@c@d',
    ])
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
    expect(setupCommands(SPEC, SPEC, null, 'us').map(({ line }) => line)).toEqual([
      'link set dev eth0 alias weft:br0/web@us',
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
    const lines = setupCommands(spec, spec, existing, 'us').map(({ line }) => line);
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
    const outcomes = await new TapDevices({ opener, owner: 'us', run }).create(specs, 2);
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
    const [a, b, c] = await new TapDevices({ opener, owner: 'us', run }).create([root('a'), root('b'), root('c')], 1);
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
    const outcomes = await new TapDevices({ opener, owner: 'us', run }).create([SPEC, root('x')], 1);
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
      const [outcome] = await new TapDevices({ opener, owner: 'us', run, netnsFolder: '/ns' }).create([SPEC], 1);
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
