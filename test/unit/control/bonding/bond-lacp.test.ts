/** 802.3ad in the bond machine: what LACP's word means for sending and receiving, fallback, and two bonds that really negotiate. */
import { describe, expect, it } from 'vitest';
import { Bond, type BondHost, type Steering } from '../../../../control/bonding/bond.ts';
import type { BondSettings } from '../../../../control/model/bond.ts';
import { LACP, member, NotingHost, Stand, settings } from './rig.ts';

const LACPDU = Uint8Array.from([1, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x88, 0x09, 1, 1]);
const AD = { mode: '802.3ad' } as const;

/** Both members up, LACP has no word on them yet. */
function start(rest: Partial<BondSettings> = {}, names = ['a', 'b']): Stand {
  return new Stand(settings({ ...AD, ...rest }, names)).start();
}

function punt(stand: Stand, name: string): Stand {
  stand.bond.receive(name, LACPDU, stand.now);
  return stand;
}

describe('802.3ad', () => {
  it('is down without a partner, and says why', () => {
    const stand = start();
    expect([stand.bond.up, stand.bond.reason, stand.receive]).toEqual([
      false,
      'LACP lets no member carry',
      'a:none b:none',
    ]);
    expect([stand.state('a'), stand.bond.row().lacp]).toEqual(['waiting: it has no partner', 'configured']);
  });

  it('receives by members that collect, and sends by those that distribute', () => {
    const stand = start();
    stand.lacp.set('a', true, false);
    punt(stand, 'a');
    expect([stand.bond.up, stand.receive]).toEqual([false, 'a:none b:none']);
    stand.lacp.set('a', true, true);
    stand.lacp.set('b', true, false);
    punt(stand, 'a');
    expect([stand.carrying, stand.receive, stand.active]).toEqual(['a', 'a:all b:all', null]);
    expect([stand.state('a'), stand.bond.row().lacp]).toEqual(['enabled', 'negotiated']);
    stand.lacp.set('b', false, false);
    punt(stand, 'b');
    expect([stand.state('b'), stand.receive]).toEqual(['waiting: its partner is not in sync', 'a:all b:none']);
  });

  it('says of a member that another aggregator carries', () => {
    const stand = start();
    stand.lacp.set('a', true, true);
    stand.lacp.set('b', true, false, 2);
    punt(stand, 'a');
    expect(stand.state('b')).toBe('standby: another aggregator carries');
  });

  it('tells upstream when all that carry are others: another aggregator may be another switch', () => {
    const stand = start();
    stand.lacp.set('a', true, true);
    punt(stand, 'a');
    stand.host.forget();
    stand.lacp.set('b', true, true);
    punt(stand, 'b');
    expect(stand.host.announced).toEqual([]);
    stand.lacp.set('a', false, false);
    punt(stand, 'a');
    expect(stand.host.announced).toEqual([]);
    stand.lacp.set('a', true, true);
    stand.lacp.set('b', false, false);
    punt(stand, 'a');
    expect(stand.host.announced).toEqual([null]);
  });

  it('goes on receiving by a member that was taken out for the second in which its partner hears of it', () => {
    const stand = start();
    for (const name of ['a', 'b']) stand.lacp.set(name, true, true);
    punt(stand, 'a').command('b', 'disable');
    expect([stand.carrying, stand.receive, stand.lacp.heard.at(-1)]).toEqual(['a', 'a:all b:all', 'hold b']);
    expect(stand.run(1000).receive).toBe('a:all b:none');
    expect(stand.command('b', 'enable').lacp.heard.at(-1)).toBe('free b');
  });

  it('tells LACP of links through the delays, of ports by the numbers they began with, and of nothing twice', () => {
    const members = [member('a', { priority: 7 }), member('b', { speed: 1e9 })];
    const stand = new Stand(settings({ ...AD, updelayMs: 100, members }));
    stand.link('a', true).link('b', true).run(100);
    stand.bond.tick(stand.now);
    expect(stand.lacp.heard).toEqual([
      'add a 1 7',
      'add b 2 32768',
      'link a true 10000000000 02:00:00:00:01:00',
      'link b false 1000000000 02:00:00:00:01:01',
      'link b true 1000000000 02:00:00:00:01:01',
    ]);
    stand.lacp.heard.length = 0;
    stand.configure(settings({ ...AD, members: [member('c'), member('b', { priority: 3 })] }));
    expect(stand.lacp.heard).toEqual([
      'configure',
      'remove a',
      'add c 1 32768',
      'add b 2 3',
      'link b true 10000000000 02:00:00:00:01:01',
    ]);
  });

  it('leaves a port its speed, and so its key, until downdelay gives its link up', () => {
    const stand = start({ downdelayMs: 100 });
    for (const name of ['a', 'b']) stand.lacp.set(name, true, true);
    punt(stand, 'a').lacp.heard.length = 0;
    stand.link('b', false, { speed: null });
    expect(stand.lacp.heard).toEqual([]);
    expect(stand.run(99).carrying).toBe('a b');
    expect(stand.run(1).lacp.heard).toEqual(['link b false 10000000000 02:00:00:00:01:01']);
  });

  it('makes LACP anew when the mode comes back, and needs none meanwhile', () => {
    const stand = start();
    stand.configure(settings());
    expect(stand.lacp.heard.slice(-2)).toEqual(['remove a', 'remove b']);
    expect([stand.active, stand.bond.row().lacp, stand.bond.row().members[0]!.lacp]).toEqual(['a', 'off', null]);
    stand.configure(settings({ ...AD }));
    expect([stand.lacps.length, stand.bond.up]).toEqual([2, false]);
    expect(stand.lacp.heard).toContain('link b true 10000000000 02:00:00:00:01:01');
  });

  it('hears LACPDUs alone, and wakes for what LACP waits for', () => {
    const stand = start();
    stand.bond.receive('a', new Uint8Array(60), stand.now);
    stand.bond.receive('a', new Uint8Array(3), stand.now);
    expect(stand.lacp.heard.filter((word) => word.startsWith('receive'))).toEqual([]);
    punt(stand, 'b');
    expect(stand.lacp.heard.at(-1)).toBe('receive b');
    stand.lacp.wakeAt = stand.now + 30;
    expect(stand.bond.wakeAt).toBe(stand.now + 30);
    stand.bond.tick(stand.now + 29);
    expect(stand.lacp.heard.at(-1)).toBe('receive b');
    stand.bond.tick(stand.now + 40);
    expect(stand.lacp.heard.at(-1)).toBe('tick');
  });
});

