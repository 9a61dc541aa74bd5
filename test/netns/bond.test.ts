/**
 * An active-backup bond over veths into a Linux bridge: what arrives, what is lost when a member goes or is told to go, what the bridge
 * learns of it, and what a bond refuses. OD and V are scenarios of Open vSwitch's and VPP's suites, by their names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BondRow } from '../../control/switch.ts';
import { describeNeeds } from '../needs.ts';
import { bond, bondRow, cable, commandMember, ip, member, memberRow, untilActive, untilBond } from './bond-rig.ts';
import { A, B, NEEDS, OUTAGE_MS_MAX, RATE, Stand } from './bond-stand.ts';
import { BROADCAST, colons, frame, MARKER, mac } from './frames.ts';
import { beforeRetry, bridge, tap, until } from './lab.ts';

const RARP = '8035';

describeNeeds(NEEDS, 'active-backup into a Linux bridge', () => {
  const devices = ['m0', 'm1', 'm2'];
  const stand = new Stand();
  const up = (more: object = {}) => bond(devices, { mode: 'active-backup', ...more });

  beforeAll(() => stand.open(up({ primary: 'm0' })));
  afterAll(() => stand.lab.close());
  beforeRetry(() => stand.mend());

  it('V test_bond "traffic": pings and files pass, by one member alone', async () => {
    expect(await stand.a.ping(B, { count: 20, interval: 0.01 })).toBe(20);
    expect(await stand.b.ping(A, { size: 1400 })).toBe(3);
    await stand.b.serve(B, 7001);
    const { sent, received } = await stand.a.transfer(B, 7001, 8 << 20);
    expect(received).toBe(sent);
    const row = await bondRow(stand.daemon);
    expect(row).toMatchObject({ mode: 'active-backup', up: true, reason: null, active: 'm0', lacp: 'off', hash: null });
    expect(row.members.map(({ state }) => state)).toEqual(['active', 'standby', 'standby']);
    expect(memberRow(row, 'm0').transmit.frames).toBeGreaterThan(20);
    expect(memberRow(row, 'm1').transmit.frames).toBe(0);
    expect((await stand.daemon.ports()).map(({ name }) => name)).toEqual(['a', 'up']);
    // Two questions: whatever is sent between them makes the answers differ.
    const [sentByPort, sentByMember] = await until(
      async () => [
        (await stand.daemon.port('up')).transmit.frames,
        memberRow(await bondRow(stand.daemon), 'm0').transmit.frames,
      ],
      ([port, carried]) => port === carried,
      2000,
    );
    expect(sentByPort).toBe(sentByMember);
  });

  it('what the bridge floods arrives once: standby members receive nothing', async () => {
    await stand.a.sniff('eth0', MARKER);
    const texts = [frame(BROADCAST, mac(2), [], 'all'), frame(mac(0x99), mac(2), [], 'unknown')];
    await stand.b.send('eth0', texts);
    expect((await stand.a.frames('eth0', 3, 0.5)).sort()).toEqual([...texts].sort());
    expect((await stand.daemon.fdb()).find(({ mac: address }) => address === colons(mac(2)))?.port).toBe('up');
  });

  it('OD "active-backup bonding (with primary)": carrier lost, another carries; the primary takes over when it is back', async () => {
    const before = await bondRow(stand.daemon);
    const { lost, outageMs, duplicates } = await stand.flow('a', 2.5, async () => {
      await stand.link('sw', 'f0', 'down');
      expect((await untilActive(stand.daemon, 'm1')).active).toBe('m1');
      await sleep(300);
      await stand.link('sw', 'f0', 'up');
      expect((await untilActive(stand.daemon, 'm0')).active).toBe('m0');
    });
    expect(outageMs).toBeLessThan(OUTAGE_MS_MAX);
    expect(lost).toBeLessThan((RATE * OUTAGE_MS_MAX) / 1000);
    expect(duplicates).toBe(0);
    const after = await bondRow(stand.daemon);
    expect(after.failovers - before.failovers).toBe(2);
    expect(memberRow(after, 'm0').failures - memberRow(before, 'm0').failures).toBe(1);
  });

  it('OD "active-backup bonding (without primary)": who took over keeps it', async () => {
    await stand.apply(up());
    await untilActive(stand.daemon, 'm0');
    await stand.link('sw', 'f0', 'down');
    expect((await untilActive(stand.daemon, 'm1')).active).toBe('m1');
    await stand.link('sw', 'f0', 'up');
    const back = await untilBond(stand.daemon, (row) => memberRow(row, 'm0').state === 'standby');
    expect(memberRow(back, 'm0').state).toBe('standby');
    expect((await bondRow(stand.daemon)).active).toBe('m1');
    await stand.link('sw', 'f1', 'down');
    expect((await untilActive(stand.daemon, 'm0')).active).toBe('m0');
    await stand.link('sw', 'f1', 'up');
    await stand.linked();
  });

  it('primary-reselect failure: the primary waits until the active one is lost', async () => {
    await stand.apply(up({ primary: 'm0', 'primary-reselect': 'failure' }));
    await untilActive(stand.daemon, 'm0');
    await stand.link('sw', 'f0', 'down');
    expect((await untilActive(stand.daemon, 'm1')).active).toBe('m1');
    await stand.link('sw', 'f0', 'up');
    const back = await untilBond(stand.daemon, (row) => memberRow(row, 'm0').state === 'standby');
    expect(memberRow(back, 'm0').state).toBe('standby');
    expect((await bondRow(stand.daemon)).active).toBe('m1');
    await stand.link('sw', 'f1', 'down');
    expect((await untilActive(stand.daemon, 'm0')).active).toBe('m0');
    await stand.link('sw', 'f1', 'up');
    await stand.linked();
  });

  it.each(['a', 'b'] as const)('a planned change loses nothing of what %s sends', async (from) => {
    await stand.apply(up());
    const start = (await untilBond(stand.daemon, ({ active }) => active !== null)).active!;
    await stand.linked();
    await stand.a.ping(B);
    const order = devices.filter((name) => name !== start);
    const result = await stand.flow(from, 2.5, async () => {
      for (const next of [...order, start]) {
        await commandMember(stand.daemon, 'activate', next);
        expect((await bondRow(stand.daemon)).active).toBe(next);
        await sleep(300);
      }
    });
    expect(result).toMatchObject({ lost: 0, duplicates: 0 });
    expect(result.sent).toBeGreaterThan(3000);
  });

  it('upstream learns at once, by RARP, where the hosts behind the bond are', async () => {
    const address = await stand.a.run('cat', '/sys/class/net/eth0/address');
    await commandMember(stand.daemon, 'activate', 'm0');
    await stand.a.ping(B);
    expect(await stand.portOf(address)).toBe('f0');
    await stand.sw.sniff('f1', RARP);
    await commandMember(stand.daemon, 'activate', 'm1');
    const [told] = await stand.sw.frames('f1', 1);
    expect(told!.slice(0, 28)).toBe(`${BROADCAST}${address.replaceAll(':', '')}${RARP}`);
    expect(
      await until(
        () => stand.portOf(address),
        (port) => port === 'f1',
      ),
    ).toBe('f1');
  });

  it('a member that is disabled by command carries nothing until it is enabled', async () => {
    await stand.apply(up({ primary: 'm0' }));
    await untilActive(stand.daemon, 'm0');
    const { lost } = await stand.flow('b', 1.5, async () => {
      await commandMember(stand.daemon, 'disable', 'm0');
      expect(memberRow(await untilActive(stand.daemon, 'm1'), 'm0').state).toBe('disabled');
      await sleep(200);
      await commandMember(stand.daemon, 'enable', 'm0');
      await untilActive(stand.daemon, 'm0');
    });
    expect(lost).toBe(0);
  });

  it('V test_bond "link when admin up and down": without a member the bond is down, with a reason', async () => {
    for (const device of ['f0', 'f1', 'f2']) await stand.link('sw', device, 'down');
    const row = await untilActive(stand.daemon, null);
    expect(row.up).toBe(false);
    expect(row.reason).toMatch(/\w/);
    const port = await until(
      () => stand.daemon.port('up'),
      ({ up: isUp }) => !isUp,
    );
    expect(port).toMatchObject({ up: false, reason: row.reason });
    for (const device of ['f2', 'f1', 'f0']) await stand.link('sw', device, 'up');
    await untilBond(stand.daemon, ({ up: isUp, members }) => isUp && members.every(({ link }) => link));
    await untilActive(stand.daemon, 'm0');
    expect(await stand.a.ping(B)).toBe(3);
  });

  it('a device that is deleted and made again is a member again', async () => {
    await ip(stand.lab, 'hub', 'link', 'del', 'm0');
    const gone = await untilActive(stand.daemon, 'm1');
    expect(memberRow(gone, 'm0')).toMatchObject({ state: 'down', link: false });
    expect(memberRow(gone, 'm0').reason).not.toBe(null);
    expect(await stand.a.ping(B)).toBe(3);
    await cable(stand.lab, 0, 'sw');
    await stand.plug(['f0']);
    expect((await untilActive(stand.daemon, 'm0')).active).toBe('m0');
    expect(await stand.a.ping(B)).toBe(3);
  });

  it('updelay lets a member wait that came back, and is skipped when none is up', async () => {
    await stand.apply(up({ primary: 'm0', updelay: 3000 }));
    await untilActive(stand.daemon, 'm0');
    await stand.link('sw', 'f0', 'down');
    await untilActive(stand.daemon, 'm1');
    const from = performance.now();
    await stand.link('sw', 'f0', 'up');
    const waiting = await untilBond(stand.daemon, (row) => memberRow(row, 'm0').link);
    expect(memberRow(waiting, 'm0').state).toBe('waiting');
    await untilActive(stand.daemon, 'm0');
    expect(performance.now() - from).toBeGreaterThan(2900);
    for (const device of ['f0', 'f1', 'f2']) await stand.link('sw', device, 'down');
    await untilActive(stand.daemon, null);
    const alone = performance.now();
    await stand.link('sw', 'f2', 'up');
    await untilActive(stand.daemon, 'm2');
    expect(performance.now() - alone).toBeLessThan(2000);
    for (const device of ['f0', 'f1']) await stand.link('sw', device, 'up');
    await stand.apply(up());
    await stand.linked();
  });

  it('OD "active bond member survives restart": of a worker, under traffic', async () => {
    await commandMember(stand.daemon, 'activate', 'm2');
    await stand.flow('a', 1.5, () => stand.daemon.restartWorker(0));
    expect((await bondRow(stand.daemon)).active).toBe('m2');
    expect(await stand.a.ping(B)).toBe(3);
  });

  it('V test_bond "add member": members come and go by apply, under traffic', async () => {
    await stand.apply(bond(['m0'], { mode: 'active-backup' }));
    await untilActive(stand.daemon, 'm0');
    const { outageMs } = await stand.flow('b', 2, async () => {
      await stand.apply(bond(['m0', 'm1'], { mode: 'active-backup' }));
      await untilBond(stand.daemon, ({ members }) => members.length === 2 && members.every(({ link }) => link));
      await stand.apply(bond(['m1'], { mode: 'active-backup' }));
      await untilActive(stand.daemon, 'm1');
    });
    expect(outageMs).toBeLessThan(OUTAGE_MS_MAX);
    expect(await stand.a.ping(B)).toBe(3);
    expect((await bondRow(stand.daemon)).members.map(({ name }) => name)).toEqual(['m1']);
  });

  it('the command line shows what there is, and takes orders', async () => {
    await stand.apply(up());
    await untilBond(stand.daemon, ({ members }) => members.every(({ link }) => link));
    const order = await stand.daemon.cli('bond', 'member', 'activate', 'up', 'm1');
    expect(order.exitCode, order.stderr).toBe(0);
    const { exitCode, stdout } = await stand.daemon.cli('show', 'bonds', '--json');
    expect(exitCode).toBe(0);
    const [row] = JSON.parse(stdout) as BondRow[];
    expect(row).toMatchObject({ bridge: 'br0', name: 'up', mode: 'active-backup', active: 'm1', up: true });
    expect(row!.members.map(({ name, device, state }) => [name, device, state])).toEqual([
      ['m0', 'm0', 'standby'],
      ['m1', 'm1', 'active'],
      ['m2', 'm2', 'standby'],
    ]);
    expect((await stand.daemon.cli('show', 'bonds')).stdout).toMatch(/up.*active-backup/);
  });

  it('what can’t be says so, all at once, and the traffic goes on', async () => {
    await stand.apply(up());
    const { lost } = await stand.flow('a', 2.5, async () => {
      const tried: [object, RegExp][] = [
        [bond(['m0', 'm0']), /m0/],
        [bond([]), /members/],
        [bond(['m0', 'm1'], { mode: 'balance-rr', primary: 'm0' }), /primary.*active-backup/],
        [bond(['m0'], { mode: 'active-backup', lacp: { rate: 'fast' } }), /lacp.*802\.3ad/],
        [bond(['m0', 'm1'], { mode: 'balance-slb', hash: 'layer2' }), /hash/],
        [bond(['m0', 'm1'], { primary: 'm7' }), /m7/],
        [bond([member('m0'), { kind: 'vxlan', name: 'x' }]), /vxlan|kind/],
      ];
      for (const [one, why] of tried) await expect(stand.apply(one as { name: string })).rejects.toThrow(why);
      const twice = bridge([
        tap(stand.lab, 'a', { address: [`${A}/24`] }),
        up(),
        { name: 'm0', kind: 'netdev', device: 'm0' },
      ]);
      await expect(stand.daemon.apply(twice)).rejects.toThrow(/m0/);
      const other = { ...bond(['m1']), name: 'other' };
      const two = bridge([tap(stand.lab, 'a', { address: [`${A}/24`] }), up(), other]);
      await expect(stand.daemon.apply(two)).rejects.toThrow(/m1/);
      for (const words of [
        ['activate', 'up', 'm9'],
        ['activate', 'a', 'm0'],
      ]) {
        const { exitCode, stderr } = await stand.daemon.cli('bond', 'member', ...words);
        expect(exitCode).not.toBe(0);
        expect(stderr).toMatch(/m9|bond/);
      }
    });
    expect(lost).toBe(0);
  });
});
