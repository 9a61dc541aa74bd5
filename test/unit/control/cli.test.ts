import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { commandWord, VALUED_OPTIONS } from '../../../control/cli/command-word.ts';
import {
  BOND_MODE_NAMES,
  HASH_POLICY_NAMES,
  LACP_MODE_NAMES,
  LACP_RATE_NAMES,
  PORT_KIND_NAMES,
  SOCKET_TYPE_NAMES,
  VLAN_MODE_NAMES,
} from '../../../control/cli/names.ts';
import { buildProgram } from '../../../control/cli/program.ts';
import { LACP_MODES, LACP_RATES } from '../../../control/config/bond-schema.ts';
import { PORT_KINDS, VLAN_MODES } from '../../../control/config/document.ts';
import { SOCKET_TYPES } from '../../../control/config/kind-keys.ts';
import { BOND_MODES, HASH_POLICIES } from '../../../control/model/bond.ts';
import { apiRig } from './api-rig.ts';
import { startWeft, weft } from './cli-rig.ts';

const MAC = '02:00:00:00:00:01';
const rig = apiRig();

afterEach(() => void vi.unstubAllEnvs());

function file(text: string): string {
  const path = join(rig.folder, 'weft.yaml');
  writeFileSync(path, text);
  return path;
}

describe('weft show', () => {
  it('ports: a line each, with units, and why one is down', async () => {
    const { code, out, err } = await weft(rig, 'show ports');
    const [head, web, db] = out.split('\n');
    expect([code, err]).toEqual([0, '']);
    expect(head).toMatch(/^PORT +STATE +KIND +VLAN +DEVICE .* RX FRAMES .* MISSED +DROPPED +ADDRESSES +WHY DOWN *$/);
    expect(web).toMatch(
      /^br0\/web +up +tap +access 10 +tap-web in web +1500 .* 1\.23 M +1\.50 GB +10 +640 B +3 +7 +1 *$/,
    );
    expect(db).toMatch(/^br0\/db +down .*the namespace is gone$/);
  });

  it.each(['bridges', 'ports', 'vlans', 'workers', 'drops'] as const)('%s --json is the API’s answer', async (what) => {
    const { out } = await weft(rig, `show ${what} --json`);
    expect(JSON.parse(out)).toEqual(rig.sw[what]());
  });

  it('fdb filters by bridge, port, VLAN and address', async () => {
    const row = {
      bridge: 'br0',
      vlan: 10,
      mac: MAC,
      port: 'web',
      type: 'learned' as const,
      age: 65,
      remote: null,
      vni: null,
    };
    rig.sw.fdbRows = [row, { ...row, vlan: 20, port: 'db' }, { ...row, bridge: 'br1', port: 'up' }];
    expect((await weft(rig, 'show fdb')).out.split('\n')).toHaveLength(5);
    expect((await weft(rig, 'show fdb --port br0/web')).out).toMatch(
      /\nbr0 +10 +02:00:00:00:00:01 +web +learned +65 s ago\n$/,
    );
    expect((await weft(rig, 'show fdb --vlan 30')).out).toBe('no addresses\n');
    expect(JSON.parse((await weft(rig, `show fdb --bridge br1 --mac ${MAC} --json`)).out)).toEqual([rig.sw.fdbRows[2]]);
  });

  it('config is YAML that check accepts, or the document as JSON', async () => {
    const { out } = await weft(rig, 'show config');
    expect((await weft(rig, `check ${file(out)}`)).code).toBe(0);
    expect(JSON.parse((await weft(rig, 'show config --json')).out)).toEqual(rig.sw.document);
  });

  it('bonds and tunnels say that there are none', async () => {
    expect((await weft(rig, 'show bonds')).out).toMatch(/^no bonds/);
    expect((await weft(rig, 'show tunnels --json')).out).toBe('[]\n');
  });

  it('without a word is an overview', async () => {
    const { out } = await weft(rig, 'show');
    for (const title of ['BRIDGE', 'PORT', 'WORKER', 'REASON']) expect(out).toContain(title);
    expect(Object.keys(JSON.parse((await weft(rig, 'show --json')).out))).toEqual([
      'bridges',
      'ports',
      'bonds',
      'tunnels',
      'workers',
      'drops',
    ]);
  });

  it('fits a terminal of 80 columns and keeps what matters', async () => {
    for (const width of [40, 60, 80, 120]) {
      const { out } = await weft(rig, 'show ports', { width });
      for (const line of out.split('\n')) expect([...line].length).toBeLessThanOrEqual(width);
      expect(out).toMatch(/^PORT +STATE +VLAN +RX FRAMES|^PORT +STATE +/);
    }
  });

  it('is coloured only where the terminal is', async () => {
    expect((await weft(rig, 'show ports', { width: 80, colour: true })).out).toContain('\u001b[31mdown');
    expect((await weft(rig, 'show ports', { width: 80 })).out).not.toContain('\u001b');
  });
});

