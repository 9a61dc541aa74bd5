/**
 * Two systems back to back: what they agree on, how long it takes, when a silent one is let go. Titles that begin with `lacp -` are scenarios of
 * Open vSwitch's lacp.at.
 */
import { describe, expect, it } from 'vitest';
import { ETHERNET_BYTES } from '../../../../dataplane/wire/ethernet.ts';
import { parseLacpdu } from '../../../../dataplane/wire/lacp-value.ts';
import { backToBack, carries, LacpRig, lacpSettings, settled } from './lacp-rig.ts';

const LINKS = ['p1', 'p2', 'p3', 'p4'];
const ON = { receive: 'CURRENT', mux: 'DISTRIBUTING' };

describe('lacp - config', () => {
  it('says of itself what it is told to say', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ systemMac: 'AA-55-AA-55-00-00', systemPriority: 65_535, key: 1, rate: 'slow' }));
    rig.addPort('a', 'p1', { priority: 65_535 });
    rig.up('a/p1');
    rig.run(0);
    expect(rig.row('a/p1').actor).toEqual({
      systemPriority: 65_535,
      system: 'aa:55:aa:55:00:00',
      key: 1,
      portPriority: 65_535,
      port: 1,
      state: ['activity', 'aggregation', 'defaulted', 'expired'],
    });
    expect(rig.row('a/p1')).toMatchObject({
      partner: null,
      aggregator: 1,
      receive: 'EXPIRED',
      received: 0,
      sent: 1,
      bad: 0,
    });
    expect(rig.system('a').negotiated).toBe(false);
  });
});

describe('lacp - multi port config', () => {
  it('gives each port its number and priority, all one system and key, in their own LACPDUs', () => {
    const rig = new LacpRig();
    rig.addSystem('a', lacpSettings({ systemMac: '12:22:33:44:55:66', systemPriority: 54_321, key: 3_333 }));
    rig.addPort('a', 'p11', { priority: 111 });
    rig.addPort('a', 'p22', { priority: 222 });
    rig.up('a/p11');
    rig.up('a/p22');
    rig.run(0);
    const told = rig.sent.map(({ frame }) => parseLacpdu(frame, ETHERNET_BYTES, frame.length).actor);
    const shared = { system: '12:22:33:44:55:66', systemPriority: 54_321, key: 3_333 };
    expect(told).toMatchObject([
      { ...shared, port: 11, portPriority: 111 },
      { ...shared, port: 22, portPriority: 222 },
    ]);
    expect(rig.sent.map(({ frame }) => Buffer.from(frame.subarray(0, 14)).toString('hex'))).toEqual([
      '0180c2000002020000006' + '10b8809',
      '0180c2000002020000006' + '1168809',
    ]);
  });
});

describe('lacp - negotiation', () => {
  it('lets all four links carry in both directions after the wait for others', () => {
    const rig = backToBack(4);
    expect(rig.runUntil(() => LINKS.every((port) => carries(rig, port)), 10_000)).toBe(2_000);
    for (const port of LINKS) {
      expect(rig.row(`a/${port}`)).toMatchObject({ ...ON, aggregator: 1, bad: 0 });
      expect(rig.row(`a/${port}`).partner).toMatchObject({ system: '02:00:00:00:0b:00', port: Number(port[1]) });
    }
    expect(rig.system('a').negotiated).toBe(true);
    rig.run(120_000);
    expect(LINKS.every((port) => carries(rig, port))).toBe(true);
    expect(rig.row('a/p1')).toMatchObject({ actorChurn: 'none', partnerChurn: 'none' });
  });

  it.each([
    ['active', 'active', 'slow', 'slow'],
    ['active', 'passive', 'fast', 'slow'],
    ['passive', 'active', 'slow', 'fast'],
  ] as const)('negotiates %s with %s, %s with %s', (mode, otherMode, rate, otherRate) => {
    const rig = settled(2, { mode, rate }, { mode: otherMode, rate: otherRate });
    const before = [rig.row('a/p1').sent, rig.row('b/p1').sent];
    rig.run(120_000);
    expect(carries(rig, 'p1') && carries(rig, 'p2')).toBe(true);
    // Each sends as often as the other asks.
    const [fromA, fromB] = [rig.row('a/p1').sent - before[0]!, rig.row('b/p1').sent - before[1]!];
    expect(fromA).toBe(otherRate === 'fast' ? 120 : 4);
    expect(fromB).toBe(rate === 'fast' ? 120 : 4);
  });

  it('has told everything when all carry, though the next LACPDU is due in 30 s', () => {
    const rig = backToBack(1, { rate: 'slow' }, { rate: 'slow' });
    rig.run(4_000);
    const all = ['activity', 'aggregation', 'synchronization', 'collecting', 'distributing'];
    for (const side of ['a', 'b']) expect(rig.row(`${side}/p1`).partner?.state).toEqual(all);
  });

  it('finds a passive one within a second that was silent before, though no link came up', () => {
    const rig = backToBack(1, {}, { mode: 'passive' });
    rig.unplug('a/p1');
    rig.run(20_500);
    expect(rig.row('b/p1').receive).toBe('DEFAULTED');
    rig.join('a/p1', 'b/p1');
    expect(rig.runUntil(() => carries(rig, 'p1'), 10_000)).toBeLessThanOrEqual(3_000);
  });

  it('does not happen between two passive ones, which stay silent', () => {
    const rig = backToBack(2, { mode: 'passive' }, { mode: 'passive' });
    rig.run(200_000);
    expect(rig.sent).toEqual([]);
    for (const side of ['a', 'b']) {
      expect(rig.system(side).negotiated).toBe(false);
      expect(rig.row(`${side}/p1`)).toMatchObject({ receive: 'DEFAULTED', partner: null });
      expect(rig.collecting(`${side}/p1`)).toBe(false);
    }
  });

  it('expires and defaults the link that is cut silently, while the other goes on', () => {
    const rig = settled(2);
    const heardAt = rig.sent.findLast(({ from }) => from.system === 'b' && from.port === 'p1')!.at;
    rig.unplug('a/p1');
    rig.run(heardAt + 2_999 - rig.now);
    expect(rig.distributing('a/p1')).toBe(true);
    rig.run(1);
    expect(rig.distributing('a/p1') || rig.collecting('a/p1')).toBe(false);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'EXPIRED', mux: 'ATTACHED' });
    expect(carries(rig, 'p2')).toBe(true);
    rig.run(3_000);
    expect(rig.row('a/p1')).toMatchObject({ receive: 'DEFAULTED', partner: null });
    expect(rig.row('a/p1').actor.state).not.toContain('synchronization');
    expect(carries(rig, 'p2')).toBe(true);
    expect(rig.system('a').negotiated).toBe(true);
  });
});

