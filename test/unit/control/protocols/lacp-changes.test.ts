/** Two systems back to back whose settings and ports change while their links carry. */
import { describe, expect, it } from 'vitest';
import { backToBack, carries, LacpRig, lacpSettings, settled } from './lacp-rig.ts';

describe('changes while links carry', () => {
  it('moves ports to another aggregator when the key changes, and comes back by itself', () => {
    const rig = settled(2);
    rig.system('a').configure(lacpSettings({ key: 99 }), 1, rig.now);
    expect(rig.distributing('a/p1') || rig.distributing('a/p2')).toBe(false);
    expect(rig.row('a/p1').actor.key).toBe(99);
    expect(rig.runUntil(() => !rig.distributing('b/p1'), 100)).toBe(0);
    expect(rig.runUntil(() => carries(rig, 'p1') && carries(rig, 'p2'), 5_000)).toBeLessThanOrEqual(3_000);
    expect(rig.row('b/p1').partner?.key).toBe(99);
  });

  it('leaves its aggregators as another system, and comes back by itself', () => {
    const rig = settled(2);
    for (const change of [{ systemMac: '02:00:00:00:0f:00' }, { systemMac: '02:00:00:00:0f:00', systemPriority: 7 }]) {
      rig.system('a').configure(lacpSettings(change), 1, rig.now);
      expect(rig.distributing('a/p1') || rig.distributing('a/p2')).toBe(false);
      expect(rig.runUntil(() => carries(rig, 'p1') && carries(rig, 'p2'), 5_000)).toBeLessThanOrEqual(3_000);
      expect(rig.row('b/p2').partner).toMatchObject(rig.row('a/p2').actor);
    }
  });

  it('splits the links when one gets another speed: only ports of one key carry', () => {
    const rig = settled(3);
    rig.system('a').link('p3', true, 1e8, '02:00:00:00:61:03', rig.now);
    rig.run(10_000);
    expect([carries(rig, 'p1'), carries(rig, 'p2'), rig.distributing('a/p3'), rig.collecting('b/p3')]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(rig.row('a/p3').aggregator).toBe(3);
    expect(rig.row('a/p3').mux).toBe('WAITING');
  });

  it('tells another rate, mode and port priority without losing the partner for good', () => {
    const rig = settled(2);
    rig.system('a').configure(lacpSettings({ rate: 'slow', mode: 'passive' }), 1, rig.now);
    rig.run(0);
    expect(carries(rig, 'p1')).toBe(true);
    expect(rig.row('b/p1').partner?.state).not.toContain('timeout');
    expect(rig.row('b/p1').partner?.state).not.toContain('activity');
    rig.system('a').addPort('p1', { number: 1, priority: 5 }, rig.now);
    expect(rig.runUntil(() => carries(rig, 'p1'), 5_000)).toBeLessThanOrEqual(3_000);
    expect(rig.row('b/p1').partner?.portPriority).toBe(5);
  });

  it('goes on with the others when a port is removed, whose partner is told, and with nobody when all are', () => {
    const rig = settled(2);
    rig.system('a').removePort('p1', rig.now);
    rig.run(0);
    expect([carries(rig, 'p2'), rig.distributing('a/p1'), rig.distributing('b/p1')]).toEqual([true, false, false]);
    expect(rig.row('b/p1').partner?.state).toEqual(['activity', 'timeout', 'aggregation']);
    rig.run(10_000);
    expect(carries(rig, 'p2')).toBe(true);
    rig.system('a').removePort('p2', rig.now);
    rig.system('a').removePort('p2', rig.now);
    expect(rig.system('a').wakeAt).toBe(Number.POSITIVE_INFINITY);
    expect(rig.system('a').negotiated).toBe(false);
  });

  it('says no farewell from a port that is down or never spoke', () => {
    const rig = settled(1);
    rig.down('a/p1');
    const mute = backToBack(1, { mode: 'passive' }, { mode: 'passive' });
    for (const one of [rig, mute]) {
      const before = one.sent.length;
      one.system('a').removePort('p1', one.now);
      expect(one.sent).toHaveLength(before);
    }
  });

  it('holds a port back while its partner is told, and lets it carry again at once', () => {
    const rig = settled(2);
    rig.system('a').hold('p1', true, rig.now);
    rig.run(0);
    expect([rig.collecting('a/p1'), rig.distributing('b/p1'), carries(rig, 'p2')]).toEqual([false, false, true]);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'CURRENT', mux: 'WAITING', aggregator: 1 });
    rig.run(30_000);
    expect([rig.collecting('a/p1'), rig.distributing('b/p1'), carries(rig, 'p2')]).toEqual([false, false, true]);
    rig.system('a').hold('p1', false, rig.now);
    expect(rig.runUntil(() => carries(rig, 'p1'), 3_000)).toBeLessThanOrEqual(1_000);
  });

  it('tells the partner of a held port also when it has just told a lot, since the link may be gone with it', () => {
    const rig = settled(2);
    for (const held of [true, false, true, false]) {
      rig.system('a').hold('p1', held, rig.now);
      rig.run(0);
    }
    rig.system('a').hold('p1', true, rig.now);
    rig.down('a/p1');
    rig.run(0);
    expect(rig.distributing('b/p1')).toBe(false);
  });

  it('counts no held port for min-links, and keeps nobody waiting for one', () => {
    const rig = backToBack(3, {}, {}, [2, 1]);
    rig.system('a').hold('p1', true, rig.now);
    expect(rig.runUntil(() => carries(rig, 'p2') && carries(rig, 'p3'), 3_000)).toBe(2_000);
    rig.system('a').hold('p2', true, rig.now);
    rig.run(1_000);
    expect(['p1', 'p2', 'p3'].filter((port) => rig.collecting(`a/${port}`) || rig.distributing(`b/${port}`))).toEqual(
      [],
    );
  });

  it('assumes a partner as often as it now asks for LACPDUs itself', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ rate: 'slow' }));
    rig.addPort('a', 'p1');
    rig.up('a/p1');
    rig.run(10_000);
    rig.system('a').configure(lacpSettings({ rate: 'fast' }), 1, rig.now);
    const { sent } = rig.row('a/p1');
    rig.run(10_000);
    expect(rig.row('a/p1').sent - sent).toBe(10);
  });

  it('forgets a partner on a port that is down when its cable moves to another port', () => {
    const rig = settled(1);
    rig.addPort('a', 'p2');
    rig.down('a/p1');
    rig.unplug('a/p1');
    expect(rig.row('a/p1').partner).not.toBe(null);
    rig.join('a/p2', 'b/p1');
    rig.run(0);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'PORT_DISABLED', partner: null, aggregator: null });
    rig.run(5_000);
    expect([rig.distributing('a/p2'), rig.distributing('b/p1')]).toEqual([true, true]);
  });
});