describe('weft port, fdb, save, worker', () => {
  it.each([
    ['--kind netdev --device tap-x --take-over', { kind: 'netdev', device: 'tap-x', 'take-over': true }],
    [
      '--kind vhost-user --socket-path /s --queues 2 --client',
      { kind: 'vhost-user', socket: '/s', queues: 2, mode: 'client' },
    ],
    [
      '--kind socket --socket-path /s --type dgram --remote /r --group kvm',
      { kind: 'socket', socket: '/s', type: 'dgram', remote: '/r', group: 'kvm' },
    ],
  ])('port add %s', async (options, expected) => {
    const { code, err } = await weft(rig, `port add br0/vm ${options}`);
    expect([code, err]).toEqual([0, '']);
    expect(rig.sw.document.bridges[0]?.ports?.at(-1)).toEqual({ name: 'vm', ...expected });
  });

  it('port show: all that is known of one, by its name alone where that will do', async () => {
    rig.sw.settings = { mode: 'server', queues: 2, 'take-over': false, remote: null, addresses: ['a', 'b'] };
    rig.sw.details = { driver: 'virtio 1.0' };
    const { code, out, err } = await weft(rig, 'port show web');
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'br0/web is up',
      ' kind tap',
      ' device tap-web',
      ' namespace web',
      ' mode server',
      ' queues 2',
      ' take-over no',
      ' addresses a, b',
      ' vlan access 10',
      ' mtu 1500',
      ' received 1.23 M frames, 1.50 GB',
      ' transmitted 10 frames, 640 B',
      ' missed tx-dropped 3',
      ' dropped tagged-on-access 7',
      ' addresses 1',
      'the other side',
      ' driver virtio 1.0',
      '',
    ]);
    expect((await weft(rig, 'port show br0/db')).out).toMatch(/^br0\/db is down: the namespace is gone\n/);
    expect(JSON.parse((await weft(rig, 'port show web --json')).out)).toEqual(rig.sw.port('br0', 'web'));
    expect(await weft(rig, 'port show br0/nobody')).toMatchObject({ code: 2, out: '' });
  });

  it('port show --qemu and --libvirt: the text alone on standard output, remarks beside it', async () => {
    await weft(rig, 'port add br0/vm --kind vhost-user --socket-path /run/vm.sock');
    rig.sw.settings = { mode: 'server', queues: 1 };
    const qemu = await weft(rig, 'port show vm --qemu --memory 2G');
    expect(qemu.out).toMatch(/^-m 2G\n-object \S+\n-machine \S+\n-chardev \S+\n-netdev \S+\n-device \S+\n$/);
    expect(qemu.err).toMatch(/^# /);
    expect((await weft(rig, 'port show vm --libvirt')).out).toContain("<interface type='vhostuser'>");
    expect(await weft(rig, 'port show web --qemu')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('kind netdev'),
    });
    expect((await weft(rig, 'port show vm --qemu --libvirt')).code).toBe(2);
    expect((await weft(rig, 'port show vm --qemu --memory 2')).code).toBe(2);
  });

  it('port add makes the port of a document from options', async () => {
    const args =
      'port add br0/vm --netns vm --address 10.0.0.2/24 --address fd00::2/64 --gateway 10.0.0.1 --mode native-untagged --tag 10 --trunks 10,20-29 --mtu 9000 --speed 10G --protected --no-flood --fdb-limit 100 --save';
    const { code, out, err } = await weft(rig, args);
    expect([code, out, err]).toEqual([0, '+ br0/vm  tap\n', 'saved to /etc/weft/weft.yaml\n']);
    expect(rig.sw.document.bridges[0]?.ports?.at(-1)).toEqual({
      name: 'vm',
      kind: 'tap',
      netns: 'vm',
      addresses: ['10.0.0.2/24', 'fd00::2/64'],
      gateway: ['10.0.0.1'],
      mtu: 9000,
      speed: '10G',
      vlan: { mode: 'native-untagged', tag: 10, trunks: [10, '20-29'] },
      protected: true,
      flood: false,
      'fdb-limit': 100,
    });
  });

  it('port add of what can’t be names the places; nothing is changed', async () => {
    const { code, err } = await weft(rig, 'port add br0/vm --tag 4095 --address 10.0.0.2');
    expect(code).toBe(2);
    expect(err).toMatch(/^weft: addresses\[0\]: .*no prefix/m);
    expect(err).toMatch(/^weft: vlan\.tag: 4095 is not a VLAN/m);
    expect(rig.sw.ports()).toHaveLength(3);
    expect((await weft(rig, 'port add vm')).err).toMatch(/names no bridge\n.*weft port add br0\/vm/);
  });

  it('port del finds the bridge of a name that only one has', async () => {
    expect((await weft(rig, 'port del up')).out).toBe('- br1/up  tap\n');
    expect(await weft(rig, 'port del up')).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no port "up"'),
    });
    expect(JSON.parse((await weft(rig, 'port del br0/db --json')).out)).toMatchObject({ applied: true });
  });

  it('fdb add, del and flush', async () => {
    expect((await weft(rig, `fdb add web ${MAC} --vlan 10 --sticky`)).code).toBe(0);
    expect(rig.sw.fdbRows).toEqual([
      { bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'sticky', age: null, remote: null, vni: null },
    ]);
    expect((await weft(rig, `fdb del br0 ${MAC} --vlan 10`)).code).toBe(0);
    expect(rig.sw.fdbRows).toEqual([]);
    rig.sw.fdbRows = [
      { bridge: 'br0', vlan: 10, mac: MAC, port: 'web', type: 'learned', age: 1, remote: null, vni: null },
    ];
    expect((await weft(rig, 'fdb flush --port br1/web')).out).toBe('0 addresses forgotten\n');
    expect((await weft(rig, 'fdb flush --vlan 10')).out).toBe('1 address forgotten\n');
    expect((await weft(rig, 'fdb flush --vlan 4095')).code).toBe(2);
  });

  it('save and worker restart', async () => {
    expect((await weft(rig, 'save')).out).toBe('saved to /etc/weft/weft.yaml\n');
    expect((await weft(rig, 'worker restart 0')).code).toBe(0);
    expect(rig.sw.restarted).toEqual([0]);
    expect(await weft(rig, 'worker restart 9')).toMatchObject({ code: 2, err: 'weft: there is no worker 9\n' });
  });
});

