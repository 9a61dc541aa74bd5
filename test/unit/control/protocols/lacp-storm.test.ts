/**
 * Two systems over four links in bad weather: LACPDUs are lost, late, doubled and overtaken, links flap at one end or both, go dumb, and are
 * plugged crosswise; settings change. Nobody sends for longer than the standard's time to a side that doesn't collect, and when the weather
 * clears, both carry on the same links.
 */
import { describe, expect, it } from 'vitest';
import type { LacpModel } from '../../../../control/model/bond.ts';
import { isLong } from '../../../needs.ts';
import { randomFrom, seedFor } from '../../../seed.ts';
import { GIGABIT, LacpRig, lacpSettings } from './lacp-rig.ts';

type Random = ReturnType<typeof randomFrom>;

const PORTS = ['p1', 'p2', 'p3', 'p4'];
const DELAY_MS_MAX = 400;
const RUNS = isLong() ? 300 : 24;

class Storm {
  readonly rig = new LacpRig();
  readonly random: Random;
  readonly settings: Record<string, LacpModel>;
  readonly minLinks: number;
  /** By `a/p1`: the port at the other end, and since when this one sends to one that doesn't collect. */
  readonly peers = new Map<string, string>();
  readonly #unheardSince = new Map<string, number>();
  longest = 0;

  constructor(
    random: Random,
    a: Partial<LacpModel>,
    b: Partial<LacpModel>,
    minLinks: number,
    speeds: readonly number[],
  ) {
    this.random = random;
    this.settings = {
      a: lacpSettings({ systemMac: '02:00:00:00:0a:00', ...a }),
      b: lacpSettings({ systemMac: '02:00:00:00:0b:00', ...b }),
    };
    this.minLinks = minLinks;
    for (const system of ['a', 'b']) {
      this.rig.addSystem(system, this.settings[system]!, this.minLinks);
      for (const [index, port] of PORTS.entries()) this.rig.addPort(system, port, { speed: speeds[index] });
    }
    for (const port of PORTS) this.join(`a/${port}`, `b/${port}`);
    this.rig.watch = () => this.#look();
  }

  join(one: string, other: string): void {
    this.rig.join(one, other);
    this.peers.set(one, other);
    this.peers.set(other, one);
  }

  /** For `ms`, with mischief every `pauseMs` at most. */
  blow(ms: number, pauseMs: number): void {
    const { random, rig } = this;
    rig.weather = () => {
      if (random(4) === 0) return [];
      const late = () => (random(3) === 0 ? random(DELAY_MS_MAX) : 0);
      return random(5) === 0 ? [late(), late()] : [late()];
    };
    const end = rig.now + ms;
    while (rig.now < end) {
      rig.run(random(pauseMs));
      this.#mischief();
    }
  }

  /** All links up, each where it was, nothing lost; what was under way arrives. */
  clear(): void {
    this.rig.weather = () => [0];
    for (const port of PORTS) for (const system of ['a', 'b']) this.rig.unplug(`${system}/${port}`);
    for (const port of PORTS) {
      for (const system of ['a', 'b']) this.rig.system(system).hold(port, false, this.rig.now);
      this.join(`a/${port}`, `b/${port}`);
    }
  }

  carrying(system: string): string[] {
    return PORTS.filter((port) => this.rig.distributing(`${system}/${port}`));
  }

  #mischief(): void {
    const { random, rig } = this;
    const port = PORTS[random(4)]!;
    const side = random(2) === 0 ? 'a' : 'b';
    const what = random(9);
    if (what === 0) for (const end of ['a', 'b']) rig.down(`${end}/${port}`);
    if (what === 1) for (const end of ['a', 'b']) rig.up(`${end}/${port}`);
    if (what === 2) rig.down(`${side}/${port}`);
    if (what === 3) rig.up(`${side}/${port}`);
    if (what === 4) rig.unplug(`a/${port}`);
    if (what === 5) this.#replug(port, PORTS[random(4)]!);
    if (what === 6) {
      this.settings[side] = { ...this.settings[side]!, key: random(3) === 0 ? null : 1 + random(2) };
      rig.system(side).configure(this.settings[side]!, this.minLinks, rig.now);
    }
    if (what === 8) rig.system(side).hold(port, random(2) === 0, rig.now);
    if (what === 7) rig.system(side).addPort(port, { number: PORTS.indexOf(port) + 1, priority: random(3) }, rig.now);
  }

  #replug(port: string, to: string): void {
    this.rig.unplug(`a/${port}`);
    this.rig.unplug(`b/${to}`);
    this.join(`a/${port}`, `b/${to}`);
  }

  #look(): void {
    const { now } = this.rig;
    for (const [end, peer] of this.peers) {
      if (!this.rig.distributing(end) || this.rig.collecting(peer)) {
        this.#unheardSince.delete(end);
        continue;
      }
      const since = this.#unheardSince.get(end) ?? now;
      this.#unheardSince.set(end, since);
      this.longest = Math.max(this.longest, now - since);
    }
  }
}

const SELECTS = ['stable', 'bandwidth', 'count'] as const;

describe('two systems over four links', () => {
  it.each([
    ['fast', 3_000, 12_000, 60_000],
    ['slow', 90_000, 140_000, 600_000],
  ] as const)(
    'never send past each other for long and agree in the end (rate %s)',
    { timeout: 120_000 },
    (rate, timeoutMs, convergeMs, stormMs) => {
      const random = randomFrom(seedFor(`storm, ${rate}`));
      let slowest = 0;
      for (let run = 0; run < RUNS; run++) {
        const mode = () => (random(4) === 0 ? 'passive' : 'active');
        const own: Partial<LacpModel> = { rate, select: SELECTS[random(3)]!, mode: mode() };
        const other: Partial<LacpModel> = {
          rate,
          select: SELECTS[random(3)]!,
          mode: own.mode === 'passive' ? 'active' : mode(),
        };
        const speeds = PORTS.map(() => (random(3) === 0 ? 10 : 1) * GIGABIT);
        const minLinks = 1 + random(2);
        const storm = new Storm(random, own, other, minLinks, random(2) === 0 ? PORTS.map(() => GIGABIT) : speeds);
        storm.blow(stormMs, stormMs / 15);
        storm.clear();
        const agreed = () =>
          storm.carrying('a').length > 0 && storm.carrying('a').join() === storm.carrying('b').join();
        const enough = () => storm.carrying('a').length >= minLinks;
        const possible = speedsAllow(storm, minLinks);
        if (possible)
          slowest = Math.max(
            slowest,
            storm.rig.runUntil(() => agreed() && enough(), convergeMs),
          );
        const before = storm.carrying('a');
        storm.rig.run(convergeMs);
        if (possible)
          expect(agreed() && enough(), `${before} ${storm.carrying('a')} ${storm.carrying('b')}`).toBe(true);
        else expect(storm.carrying('a')).toEqual(storm.carrying('b'));
        expect(storm.longest).toBeLessThanOrEqual(timeoutMs + DELAY_MS_MAX);
      }
      expect(slowest).toBeGreaterThan(0);
    },
  );
});

/** Some pair of keys has as many links as are asked for. */
function speedsAllow(storm: Storm, minLinks: number): boolean {
  const groups = new Map<string, number>();
  for (const port of PORTS) {
    const pair = ['a', 'b'].map((system) => storm.rig.row(`${system}/${port}`).actor.key).join();
    groups.set(pair, (groups.get(pair) ?? 0) + 1);
  }
  return Math.max(...groups.values()) >= minLinks;
}
