/** The bond machine, mode by mode: who carries, who receives, what upstream hears, what people read. */
import { describe, expect, it } from 'vitest';
import type { BondSettings } from '../../../../control/model/bond.ts';
import { member, Stand, settings } from './rig.ts';

const ALL = new Array(256).fill(0).map((_, bucket) => bucket);

describe('a bond before it hears of links', () => {
  it('is down, and asks nothing of its host', () => {
    const stand = new Stand(settings());
    expect(stand.bond.up).toBe(false);
    expect(stand.bond.reason).toBe('no member is up');
    expect(stand.bond.steering.send).toBe('none');
    expect(stand.receive).toBe('a:none b:none');
    expect(stand.host.order).toEqual([]);
    expect(stand.bond.wakeAt).toBe(Number.POSITIVE_INFINITY);
    expect(stand.state('a')).toBe('down: its link is down');
  });

  it('does not hear of members that it has not', () => {
    const stand = new Stand(settings());
    stand.link('x', true);
    stand.bond.receive('x', new Uint8Array(60), stand.now);
    expect(stand.host.order).toEqual([]);
    expect(() => stand.command('x', 'disable')).toThrow('the bond has no member x');
  });
});

describe('active-backup bonding (without primary)', () => {
  it('sends by the first member up, and receives by it alone', () => {
    const stand = new Stand(settings());
    stand.link('b', true);
    expect([stand.active, stand.carrying, stand.receive]).toEqual(['b', 'b', 'a:none b:all']);
    expect(stand.host.order).toEqual(['steer', 'announce', 'changed']);
    expect(stand.host.reasons).toEqual(['b is active']);
    stand.host.forget();
    stand.link('a', true);
    expect([stand.active, stand.host.order]).toEqual(['b', []]);
    expect(stand.state('a')).toBe('standby: b is active');
    expect(stand.state('b')).toBe('active');
    expect(stand.bond.steering.send).toBe('buckets');
    expect(stand.shares()).toEqual({ a: 0, b: 256 });
  });

  it('is steered to the other member within the call that tells of the loss', () => {
    const stand = new Stand(settings()).start();
    stand.link('a', false);
    expect(stand.host.order).toEqual(['steer', 'announce', 'changed']);
    expect(stand.host.steered[0]!.carrying).toEqual(['b']);
    expect(stand.host.announced).toEqual([null]);
    expect(stand.host.reasons).toEqual(['a no longer carries: its link is down; b is active']);
    expect(stand.receive).toBe('a:none b:all');
    const row = stand.bond.row();
    expect([row.failovers, row.members.map(({ failures }) => failures)]).toEqual([1, [1, 0]]);
  });

  it('stays where it is when the lost member comes back', () => {
    const stand = new Stand(settings()).start().link('a', false);
    stand.host.forget();
    stand.link('a', true);
    expect([stand.active, stand.host.order]).toEqual(['b', []]);
  });

  it('is down without a member, and up again with any', () => {
    const stand = new Stand(settings()).start().link('a', false).link('b', false);
    expect([stand.bond.reason, stand.active, stand.receive]).toEqual(['no member is up', null, 'a:none b:none']);
    expect(stand.host.reasons.at(-1)).toBe('b no longer carries: its link is down; none is active');
    stand.host.forget();
    stand.link('b', true);
    expect([stand.bond.up, stand.active, stand.host.announced]).toEqual([true, 'b', [null]]);
    expect(stand.bond.row().failovers).toBe(1);
  });

  it('ignores what it is told twice', () => {
    const stand = new Stand(settings()).start();
    stand.link('a', true).link('b', true, { speed: 1e9 });
    expect(stand.host.order).toEqual([]);
  });
});

