/**
 * The documents of examples/ run as they are, but for the names of the namespaces, which here carry the lab's prefix. The daemon and what the
 * comments call the host live in a namespace, so that this machine's routing stays as it is. What must pass passes, the rest doesn't.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFile } from '../../control/config/load.ts';
import { describeNeeds } from '../needs.ts';
import { bondRow, cable, ip, kernelBridge } from './bond-rig.ts';
import type { Daemon } from './daemon.ts';
import { BROADCAST, frame, MARKER, mac } from './frames.ts';
import type { Host } from './host.ts';
import { beforeRetry, Lab, REAL, until } from './lab.ts';

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url));
const MEGABYTE = 1 << 20;

/** The text of an example with the namespaces' names of a lab. */
function example(lab: Lab, file: string): string {
  return readFileSync(FOLDER + file, 'utf8').replace(
    /\bnetns: (\w+)/g,
    (_, name: string) => `netns: ${lab.name(name)}`,
  );
}

async function moves(from: Host, to: Host, address: string): Promise<void> {
  await to.serve(address, 8080);
  const { sent, received } = await from.transfer(address, 8080, 4 * MEGABYTE);
  expect(received).toBe(sent);
}

describe('examples', () => {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));

  it('every document has a test of its own here, but for those that need guests', () => {
    const text = readFileSync(fileURLToPath(import.meta.url), 'utf8');
    const here = files.filter((file) => !file.startsWith('guest-'));
    expect(here.filter((file) => !text.includes(`lab, '${file}'`))).toEqual([]);
  });

  it.each(files)('%s is valid, and says what passes and what does not', (file) => {
    expect(loadFile(FOLDER + file).bridges).not.toEqual([]);
    const text = readFileSync(FOLDER + file, 'utf8');
    for (const word of ['Passes:', "Doesn't:", 'Before:', 'Run:', 'Try:']) expect(text).toContain(`# ${word}`);
  });
});

describeNeeds(REAL, 'examples/isolated.yaml', () => {
  let lab: Lab;
  let hosts: Record<'red1' | 'red2' | 'blue1' | 'blue2', Host>;
  let daemon: Daemon;
  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(['red1', 'red2', 'blue1', 'blue2']);
    daemon = await lab.daemon(example(lab, 'isolated.yaml'));
  });
  afterAll(() => lab.close());

  it('passes: hosts of one tenant reach each other', async () => {
    const { red1, red2, blue1, blue2 } = hosts;
    expect(await red1.ping('10.0.0.2')).toBe(3);
    expect(await red1.ping('fd00::2')).toBe(3);
    expect(await blue1.ping('10.0.0.4')).toBe(3);
    expect(await blue2.ping('fd00::3')).toBe(3);
    await moves(red1, red2, '10.0.0.2');
    await moves(blue2, blue1, 'fd00::3');
  });

  it('does not pass: nothing between the tenants', async () => {
    const { red1, red2, blue1, blue2 } = hosts;
    const others = ['10.0.0.3', '10.0.0.4', 'fd00::3', 'fd00::4'];
    const tries = others.map((address) => red1.ping(address, { count: 2, wait: 1 }));
    expect(await Promise.all([...tries, blue2.ping('10.0.0.1', { count: 2, wait: 1 })])).toEqual([0, 0, 0, 0, 0]);
    await Promise.all([red2, blue1, blue2].map((host) => host.sniff('eth0', MARKER)));
    const own = [BROADCAST, '333300000001', mac(0x999)].map((to) => frame(to, mac(1), []));
    const tagged = frame(BROADCAST, mac(1), [{ vlan: 20 }], 'into the other VLAN');
    await red1.send('eth0', [tagged, ...own]);
    expect((await red2.frames('eth0', 3)).sort()).toEqual([...own].sort());
    expect(await blue1.frames('eth0', 1, 0.3)).toEqual([]);
    expect(await blue2.frames('eth0', 1, 0.1)).toEqual([]);
    expect((await daemon.port('red1')).dropped['tagged-on-access']).toBe(1);
  });
});

