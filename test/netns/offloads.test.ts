/**
 * "Ping works, TCP does not" is what this class of program is known for: every pair of TAPs, with and without segmentation offload, at
 * every MTU, over IPv4 and IPv6, with each way to read and write and one or two workers, moves a file whose SHA-256 is compared.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import type { Host } from './host.ts';
import { bridge, Lab, REAL, tap } from './lab.ts';
import { uringReason } from './uring.ts';

const MTUS = [9000, 1500, 576];
/** A TAP's own upper bound. */
const MTU_MAX = 65_521;
const BYTES = (isLong() ? 32 : 4) << 20;
/** IPv6 needs 1,280 bytes (RFC 8200 section 5). */
const IPV6_MTU_MIN = 1280;

/** GSO of sender and receiver; the short run takes a pairwise share. */
const GSO = [
  ['on', 'on'],
  ['on', 'off'],
  ['off', 'on'],
  ['off', 'off'],
] as const;
const WORKERS = [
  { io: 'io_uring', count: 1 },
  { io: 'read-write', count: 2 },
  ...(isLong()
    ? [
        { io: 'io_uring', count: 2 },
        { io: 'read-write', count: 1 },
      ]
    : []),
];
const CASES = MTUS.flatMap((mtu) => GSO.map(([left, right]) => ({ mtu, left, right })));

const REQUIRED = { ...REAL, tools: [...REAL.tools, 'ethtool'] };

function addresses(n: number, mtu: number): string[] {
  return mtu < IPV6_MTU_MIN ? [`10.7.0.${n}/24`] : [`10.7.0.${n}/24`, `fd00:7::${n}/64`];
}

async function offload(host: Host, state: 'on' | 'off'): Promise<void> {
  await host.run('ethtool', '-K', 'eth0', 'tx', state, 'sg', state, 'tso', state, 'gso', state);
}

for (const { io, count } of WORKERS) {
  const required = { ...REQUIRED, because: io === 'io_uring' ? uringReason() : null };
  const title = `OX dpif-netdev "tso", "ip/tcp/udp csum offload"; V vm_test_config: ${io}, workers: ${count}`;
  describeNeeds(required, title, () => {
    let lab: Lab;
    let daemon: Daemon;
    let a: Host;
    let b: Host;
    let port = 5000;
    const document = (left: number, right = left) =>
      bridge(
        [
          tap(lab, 'a', { address: addresses(1, left), mtu: left }),
          tap(lab, 'b', { address: addresses(2, right), mtu: right }),
        ],
        {},
        { workers: { count, io } },
      );

    beforeAll(async () => {
      lab = new Lab();
      ({ a, b } = await lab.hosts(['a', 'b']));
      daemon = await lab.daemon(document(1500));
    });
    afterAll(() => lab.close());

    async function moves(from: Host, to: Host, address: string): Promise<void> {
      port++;
      await to.serve(address, port);
      const { sent, received } = await from.transfer(address, port, BYTES);
      expect(received).toBe(sent);
    }

    it('reads and writes as it was told', async () => {
      const ways = (await daemon.workers()).map((worker) => worker.io);
      expect(ways).toEqual(Array(count).fill(io === 'io_uring' ? 'io_uring' : 'read/write'));
    });

    it.each(CASES)('TCP at MTU $mtu, GSO $left → GSO $right, both ways', async ({ mtu, left, right }) => {
      await daemon.apply(document(mtu));
      await Promise.all([offload(a, left), offload(b, right)]);
      await moves(a, b, '10.7.0.2');
      await moves(b, a, '10.7.0.1');
      if (mtu < IPV6_MTU_MIN) return;
      await moves(a, b, 'fd00:7::2');
      await moves(b, a, 'fd00:7::1');
    });

    it('TCP between MTU 9000 and MTU 1500', async () => {
      await daemon.apply(document(9000, 1500));
      await Promise.all([offload(a, 'on'), offload(b, 'on')]);
      await moves(a, b, '10.7.0.2');
      await moves(b, a, 'fd00:7::1');
    });

    it('IPv4 and IPv6 UDP in fragments and unfinished checksums: large echo requests', async () => {
      await daemon.apply(document(1500));
      expect(await a.ping('10.7.0.2', { size: 20_000 })).toBe(3);
      expect(await a.ping('fd00:7::2', { size: 20_000 })).toBe(3);
    });
  });
}

describeNeeds(REAL, 'OX system-dpdk "MTU increase", "MTU decrease", "MTU upper bound"', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;
  let b: Host;
  const document = (mtu: number) =>
    bridge([tap(lab, 'a', { address: addresses(1, mtu), mtu }), tap(lab, 'b', { address: addresses(2, mtu), mtu })]);
  /** Answers to requests that may not be fragmented and are just as long as the MTU allows. */
  const fullSize = async (mtu: number) => {
    const asked = await a.run(
      'ping',
      '-n',
      '-M',
      'do',
      '-c',
      '3',
      '-i',
      '0.05',
      '-W',
      '1',
      '-s',
      `${mtu - 28}`,
      '10.7.0.2',
    );
    return Number(/, (\d+) received/.exec(asked)?.[1]);
  };

  beforeAll(async () => {
    lab = new Lab();
    ({ a, b } = await lab.hosts(['a', 'b']));
    daemon = await lab.daemon(document(1500));
  });
  afterAll(() => lab.close());

  it.each([1500, 9000, 1400, 576, MTU_MAX])('live, to %d', async (mtu) => {
    const index = await a.number('eth0', 'ifindex');
    const pinging = a.ping('10.7.0.2', { count: 30, interval: 0.02 });
    await daemon.apply(document(mtu));
    expect(await pinging).toBe(30);
    expect(await a.number('eth0', 'mtu')).toBe(mtu);
    expect(await b.number('eth0', 'mtu')).toBe(mtu);
    expect(await a.number('eth0', 'ifindex')).toBe(index);
    expect(await fullSize(mtu)).toBe(3);
  });

  it('a frame that is too long for its egress drops there, with its reason', async () => {
    await daemon.apply(document(1500));
    await b.run('ip', 'link', 'set', 'eth0', 'mtu', '9000');
    await a.run('ip', 'link', 'set', 'eth0', 'mtu', '9000');
    expect(await a.ping('10.7.0.2', { size: 4000, count: 2, wait: 1 })).toBe(0);
    expect((await daemon.port('a')).dropped.giant).toBeGreaterThanOrEqual(2);
    await a.run('ip', 'link', 'set', 'eth0', 'mtu', '1500');
  });

  it(`${MTU_MAX + 1} is refused with what is allowed, and nothing changes`, async () => {
    await expect(daemon.apply(document(MTU_MAX + 1))).rejects.toThrow(/mtu.*65522.*65,521/);
    expect(await a.number('eth0', 'mtu')).toBe(1500);
    expect(await a.ping('10.7.0.2')).toBe(3);
  });
});
