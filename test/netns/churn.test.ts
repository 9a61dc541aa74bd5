/**
 * Ports that come and go while others forward: nothing is lost between those that stay, and nothing is left of those that went. Short in
 * CI; `npm run test:all` adds and deletes a thousand ports a hundred times.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds, isLong } from '../needs.ts';
import type { Daemon } from './daemon.ts';
import { mac } from './frames.ts';
import { type Host, lateWhenFullMs } from './host.ts';
import { bridge, Lab, REAL, tap, until } from './lab.ts';

const ROUNDS = 100;
/** Ports that come and go in one round of the test that counts what is left. */
const AT_ONCE = isLong() ? 1000 : 20;
const AT_ONCE_ROUNDS = isLong() ? 100 : 5;
/** Frames a second: a TAP holds 4,096 back, so that a switch which gets no CPU for half a second loses nothing. */
const RATE = isLong() ? 5000 : 3000;
/** What may be lost before the switch read it: it got no CPU for longer than that. */
const MISSED_SHARE_MAX = 0.02;

describeNeeds(REAL, 'churn', () => {
  let lab: Lab;
  let daemon: Daemon;
  let a: Host;
  let b: Host;
  let c: Host;
  const document = (more: readonly object[] = []) =>
    bridge([tap(lab, 'a'), tap(lab, 'b'), ...more], {}, { workers: { count: 2 } });
  const visitor = (k: number) => ({ name: `v${k}`, kind: 'tap', device: `v${k}`, netns: c.netns });
  const visitors = Array.from({ length: AT_ONCE }, (_, k) => k);

  beforeAll(async () => {
    lab = new Lab();
    ({ a, b, c } = await lab.hosts(['a', 'b', 'c'], { ipv6: false }));
    daemon = await lab.daemon(document());
  });
  afterAll(() => lab.close());

  const missedAt = async (name: string) => (await daemon.port(name)).missed['queue-full'] ?? 0;

  /** Sends numbered frames both ways while `work` goes on: all that the switch could read arrive, once. */
  async function losesNothing(work: (running: () => boolean) => Promise<void>, number: number): Promise<void> {
    const directions = [
      { from: a, port: 'a', to: b, source: mac(0xa), destination: mac(0xb), number },
      { from: b, port: 'b', to: a, source: mac(0xb), destination: mac(0xa), number: number + 1 },
    ];
    const before = await Promise.all(directions.map(({ port }) => missedAt(port)));
    for (const { to, number } of directions) await to.listenFlow('eth0', number);
    let running = true;
    const working = work(() => running);
    working.catch(() => undefined);
    const seconds = isLong() ? 60 : 8;
    const sending = directions.map(({ from, source, destination, number }) =>
      from.sendFlow({ device: 'eth0', source, destination, number, rate: RATE, seconds }),
    );
    const sent = await Promise.all(sending);
    running = false;
    await working;
    for (const [k, { to, port, number }] of directions.entries()) {
      const { received, duplicates, late_ms } = await until(
        () => to.flowResult(number),
        (result) => result.received === sent[k],
        2000,
      );
      expect(duplicates).toBe(0);
      expect(sent[k]).toBeGreaterThan(RATE * seconds * 0.5);
      const lost = sent[k]! - received;
      // Where a frame was lost tells why: `missed` for want of CPU, `dropped` inside the switch.
      const missed = await until(
        async () => (await missedAt(port)) - before[k]!,
        (count) => count === lost,
        2000,
      );
      const { dropped } = await daemon.port(port);
      expect({ lost, dropped }).toEqual({ lost: missed, dropped: {} });
      expect(missed).toBeLessThan(sent[k]! * MISSED_SHARE_MAX);
      // What lay in a queue that was taken from the switch is counted as `missed`, too, and has no excuse.
      if (lost > 0) expect(late_ms).toBeGreaterThan(lateWhenFullMs(RATE));
    }
  }

  it(`OX pmd "add remove ports": nothing is lost on A↔B while ports come and go ${ROUNDS} times`, async () => {
    let rounds = 0;
    await losesNothing(async (running) => {
      while (running() || rounds < ROUNDS) {
        await daemon.addPort('br0', visitor(rounds % 4));
        await daemon.deletePort('br0', `v${rounds % 4}`);
        rounds++;
      }
    }, 1);
    expect(rounds).toBeGreaterThanOrEqual(ROUNDS);
  }, 180_000);

  it('nothing is lost on A↔B while the document is applied again and again', async () => {
    await losesNothing(async (running) => {
      for (let round = 0; running(); round++) {
        const vlan = { mode: 'trunk', trunks: [0, 10 + (round % 50)] };
        await daemon.apply(document([{ ...visitor(0), vlan }, { ...visitor(1 + (round % 2)) }]));
      }
      await daemon.apply(document());
    }, 11);
  }, 120_000);

  it(`${AT_ONCE} ports added and deleted ${AT_ONCE_ROUNDS} times: descriptors, devices and memory as before`, async () => {
    const state = async () => ({
      descriptors: daemon.descriptors(),
      devices: (await c.run('ls', '/sys/class/net')).split(/\s+/).sort(),
      ports: (await daemon.ports()).map(({ name }) => name),
    });
    const round = async () => {
      await daemon.apply(document(visitors.map(visitor)));
      expect((await daemon.ports()).filter(({ up }) => up)).toHaveLength(AT_ONCE + 2);
      await daemon.apply(document());
    };
    await round();
    const before = await state();
    const memory = daemon.anonymousKib();
    for (let k = 0; k < AT_ONCE_ROUNDS; k++) await round();
    const after = await until(state, ({ descriptors }) => descriptors <= before.descriptors);
    expect(after).toEqual({ ...before, descriptors: expect.any(Number) });
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    expect(daemon.anonymousKib() - memory).toBeLessThan(64 << 10);
    expect((await daemon.workers()).map(({ state, restarts }) => [state, restarts])).toEqual([
      ['running', 0],
      ['running', 0],
    ]);
  }, 7_200_000);
});
