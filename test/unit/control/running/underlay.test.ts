/** Ways over the underlay: when the kernel is asked, what follows from its answers, and from errors that come back. */
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { isLocalMissing, Underlay } from '../../../../control/running/underlay.ts';
import { FakeUnderlay } from '../fake-underlay.ts';

const { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE } = constants.errno;
const [US, FAR] = ['192.0.2.1', '192.0.2.2'];

function stand() {
  const kernel = new FakeUnderlay();
  const clock = { now: 0 };
  const underlay = new Underlay(
    (local, remote) => kernel.wayTo(local, remote),
    () => clock.now,
  );
  const heard: string[] = [];
  const way = underlay.follow(US, FAR, 0, () => heard.push(`${way.state} ${way.mtu}`));
  const trouble = (errno: number, mtu = 0) => underlay.hear(US, [{ address: FAR, errno, mtu, count: 1 }]);
  return { kernel, clock, underlay, heard, way, trouble };
}

describe('a way', () => {
  it('is asked for at once, and once for all who follow it', () => {
    const { kernel, underlay, way } = stand();
    expect(way).toMatchObject({ state: 'up', mtu: 1500, device: 2, reason: null });
    expect(underlay.follow(US, FAR, 0, () => undefined)).toBe(way);
    expect(kernel.asked).toBe(1);
  });

  it('is forgotten with the last who follows it', () => {
    const { underlay } = stand();
    const second = () => undefined;
    const way = underlay.follow(US, FAR, 0, second);
    underlay.unfollow(way, second);
    expect(underlay.count).toBe(1);
    const other = underlay.follow(US, '192.0.2.3', 0, second);
    underlay.unfollow(other, second);
    expect(underlay.count).toBe(1);
  });

  it('tells only what changed', () => {
    const { kernel, underlay, heard, way } = stand();
    underlay.review();
    expect(heard).toEqual([]);
    kernel.lose(FAR);
    underlay.review();
    expect(way.reason).toBe('no route leads there');
    kernel.ways.set(FAR, { error: 0, mtu: 1400, device: 3 });
    underlay.review();
    expect(heard).toEqual(['unreachable 0', 'up 1400']);
  });

  it('of a local address that is gone says so', () => {
    const { kernel, underlay, way } = stand();
    kernel.addresses.delete(US);
    underlay.review();
    expect(isLocalMissing(way)).toBe(true);
    expect(way.reason).toBe(`no interface has the address ${US}`);
  });
});

it('looks at many ways in slices, and tells a follower once for each', async () => {
  const { kernel, underlay } = stand();
  let told = 0;
  const tell = () => void told++;
  for (let k = 0; k < 1000; k++) underlay.follow(US, `10.0.${k >> 8}.${k & 255}`, 0, tell);
  kernel.usual = { error: 0, mtu: 1400, device: 2 };
  const before = kernel.asked;
  underlay.review();
  expect(kernel.asked - before).toBeLessThan(1001);
  for (let k = 0; k < 10; k++) await new Promise((resolve) => setImmediate(resolve));
  expect(kernel.asked - before).toBe(1001);
  expect(told).toBeGreaterThan(0);
  expect(told).toBeLessThan(10);
});

describe('what comes back', () => {
  it('of a packet that was too long lowers the MTU, until the kernel says another', () => {
    const { kernel, underlay, way, trouble, heard } = stand();
    trouble(EMSGSIZE, 1300);
    expect(way.mtu).toBe(1300);
    underlay.review();
    expect(way.mtu).toBe(1300);
    kernel.ways.set(FAR, { error: 0, mtu: 1450, device: 2 });
    underlay.review();
    expect(heard).toEqual(['up 1300', 'up 1450']);
  });

  it('of a packet that was too long counts beside what the kernel says just now', () => {
    const { kernel, way, underlay, trouble } = stand();
    kernel.ways.set(FAR, { error: 0, mtu: 1450, device: 2 });
    trouble(EMSGSIZE, 1300);
    expect(way.mtu).toBe(1300);
    underlay.review();
    expect(way.mtu).toBe(1300);
  });

  it('of a packet that was too long is believed for ten minutes', () => {
    const { underlay, way, trouble, clock } = stand();
    trouble(EMSGSIZE, 1300);
    clock.now = 600_000;
    underlay.review();
    expect(way.mtu).toBe(1300);
    clock.now++;
    underlay.review();
    expect(way.mtu).toBe(1500);
  });

  it('of a port without listener is shown for some seconds, and stops nothing', () => {
    const { underlay, way, trouble, clock, heard } = stand();
    trouble(ECONNREFUSED);
    expect(way).toMatchObject({ state: 'refused', reason: 'nobody listens there', mtu: 1500, error: 0 });
    clock.now = 10_001;
    underlay.review();
    expect(way).toMatchObject({ state: 'up', reason: null });
    trouble(EHOSTUNREACH);
    expect(way).toMatchObject({ state: 'unreachable', reason: 'nobody answers there', mtu: 1500 });
    expect(heard).toEqual(['refused 1500', 'up 1500', 'unreachable 1500']);
  });

  it('while the kernel has no way is over when it has one again', () => {
    const { kernel, underlay, way, trouble } = stand();
    kernel.lose(FAR);
    trouble(EHOSTUNREACH);
    expect(way.reason).toBe('no route leads there');
    kernel.ways.clear();
    underlay.review();
    expect(way.state).toBe('up');
  });

  it('of others concerns nobody', () => {
    const { underlay, way, heard } = stand();
    underlay.hear(US, [{ address: '192.0.2.9', errno: ECONNREFUSED, mtu: 0, count: 1 }]);
    underlay.hear('192.0.2.7', [{ address: FAR, errno: ECONNREFUSED, mtu: 0, count: 1 }]);
    expect([way.state, heard.length]).toEqual(['up', 0]);
  });

  it('concerns a way as long as anybody follows it, whichever others of its scope are left', () => {
    const { underlay, way, trouble } = stand();
    const others = [1, 2].map((k) => {
      const leave = () => undefined;
      return { leave, other: underlay.follow(US, `192.0.2.1${k}`, 0, leave) };
    });
    for (const { leave, other } of others) underlay.unfollow(other, leave);
    trouble(ECONNREFUSED);
    expect(way.state).toBe('refused');
  });
});