describe('weft check and apply', () => {
  const GOOD = 'bridges: [{ name: br0, ports: [{ name: new, kind: "null" }] }]\n';
  const BAD =
    'bridges:\n  - name: br0\n    ports:\n      - { name: a, kind: tap, vlan: { tag: 0 } }\n      - { name: a, kind: tap }\nx: 1\n';

  it('check says fine, or every problem with file and line', async () => {
    const good = file(GOOD);
    expect(await weft(rig, `check ${good}`)).toEqual({
      code: 0,
      out: `${good}: fine (bridges: 1, ports: 1)\n`,
      err: '',
    });
    const bad = await weft(rig, `check ${file(BAD)}`);
    expect([bad.code, bad.out]).toEqual([2, '']);
    expect(bad.err).toMatch(/weft\.yaml:4: bridges\[0\]\.ports\[0\]\.vlan\.tag: 0 is not a VLAN/);
    expect(bad.err).toMatch(/weft\.yaml:5: bridges\[0\]\.ports\[1\]\.name: /);
    expect(bad.err).toMatch(/weft\.yaml:6: x: unknown key/);
    const json = await weft(rig, `check ${file(BAD)} --json`);
    expect([json.code, JSON.parse(json.out).ok, JSON.parse(json.out).problems.length > 2]).toEqual([2, false, true]);
    expect(await weft(rig, 'check /nonexistent/weft.yaml')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no such file'),
    });
  });

  it('apply prints the plan; a dry run changes nothing; a bad file is refused with its lines', async () => {
    const dry = await weft(rig, `apply ${file(GOOD)} --dry-run`);
    expect(dry).toEqual({
      code: 0,
      out: '- br0/web  tap\n- br0/db  tap\n- br1/up  tap\n+ br0/new  tap\ndry run: nothing was changed\n',
      err: '',
    });
    expect(rig.sw.ports()).toHaveLength(3);
    expect((await weft(rig, `apply ${file(GOOD)}`)).out).toMatch(/\+ br0\/new {2}tap\n$/);
    expect((await weft(rig, `apply ${file(GOOD)}`)).out).toBe('nothing to change\n');
    const bad = await weft(rig, `apply ${file(BAD)}`);
    expect([bad.code, rig.sw.ports().map((port) => port.name)]).toEqual([2, ['new']]);
    expect(bad.err).toMatch(/weft\.yaml:4: bridges\[0\]\.ports\[0\]\.vlan\.tag/);
  });

  it('apply tells warnings and unsaved changes that it undoes', async () => {
    rig.sw.apply = async () => ({
      applied: true,
      steps: [],
      undoes: ['br0/vm: added'],
      warnings: ['br0/web has no VLAN'],
    });
    const { err } = await weft(rig, `apply ${file(GOOD)}`);
    expect(err).toBe('warning: br0/web has no VLAN\nunsaved: br0/vm: added was undone\n');
  });
});

