/**
 * Several aggregators: which ports share one (6.4.14), which of them the bond uses, and that a change costs nothing. `bond_lacp_prio.sh` is a
 * selftest of Linux; there the higher priority sum wins, here, as in the standard, the lower number.
 */
import { describe, expect, it } from 'vitest';
import type { LacpModel } from '../../../../control/model/bond.ts';
import { LacpRig, lacpSettings } from './lacp-rig.ts';

const TEN = 1e10;
const ONE = 1e9;

interface Link {
  readonly to: 's' | 'b';
  readonly speed?: number;
  readonly priority?: number;
}

/** A client `c` whose ports p1… lead to the switches `s` and `b`, in the order of `links`. Ports of the switches count up by themselves. */
function client(
  select: LacpModel['select'],
  links: readonly Link[],
  change: Partial<LacpModel> = {},
  minLinks = 1,
): LacpRig {
  const rig = new LacpRig();
  rig.addSystem('c', lacpSettings({ select, systemMac: '02:00:00:00:0c:00', ...change }), minLinks);
  rig.addSystem('s', lacpSettings({ systemMac: '02:00:00:00:05:00', systemPriority: 40_000 }));
  rig.addSystem('b', lacpSettings({ systemMac: '02:00:00:00:0b:00', systemPriority: 40_000 }));
  links.forEach(({ to, speed = ONE, priority }, index) => {
    const port = `p${index + 1}`;
    rig.addPort('c', port, { speed, priority });
    rig.addPort(to, port, { speed });
    rig.join(`c/${port}`, `${to}/${port}`);
  });
  return rig;
}

