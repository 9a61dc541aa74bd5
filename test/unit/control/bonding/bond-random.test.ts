/** Seeded random lives of bonds: whatever happens to links, settings, partners and people, what must hold holds after every call. */
import { describe, expect, it } from 'vitest';
import { hasActive, isSameList, isSameSteering, type Way } from '../../../../control/bonding/steering.ts';
import { BOND_MODES, type BondSettings, PRIMARY_RESELECTS } from '../../../../control/model/bond.ts';
import { randomFrom, seedFor } from '../../../seed.ts';
import { LACP, MONITOR, Stand, settings } from './rig.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const STEPS = 80;
const LIVES = 60;
const NEVER = Number.NEGATIVE_INFINITY;

/** What a test knows of a member without asking the bond. */
interface Known {
  up: boolean;
  /** When the link was lost or came, and after which delay the bond must have seen that. */
  since: number;
  seenAt: number;
  disabled: boolean;
}

class Life {
  readonly random: (below: number) => number;
  readonly stand: Stand;
  readonly known = new Map<string, Known>();
  given: BondSettings;
  /** Where upstream, which learns senders by link, believes each bucket's to be. */
  readonly believed = new Array<string | null>(256).fill(null);
  steering;
  #told = 0;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    this.given = this.settings(NAMES.slice(0, 1 + this.random(5)));
    this.stand = new Stand(this.given);
    this.stand.host.announce = (moved) => this.learn(moved);
    this.steering = this.stand.bond.steering;
    this.know();
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random(list.length)]!;
  }

  settings(names: string[], mode = this.pick(BOND_MODES)): BondSettings {
    return settings(
      {
        mode,
        primary: this.pick([null, ...names]),
        primaryReselect: this.pick(PRIMARY_RESELECTS),
        minLinks: this.pick([1, 1, 1, 2]),
        updelayMs: this.pick([0, 0, 300]),
        downdelayMs: this.pick([0, 0, 0, 200]),
        rebalanceMs: this.pick([0, 1000, 10_000]),
        monitor: this.random(3) === 0 ? MONITOR : null,
        lacp: mode === '802.3ad' ? { ...LACP, fallback: this.random(2) === 0 } : null,
      },
      names,
    );
  }

  know(): void {
    const names = this.given.members.map(({ name }) => name);
    for (const name of this.known.keys()) if (!names.includes(name)) this.known.delete(name);
    for (const name of names) {
      if (!this.known.has(name)) this.known.set(name, { up: false, since: NEVER, seenAt: NEVER, disabled: false });
    }
  }

  step(): string {
    const { stand } = this;
    const name = this.pick([...this.known.keys()]);
    const known = this.known.get(name)!;
    switch (this.random(10)) {
      case 0:
      case 1:
      case 2: {
        const up = this.random(3) > 0;
        if (up !== known.up) {
          known.since = stand.now;
          known.seenAt = stand.now + (up ? this.given.updelayMs : this.given.downdelayMs);
        }
        known.up = up;
        stand.link(name, up, { speed: this.pick([null, 1e9, 10e9]) });
        return `link ${name} ${up}`;
      }
      case 3:
        return this.command(name, known);
      case 4: {
        this.given = this.settings(this.pick([this.given.members.map((one) => one.name), this.shuffled()]));
        stand.configure(this.given);
        this.know();
        return `configure ${this.given.mode} ${this.given.members.map((one) => one.name)}`;
      }
      case 5:
        for (const bucket of stand.host.units.keys()) stand.host.units[bucket]! += this.random(1e6);
        return 'load';
      case 6:
        return this.partner(name);
      case 7:
        return this.targets(name);
      default:
        stand.run(this.pick([1, 50, 500, 5000, 20_000]));
        return 'time';
    }
  }

  shuffled(): string[] {
    const names = NAMES.filter(() => this.random(3) > 0).sort(() => this.random(3) - 1);
    return names.length === 0 ? ['a'] : names;
  }

  command(name: string, known: Known): string {
    const command = this.pick(['enable', 'disable', 'activate'] as const);
    if (command !== 'activate') known.disabled = command === 'disable';
    const before = this.stand.bond.steering;
    try {
      this.stand.command(name, command);
    } catch {
      expect(command).toBe('activate');
      expect(this.stand.bond.steering).toBe(before);
    }
    return `${command} ${name}`;
  }

  partner(name: string): string {
    if (this.given.mode !== '802.3ad') return 'nothing';
    const { lacp, now, bond } = this.stand;
    const collects = this.random(4) > 0;
    lacp.set(name, collects, collects && this.random(4) > 0);
    lacp.negotiated = this.random(5) > 0;
    if (!lacp.negotiated) {
      for (const one of this.known.keys()) lacp.set(one, false, false);
      lacp.negotiated = false;
    }
    bond.receive(name, Uint8Array.from([...new Array(12).fill(0), 0x88, 0x09]), now);
    return `partner of ${name}`;
  }

  targets(name: string): string {
    if (this.given.monitor === null) return 'nothing';
    const { monitor, bond, now } = this.stand;
    if (!monitor.dead.delete(name)) monitor.dead.add(name);
    bond.receive(name, new Uint8Array(42), now);
    return `targets of ${name}`;
  }

  /** What must hold after every call. */
  check(): void {
    const { bond, host, now } = this.stand;
    const { steering } = bond;
    const { carrying, buckets, active, receive } = steering;
    expect(bond.up).toBe(bond.reason === null);
    expect(carrying.length > 0).toBe(bond.up);
    expect(steering.send !== 'none').toBe(bond.up);
    expect([...receive.keys()]).toEqual(this.given.members.map(({ name }) => name));
    for (const [name, { up, seenAt, disabled }] of this.known) {
      const isLost = !up && now >= seenAt;
      if (isLost || disabled) expect(carrying).not.toContain(name);
    }
    if (bond.up) expect(Math.max(...buckets)).toBeLessThan(carrying.length);
    if (active !== null) expect(carrying).toContain(active);
    if (this.given.monitor !== null) expect(this.stand.monitor.carriers).toEqual(carrying);
    this.checkFallback();
    this.checkReceivers();
    this.checkCalls();
    this.checkRows();
    for (const seenAt of this.pending()) expect(bond.wakeAt).toBeLessThanOrEqual(seenAt);
    expect(bond.wakeAt).toBeGreaterThan(now);
    host.forget();
  }

  way(): Way {
    const { mode } = this.given;
    if (mode === 'active-backup') return 'single';
    if (mode === '802.3ad') return this.stand.bond.row().lacp === 'fallback' ? 'single' : 'aggregate';
    if (mode === 'balance-rr') return 'round-robin';
    return mode === 'broadcast' || mode === 'balance-xor' ? (mode === 'broadcast' ? mode : 'aggregate') : 'senders';
  }

  checkFallback(): void {
    const { mode, lacp: model, members } = this.given;
    if (mode !== '802.3ad') return;
    const { bond, lacp } = this.stand;
    const distributes = members.some(({ name }) => lacp.distributing(name));
    if (!model!.fallback) expect(bond.row().lacp).not.toBe('fallback');
    else if (!lacp.negotiated) expect(bond.row().lacp).toBe('fallback');
    else if (distributes) expect(bond.row().lacp).toBe('negotiated');
  }

  checkReceivers(): void {
    const { bond } = this.stand;
    const all = [...bond.steering.receive].filter(([, reception]) => reception === 'all').map(([name]) => name);
    if (!bond.up) expect(all).toEqual([]);
    else if (hasActive(this.way())) expect(all).toEqual([bond.steering.active]);
    else {
      expect(bond.steering.active).toBe(null);
      if (this.given.mode !== '802.3ad') expect(all).toEqual(expect.arrayContaining([...bond.steering.carrying]));
    }
  }

  /** Steered only for a change, told of every change, and upstream believes what is true. */
  checkCalls(): void {
    const { bond, host } = this.stand;
    let last = this.steering;
    for (const next of host.steered) {
      expect(isSameSteering(last, next)).toBe(false);
      last = next;
    }
    expect(isSameSteering(last, bond.steering)).toBe(true);
    const { active, carrying } = this.steering;
    const now = [...bond.steering.carrying].sort();
    const isOther = active !== bond.steering.active || !isSameList([...carrying].sort(), now);
    if (isOther) expect(host.reasons.length).toBeGreaterThan(0);
    for (const reason of host.reasons) expect(reason).toMatch(/^\w.*[^. ]$/);
    this.steering = bond.steering;
    if (bond.up && hasActive(this.way())) expect(this.believed).toEqual(this.owners());
  }

  owners(): (string | null)[] {
    const { buckets, carrying } = this.stand.bond.steering;
    return Array.from(buckets, (index) => carrying[index] ?? null);
  }

  /** Upstream hears, at the time at which it is told. */
  learn(moved: ReadonlySet<number> | null): void {
    const owners = this.owners();
    this.#told++;
    for (const bucket of moved ?? owners.keys()) this.believed[bucket] = owners[bucket]!;
  }

  checkRows(): void {
    const row = this.stand.bond.row();
    expect(row.members.map(({ name }) => name)).toEqual(this.given.members.map(({ name }) => name));
    for (const { name, state, reason, buckets, link } of row.members) {
      const carries = this.stand.bond.steering.carrying.includes(name);
      expect(['active', 'enabled'].includes(state)).toBe(carries);
      expect(reason === null).toBe(carries);
      expect(link).toBe(this.known.get(name)!.up);
      if (!carries) expect(buckets).toBe(0);
      expect(state === 'disabled').toBe(this.known.get(name)!.disabled);
    }
  }

  /** What the bond must wake for: lost links that still carry, links that wait, members that receive for a last second. */
  pending(): number[] {
    const { bond, now } = this.stand;
    const { carrying, receive } = bond.steering;
    const waiting = bond
      .row()
      .members.filter(({ state }) => state === 'waiting')
      .map(({ name }) => name);
    return [...this.known.entries()].flatMap(([name, { up, seenAt }]) => {
      if (!up) return now < seenAt && carrying.includes(name) ? [seenAt] : [];
      if (this.given.mode === '802.3ad') return [];
      if (waiting.includes(name)) return [Math.max(now, seenAt)];
      return receive.get(name) !== 'none' && !carrying.includes(name) ? [now + 1000] : [];
    });
  }

  get announcements(): number {
    return this.#told;
  }
}

