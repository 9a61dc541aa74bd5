import { describe, expect, it } from 'vitest';
import { Injector, inject, injectRing } from '../../../dataplane/inject.ts';
import { PortCell, Way } from '../../../dataplane/memory/layout.ts';
import { PortKind } from '../../../dataplane/tables/port-layout.ts';
import { Turn } from '../../../dataplane/turn.ts';
import { Rig, tablePort } from '../../rig.ts';

const FRAME = new Uint8Array(60).fill(0x11);
FRAME.set([1, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x88, 9]);

/** A rig whose turns have an injector, and the ring to it. */
function rigWithInjector() {
  const rig = new Rig();
  rig.publish([tablePort(1), tablePort(2), tablePort(3)]);
  const ring = injectRing(rig.view, 0);
  const turns = new Turn(rig.lane, rig.edge, new Injector(ring));
  for (const port of rig.ports.values()) turns.addScript(port);
  const run = (): void => {
    for (let k = 0; k < 3; k++) turns.turn();
  };
  return { rig, ring, turns, run };
}

describe('the inject ring', () => {
  it('sends a frame out of one port as it is, also to a reserved address', () => {
    const { rig, ring, turns, run } = rigWithInjector();
    expect(turns.hasWork()).toBe(false);
    expect(inject(ring, rig.view.u8, 2, Way.OUT, FRAME)).toBe(true);
    expect(turns.hasWork()).toBe(true);
    run();
    expect(
      rig
        .port(2)
        .drain()
        .map(({ bytes }) => bytes),
    ).toEqual([FRAME]);
    expect(rig.port(1).drain().length + rig.port(3).drain().length).toBe(0);
    expect(rig.cell(2, PortCell.INJECTED)).toBe(1);
    expect(rig.cell(2, PortCell.TX_FRAMES)).toBe(1);
    expect(turns.hasWork()).toBe(false);
  });

  it('receives a frame as if a port had sent it: it is forwarded and its sender learned', () => {
    const { rig, ring, run } = rigWithInjector();
    const frame = FRAME.slice();
    frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    inject(ring, rig.view.u8, 1, Way.IN, frame);
    run();
    expect(
      rig
        .port(2)
        .drain()
        .map(({ bytes }) => bytes),
    ).toEqual([frame]);
    expect(
      rig
        .port(3)
        .drain()
        .map(({ bytes }) => bytes),
    ).toEqual([frame]);
    expect(rig.cell(1, PortCell.RX_FRAMES)).toBe(1);
    expect(rig.cell(1, PortCell.LEARNED)).toBe(1);
  });

  it('out of a patch port: received by its peer in the same turn', () => {
    const { rig, ring, turns, run } = rigWithInjector();
    rig.publish(
      [
        tablePort(1),
        tablePort(2),
        tablePort(3, { bridge: 2, flood: { unknown: false } }),
        tablePort(4, { peer: 5, kind: PortKind.PATCH }),
        tablePort(5, { peer: 4, kind: PortKind.PATCH, bridge: 2 }),
      ],
      [1, 2].map((number) => ({ number, fdbLimit: 1024, ageing: 300 })),
    );
    const frame = FRAME.slice();
    frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    inject(ring, rig.view.u8, 4, Way.OUT, frame);
    turns.turn();
    // What is received next takes the same slot.
    rig.port(1).push(FRAME);
    run();
    expect(
      rig
        .port(3)
        .drain()
        .map(({ bytes }) => bytes),
    ).toEqual([frame]);
    expect([rig.cell(5, PortCell.RX_FRAMES), rig.port(2).drain()]).toEqual([1, []]);
  });

  it('says that it is full, and takes up again when it was drained', () => {
    const { rig, ring, run } = rigWithInjector();
    const large = new Uint8Array(60_000).fill(0x22);
    let held = 0;
    while (inject(ring, rig.view.u8, 2, Way.OUT, large)) held++;
    expect(held).toBeGreaterThan(2);
    run();
    expect(rig.port(2).drain().length + Object.values(rig.drops()).reduce((a, b) => a + b, 0)).toBe(held);
    expect(inject(ring, rig.view.u8, 2, Way.OUT, FRAME)).toBe(true);
  });

  it('takes a frame that is no frame off the ring and goes on', () => {
    const { rig, ring, run } = rigWithInjector();
    inject(ring, rig.view.u8, 2, Way.OUT, new Uint8Array(3));
    inject(ring, rig.view.u8, 2, Way.OUT, FRAME);
    run();
    expect(
      rig
        .port(2)
        .drain()
        .map(({ bytes }) => bytes),
    ).toEqual([FRAME]);
  });
});