describeNeeds(REAL, 'examples/routed.yaml', () => {
  let lab: Lab;
  let router: Host;
  let web: Host;
  let db: Host;
  beforeAll(async () => {
    lab = new Lab();
    ({ web, db, hub: router } = await lab.hosts(['web', 'db', 'hub']));
    await lab.daemon(example(lab, 'routed.yaml'));
  });
  afterAll(() => lab.close());

  const forward = (on: 0 | 1) =>
    router.run('sysctl', '-qw', `net.ipv4.ip_forward=${on}`, `net.ipv6.conf.all.forwarding=${on}`);

  it('does not pass without the kernel: the switch alone joins nothing', async () => {
    await forward(0);
    expect(await web.ping('10.0.10.1')).toBe(3);
    expect(await web.ping('10.0.20.2', { count: 2, wait: 1 })).toBe(0);
    expect(await web.ping('fd00:20::2', { count: 2, wait: 1 })).toBe(0);
  });

  it('passes: from one segment to the other by one hop, ping, ping6 and TCP', async () => {
    await forward(1);
    expect(await web.ping('10.0.20.2')).toBe(3);
    expect(await db.ping('fd00:10::2')).toBe(3);
    expect(await web.run('ping', '-n', '-c', '1', '-W', '5', '10.0.20.2')).toContain('ttl=63');
    await moves(web, db, '10.0.20.2');
    await moves(db, web, 'fd00:10::2');
  });

  it('does not pass: frames from VLAN 10 into VLAN 20', async () => {
    await db.sniff('eth0', MARKER);
    await router.sniff('weft-10', MARKER);
    const frames = [BROADCAST, mac(0x999)].map((to) => frame(to, mac(1), []));
    await web.send('eth0', frames);
    expect((await router.frames('weft-10', 2)).sort()).toEqual(frames.sort());
    expect(await db.frames('eth0', 1, 0.3)).toEqual([]);
  });
});

describeNeeds({ ...REAL, tools: [...REAL.tools, 'nft'] }, 'examples/nat.yaml', () => {
  const UPLINK = '198.51.100.1';
  const OUTSIDE = '198.51.100.2';
  let lab: Lab;
  let router: Host;
  let outside: Host;
  let app1: Host;
  let app2: Host;
  beforeAll(async () => {
    lab = new Lab();
    ({ app1, app2, outside, hub: router } = await lab.hosts(['app1', 'app2', 'outside', 'hub']));
    await router.run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.netns);
    for (const [host, device, address] of [
      [router, 'uplink', UPLINK],
      [outside, 'eth0', OUTSIDE],
    ] as const) {
      await host.run('ip', 'addr', 'add', `${address}/24`, 'dev', device);
      await host.run('ip', 'link', 'set', device, 'up');
    }
    await router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    await router.run('nft', '-f', `${FOLDER}nat.nft`);
    await lab.daemon(example(lab, 'nat.yaml'));
  });
  afterAll(() => lab.close());

  it('passes: the private hosts among themselves', async () => {
    expect(await app1.ping('10.0.30.3')).toBe(3);
    await moves(app2, app1, '10.0.30.2');
  });

  it('passes: to the outside, which sees the host’s address', async () => {
    expect(await app1.ping(OUTSIDE)).toBe(3);
    await outside.peers(8000);
    expect(await app1.askPeer(OUTSIDE, 8000)).toBe(UPLINK);
    expect(await app2.askPeer(OUTSIDE, 8000)).toBe(UPLINK);
    await moves(app2, outside, OUTSIDE);
  });

  it('does not pass: a connection from outside, even with a route', async () => {
    await app1.serve('10.0.30.2', 9000);
    expect(await app2.connect('10.0.30.2', 9000)).toMatchObject({ result: 'open' });
    await outside.run('ip', 'route', 'add', '10.0.30.0/24', 'via', UPLINK);
    expect((await outside.connect('10.0.30.2', 9000)).result).not.toBe('open');
    expect(await outside.ping('10.0.30.2', { count: 2, wait: 1 })).toBe(0);
  });
});

