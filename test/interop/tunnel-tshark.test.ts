/**
 * Every frame that tunnels send, as another program reads it: two wefts talk by each kind of tunnel, tcpdump keeps what crosses the underlay,
 * and tshark finds nothing malformed, every checksum good or left out as told, and the inner frames whole.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from '../netns/daemon.ts';
import type { Host } from '../netns/host.ts';
import { bridge, Lab, REAL, tap, until } from '../netns/lab.ts';
import { DEVICE, type Family, type Machine, machines, vxlan } from '../netns/underlay.ts';

const BYTES = (isLong() ? 4096 : 256) << 10;
const MTU = 1400;
const KEY = 4242;
/** tshark's: bad, good, not looked at, none. */
const CHECKSUM = { BAD: '0', GOOD: '1', NONE: '3' };
const FIELDS = ['_ws.malformed', 'udp.checksum.status', 'tcp.checksum.status', 'ip.checksum.status', 'eth.type'];
/** Where TCP carries what no dissector should guess at. */
const PORT = 50_505;
const PLAIN = ['-d', `tcp.port==${PORT},data`, '-o', 'udp.ignore_ipv6_zero_checksum:TRUE'];
const CHECKED = ['ip', 'udp', 'tcp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);

interface Case {
  readonly kind: 'vxlan' | 'geneve' | 'gre';
  readonly family: Family;
  readonly more: object;
  /** What tshark calls the identifier, and how it writes it. */
  readonly field: string;
  readonly value: string;
}

const CASES: readonly Case[] = [
  { kind: 'vxlan', family: 'v4', more: { vni: KEY }, field: 'vxlan.vni', value: String(KEY) },
  { kind: 'vxlan', family: 'v6', more: { vni: KEY, ttl: 7, tos: 'inherit' }, field: 'vxlan.vni', value: String(KEY) },
  { kind: 'vxlan', family: 'v4', more: { vni: KEY, checksum: false }, field: 'vxlan.vni', value: String(KEY) },
  { kind: 'vxlan', family: 'v6', more: { vni: KEY, checksum: false }, field: 'vxlan.vni', value: String(KEY) },
  { kind: 'geneve', family: 'v4', more: { vni: KEY }, field: 'geneve.vni', value: '0x001092' },
  { kind: 'geneve', family: 'v6', more: { vni: KEY }, field: 'geneve.vni', value: '0x001092' },
  { kind: 'gre', family: 'v4', more: { key: KEY }, field: 'gre.key', value: '0x00001092' },
  { kind: 'gre', family: 'v6', more: {}, field: 'gre.proto', value: '0x6558' },
];

/** Looks at a capture in which it did not grow, after which it has all. */
const QUIET_LOOKS = 5;
const TOOLS = [...REAL.tools, 'ethtool', 'tcpdump', 'tshark'];

describeNeeds({ ...REAL, tools: TOOLS }, 'tshark reads what tunnels send', () => {
  let lab: Lab;
  let near: Machine;
  let far: Machine;
  let daemons: Daemon[];
  let hosts: Record<'a' | 'b', Host>;

  function side(own: Machine, other: Machine, name: 'a' | 'b', { kind, family, more }: Case): object {
    const n = name === 'a' ? 1 : 2;
    const { vni, ...base } = vxlan(own, [other], { kind }, family);
    return bridge([
      tap(lab, name, { mtu: MTU, address: [`10.55.0.${n}/24`, `fd00:55::${n}/64`] }),
      { ...base, ...more },
    ]);
  }

  beforeAll(async () => {
    lab = new Lab();
    [near, far] = (await machines(lab, 2, { wire: true })) as [Machine, Machine];
    hosts = await lab.hosts(['a', 'b']);
    daemons = await Promise.all([
      lab.daemon(side(near, far, 'a', CASES[0]!), { netns: near.netns, name: 'near' }),
      lab.daemon(side(far, near, 'b', CASES[0]!), { netns: far.netns, name: 'far' }),
    ]);
    await hosts.b.serve('10.55.0.2', PORT);
  });
  afterAll(() => lab.close());

  /** What crosses the underlay between the two while `work` is done, in a file. */
  async function captured(name: string, work: () => Promise<unknown>): Promise<string> {
    const file = join(lab.folder, `${name}.pcap`);
    const words = [
      '-i',
      DEVICE,
      '--immediate-mode',
      '-U',
      '-Z',
      'root',
      '-w',
      file,
      'udp or ip proto 47 or ip6 proto 47',
    ];
    const tcpdump: ChildProcess = spawn('ip', ['netns', 'exec', far.netns, 'tcpdump', ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(tcpdump, 'exit');
    await once(tcpdump.stderr!, 'data');
    try {
      await work();
      let [before, quiet] = [-1, 0];
      await until(
        async () => statSync(file).size,
        (size) => {
          quiet = size === before ? quiet + 1 : 0;
          before = size;
          return quiet === QUIET_LOOKS;
        },
      );
    } finally {
      tcpdump.kill('SIGINT');
      await ended;
    }
    return file;
  }

  async function read(file: string, field: string): Promise<Record<string, string>[]> {
    const names = [...FIELDS, field];
    const words = [
      '-r',
      file,
      ...PLAIN,
      ...CHECKED,
      '-T',
      'fields',
      '-E',
      'separator=|',
      ...names.flatMap((one) => ['-e', one]),
    ];
    const { stdout } = await execa('tshark', words);
    return stdout.split('\n').map((line) => {
      const values = line.split('|');
      return Object.fromEntries(names.map((name, k) => [name, values[k]!]));
    });
  }

  describe.each(CASES)('$kind over IP$family, $more', (one) => {
    it('decodes whole', async () => {
      await daemons[0]!.apply(side(near, far, 'a', one));
      await daemons[1]!.apply(side(far, near, 'b', one));
      expect(await hosts.a.ping('10.55.0.2')).toBe(3);
      const file = await captured(`${CASES.indexOf(one)}`, async () => {
        expect(await hosts.a.ping('10.55.0.2', { size: 4000 })).toBe(3);
        expect(await hosts.b.ping('fd00:55::1')).toBe(3);
        const { sent, received } = await hosts.a.transfer('10.55.0.2', PORT, BYTES);
        expect(received).toBe(sent);
      });
      const packets = await read(file, one.field);
      // Both ways, and as many segments as the file needs at least.
      expect(packets.length).toBeGreaterThan(BYTES / MTU);
      const outerType = one.family === 'v4' ? '0x0800' : '0x86dd';
      const isGood = (packet: Record<string, string>) => {
        const sums = ['udp', 'tcp', 'ip'].map((name) => (packet[`${name}.checksum.status`] ?? '').split(','));
        const outer = one.kind === 'gre' || sums[0]![0] === ('checksum' in one.more ? CHECKSUM.NONE : CHECKSUM.GOOD);
        const types = packet['eth.type']!.split(',');
        const inner = types.length === 2 && types[0] === outerType && packet[one.field] === one.value;
        return outer && inner && packet['_ws.malformed'] === '' && !sums.flat().includes(CHECKSUM.BAD);
      };
      expect(packets.filter((packet) => !isGood(packet)).slice(0, 5)).toEqual([]);
    });
  });
});