describe('usage', () => {
  it('wrong words are exit code 2, help and version 0', async () => {
    for (const args of [
      '',
      'shwo',
      'show prots',
      'show --jsno',
      'run',
      'capture',
      'fdb add',
      'worker restart x',
      'port add br0/a --kind bond',
    ]) {
      const { code, out, err } = await weft(rig, args);
      expect([args, code, out, err.length > 0]).toEqual([args, 2, '', true]);
    }
    expect((await weft(rig, 'shwo')).err).toMatch(/unknown command 'shwo'[\s\S]*Did you mean show\?/);
    expect(await weft(rig, '--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(await weft(rig, '--help')).toMatchObject({ code: 0, out: expect.stringContaining('Usage: weft') });
  });

  it('every command has a description and examples in its help', async () => {
    const io = {
      out: process.stdout,
      err: process.stderr,
      environment: {},
      terminal: false,
      colour: false,
      width: () => 80,
    };
    const commands: string[] = [];
    const walk = (command: Command, path: string) => {
      for (const child of command.commands.filter((c) => !c.name().startsWith('__') && c.name() !== 'help')) {
        commands.push(`${path}${child.name()}`);
        walk(child, `${path}${child.name()} `);
      }
    };
    walk(await buildProgram({ io, exitCode: 0 }, undefined), '');
    expect(commands).toHaveLength(27);
    for (const command of commands) {
      const { code, out } = await weft(rig, `${command} --help`);
      expect([command, code]).toEqual([command, 0]);
      expect(out).toMatch(/Examples:\n {2}\$ weft /);
      expect(out.split('\n')[2]).toMatch(/^[a-z]\w* .{4}/);
    }
  });

  it('no daemon, no permission and no place say what to do', async () => {
    const environment = { WEFT_SOCKET: join(rig.folder, 'nobody.sock') };
    const gone = await weft(rig, 'show ports', { environment });
    expect(gone.code).toBe(1);
    expect(gone.err).toMatch(
      /^weft: the weft daemon isn’t running: nobody answers at .*nobody\.sock\n {6}start it with `weft run -c FILE`/,
    );
    expect((await startWeft({}, ['--socket', rig.path, 'show', 'bridges']).done).code).toBe(0);
    expect((await startWeft({}, ['show', 'bridges', '--socket', rig.path]).done).code).toBe(0);
  });

  it('a failure inside the daemon is exit code 1', async () => {
    rig.sw.bridges = () => {
      throw new Error('arena gone');
    };
    expect(await weft(rig, 'show bridges')).toMatchObject({
      code: 1,
      err: 'weft: weft failed: arena gone\n      the daemon’s log says more\n',
    });
  });

  it('the command is known before commander is there, wherever the socket is named', async () => {
    const io = {
      out: process.stdout,
      err: process.stderr,
      environment: {},
      terminal: false,
      colour: false,
      width: () => 80,
    };
    const program = await buildProgram({ io, exitCode: 0 }, 'run');
    expect(program.options.filter(({ required }) => required).map(({ long }) => long)).toEqual(VALUED_OPTIONS);
    const words = (line: string) => commandWord(line.split(' ').filter(Boolean));
    expect(['run -c f', '--socket s run -c f', '--socket=s run', '-V run', '--socket run show'].map(words)).toEqual([
      ...['run', 'run', 'run', 'run', 'show'],
    ]);
    expect([words(''), words('--help'), words('--socket')]).toEqual([undefined, undefined, undefined]);
  });

  it.each(['--guests --keep', '--memory --keep', '--guests --memory', '--clean --keep', '--clean --guests'])(
    'demo %s is wrong usage: nothing would come of the second',
    async (options) => {
      vi.stubEnv('TMPDIR', rig.folder);
      const [one, other] = options.split(' ') as [string, string];
      const { code, out, err } = await weft(rig, `demo ${options}`);
      expect([code, out]).toEqual([2, '']);
      expect(err).toContain(`option '${one}' cannot be used with option '${other}'`);
    },
  );

  it('the names that options offer are the document’s', () => {
    expect(PORT_KIND_NAMES).toEqual(PORT_KINDS);
    expect(VLAN_MODE_NAMES).toEqual(VLAN_MODES);
    expect(SOCKET_TYPE_NAMES).toEqual(SOCKET_TYPES);
    expect(BOND_MODE_NAMES).toEqual(BOND_MODES);
    expect(HASH_POLICY_NAMES).toEqual(HASH_POLICIES);
    expect([LACP_MODE_NAMES, LACP_RATE_NAMES]).toEqual([LACP_MODES, LACP_RATES]);
  });
});