describeNeeds(REAL, 'examples/bridged.yaml', () => {
  const ROUTER = '192.0.2.1';
  const MACHINE = '192.0.2.2';
  const WEB = '192.0.2.50';
  let lab: Lab;
  let machine: Host;
  let router: Host;
  let web: Host;
  let daemon: Daemon;
  beforeAll(async () => {
    lab = new Lab();
    ({ web, router, hub: machine } = await lab.hosts(['web', 'router', 'hub']));
    await machine.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', router.netns);
    for (const [host, address] of [
      [machine, MACHINE],
      [router, ROUTER],
    ] as const) {
      await host.run('ip', 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      await host.run('ip', 'link', 'set', 'eth0', 'up');
    }
    await machine.run('ip', 'route', 'add', 'default', 'via', ROUTER);
    await router.run('ip', 'addr', 'add', '198.51.100.1/32', 'dev', 'lo');
    daemon = await lab.daemon(example(lab, 'bridged.yaml'));
  });
  afterAll(() => lab.close());

  it('passes: machine, container, network and world, each to each', async () => {
    for (const [from, to] of [
      [machine, ROUTER],
      [machine, '198.51.100.1'],
      [web, ROUTER],
      [web, '198.51.100.1'],
      [web, MACHINE],
      [machine, WEB],
      [router, WEB],
      [router, MACHINE],
    ] as const)
      expect(await from.ping(to, { interval: 0.01 }), to).toBe(3);
    await moves(router, machine, MACHINE);
    await moves(web, router, ROUTER);
  });

  it('gives the machine its NIC back', async () => {
    expect((await daemon.stop()).code).toBe(0);
    expect(await machine.run('ip', '-br', 'addr', 'show', 'dev', 'eth0')).toContain(`${MACHINE}/24`);
    expect(await machine.run('ip', 'route', 'show', 'default')).toMatch(/^default via 192\.0\.2\.1 dev eth0/);
    expect(await machine.ping('198.51.100.1')).toBe(3);
  });
});

describeNeeds(REAL, 'examples/bond.yaml', () => {
  const ROUTER = '192.0.2.1';
  let lab: Lab;
  let hosts: Record<'web' | 'net' | 'hub', Host>;
  let daemon: Daemon;
  const active = async () => (await bondRow(daemon, 'uplink')).active;
  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(['web', 'net', 'hub']);
    for (const index of [1, 2]) await cable(lab, index, 'net', { nearPrefix: 'eth', farPrefix: 'eth' });
    await kernelBridge(lab, 'net', 'sw0', ['eth1', 'eth2']);
    await hosts.net.run('ip', 'addr', 'add', `${ROUTER}/24`, 'dev', 'sw0');
    daemon = await lab.daemon(example(lab, 'bond.yaml'));
    await until(active, (name) => name === 'eth1');
  });
  afterAll(() => lab.close());
  beforeRetry(async () => {
    await hosts.net.run('ip', 'link', 'set', 'eth1', 'up');
    await daemon.cli('bond', 'member', 'enable', 'uplink', 'eth1');
    await until(active, (name) => name === 'eth1');
  });

  it('passes: web and the machine reach the network, and go on to when a cable is pulled', async () => {
    const { web, net, hub } = hosts;
    expect(await web.ping(ROUTER)).toBe(3);
    expect(await hub.ping(ROUTER)).toBe(3);
    await moves(net, web, '192.0.2.50');
    await net.run('ip', 'link', 'set', 'eth1', 'down');
    expect(await until(active, (name) => name === 'eth2')).toBe('eth2');
    expect(await web.ping(ROUTER)).toBe(3);
    await net.run('ip', 'link', 'set', 'eth1', 'up');
    expect(await until(active, (name) => name === 'eth1')).toBe('eth1');
    expect(await hub.ping(ROUTER)).toBe(3);
    expect((await daemon.cli('bond', 'member', 'disable', 'uplink', 'eth1')).exitCode).toBe(0);
    expect(await active()).toBe('eth2');
    expect(await web.ping(ROUTER)).toBe(3);
    expect((await daemon.cli('show', 'bonds')).stdout).toMatch(/eth1 +disabled .*by command/);
    await daemon.cli('bond', 'member', 'enable', 'uplink', 'eth1');
    expect(await until(active, (name) => name === 'eth1')).toBe('eth1');
  });

  it('does not pass: what comes in by the NIC in reserve', async () => {
    const { web, net } = hosts;
    const before = await daemon.drops();
    await web.sniff('eth0', MARKER);
    await net.run('ip', 'link', 'set', 'eth2', 'nomaster');
    await net.send('eth2', [frame(BROADCAST, mac(9), [])]);
    expect(await web.frames('eth0', 1, 0.3)).toEqual([]);
    const lost = (rows: typeof before) =>
      rows.find(({ port, reason }) => port === 'uplink/eth2' && reason === 'member-inactive')?.frames ?? 0;
    expect(lost(await daemon.drops())).toBeGreaterThan(lost(before));
  });
});

