/** Two systems back to back: what they agree on, how long it takes, and when a silent one is let go. */
import { describe, expect, it } from 'vitest';
import { backToBack } from './lacp-rig.ts';

const LINKS = ['p1', 'p2', 'p3', 'p4'];

describe('lacp - negotiation', () => {
  it('lets all four links carry in both directions after the wait for others', () => {
    const rig = backToBack(4);
    const all = () => LINKS.every((port) => rig.distributing(`a/${port}`) && rig.distributing(`b/${port}`));
    expect(rig.runUntil(all, 10_000)).toBe(2_000);
    for (const port of LINKS) {
      expect(rig.row(`a/${port}`)).toMatchObject({ receive: 'CURRENT', mux: 'DISTRIBUTING', aggregator: 1, bad: 0 });
      expect(rig.row(`a/${port}`).partner).toMatchObject({ system: '02:00:00:00:0b:00', port: Number(port[1]) });
    }
    expect(rig.system('a').negotiated).toBe(true);
    rig.run(200_000);
    expect(all()).toBe(true);
  });
});