describe('random lives of a bond', () => {
  const first = seedFor('random lives of a bond');

  it('hold what must hold after every call', () => {
    let announcements = 0;
    for (let k = 0; k < LIVES; k++) {
      const life = new Life((first + k * 104_729) | 0);
      const story: string[] = [];
      try {
        for (let step = 0; step < STEPS; step++) {
          story.push(life.step());
          life.check();
        }
      } catch (error) {
        throw new Error(`life ${k}, ${life.given.mode}: ${story.slice(-12).join(', ')}`, { cause: error });
      }
      announcements += life.announcements;
    }
    expect(announcements).toBeGreaterThan(LIVES);
  });

  it('end with all members at work once links, targets and people let them', () => {
    for (let k = 0; k < LIVES; k++) {
      const life = new Life((first + k * 15_485_863) | 0);
      for (let step = 0; step < STEPS / 2; step++) life.step();
      const { stand, given } = life;
      for (const name of life.known.keys()) {
        stand.link(name, true).command(name, 'enable');
        if (given.monitor !== null) stand.monitor.dead.clear();
        if (given.mode === '802.3ad') stand.lacp.set(name, true, true);
      }
      stand.run(1).bond.tick(stand.now);
      stand.run(2000);
      if (given.minLinks > given.members.length) continue;
      const names = given.members.map(({ name }) => name);
      expect(stand.bond.up).toBe(true);
      expect(stand.bond.steering.carrying).toEqual(life.way() === 'single' ? [stand.active] : names);
      if (hasActive(life.way()) && given.primary !== null && given.primaryReselect === 'always')
        expect(names).toContain(stand.active);
      if (stand.bond.steering.send !== 'buckets') expect(stand.bond.wakeAt).toBe(Number.POSITIVE_INFINITY);
    }
  });
});