describeNeeds(REAL, 'examples/lacp.yaml', () => {
  let lab: Lab;
  let hosts: Record<'web' | 'db' | 'web2' | 'db2', Host>;
  let daemon: Daemon;
  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(['web', 'db', 'web2', 'db2']);
    await lab.hosts(['hub', 'far']);
    for (const index of [1, 2]) await cable(lab, index, 'far', { nearPrefix: 'eth', farPrefix: 'eth' });
    daemon = await lab.daemon(example(lab, 'lacp.yaml'));
    // Its TAPs have other names, and so other addresses, as those of another machine have.
    const other = example(lab, 'lacp.yaml')
      .replace(/(name: (?:web|db)|netns: \S+-(?:web|db))\b/g, '$12')
      .replaceAll('.50/24', '.60/24');
    const partner = await lab.daemon(other, { netns: lab.name('far'), name: 'partner' });
    for (const one of [daemon, partner])
      await until(
        () => bondRow(one, 'uplink'),
        ({ members }) => members.every(({ state }) => state === 'enabled'),
        10_000,
      );
  });
  afterAll(() => lab.close());

  it('passes: each VLAN between two machines with this document', async () => {
    const { web, db, web2 } = hosts;
    expect(await bondRow(daemon, 'uplink')).toMatchObject({ up: true, lacp: 'negotiated' });
    expect(await web.ping('192.0.2.60')).toBe(3);
    expect(await db.ping('198.51.100.60')).toBe(3);
    await moves(web, web2, '192.0.2.60');
    // The last of the partner's steps may be told a second after it was done: three LACPDUs a second are all that a port may send.
    const all = /partner +system .*key .*: activity timeout aggregation synchronization collecting distributing/;
    const shown = async () => (await daemon.cli('show', 'bonds', 'uplink')).stdout;
    expect(await until(shown, (text) => all.test(text))).toMatch(all);
  });

  it('does not pass: from one VLAN into the other', async () => {
    const { web, db, db2 } = hosts;
    for (const [host, address] of [
      [db, '192.0.2.70/24'],
      [db2, '192.0.2.71/24'],
    ] as const)
      await host.run('ip', 'addr', 'add', address, 'dev', 'eth0');
    const tries = ['192.0.2.70', '192.0.2.71'].map((address) => web.ping(address, { count: 2, wait: 1 }));
    expect(await Promise.all(tries)).toEqual([0, 0]);
  });

  it('shows LACPDUs of a member', async () => {
    const words = ['capture', 'br0/uplink/eth1', '--ethertype', 'lacp', '--count', '1'];
    expect((await daemon.cli(...words)).stdout).toMatch(/01:80:c2:00:00:02/);
  });
});

