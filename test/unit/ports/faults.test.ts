/** Faults at a port: as many as asked for, the same for the same seed, and every lost frame in the accounts. */
import { describe, expect, it } from 'vitest';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { CERTAIN, type FaultShares, Faults } from '../../../dataplane/ports/wrap/faults.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, frame, hex } from '../path/frames.ts';

const FRAMES = 2000;

function run(port: number, shares: Partial<FaultShares>, seed = 1): { rig: Rig; faults: Faults; out: string[] } {
  const rig = new Rig();
  rig.publish([tablePort(1), tablePort(2), tablePort(3)]);
  const faults = new Faults(port, shares, seed);
  rig.turns.addTap(faults);
  for (let k = 0; k < FRAMES; k++) {
    const bytes = frame(ALL, A);
    bytes[20] = k;
    bytes[21] = k >> 8;
    rig.port(1).push(bytes);
  }
  rig.run();
  return {
    rig,
    faults,
    out: rig
      .port(2)
      .drain()
      .map((sent) => hex(sent.bytes)),
  };
}

function sequence(bytes: string): number {
  return Number.parseInt(bytes.slice(42, 44) + bytes.slice(40, 42), 16);
}

describe('frames lost', () => {
  it('as they are received, in their share, counted in and out', () => {
    const { rig, faults, out } = run(1, { dropReceived: CERTAIN / 4 });
    expect(faults.dropped).toBeGreaterThan(FRAMES / 5);
    expect(faults.dropped).toBeLessThan(FRAMES / 3);
    expect(out).toHaveLength(FRAMES - faults.dropped);
    expect(rig.drops()).toEqual({ '1 fault-injected': faults.dropped });
    expect([rig.cell(1, PortCell.RX_FRAMES), rig.cell(1, PortCell.RX_BYTES)]).toEqual([FRAMES, FRAMES * 60]);
    const order = out.map(sequence);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it('as they are sent, at that port alone', () => {
    const { rig, faults, out } = run(2, { dropSending: CERTAIN / 4 });
    expect(out).toHaveLength(FRAMES - faults.dropped);
    expect(rig.port(3).drain()).toHaveLength(FRAMES);
    expect(rig.drops()).toEqual({ '2 fault-injected': faults.dropped });
    expect(rig.cell(2, PortCell.TX_FRAMES)).toBe(FRAMES - faults.dropped);
  });

  it('all or none', () => {
    const none = run(1, { dropReceived: CERTAIN });
    expect(none.out).toEqual([]);
    // Nothing passed, so there is nothing to tell the time of.
    expect(none.rig.lane.pastCount).toBe(0);
    expect(run(2, { dropSending: CERTAIN }).out).toEqual([]);
    expect(run(1, {}).out).toHaveLength(FRAMES);
    expect(run(3, { dropReceived: CERTAIN, corrupt: CERTAIN, truncate: CERTAIN }).out).toHaveLength(FRAMES);
  });
});

describe('frames changed', () => {
  it('corrupted: one bit, and none is lost without a reason', () => {
    const { rig, faults, out } = run(1, { corrupt: CERTAIN });
    expect(faults.corrupted).toBe(FRAMES);
    const lost = Object.values(rig.drops()).reduce((sum, dropped) => sum + dropped, 0);
    const floods = rig.cell(1, PortCell.REPLICATED);
    const sent = [1, 2, 3].reduce((sum, port) => sum + rig.cell(port, PortCell.TX_FRAMES), 0);
    expect(FRAMES + floods).toBe(sent + lost);
    expect(out.length).toBeGreaterThan(FRAMES / 2);
  });

  it('truncated: to any length, and what is too short says so', () => {
    const { rig, faults, out } = run(1, { truncate: CERTAIN });
    expect(faults.truncated).toBe(FRAMES);
    const runts = rig.drops()['1 runt']!;
    expect(runts).toBeGreaterThan(FRAMES / 10);
    expect(out).toHaveLength(FRAMES - runts);
    expect(new Set(out.map((bytes) => bytes.length / 2))).toEqual(
      new Set(Array.from({ length: 47 }, (_, k) => k + 14)),
    );
  });
});

it('the same seed gives the same faults, another gives others', () => {
  const shares = { dropReceived: CERTAIN / 8, corrupt: CERTAIN / 8, truncate: CERTAIN / 8 };
  const once = run(1, shares, 7).out;
  expect(run(1, shares, 7).out).toEqual(once);
  expect(run(1, shares, 8).out).not.toEqual(once);
});
