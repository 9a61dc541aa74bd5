/**
 * Starting, ending, dying and starting again: what happens to devices, addresses and traffic. Each test has a daemon of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeNeeds } from '../needs.ts';
import { mac } from './frames.ts';
import { type Host, lateWhenFullMs, outageOf } from './host.ts';
import { bridge, devicesIn, Lab, REAL, tap, until } from './lab.ts';

describeNeeds(REAL, 'life cycle', () => {
  let lab: Lab;
  let a: Host;
  let b: Host;
  const port = (name: string, n: number, more: object = {}) => tap(lab, name, { address: `10.5.0.${n}/24`, ...more });
  const document = (more: object = {}, top: object = {}) => bridge([port('a', 1), port('b', 2)], more, top);
  const devices = ({ netns }: Host) => devicesIn(netns);
  const identity = async (host: Host) => ({
    index: await host.number('eth0', 'ifindex'),
    mac: (await host.run('cat', '/sys/class/net/eth0/address')).trim(),
  });

  beforeEach(async () => {
    lab = new Lab();
    ({ a, b } = await lab.hosts(['a', 'b']));
  });
  afterEach(() => lab.close());

  it.each(['SIGTERM', 'SIGINT'] as const)('%s removes every device and ends with exit 0', async (signal) => {
    const daemon = await lab.daemon(document());
    expect(await a.ping('10.5.0.2')).toBe(3);
    daemon.signal(signal);
    expect(await daemon.ended()).toMatchObject({ code: 0, signal: null });
    expect(await devices(a)).toEqual([]);
    expect(await devices(b)).toEqual([]);
    await expect(daemon.ports()).rejects.toThrow(/isn’t running/);
  });

  it('SIGTERM under traffic ends it in time, too', async () => {
    const daemon = await lab.daemon(document());
    const sending = a.sendFlow({
      device: 'eth0',
      destination: mac(2),
      source: mac(1),
      number: 1,
      rate: 20_000,
      seconds: 3,
    });
    sending.catch(() => undefined);
    await sleep(500);
    const start = performance.now();
    expect(await daemon.stop()).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - start).toBeLessThan(5000);
    expect(await devices(a)).toEqual([]);
  });

  it('a second SIGTERM ends it at once', async () => {
    const daemon = await lab.daemon(document());
    daemon.signal('SIGTERM');
    daemon.signal('SIGTERM');
    const { code, signal } = await daemon.ended();
    expect(signal).toBeNull();
    expect([0, 1]).toContain(code);
  });

  it('kill -9, then a start: the same devices are taken over, and traffic goes on', async () => {
    const first = await lab.daemon(document());
    expect(await a.ping('10.5.0.2')).toBe(3);
    const before = await identity(a);
    await first.kill();
    expect(await identity(a)).toEqual(before);
    const second = await lab.daemon(document());
    expect(await identity(a)).toEqual(before);
    expect(await a.ping('10.5.0.2')).toBe(3);
    expect((await second.ports()).every(({ up }) => up)).toBe(true);
    expect(await second.stop()).toMatchObject({ code: 0 });
    expect(await devices(a)).toEqual([]);
  });

  it('kill -9, then a start with another document: devices of ports that it no longer has are gone', async () => {
    const first = await lab.daemon(document());
    await first.kill();
    expect(await devices(b)).toEqual(['eth0']);
    await lab.daemon(bridge([port('a', 1)]));
    expect(await devices(a)).toEqual(['eth0']);
    expect(
      await until(
        () => devices(b),
        (left) => left.length === 0,
      ),
    ).toEqual([]);
  });

  it('leaves another daemon’s devices alone, also while that one rests and has a bridge of the same name', async () => {
    const first = await lab.daemon(document(), { args: ['--keep-devices'] });
    expect(await first.stop()).toMatchObject({ code: 0 });
    const other = await lab.daemon(bridge([{ name: 'x', kind: 'null' }]), { name: 'other' });
    // Namespaces that a document doesn't name are searched soon after its daemon is ready.
    await sleep(500);
    expect([await devices(a), await devices(b)]).toEqual([['eth0'], ['eth0']]);
    expect(await other.stop()).toMatchObject({ code: 0 });
    await lab.daemon(bridge([port('a', 1)]));
    const left = await until(
      () => devices(b),
      (found) => found.length === 0,
    );
    expect([await devices(a), left]).toEqual([['eth0'], []]);
  });

  it('--keep-devices leaves them in place for the next start', async () => {
    const first = await lab.daemon(document(), { args: ['--keep-devices'] });
    const before = await identity(a);
    expect(await first.stop()).toMatchObject({ code: 0 });
    expect(await identity(a)).toEqual(before);
    await lab.daemon(document());
    expect(await identity(a)).toEqual(before);
    expect(await a.ping('10.5.0.2')).toBe(3);
  });

  it('a worker restarted under traffic: its ports’ outage is short, other traffic notices nothing', async () => {
    const daemon = await lab.daemon(document({}, { workers: { count: 2 } }));
    expect(await a.ping('10.5.0.2')).toBe(3);
    const rate = 4000;
    const missed = async () => (await daemon.port('a')).missed['queue-full'] ?? 0;
    /** Sends for some seconds while `work` goes on; answers what was lost, how late the latest came, and the longest outage. */
    const during = async (number: number, seconds: number, work: () => Promise<void>) => {
      await b.listenFlow('eth0', number);
      const sending = a.sendFlow({ device: 'eth0', destination: mac(2), source: mac(1), number, rate, seconds });
      await sleep(500);
      await work();
      const sent = await sending;
      const result = await until(
        () => b.flowResult(number, sent),
        ({ received }) => received === sent,
        1500,
      );
      return { sent, lost: sent - result.received, lateMs: result.late_ms, outageMs: outageOf(result, rate) };
    };
    /** Everything arrives, but for what found the TAP's queue full since the switch got no CPU. */
    const losesNothing = async (number: number, seconds: number, work: () => Promise<void>) => {
      const missedBefore = await missed();
      const { sent, lost, lateMs } = await during(number, seconds, work);
      const more = await until(
        async () => (await missed()) - missedBefore,
        (count) => count >= lost,
        2000,
      );
      expect(lost).toBeLessThanOrEqual(more);
      expect(lost).toBeLessThan(sent * 0.02);
      if (lost > 0) expect(lateMs).toBeGreaterThan(lateWhenFullMs(rate));
      expect((await daemon.port('a')).dropped).toEqual({});
    };
    const carried = async () => (await daemon.workers()).map(({ frames }) => frames);
    const before = await carried();
    await losesNothing(1, 1, async () => undefined);
    const after = await carried();
    // One flow of one host lies in one queue: that worker carries it.
    const busy = after[0]! - before[0]! > after[1]! - before[1]! ? 0 : 1;
    await losesNothing(2, 3, () => daemon.restartWorker(1 - busy));
    const { lost, outageMs } = await during(3, 3, () => daemon.restartWorker(busy));
    expect(outageMs).toBeLessThan(500);
    expect(lost).toBeLessThan(rate * 0.5);
    expect((await daemon.workers()).map(({ state, restarts }) => [state, restarts])).toEqual([
      ['running', 1],
      ['running', 1],
    ]);
    expect(await a.ping('10.5.0.2', { count: 10 })).toBe(10);
  });

  it('reconfigured by apply while pinging: nothing is lost', async () => {
    const daemon = await lab.daemon(document());
    expect(await a.ping('10.5.0.2')).toBe(3);
    const pinging = a.ping('10.5.0.2', { count: 150, interval: 0.02 });
    for (let round = 0; round < 10; round++) {
      const ageing = { ageing: 100 + round };
      const patches = [{ name: 'p', kind: 'null' }].slice(0, round % 2);
      await daemon.apply(
        bridge(
          [
            port('a', 1, { speed: `${round + 1}G` }),
            port('b', 2, { flood: { multicast: round % 2 === 0 } }),
            ...patches,
          ],
          ageing,
        ),
      );
      await sleep(100);
    }
    expect(await pinging).toBe(150);
  });

  it('SIGHUP applies the file again; a bad file is refused and nothing changes', async () => {
    const { writeFileSync } = await import('node:fs');
    const daemon = await lab.daemon(document());
    writeFileSync(daemon.file, JSON.stringify(bridge([port('a', 1), port('b', 2), { name: 'x', kind: 'null' }])));
    daemon.signal('SIGHUP');
    const names = async () => (await daemon.ports()).map(({ name }) => name);
    expect(await until(names, (found) => found.length === 3)).toEqual(['a', 'b', 'x']);
    writeFileSync(daemon.file, 'bridges: [');
    daemon.signal('SIGHUP');
    await until(
      async () => daemon.stderr,
      (text) => text.includes('not applied'),
    );
    expect(daemon.stderr).toMatch(/not applied/);
    expect(await names()).toEqual(['a', 'b', 'x']);
    expect(await a.ping('10.5.0.2')).toBe(3);
  });
});