describe('lacp.fallback', () => {
  const fallback = { lacp: { ...LACP, fallback: true } };

  it('is active-backup until there is a partner', () => {
    const stand = start(fallback);
    expect([stand.active, stand.carrying, stand.receive]).toEqual(['a', 'a', 'a:all b:none']);
    expect([stand.bond.row().lacp, stand.state('b')]).toEqual(['fallback', 'standby: a is active']);
    stand.link('a', false);
    expect([stand.active, stand.host.announced]).toEqual(['b', [null]]);
    stand.command('b', 'activate');
    for (const name of ['a', 'b']) stand.lacp.set(name, true, true);
    punt(stand.link('a', true), 'a');
    expect([stand.active, stand.carrying, stand.bond.row().lacp]).toEqual([null, 'a b', 'negotiated']);
    expect(() => stand.command('b', 'activate')).toThrow('802.3ad has no active member');
  });

  it('stays so until the first member distributes, and does not return before the partner is forgotten', () => {
    const stand = start(fallback);
    stand.lacp.set('b', true, false);
    punt(stand, 'b');
    expect([stand.active, stand.bond.row().lacp]).toEqual(['a', 'fallback']);
    stand.lacp.set('b', true, true);
    punt(stand, 'b');
    expect([stand.active, stand.carrying, stand.bond.row().lacp]).toEqual([null, 'b', 'negotiated']);
    stand.lacp.set('b', false, false);
    punt(stand, 'b');
    expect([stand.active, stand.carrying, stand.bond.up]).toEqual([null, '', false]);
  });

  it('and again when the partner is forgotten', () => {
    const stand = start(fallback);
    for (const name of ['a', 'b']) stand.lacp.set(name, true, true);
    punt(stand, 'a');
    stand.host.forget();
    for (const name of ['a', 'b']) stand.lacp.set(name, false, false);
    stand.lacp.negotiated = false;
    stand.lacp.wakeAt = stand.now;
    stand.bond.tick(stand.now);
    expect([stand.active, stand.host.announced, stand.bond.row().lacp]).toEqual(['a', [null], 'fallback']);
  });
});

/** Two bonds with real LACP over wires that a test cuts; a frame arrives a millisecond later. */
class Pair {
  readonly names: readonly string[];
  readonly hosts: NotingHost[];
  readonly bonds: Bond[];
  readonly cut = new Set<string>();
  /** Sends nothing any more, though its links are up. */
  silent = false;
  now = 0;
  #flying: { at: number; to: number; name: string; frame: Uint8Array }[] = [];

  constructor(rest: Partial<BondSettings>[], names = ['a', 'b']) {
    this.names = names;
    this.hosts = rest.map(() => new NotingHost());
    this.bonds = rest.map((given, side) => {
      const mac = `02:00:00:00:0${side}:00`;
      const lacp = { ...LACP, rate: 'fast' as const, systemMac: mac, ...given.lacp };
      const sendMember = (name: string, frame: Uint8Array) => {
        if (this.cut.has(name) || (side === 1 && this.silent)) return;
        this.#flying.push({ at: this.now + 1, to: 1 - side, name, frame });
      };
      const host: BondHost = Object.assign(Object.create(this.hosts[side]!), { sendMember });
      return new Bond(settings({ ...AD, mac, ...given, lacp }, names), host, 0);
    });
    for (const name of names) this.link(name, true);
  }