function used(rig: LacpRig, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p${index + 1}`).filter((port) => rig.distributing(`c/${port}`));
}

/** Runs, and adds up the ms in which nothing carried. */
function outage(rig: LacpRig, count: number, ms: number): number {
  let total = 0;
  let last = rig.now;
  let none = used(rig, count).length === 0;
  rig.watch = () => {
    if (none) total += rig.now - last;
    last = rig.now;
    none = used(rig, count).length === 0;
  };
  rig.run(ms);
  rig.watch = () => {};
  return total;
}

function cut(rig: LacpRig, port: string, to: string): void {
  rig.down(`c/${port}`);
  rig.down(`${to}/${port}`);
}

function mend(rig: LacpRig, port: string, to: string): void {
  rig.up(`c/${port}`);
  rig.up(`${to}/${port}`);
}

describe('aggregators', () => {
  it('hold the ports that lead to one partner with one key', () => {
    const rig = client('stable', [{ to: 's' }, { to: 'b' }, { to: 's' }, { to: 'b', speed: TEN }, { to: 's' }]);
    rig.run(5_000);
    const numbers = [1, 2, 3, 4, 5].map((port) => rig.row(`c/p${port}`).aggregator);
    expect(numbers).toEqual([1, 2, 1, 4, 1]);
  });

  it('keep their number when the port that founded them leaves, which finds another', () => {
    const rig = client('stable', [{ to: 's' }, { to: 's' }, { to: 'b' }]);
    rig.run(5_000);
    rig.unplug('c/p1');
    rig.down('s/p1');
    rig.addPort('b', 'p9');
    rig.join('c/p1', 'b/p9');
    rig.run(5_000);
    expect([1, 2, 3].map((port) => rig.row(`c/p${port}`).aggregator)).toEqual([3, 1, 3]);
    expect(used(rig, 3)).toEqual(['p2']);
  });

  it('hold one port each whose partner does not aggregate, and one of them is used', () => {
    const rig = client('stable', [{ to: 's' }, { to: 's' }]);
    // On the way the switch's links become individual ones, and the client's belief in that is hidden from it.
    rig.weather = ({ system }, frame) => {
      if (system === 's') frame[32]! &= ~0x04;
      else frame[52]! |= 0x04;
      return [0];
    };
    rig.run(10_000);
    expect(new Set([rig.row('c/p1').aggregator, rig.row('c/p2').aggregator])).toEqual(new Set([1, 2]));
    expect(used(rig, 2)).toHaveLength(1);
  });
});

describe('the aggregator in use', () => {
  const SPEEDS: Link[] = [{ to: 's' }, { to: 's' }, { to: 's' }, { to: 'b', speed: TEN }, { to: 'b', speed: TEN }];

  it.each([
    ['stable', ['p4', 'p5']],
    ['bandwidth', ['p4', 'p5']],
    ['count', ['p1', 'p2', 'p3']],
  ] as const)('by %s is %j', (select, ports) => {
    const rig = client(select, SPEEDS);
    rig.run(10_000);
    expect(used(rig, 5)).toEqual(ports);
    for (const port of ['p1', 'p2', 'p3'].filter((one) => !(ports as readonly string[]).includes(one)))
      expect(rig.row(`s/${port}`).partner?.state).not.toContain('synchronization');
  });

  it('is the one with most bandwidth though another was heard first', () => {
    const rig = client('stable', SPEEDS);
    rig.weather = ({ system }) => (system === 'b' ? [1_500] : [0]);
    rig.run(10_000);
    expect(used(rig, 5)).toEqual(['p4', 'p5']);
  });

  it('by stable stays until it has no ports, and does not go back', () => {
    const rig = client('stable', SPEEDS);
    rig.run(10_000);
    cut(rig, 'p4', 'b');
    rig.run(5_000);
    expect(used(rig, 5)).toEqual(['p5']);
    cut(rig, 'p5', 'b');
    rig.run(1_000);
    expect(used(rig, 5)).toEqual(['p1', 'p2', 'p3']);
    for (const port of ['p4', 'p5']) mend(rig, port, 'b');
    expect(outage(rig, 5, 10_000)).toBe(0);
    expect(used(rig, 5)).toEqual(['p1', 'p2', 'p3']);
  });

  it.each(['bandwidth', 'count'] as const)(
    'by %s follows what is best, without an outage when a better one comes',
    (select) => {
      const rig = client(select, [{ to: 's' }, { to: 's' }, { to: 'b' }, { to: 'b' }, { to: 'b' }]);
      rig.run(10_000);
      expect(used(rig, 5)).toEqual(['p3', 'p4', 'p5']);
      cut(rig, 'p3', 'b');
      cut(rig, 'p4', 'b');
      rig.run(1_000);
      expect(used(rig, 5)).toEqual(['p1', 'p2']);
      mend(rig, 'p3', 'b');
      mend(rig, 'p4', 'b');
      expect(outage(rig, 5, 10_000)).toBe(0);
      expect(used(rig, 5)).toEqual(['p3', 'p4', 'p5']);
    },
  );

  it('among equals is the one that is in use, then the one with the lowest port', () => {
    const rig = client('bandwidth', [{ to: 's' }, { to: 'b' }]);
    rig.run(10_000);
    expect(used(rig, 2)).toEqual(['p1']);
    cut(rig, 'p1', 's');
    rig.run(5_000);
    mend(rig, 'p1', 's');
    rig.run(10_000);
    expect(used(rig, 2)).toEqual(['p2']);
  });

  it('has at least min-links ports, even if another would be better', () => {
    const rig = client('bandwidth', [{ to: 's' }, { to: 's' }, { to: 'b', speed: TEN }], {}, 2);
    rig.run(10_000);
    expect(used(rig, 3)).toEqual(['p1', 'p2']);
    cut(rig, 'p1', 's');
    rig.run(10_000);
    expect(used(rig, 3)).toEqual([]);
    expect(rig.system('c').active).toBe(null);
  });

  it('is another at once when the partner of the one in use is silent', () => {
    const rig = client('stable', [{ to: 's' }, { to: 'b' }]);
    rig.run(10_000);
    expect(used(rig, 2)).toEqual(['p1']);
    rig.unplug('c/p1');
    expect(outage(rig, 2, 4_000)).toBe(0);
    expect(used(rig, 2)).toEqual(['p2']);
  });

  it('waits for its partner when there is no other, and goes on at once', () => {
    const rig = client('stable', [{ to: 's' }, { to: 's' }]);
    rig.run(10_000);
    rig.weather = () => [];
    rig.run(4_000);
    expect([used(rig, 2), rig.system('c').active]).toEqual([[], 1]);
    rig.weather = () => [0];
    expect(rig.runUntil(() => used(rig, 2).length === 2, 3_000)).toBeLessThanOrEqual(1_000);
  });
});

describe('bond_lacp_prio.sh', () => {
  const PORTS: Link[] = [{ to: 's', priority: 1_000 }, { to: 's' }, { to: 'b', priority: 10 }, { to: 'b' }];

  it('actor_port_prio setting: each port tells its own', () => {
    const rig = client('bandwidth', PORTS);
    rig.run(5_000);
    expect([1, 2, 3, 4].map((port) => rig.row(`c/p${port}`).actor.portPriority)).toEqual([1_000, 32_768, 10, 32_768]);
    expect(rig.row('s/p1').partner?.portPriority).toBe(1_000);
  });

  it('actor_port_prio select and switch: the best port decides among equal aggregators, and a change moves the bond', () => {
    const rig = client('bandwidth', PORTS);
    rig.run(10_000);
    expect(used(rig, 4)).toEqual(['p3', 'p4']);
    rig.system('c').addPort('p1', { number: 1, priority: 10 }, rig.now);
    rig.system('c').addPort('p3', { number: 3, priority: 1_000 }, rig.now);
    expect(outage(rig, 4, 10_000)).toBe(0);
    expect(used(rig, 4)).toEqual(['p1', 'p2']);
  });
});

describe('two systems with two aggregators between them', () => {
  /** Three links of 1 Gb/s and one of 10: by count the first, by bandwidth the last. */
  function pair(a: Partial<LacpModel>, b: Partial<LacpModel>): LacpRig {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ systemMac: '02:00:00:00:0a:00', ...a }));
    rig.addSystem('b', lacpSettings({ systemMac: '02:00:00:00:0b:00', ...b }));
    for (const port of ['p1', 'p2', 'p3', 'p4']) {
      for (const system of ['a', 'b']) rig.addPort(system, port, { speed: port === 'p4' ? TEN : ONE });
      rig.join(`a/${port}`, `b/${port}`);
    }
    return rig;
  }
  const carrying = (rig: LacpRig, system: string) =>
    ['p1', 'p2', 'p3', 'p4'].filter((port) => rig.distributing(`${system}/${port}`));

  it('agree on the choice of the better system identifier, whatever the other would choose', () => {
    const rig = pair({ select: 'count' }, { select: 'bandwidth' });
    rig.run(15_000);
    expect([carrying(rig, 'a'), carrying(rig, 'b')]).toEqual([
      ['p1', 'p2', 'p3'],
      ['p1', 'p2', 'p3'],
    ]);
    const other = pair({ select: 'count' }, { select: 'bandwidth', systemPriority: 1 });
    other.run(15_000);
    expect([carrying(other, 'a'), carrying(other, 'b')]).toEqual([['p4'], ['p4']]);
  });

  it('agree when the one that follows is stable, and when the better one changes its mind', () => {
    const rig = pair({ select: 'bandwidth' }, { select: 'stable' });
    rig.run(15_000);
    expect([carrying(rig, 'a'), carrying(rig, 'b')]).toEqual([['p4'], ['p4']]);
    rig.system('a').configure(lacpSettings({ systemMac: '02:00:00:00:0a:00', select: 'count' }), 1, rig.now);
    rig.run(15_000);
    expect([carrying(rig, 'a'), carrying(rig, 'b')]).toEqual([
      ['p1', 'p2', 'p3'],
      ['p1', 'p2', 'p3'],
    ]);
  });
});
