/** The bond machine as time passes and settings change under traffic: delays, other members, other modes. */
import { describe, expect, it } from 'vitest';
import { Stand, settings } from './rig.ts';

describe('delays of a bond', () => {
  const slow = settings({ updelayMs: 200, downdelayMs: 300 });

  it('skips updelay while no member is up', () => {
    const stand = new Stand(slow).link('b', true);
    expect([stand.active, stand.state('b')]).toEqual(['b', 'active']);
    stand.link('a', true);
    expect(stand.state('a')).toBe('waiting: waits 200 ms for updelay');
    expect(stand.run(200).state('a')).toBe('standby: b is active');
  });

  it('carries on for downdelay, and stays when the link is back within it', () => {
    const stand = new Stand(slow).link('a', true).link('b', true).run(1000);
    stand.host.forget();
    stand.link('a', false).run(299);
    expect([stand.state('a'), stand.host.order]).toEqual(['active', []]);
    expect(stand.bond.row().members[0]!.link).toBe(false);
    stand.link('a', true).run(1000);
    expect([stand.active, stand.bond.row().members[0]!.failures]).toEqual(['a', 0]);
    stand.link('a', false).run(300);
    expect([stand.active, stand.bond.row().members[0]!.failures]).toEqual(['b', 1]);
  });

  it('lets one that waits take over at once when the last is lost', () => {
    const stand = new Stand({ ...slow, downdelayMs: 0 }).link('a', true).run(10).link('b', true).run(10);
    stand.host.forget();
    stand.link('a', false);
    expect([stand.active, stand.host.order]).toEqual(['b', ['steer', 'announce', 'changed']]);
  });

  it('waits for shorter ones when the settings say so', () => {
    const stand = new Stand({ ...slow, updelayMs: 60_000 }).link('a', true).link('b', true);
    stand.configure({ ...slow, updelayMs: 100 });
    expect(stand.run(99).state('b')).toBe('waiting: waits 100 ms for updelay');
    expect(stand.run(1).state('b')).toBe('standby: a is active');
  });

  it('skips it for one member only, the first of the settings', () => {
    const names = ['a', 'b', 'c'];
    const stand = new Stand(settings({ mode: 'balance-xor', updelayMs: 500 }, names));
    stand.link('c', true).link('b', true).link('a', true).link('c', false);
    expect(stand.carrying).toBe('a');
    expect(stand.run(500).carrying).toBe('a b');
  });
});

describe('settings that change under traffic', () => {
  it('active bond member survives restart: the active one stays through any change that keeps it', () => {
    const stand = new Stand(settings()).start().command('b', 'activate').run(2000);
    stand.host.forget();
    stand.configure(settings({ hash: 'layer2', seed: 7, rebalanceMs: 0, updelayMs: 100 }));
    expect([stand.active, stand.host.order]).toEqual(['b', []]);
    stand.configure(settings({}, ['c', 'b', 'a']));
    expect([stand.active, stand.receive]).toEqual(['b', 'c:none b:all a:none']);
  });

  it('add member', () => {
    const stand = new Stand(settings({ mode: 'balance-xor' })).start();
    stand.configure(settings({ mode: 'balance-xor' }, ['a', 'b', 'c']));
    expect([stand.carrying, stand.receive]).toEqual(['a b', 'a:all b:all c:none']);
    expect(stand.link('c', true).shares()).toEqual({ a: 85, b: 86, c: 85 });
  });

  it('a member that goes and comes is a new one', () => {
    const stand = new Stand(settings()).start().command('a', 'disable');
    stand.host.forget();
    stand.configure(settings({}, ['b']));
    expect(stand.receive).toBe('b:all');
    stand.configure(settings()).link('a', true);
    expect([stand.active, stand.state('a')]).toEqual(['b', 'standby: b is active']);
  });

  it('the active member leaves', () => {
    const stand = new Stand(settings()).start().configure(settings({}, ['b']));
    expect(stand.host.order).toEqual(['steer', 'announce', 'changed']);
    expect(stand.host.reasons).toEqual(['a no longer carries: it is no member any more; b is active']);
  });

  it('another mode moves as little as can be', () => {
    const stand = new Stand(settings()).start();
    stand.configure(settings({ mode: 'balance-slb' }));
    expect([stand.shares(), stand.active]).toEqual([{ a: 128, b: 128 }, 'a']);
    expect(stand.host.announced.map((moved) => moved?.size)).toEqual([128]);
    const { buckets } = stand.bond.steering;
    stand.configure(settings({ mode: 'balance-xor' }));
    expect(stand.bond.steering.buckets).toEqual(buckets);
    stand.configure(settings({ mode: 'balance-rr' }));
    expect([stand.bond.steering.send, stand.carrying]).toEqual(['round-robin', 'a b']);
    stand.host.forget();
    stand.configure(settings());
    expect([stand.active, stand.host.announced, stand.receive]).toEqual(['a', [null], 'a:all b:unicast']);
    expect(stand.run(1000).receive).toBe('a:all b:none');
  });

  it('counts failovers of one mode only', () => {
    const stand = new Stand(settings()).start().configure(settings({ mode: 'balance-rr' }));
    stand.link('a', false).configure(settings());
    expect([stand.active, stand.bond.row().failovers]).toEqual(['b', 0]);
  });

  it('min-links counts members that could carry where one does', () => {
    const stand = new Stand(settings({ minLinks: 2 })).start();
    expect(stand.active).toBe('a');
    stand.link('b', false);
    expect([stand.bond.reason, stand.active]).toEqual(['1 of at least 2 members are up', null]);
    expect(stand.host.reasons).toEqual([
      'a no longer carries: the bond is down: 1 of at least 2 members are up; none is active',
    ]);
    stand.configure(settings({ minLinks: 1 }));
    expect([stand.bond.up, stand.active]).toEqual([true, 'a']);
  });
});

describe('link when admin up and down', () => {
  it('a lone member is taken out and let in again', () => {
    const stand = new Stand(settings({}, ['a'])).start().command('a', 'disable');
    expect([stand.bond.up, stand.receive]).toEqual([false, 'a:none']);
    stand.command('a', 'enable');
    expect([stand.bond.up, stand.receive, stand.active]).toEqual([true, 'a:all', 'a']);
  });
});