  link(name: string, up: boolean): void {
    if (up) this.cut.delete(name);
    else this.cut.add(name);
    for (const [side, bond] of this.bonds.entries()) {
      const mac = `02:00:00:00:0${side}:0${this.names.indexOf(name) + 1}`;
      bond.link(name, { up, speed: 10e9, mac }, this.now);
    }
  }

  run(ms: number): this {
    const end = this.now + ms;
    for (;;) {
      const next = Math.min(...this.bonds.map(({ wakeAt }) => wakeAt), ...this.#flying.map(({ at }) => at));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const due = this.#flying.filter(({ at }) => at <= this.now);
      this.#flying = this.#flying.filter(({ at }) => at > this.now);
      for (const { to, name, frame } of due) this.bonds[to]!.receive(name, frame, this.now);
      for (const bond of this.bonds) if (bond.wakeAt <= this.now) bond.tick(this.now);
    }
    this.now = end;
    return this;
  }

  get steering(): Steering[] {
    return this.bonds.map((bond) => bond.steering);
  }
  get carrying(): string {
    return this.steering.map(({ carrying }) => carrying.join(' ')).join(' | ');
  }
}

describe('two bonds that negotiate', () => {
  it('balance-tcp bonding: all links carry, a lost one leaves at once and comes back', () => {
    const pair = new Pair([{}, {}], ['a', 'b', 'c', 'd']).run(5000);
    expect(pair.carrying).toBe('a b c d | a b c d');
    expect(pair.bonds.map((bond) => bond.row().lacp)).toEqual(['negotiated', 'negotiated']);
    const before = pair.steering[0]!;
    pair.link('c', false);
    expect(pair.carrying).toBe('a b d | a b d');
    const after = pair.steering[0]!;
    for (const [bucket, index] of before.buckets.entries()) {
      const owner = before.carrying[index];
      if (owner !== 'c') expect(after.carrying[after.buckets[bucket]!]).toBe(owner);
    }
    pair.link('c', true);
    expect(pair.run(5000).carrying).toBe('a b c d | a b c d');
    expect(pair.bonds[0]!.row().members.map(({ state, buckets }) => `${state} ${buckets}`)).toEqual(
      new Array(4).fill('enabled 64'),
    );
  });

  it('lets a member that was taken out leave on both sides at once, and come back', () => {
    const pair = new Pair([{}, {}]).run(5000);
    pair.bonds[0]!.command('b', 'disable', pair.now);
    expect(pair.run(10).carrying).toBe('a | a');
    expect(pair.steering[0]!.receive.get('b')).toBe('all');
    expect(pair.run(1000).steering[0]!.receive.get('b')).toBe('none');
    pair.bonds[0]!.command('b', 'enable', pair.now);
    expect(pair.run(5000).carrying).toBe('a b | a b');
  });

  it('is down below min-links, and up again', () => {
    const pair = new Pair([{ minLinks: 2 }, {}]).run(5000);
    pair.link('b', false);
    pair.run(1000);
    expect([pair.bonds[0]!.up, pair.carrying]).toEqual([false, ' | ']);
    pair.link('b', true);
    expect(pair.run(5000).carrying).toBe('a b | a b');
  });

  it('takes a fast partner out 3 seconds after its last word, falls back after 3 more, and negotiates when it speaks again', () => {
    const pair = new Pair([{ lacp: { ...LACP, rate: 'fast', systemMac: '02:00:00:00:00:00', fallback: true } }, {}]);
    pair.run(5000);
    pair.silent = true;
    pair.run(2900);
    expect([pair.carrying, pair.bonds[0]!.row().lacp]).toEqual(['a b | a b', 'negotiated']);
    // Expired: out of use, and asked for three seconds more before it counts as gone.
    pair.run(1100);
    expect([pair.steering[0]!.carrying, pair.bonds[0]!.row().lacp]).toEqual([[], 'negotiated']);
    pair.run(3000);
    expect([pair.steering[0]!.active, pair.bonds[0]!.row().lacp]).toEqual(['a', 'fallback']);
    pair.silent = false;
    expect(pair.run(10_000).carrying).toBe('a b | a b');
  });

  it('says of a link that leads back that it does, while others carry and while none does', () => {
    const looped = 'its link leads back to this bond, or to one with the same lacp.system-mac';
    const pair = new Pair([{}, { lacp: { ...LACP, rate: 'fast', systemMac: '02:00:00:00:00:00' } }]).run(5000);
    for (const bond of pair.bonds)
      expect(bond.row().members.map(({ state, reason }) => `${state}: ${reason}`)).toEqual(
        new Array(2).fill(`waiting: ${looped}`),
      );
    const stand = start();
    stand.lacp.set('a', true, true);
    stand.lacp.set('b', true, false, null);
    punt(stand, 'a');
    expect([stand.carrying, stand.state('b')]).toEqual(['a', `waiting: ${looped}`]);
  });
});