describeNeeds(REAL, 'examples/tunnel.yaml', () => {
  let lab: Lab;
  let hosts: Record<'web' | 'db' | 'web2' | 'db2', Host>;
  let daemon: Daemon;
  let partner: Daemon;
  /** With what the comments say that the other machine changes. Names are others, since here both are one machine. */
  const other = () =>
    example(lab, 'tunnel.yaml')
      .replaceAll(/name: (web|db)\b/g, 'name: $12')
      .replaceAll(/(netns: \S+-(?:web|db))\b/g, '$12')
      .replaceAll(/(10\.0\.[12]0)\.1\/24/g, '$1.2/24')
      .replace('local: 192.0.2.1', 'local: 192.0.2.2')
      .replace('remotes: [192.0.2.2]', 'remotes: [192.0.2.1]');
  beforeAll(async () => {
    lab = new Lab();
    hosts = await lab.hosts(['web', 'db', 'web2', 'db2']);
    await lab.hosts(['hub', 'far']);
    await cable(lab, 0, 'far');
    await ip(lab, 'hub', 'addr', 'add', '192.0.2.1/24', 'dev', 'm0');
    await ip(lab, 'far', 'addr', 'add', '192.0.2.2/24', 'dev', 'f0');
    daemon = await lab.daemon(example(lab, 'tunnel.yaml'));
    partner = await lab.daemon(other(), { netns: lab.name('far'), name: 'partner' });
  });
  afterAll(() => lab.close());

  it('passes: each tenant between the two machines, whose packets fit by themselves', async () => {
    const { web, db, web2 } = hosts;
    expect(await web.ping('10.0.10.2')).toBe(3);
    expect(await db.ping('10.0.20.2')).toBe(3);
    const mtu = () => web.number('eth0', 'mtu');
    expect(await until(mtu, (set) => set === 1450)).toBe(1450);
    await moves(web, web2, '10.0.10.2');
    const { stdout } = await daemon.cli('show', 'tunnels');
    expect(stdout).toMatch(/overlay +up .* 192\.0\.2\.1:4789 +1450/);
  });

  it('does not pass: from one tenant to the other, here or over there', async () => {
    const { web, db, db2 } = hosts;
    for (const [host, address] of [
      [db, '10.0.10.70/24'],
      [db2, '10.0.10.71/24'],
    ] as const)
      await host.run('ip', 'addr', 'add', address, 'dev', 'eth0');
    const tries = ['10.0.10.70', '10.0.10.71'].map((address) => web.ping(address, { count: 2, wait: 1 }));
    expect(await Promise.all(tries)).toEqual([0, 0]);
  });

  it('passes: to a kernel’s own VXLAN, as the comments say', async () => {
    const { web } = hosts;
    const text = readFileSync(`${FOLDER}tunnel.yaml`, 'utf8');
    const commands = [...text.matchAll(/^#\s+(ip (?:link|addr) .*)$/gm)].flatMap(([, line]) => line!.split('; '));
    expect(commands).toHaveLength(3);
    for (const one of [partner, daemon]) await one.stop();
    // It is there on a second try.
    await ip(lab, 'far', 'link', 'del', 'vx10').catch(() => undefined);
    daemon = await lab.daemon(example(lab, 'tunnel.yaml'), { name: 'again' });
    for (const command of commands) await ip(lab, 'far', ...command.split(' ').slice(1));
    const answers = await until(
      () => web.ping('10.0.10.2', { count: 1, wait: 1 }),
      (count) => count === 1,
      15_000,
    );
    expect(answers).toBe(1);
  });
});