describe('active-backup bonding (with primary)', () => {
  const withPrimary = (rest: Partial<BondSettings>) => settings({ primary: 'a', ...rest }, ['c', 'a', 'b']);

  it('goes back to the primary at once, and the other still receives for a second', () => {
    const stand = new Stand(withPrimary({})).start();
    expect(stand.active).toBe('a');
    stand.link('a', false);
    expect(stand.active).toBe('c');
    stand.host.forget();
    stand.link('a', true);
    expect([stand.active, stand.receive, stand.host.announced]).toEqual(['a', 'c:unicast a:all b:none', [null]]);
    stand.run(999);
    expect(stand.receive).toBe('c:unicast a:all b:none');
    stand.run(1);
    expect(stand.receive).toBe('c:none a:all b:none');
    expect(stand.host.order).toEqual(['steer', 'announce', 'changed', 'steer']);
  });

  it('waits for the loss of the active one by primary-reselect failure', () => {
    const stand = new Stand(withPrimary({ primaryReselect: 'failure' })).start().link('a', false).link('a', true);
    expect(stand.active).toBe('c');
    stand.link('c', false);
    expect(stand.active).toBe('a');
  });

  it('goes back only to a faster one by primary-reselect better', () => {
    const stand = new Stand(withPrimary({ primaryReselect: 'better' })).start().link('a', false).link('a', true);
    expect(stand.active).toBe('c');
    stand.link('a', true, { speed: 25e9 });
    expect(stand.active).toBe('a');
  });

  it('takes the speed that the document says before the one that the device tells', () => {
    const members = [member('a', { speed: 1e9 }), member('c')];
    const stand = new Stand(settings({ primary: 'a', primaryReselect: 'better', members }));
    stand.link('c', true, { speed: 10e9 }).link('a', true, { speed: 100e9 });
    stand.link('a', false).link('a', true, { speed: 100e9 });
    expect(stand.active).toBe('c');
  });

  it('leaves the one that a command made active in place until the primary comes up anew', () => {
    const stand = new Stand(withPrimary({})).start().command('b', 'activate');
    expect(stand.active).toBe('b');
    stand.link('c', false).link('c', true);
    expect(stand.active).toBe('b');
    stand.link('a', false).link('a', true);
    expect(stand.active).toBe('a');
  });

  it('obeys another primary when the settings name one', () => {
    const stand = new Stand(withPrimary({})).start().command('c', 'activate');
    stand.configure(withPrimary({ primary: 'b' }));
    expect(stand.active).toBe('b');
  });
});

describe('commands', () => {
  it('activate: the old one receives for a second, so that nothing is lost', () => {
    const stand = new Stand(settings()).start().command('b', 'activate');
    expect([stand.active, stand.receive, stand.host.announced]).toEqual(['b', 'a:unicast b:all', [null]]);
    expect(stand.bond.wakeAt).toBe(stand.now + 1000);
    stand.run(1000);
    expect(stand.receive).toBe('a:none b:all');
  });

  it('disable: out of use at once, deaf after a second', () => {
    const stand = new Stand(settings()).start().command('a', 'disable');
    expect([stand.active, stand.receive, stand.state('a')]).toEqual([
      'b',
      'a:unicast b:all',
      'disabled: taken out by command',
    ]);
    expect(stand.host.reasons).toEqual(['a no longer carries: taken out by command; b is active']);
    stand.run(1000);
    expect(stand.receive).toBe('a:none b:all');
    stand.link('b', false);
    expect([stand.active, stand.bond.reason]).toEqual([null, 'no member is up']);
    stand.command('a', 'enable');
    expect(stand.active).toBe('a');
  });

  it('one that was told to return within that second receives as its part is', () => {
    const stand = new Stand(settings()).start().command('b', 'activate').run(500).command('a', 'activate');
    expect(stand.receive).toBe('a:all b:unicast');
    stand.run(500);
    expect(stand.receive).toBe('a:all b:unicast');
    stand.run(500);
    expect(stand.receive).toBe('a:all b:none');
  });

  it('a link that is lost ends that second', () => {
    const stand = new Stand(settings()).start().command('b', 'activate').link('a', false);
    expect(stand.receive).toBe('a:none b:all');
    expect(stand.link('a', true).receive).toBe('a:none b:all');
  });

  it('activate is refused for a member that is not up, and by modes that have no active one', () => {
    const stand = new Stand(settings()).start().link('b', false);
    expect(() => stand.command('b', 'activate')).toThrow("b can't be active: its link is down");
    stand.command('a', 'disable');
    expect(() => stand.command('a', 'activate')).toThrow("a can't be active: taken out by command");
    const hashing = new Stand(settings({ mode: 'balance-xor' })).start();
    expect(() => hashing.command('a', 'activate')).toThrow('balance-xor has no active member');
  });
});