describe('lacp - liveness propagation', () => {
  it('takes a member whose link went down out at once, and its partner by the short timeout', () => {
    const rig = settled(2);
    rig.down('a/p1');
    expect(rig.distributing('a/p1') || rig.collecting('a/p1')).toBe(false);
    expect(rig.row('a/p1').receive).toBe('PORT_DISABLED');
    expect(rig.runUntil(() => !rig.distributing('b/p1'), 4_000)).toBeLessThanOrEqual(3_000);
    expect(carries(rig, 'p2')).toBe(true);
    rig.up('a/p1');
    expect(rig.runUntil(() => carries(rig, 'p1'), 4_000)).toBeLessThanOrEqual(2_000);
  });

  it('brings a link back at once that both sides saw going down for a moment', () => {
    const rig = settled(2);
    for (const end of ['a/p1', 'b/p1']) rig.down(end);
    rig.run(500);
    for (const end of ['a/p1', 'b/p1']) rig.up(end);
    expect(rig.runUntil(() => carries(rig, 'p1'), 4_000)).toBeLessThanOrEqual(1_000);
  });

  it('keeps the key and the aggregator of a link that has no speed while it is down', () => {
    const rig = settled(2);
    const { actor } = rig.row('a/p2');
    rig.system('a').link('p2', false, null, '02:00:00:00:61:02', rig.now);
    expect(rig.row('a/p2')).toMatchObject({ aggregator: 1, actor: { key: actor.key } });
    rig.up('a/p2');
    expect(rig.row('a/p2')).toMatchObject({ aggregator: 1, receive: 'EXPIRED', mux: 'ATTACHED' });
  });

  it('loses a silent partner after 90 s when it asks for slow LACPDUs', () => {
    const rig = settled(1, { rate: 'slow' }, { rate: 'slow' });
    rig.run(25_000);
    const heardAt = rig.sent.findLast(({ from }) => from.system === 'b')!.at;
    rig.unplug('a/p1');
    rig.run(heardAt + 89_999 - rig.now);
    expect(rig.distributing('a/p1')).toBe(true);
    rig.run(1);
    expect(rig.distributing('a/p1')).toBe(false);
    expect(rig.system('a').negotiated).toBe(true);
    rig.run(3_000);
    expect(rig.system('a').negotiated).toBe(false);
  });

  it('takes an LACPDU that waited as long as its timer for life, not for an end', () => {
    const rig = settled(1);
    const { frame } = rig.sent.findLast(({ from }) => from.system === 'b')!;
    rig.system('a').receive('p1', frame, rig.now + 5_000);
    expect(rig.distributing('a/p1')).toBe(true);
    expect(rig.row('a/p1').receive).toBe('CURRENT');
  });
});

describe('LACPDUs on a port that is down', () => {
  it('are no sign that the partner of another port moved', () => {
    const rig = settled(2);
    const { frame } = rig.sent.findLast(({ from }) => from.system === 'b' && from.port === 'p1')!;
    rig.down('a/p1');
    rig.down('a/p2');
    rig.system('a').receive('p2', frame, rig.now);
    expect(rig.row('a/p1').partner).not.toBe(null);
    expect(rig.row('a/p2')).toMatchObject({ receive: 'PORT_DISABLED', partner: { port: 2 } });
  });
});

describe('min-links', () => {
  it('carries nothing with fewer links, and all with enough', () => {
    const rig = backToBack(3, {}, {}, [3, 1]);
    const three = ['p1', 'p2', 'p3'];
    const some = () => three.some((port) => rig.distributing(`a/${port}`) || rig.collecting(`b/${port}`));
    rig.down('a/p3');
    rig.run(10_000);
    expect(some()).toBe(false);
    rig.up('a/p3');
    const soon = rig.runUntil(() => three.every((port) => carries(rig, port)), 5_000);
    expect(soon).toBeLessThanOrEqual(3_000);
    for (const end of ['a/p3', 'b/p3']) rig.down(end);
    rig.run(1_000);
    expect(some()).toBe(false);
  });
});

describe('churn', () => {
  it('is shown after a minute out of sync, on both sides', () => {
    const rig = backToBack(1, {}, {}, [2, 1]);
    rig.run(59_000);
    expect(rig.row('a/p1')).toMatchObject({ actorChurn: 'monitor', partnerChurn: 'none' });
    expect(rig.row('b/p1')).toMatchObject({ actorChurn: 'none', partnerChurn: 'monitor' });
    rig.run(3_000);
    expect(rig.row('a/p1')).toMatchObject({ actorChurn: 'churn' });
    expect(rig.row('b/p1')).toMatchObject({ partnerChurn: 'churn' });
  });
});
