/**
 * What users get wrong and machines refuse: a clear message with the place and the remedy, the right exit code, nothing half-made left
 * behind, and a running switch that goes on as it was.
 */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { bond, member } from './bond-rig.ts';
import { type Daemon, runCli, WEFT } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, devicesIn, Lab, REAL, tap, until } from './lab.ts';

const NOBODY = 65_534;

const port = (more: object = {}) => ({ name: 'p', kind: 'tap', ...more });
const one = (more: object) => bridge([port(more)]);
const patch = (name: string, peer: string) => ({ name, kind: 'patch', peer });

/** Documents with one fault each, and what must be said: place, what was found, what is allowed. */
const FAULTS: Readonly<Record<string, readonly [object, RegExp]>> = {
  'an unknown key': [one({ vlans: { tag: 1 } }), /bridges\[0\]\.ports\[0\]\.vlans.*vlan/],
  'a wrong type': [one({ mtu: 'large' }), /bridges\[0\]\.ports\[0\]\.mtu.*number/],
  'a duplicate name': [bridge([port(), port({ device: 'x' })]), /ports\[1\]\.name.*already used at.*ports\[0\]\.name/],
  'a port’s device twice': [
    bridge([port({ device: 'x' }), port({ name: 'q', device: 'x' })]),
    /ports\[1\]\.device.*already used/,
  ],
  'a bridge twice': [{ bridges: [{ name: 'br0' }, { name: 'br0' }] }, /bridges\[1\]\.name.*already used/],
  'tag 0': [one({ vlan: { tag: 0 } }), /vlan\.tag: 0 is not a VLAN \(1–4094\)/],
  'tag 4095': [one({ vlan: { tag: 4095 } }), /vlan\.tag: 4095 is not a VLAN \(1–4094\)/],
  'C bridge_test trunk without max': [one({ vlan: { trunks: ['10-'] } }), /vlan\.trunks\[0\].*10-/],
  'C bridge_test trunk without min': [one({ vlan: { trunks: ['-10'] } }), /vlan\.trunks\[0\].*-10/],
  'C bridge_test trunk over 4094': [one({ vlan: { trunks: ['10-4095'] } }), /vlan\.trunks\[0\].*4095/],
  'C bridge_test trunk with max below min': [one({ vlan: { trunks: ['20-10'] } }), /vlan\.trunks\[0\].*20-10/],
  'a device name over 15 characters': [one({ device: 'sixteen-letters-' }), /\.device.*16 characters.*at most 15/],
  'an address without prefix': [one({ address: '10.0.0.1' }), /\.address.*no prefix.*10\.0\.0\.1\/24/],
  'a CPU that is not there': [bridge([port()], {}, { workers: { cpus: [4000] } }), /workers\.cpus\[0\].*4000/],
  'a CPU twice': [bridge([port()], {}, { workers: { count: 2, cpus: [0, 0] } }), /workers\.cpus\[1\].*already used/],
  'an fdb-limit beyond any table': [bridge([port()], { 'fdb-limit': 5_000_000 }), /fdb-limit.*1,000,000/],
  'a patch cycle': [
    {
      bridges: [
        { name: 'br0', ports: [patch('a', 'br1/b'), patch('c', 'br1/d')] },
        { name: 'br1', ports: [patch('b', 'br0/a'), patch('d', 'br0/c')] },
      ],
    },
    /cycle|loop/,
  ],
  'a bond without members': [bridge([bond([])]), /ports\[0\]\.members: is an empty list/],
  'a member twice': [bridge([bond(['x', 'x'])]), /members\[1\]\.device: the device "x" is already used.*members\[0\]/],
  'a member in two bonds': [
    bridge([bond(['x']), bond(['x'], { name: 'q' })]),
    /ports\[1\]\.members\[0\]\.device.*already used at bridges\[0\]\.ports\[0\]\.members\[0\].*one bond/,
  ],
  'a member that is also a port': [
    bridge([bond(['x']), { name: 'x', kind: 'netdev' }]),
    /ports\[1\]\.name.*already used at bridges\[0\]\.ports\[0\]\.members\[0\]/,
  ],
  'an option that the mode doesn’t know': [
    bridge([bond(['x'], { mode: 'balance-rr', hash: 'layer2' })]),
    /ports\[0\]\.hash: mode balance-rr does not know this key \(modes that do: balance-xor, 802\.3ad/,
  ],
  'mixed speeds': [
    bridge([bond([member('x', { speed: '1G' }), member('y', { speed: '10G' })], { mode: '802.3ad' })]),
    /members\[1\]\.speed: 10G beside 1G at bridges\[0\]\.ports\[0\]\.members\[0\]\.speed.*lacp\.select/,
  ],
};

describeNeeds(REAL, 'bad input', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;
  let b: Host;
  const document = () => bridge([tap(lab, 'a', { address: '10.4.0.1/24' }), tap(lab, 'b', { address: '10.4.0.2/24' })]);

  beforeAll(async () => {
    lab = new Lab();
    ({ a, b } = await lab.hosts(['a', 'b']));
    daemon = await lab.daemon(document());
  });
  afterAll(() => lab.close());
  beforeEach(() => daemon.apply(document()));

  const write = (name: string, content: object | string) => {
    const file = join(lab.folder, name);
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return file;
  };
  /** Starts a daemon that must refuse to; answers how. */
  const refused = (content: object | string, options: { args?: string[]; netns?: string } = {}) => {
    const socket = join(lab.folder, 'second.sock');
    const args = ['run', '-c', write('second.yaml', content), '--socket', socket, ...(options.args ?? [])];
    return runCli(args, options.netns ?? lab.name('hub'));
  };
  const unharmed = async () => {
    expect((await daemon.ports()).map(({ name, up }) => [name, up])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect(await a.ping('10.4.0.2')).toBe(3);
    expect(await devicesIn(lab.name('hub'))).toEqual([]);
  };

  it.each(Object.entries(FAULTS))(
    '%s: check, run and apply say where and what is allowed',
    async (_, [content, says]) => {
      const file = write('faulty.yaml', content);
      const runs = [runCli(['check', file]), refused(content), daemon.cli('apply', file)];
      for (const { exitCode, stderr, stdout } of await Promise.all(runs)) {
        expect(stderr + stdout).toMatch(says);
        expect(stderr + stdout).not.toMatch(/\n\s+at /);
        expect(exitCode).toBe(2);
      }
      expect(await devicesIn(lab.name('hub'))).toEqual([]);
    },
  );

  it('every fault of a document is told at once', async () => {
    const { stdout, exitCode } = await runCli([
      'check',
      '--json',
      write('many.yaml', one({ mtu: 1, vlan: { tag: 0 }, mac: 'x' })),
    ]);
    const { ok, problems } = JSON.parse(stdout) as { ok: boolean; problems: { place: string }[] };
    expect(ok).toBe(false);
    expect(exitCode).toBe(2);
    expect(problems.map(({ place }) => place.replace('bridges[0].ports[0].', '')).sort()).toEqual([
      'mac',
      'mtu',
      'vlan.tag',
    ]);
  });

  it('no file, a file that is no YAML, no arguments, an unknown command', async () => {
    const missing = await runCli(['run', '-c', join(lab.folder, 'nowhere.yaml')]);
    expect(missing).toMatchObject({ exitCode: expect.any(Number), stderr: expect.stringMatching(/nowhere\.yaml/) });
    expect(missing.exitCode).toBeGreaterThan(0);
    const broken = await runCli(['check', write('broken.yaml', 'bridges: [\n  - name: x')]);
    expect(broken).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/line \d|:\d/) });
    expect(await runCli(['run'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--config') });
    expect(await runCli(['fly'])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('fly') });
  });

  it('a namespace that is not there: named, with the remedy, at start and live', async () => {
    const gone = bridge([tap(lab, 'a2', { netns: lab.name('a') }), tap(lab, 'nowhere')]);
    const { exitCode, stderr } = await refused(bridge([{ name: 'r', kind: 'tap' }, tap(lab, 'nowhere')]));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(lab.name('nowhere'));
    expect(stderr).toMatch(/ip netns add/);
    await expect(daemon.apply(gone)).rejects.toThrow(lab.name('nowhere'));
    await unharmed();
  });

  it('an fdb-limit that the running switch has no room for is refused', async () => {
    await expect(daemon.apply(bridge([tap(lab, 'a')], { 'fdb-limit': 1_000_000 }))).rejects.toThrow(/fdb-limit.*room/);
    await unharmed();
  });

  it('a port that exists, a bridge or port that does not, by CLI', async () => {
    expect(await daemon.cli('port', 'add', 'br0/a')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('already has a port a'),
    });
    expect(await daemon.cli('port', 'add', 'br9/a')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('br9'),
    });
    expect(await daemon.cli('port', 'del', 'br0/z')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/no port.*z/),
    });
    const tag = await daemon.cli('port', 'add', 'br0/z', '--tag', '4095');
    expect(tag).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('4095 is not a VLAN (1–4094)') });
    await unharmed();
  });

  it('a pcap port whose file is not there, or is none: refused, and the worker goes on', async () => {
    for (const [file, error] of [
      [join(lab.folder, 'nowhere.pcap'), 'ENOENT'],
      [WEFT, 'EINVAL'],
    ] as const) {
      const { exitCode, stderr } = await daemon.cli('port', 'add', 'br0/replay', '--kind', 'pcap', '--read', file);
      expect(stderr).toContain(`br0/replay can't be served: ${error}`);
      expect(exitCode).toBe(1);
    }
    await unharmed();
    expect((await daemon.workers()).every(({ restarts }) => restarts === 0)).toBe(true);
  });

  it('EMFILE at one of 500 ports: said with the remedy, and no device is left', async () => {
    const ports = Array.from({ length: 500 }, (_, k) => ({ name: `p${k}`, kind: 'tap' }));
    const file = write('many-ports.yaml', bridge(ports));
    const script = `ulimit -n 256; exec "${process.execPath}" "${WEFT}" run -c "${file}" --socket "${lab.folder}/many.sock"`;
    const run = await execa('ip', ['netns', 'exec', lab.name('hub'), 'sh', '-c', script], {
      reject: false,
      timeout: 50_000,
    });
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toMatch(/open files|EMFILE/);
    expect(run.stderr).toMatch(/ulimit -n/);
    expect(run.stderr.split('\n').length).toBeLessThan(30);
    await unharmed();
  });

  it('two applies at once: one after the other, the last one stands', async () => {
    const wanted = [1, 2, 3, 4].map((n) =>
      bridge([tap(lab, 'a', { address: `10.4.0.${10 + n}/24` }), tap(lab, 'b')], { ageing: 100 + n }),
    );
    const results = await Promise.all(wanted.map((each) => daemon.apply(each)));
    expect(results.every(({ applied }) => applied)).toBe(true);
    const [br0] = await daemon.client.get<{ ageing: number }[]>('/v1/bridges');
    const config = await daemon.client.get<{ bridges: { ageing: number }[] }>('/v1/config');
    expect(config.bridges[0]!.ageing).toBe(br0!.ageing);
    const shown = await a.run('ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0');
    expect(shown.match(/inet /g)).toHaveLength(1);
    expect(shown).toContain(`10.4.0.${10 + br0!.ageing - 100}/24`);
    await daemon.apply(document());
    await unharmed();
  });

  it('API clients that never read harm nobody', async () => {
    const memory = daemon.anonymousKib();
    const clients = Array.from({ length: 20 }, () => {
      const client = createConnection(daemon.socket);
      client.pause();
      client.write('GET /v1/capture?port=a HTTP/1.1\r\nhost: x\r\n\r\n');
      client.on('error', () => undefined);
      return client;
    });
    await sleep(300);
    expect(await a.ping('10.4.0.2', { count: 500, size: 1400, interval: 0.002 })).toBe(500);
    expect(daemon.anonymousKib() - memory).toBeLessThan(200 << 10);
    for (const client of clients) client.destroy();
    await unharmed();
  });

  it('requests that are none: answered, not fatal', async () => {
    for (const text of [
      'nonsense\r\n\r\n',
      'POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{',
    ]) {
      const client = createConnection(daemon.socket);
      let answer = '';
      client.on('data', (data) => (answer += data));
      client.on('error', () => undefined);
      client.write(text);
      expect(
        await until(
          async () => answer,
          (said) => said !== '',
          3000,
        ),
      ).toMatch(/^HTTP\/1\.1 4\d\d /);
      client.destroy();
    }
    await unharmed();
  });

  it('a socket in use by a live daemon is refused; one of a dead daemon is taken over', async () => {
    const live = await runCli(
      ['run', '-c', write('third.yaml', bridge([])), '--socket', daemon.socket],
      lab.name('hub'),
    );
    expect(live).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/already runs.*\n?.*--socket/) });
    await unharmed();
    const first = await lab.daemon(bridge([]), { name: 'dead' });
    await first.kill();
    const second = await lab.daemon(bridge([]), { name: 'dead' });
    expect(await second.ports()).toEqual([]);
    expect(await second.stop()).toMatchObject({ code: 0 });
  });

  it('a device held by a running daemon is refused to a second one', async () => {
    const { exitCode, stderr } = await refused(bridge([tap(lab, 'a')]));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/eth0.*held by a running process/);
    await unharmed();
  });

  it('no /dev/net/tun: said, with the remedy', async () => {
    const file = write('no-tun.yaml', bridge([port({ name: 'r' })]));
    const script = `mount -t tmpfs none /dev/net && exec "${process.execPath}" "${WEFT}" run -c "${file}" --socket "${lab.folder}/tun.sock"`;
    const run = await execa('ip', ['netns', 'exec', lab.name('hub'), 'sh', '-c', script], {
      reject: false,
      timeout: 20_000,
    });
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toMatch(/\/dev\/net\/tun/);
    await unharmed();
  });

  it('no permission, and no XDG_RUNTIME_DIR: said, with the remedy', async ({ skip }) => {
    const folder = join(lab.folder, 'nobody');
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
    chmodSync(lab.folder, 0o755);
    const file = write('nobody.yaml', bridge([port({ name: `${lab.prefix}x` })]));
    const as = { uid: NOBODY, gid: NOBODY, reject: false, timeout: 20_000 } as const;
    const readable = await execa(process.execPath, [WEFT, '--version'], as);
    if (readable.exitCode !== 0) skip('this host keeps the clone or node from other users');
    const run = ['run', '-c', file];
    const env = { XDG_RUNTIME_DIR: undefined, WEFT_SOCKET: undefined };
    const noPlace = await execa(process.execPath, [WEFT, ...run], { ...as, env });
    expect(noPlace).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/XDG_RUNTIME_DIR.*\n?.*--socket/) });
    const noRight = await execa(process.execPath, [WEFT, ...run, '--socket', join(folder, 'weft.sock')], as);
    expect(noRight.exitCode).toBe(1);
    expect(noRight.stderr).toMatch(/CAP_NET_ADMIN|as root/);
    const foreign = await execa(process.execPath, [WEFT, 'show', 'ports', '--socket', daemon.socket], as);
    expect(foreign).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/permission.*\n?.*group weft/) });
    await unharmed();
  });

  it('the running switch is unharmed by all of this', async () => {
    await unharmed();
    expect(await b.ping('10.4.0.1')).toBe(3);
    expect(daemon.running).toBe(true);
    expect((await daemon.workers()).every(({ restarts }) => restarts === 0)).toBe(true);
  });
});