describe.each(['balance-rr', 'broadcast', 'balance-xor'] as const)('%s', (mode) => {
  it('sends and receives by all that are up', () => {
    const stand = new Stand(settings({ mode }, ['a', 'b', 'c'])).start().link('b', false);
    const send = { 'balance-rr': 'round-robin', broadcast: 'broadcast', 'balance-xor': 'buckets' }[mode];
    expect(stand.bond.steering.send).toBe(send);
    expect([stand.carrying, stand.receive, stand.active]).toEqual(['a c', 'a:all b:none c:all', null]);
    expect(stand.state('a')).toBe('enabled');
    expect(stand.host.announced).toEqual([]);
    expect(stand.host.reasons).toEqual(['b no longer carries: its link is down']);
    stand.link('b', true);
    expect(stand.host.reasons[1]).toBe('b carries');
    expect(stand.bond.row().failovers).toBe(0);
  });

  it('lets one that was taken out receive all for a second: upstream sends each frame by one link only', () => {
    const stand = new Stand(settings({ mode })).start().command('b', 'disable');
    expect([stand.carrying, stand.receive]).toEqual(['a', 'a:all b:all']);
    expect(stand.run(1000).receive).toBe('a:all b:none');
  });

  it('is down with fewer members than min-links', () => {
    const stand = new Stand(settings({ mode, minLinks: 2 })).start().link('b', false);
    expect(stand.bond.reason).toBe('1 of at least 2 members carry');
    expect([stand.bond.steering.send, stand.carrying, stand.receive]).toEqual(['none', '', 'a:none b:none']);
    expect(stand.state('a')).toBe('standby: the bond is down: 1 of at least 2 members carry');
    expect(stand.link('b', true).carrying).toBe('a b');
  });
});

describe('balance-xor', () => {
  it('moves only the buckets of a lost member, and as few as can be to one that comes', () => {
    const stand = new Stand(settings({ mode: 'balance-xor' }, ['a', 'b', 'c', 'd'])).start();
    const before = stand.bond.steering;
    stand.link('c', false);
    const after = stand.bond.steering;
    for (const bucket of ALL) {
      const owner = before.carrying[before.buckets[bucket]!];
      if (owner !== 'c') expect(after.carrying[after.buckets[bucket]!]).toBe(owner);
    }
    expect(stand.shares()).toEqual({ a: 86, b: 85, c: 0, d: 85 });
    expect(stand.link('c', true).shares()).toEqual({ a: 64, b: 64, c: 64, d: 64 });
  });

  it('moves nothing when it was down for too few links in between', () => {
    const stand = new Stand(settings({ mode: 'balance-xor', minLinks: 2 })).start();
    const before = stand.bond.steering.buckets;
    stand.link('a', false).link('a', true);
    expect(stand.bond.steering.buckets).toEqual(before);
  });
});

describe.each(['balance-slb', 'balance-tlb', 'balance-alb'] as const)('%s bonding', (mode) => {
  const start = (rest: Partial<BondSettings> = {}) => new Stand(settings({ mode, ...rest }, ['a', 'b', 'c'])).start();

  it('sends by all, and takes frames to many by one', () => {
    const stand = start();
    expect([stand.carrying, stand.active, stand.receive]).toEqual(['a b c', 'a', 'a:all b:unicast c:unicast']);
    expect([stand.state('a'), stand.state('b')]).toEqual(['active', 'enabled']);
    expect(stand.bond.row().hash).toBe('vlan+srcmac');
  });

  it('tells upstream of the senders that were on a lost member, and of no others', () => {
    const stand = start();
    const { buckets } = stand.bond.steering;
    stand.link('b', false);
    expect([stand.active, stand.receive]).toEqual(['a', 'a:all b:none c:unicast']);
    expect([...stand.host.announced[0]!]).toEqual(ALL.filter((bucket) => buckets[bucket] === 1));
    stand.host.forget();
    stand.link('a', false);
    expect([stand.active, stand.receive]).toEqual(['c', 'a:none b:none c:all']);
    expect(stand.host.announced[0]!.size).toBe(128);
  });

  it('tells of those that move to a new member too', () => {
    const stand = start().link('c', false);
    stand.host.forget();
    stand.link('c', true);
    expect(stand.host.announced.map((moved) => moved?.size)).toEqual([85]);
  });

  it('tells of all after an outage', () => {
    const stand = start().link('a', false).link('b', false).link('c', false);
    stand.host.forget();
    stand.link('b', true);
    expect(stand.host.announced).toEqual([null]);
  });

  it('moves no buckets with another active member', () => {
    const stand = start();
    const { buckets } = stand.bond.steering;
    stand.command('c', 'activate');
    expect([stand.active, stand.receive]).toEqual(['c', 'a:unicast b:unicast c:all']);
    expect(stand.bond.steering.buckets).toEqual(buckets);
    expect(stand.host.announced).toEqual([]);
  });

  it('takes a member out without loss', () => {
    const stand = start().command('a', 'disable');
    expect([stand.active, stand.carrying, stand.receive]).toEqual(['b', 'b c', 'a:unicast b:all c:unicast']);
    expect(stand.run(1000).receive).toBe('a:none b:all c:unicast');
  });
});
