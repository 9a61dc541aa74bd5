/** The forwarding database through the path: learning, ageing, moves, static and sticky entries, limits and fair eviction. */
import { describe, expect, it } from 'vitest';
import type { TableBridge } from '../../../control/compile/table-port.ts';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { find } from '../../../dataplane/tables/fdb.ts';
import {
  BRIDGE_COUNTS_AT,
  bucketOf,
  EVICTED_AT,
  FDB_SUM_AT,
  GENERATIONS_AT,
  PORT_COUNTS_AT,
  PORT_STATICS_AT,
  STATIC,
  STICKY,
  seenAt,
} from '../../../dataplane/tables/fdb-layout.ts';
import { remove } from '../../../dataplane/tables/fdb-write.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { A, ALL, B, C, frame, keyOf, place } from '../path/frames.ts';

function rigOf(ports: readonly RigPort[], bridge: Partial<TableBridge> = {}): Rig {
  const rig = new Rig();
  rig.publish(
    ports.map((port, k) => tablePort(k + 1, port)),
    [{ number: 1, fdbLimit: 1024, ageing: 300, ...bridge }],
  );
  return rig;
}

function seconds(rig: Rig, passed: number): void {
  for (let k = 0; k < passed * 4; k++) {
    rig.edge.now += 0.25e9;
    rig.turns.turn();
  }
}

function counts(rig: Rig, at: number): number {
  return rig.view.i32[rig.lane.fdbCountsAt + at]!;
}

function flush(rig: Rig, port: number): void {
  Atomics.add(rig.view.i32, rig.lane.fdbCountsAt + GENERATIONS_AT + port, 1);
}

/** Where a frame to this address goes from port 3. */
function reaches(rig: Rig, dst: string, from = 3): number[] {
  return [...rig.send(from, frame(dst, C)).keys()];
}

const mac = (n: number): string => `06${n.toString(16).padStart(10, '0')}`;

function entryOf(rig: Rig, address: string, vlan = 0): number {
  const { key0, key1, bits } = keyOf(address, 1, vlan);
  return find(rig.lane, bucketOf(key0, key1, rig.lane.fdbBucketMask), key0, key1, bits);
}

describe('OD "MAC learning"', () => {
  it('learns, tells, counts', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(1, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1]);
    expect(rig.cell(1, PortCell.LEARNED)).toBe(1);
    expect([counts(rig, PORT_COUNTS_AT + 1), counts(rig, PORT_COUNTS_AT + 3)]).toEqual([1, 1]);
    expect([counts(rig, BRIDGE_COUNTS_AT + 1), counts(rig, FDB_SUM_AT)]).toEqual([2, 2]);
  });

  it('not where the port does not learn', () => {
    const rig = rigOf([{ learning: false }, {}, {}]);
    rig.send(1, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1, 2]);
  });

  it('a move is counted, told, and holds at once', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(1, frame(ALL, A));
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([2]);
    expect([rig.cell(1, PortCell.MOVED), rig.cell(2, PortCell.MOVED), rig.cell(2, PortCell.LEARNED)]).toEqual([
      0, 1, 0,
    ]);
    const { lane } = rig;
    expect([lane.moves, lane.movedFrom, lane.movedTo, lane.movedBridge, lane.movedKey0]).toEqual([
      1,
      1,
      2,
      1,
      keyOf(A, 1, 0).key0,
    ]);
    expect([counts(rig, PORT_COUNTS_AT + 1), counts(rig, PORT_COUNTS_AT + 2)]).toEqual([0, 1]);
  });
});

describe('K bridge_vlan_aware.sh learning_test', () => {
  it('ages out after the ageing time, not before', () => {
    const rig = rigOf([{}, {}, {}], { ageing: 10 });
    rig.send(1, frame(ALL, A));
    seconds(rig, 10);
    expect(entryOf(rig, A)).not.toBe(0);
    seconds(rig, 3);
    expect(entryOf(rig, A)).toBe(0);
    expect(reaches(rig, A)).toEqual([1, 2]);
    seconds(rig, 13);
    expect([FDB_SUM_AT, PORT_COUNTS_AT + 1, BRIDGE_COUNTS_AT + 1].map((at) => counts(rig, at))).toEqual([0, 0, 0]);
  });

  it('a frame puts it off; ageing 0 is never', () => {
    const rig = rigOf([{}, {}, {}], { ageing: 10 });
    for (let k = 0; k < 5; k++) {
      rig.send(1, frame(ALL, A));
      seconds(rig, 8);
    }
    expect(reaches(rig, A)).toEqual([1]);
    const never = rigOf([{}, {}, {}], { ageing: 0 });
    never.send(1, frame(ALL, A));
    seconds(never, 1000);
    expect(entryOf(never, A)).not.toBe(0);
  });

  it('holds when seconds wrap at 2¹⁶', () => {
    const rig = rigOf([{}, {}, {}], { ageing: 10 });
    rig.edge.now = 65_533e9;
    rig.send(1, frame(ALL, A));
    seconds(rig, 8);
    expect(reaches(rig, A)).toEqual([1]);
    seconds(rig, 8);
    expect(entryOf(rig, A)).toBe(0);
  });

  it.each([20, 30, 49, 60])('ages out after %i days of uptime, whatever the sign of its milliseconds', (days) => {
    const rig = rigOf([{}, {}, {}], { ageing: 10 });
    rig.edge.now = days * 86_400e9;
    rig.send(1, frame(ALL, A));
    seconds(rig, 13);
    expect(entryOf(rig, A)).toBe(0);
  });

  it('does not make frames that were received after a sleep wait for the sweep', () => {
    const rig = rigOf([{}, {}, {}]);
    for (let k = 1; k <= 800; k++) rig.send(2, frame(ALL, mac(k)));
    seconds(rig, 1);
    flush(rig, 2);
    rig.port(1).push(frame(ALL, A));
    rig.edge.now += 0.25e9;
    expect(rig.turns.turn()).toBe(1);
    // 4 ms' stretch of a second's.
    expect(counts(rig, PORT_COUNTS_AT + 2)).toBeGreaterThan(780);
    seconds(rig, 2);
    expect(counts(rig, PORT_COUNTS_AT + 2)).toBe(0);
  });

  it('goes on while every turn receives frames', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(2, frame(ALL, B));
    flush(rig, 2);
    for (let k = 0; k < 700; k++) {
      rig.port(1).push(frame(ALL, A));
      rig.edge.now += 2e6;
      rig.turns.turn();
    }
    expect(counts(rig, PORT_COUNTS_AT + 2)).toBe(0);
  });

  it('writes "last seen" at most once a second', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(1, frame(ALL, A));
    const cell = seenAt(entryOf(rig, A));
    const seen = rig.view.u16[cell]!;
    // Something else in the cell would be overwritten only by a write.
    rig.edge.now += 1e9;
    rig.send(1, frame(ALL, A));
    expect(rig.view.u16[cell]).toBe((seen + 1) & 0xffff);
    rig.send(1, frame(ALL, A));
    expect(rig.view.u16[cell]).toBe((seen + 1) & 0xffff);
  });

  it('does not take what a worker with a faster clock just saw for old', () => {
    const rig = rigOf([{}, {}, {}], { ageing: 10 });
    rig.send(1, frame(ALL, A));
    const cell = seenAt(entryOf(rig, A));
    rig.view.u16[cell] = rig.view.u16[cell]! + 2;
    seconds(rig, 1);
    expect(entryOf(rig, A)).not.toBe(0);
  });

  it('flush per port: gone for lookups at once, gone from the counts with the sweep, and learned again', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(1, frame(ALL, A));
    rig.send(2, frame(ALL, B));
    flush(rig, 1);
    expect(reaches(rig, A)).toEqual([1, 2]);
    expect(reaches(rig, B)).toEqual([2]);
    seconds(rig, 2);
    expect(counts(rig, PORT_COUNTS_AT + 1)).toBe(0);
    rig.send(1, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1]);
    expect(rig.cell(1, PortCell.LEARNED)).toBe(2);
  });

  it('a flushed address that shows up elsewhere is learned, not moved', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(1, frame(ALL, A));
    flush(rig, 1);
    rig.send(2, frame(ALL, A));
    expect([rig.cell(2, PortCell.LEARNED), rig.cell(2, PortCell.MOVED), counts(rig, FDB_SUM_AT)]).toEqual([1, 0, 1]);
  });
});

describe('OD "static-mac add/del", "static-mac mac moves", "static-mac learned mac age out"', () => {
  it('learned does not override static; deleted, it may be learned', () => {
    const rig = rigOf([{}, {}, {}]);
    place(rig, A, 0, 1, STATIC);
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1]);
    expect([rig.cell(2, PortCell.MOVED), rig.cell(2, PortCell.LEARNED)]).toEqual([0, 0]);
    const { key0, key1, bits } = keyOf(A, 1, 0);
    expect(remove(rig.lane, key0, key1, bits)).toBe(true);
    expect(remove(rig.lane, key0, key1, bits)).toBe(false);
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([2]);
  });

  it('static overrides learned, and frames from its port leave it static', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.send(2, frame(ALL, A));
    place(rig, A, 0, 1, STATIC);
    expect(reaches(rig, A)).toEqual([1]);
    rig.send(1, frame(ALL, A));
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1]);
    expect([counts(rig, PORT_COUNTS_AT + 1), counts(rig, PORT_COUNTS_AT + 2)]).toEqual([1, 0]);
  });

  it('static does not age, learned beside it does', () => {
    const rig = rigOf([{}, {}, {}], { ageing: 5 });
    place(rig, A, 0, 1, STATIC);
    rig.send(2, frame(ALL, B));
    seconds(rig, 20);
    expect([entryOf(rig, A) !== 0, entryOf(rig, B)]).toEqual([true, 0]);
  });

  it('static holds in its VLAN alone', () => {
    const rig = rigOf([{}, {}, {}]);
    place(rig, A, 10, 1, STATIC);
    rig.send(2, frame(ALL, A, '81000014'));
    expect([...rig.send(3, frame(A, C, '81000014')).keys()]).toEqual([2]);
    expect([...rig.send(3, frame(A, C, '8100000a')).keys()]).toEqual([1]);
  });

  it('sticky: learned once, never moves, but ages', () => {
    const rig = rigOf([{ sticky: true }, {}, {}], { ageing: 5 });
    rig.send(1, frame(ALL, A));
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([1]);
    expect(rig.view.i32[entryOf(rig, A) + 2]! & STICKY).toBe(STICKY);
    rig.send(1, frame(ALL, A));
    expect(rig.view.i32[entryOf(rig, A) + 2]! & STICKY).toBe(STICKY);
    seconds(rig, 8);
    rig.send(2, frame(ALL, A));
    expect(reaches(rig, A)).toEqual([2]);
  });
});

describe('K bridge_fdb_learning_limit.sh', () => {
  it('check_limit: a port learns no more than it may, and its frames still pass', () => {
    const rig = rigOf([{ fdbLimit: 5 }, {}, {}]);
    for (let k = 1; k <= 8; k++) expect(rig.send(1, frame(ALL, mac(k))).size).toBe(2);
    expect([rig.cell(1, PortCell.LEARNED), rig.cell(1, PortCell.LEARN_LIMITED)]).toEqual([5, 3]);
    expect(reaches(rig, mac(5))).toEqual([1]);
    expect(reaches(rig, mac(6))).toEqual([1, 2]);
  });

  it('check_accounting: what ages, is removed or flushed makes room', () => {
    const rig = rigOf([{ fdbLimit: 2 }, {}, {}], { ageing: 5 });
    rig.send(1, frame(ALL, mac(1)));
    rig.send(1, frame(ALL, mac(2)));
    seconds(rig, 8);
    rig.send(1, frame(ALL, mac(3)));
    rig.send(1, frame(ALL, mac(4)));
    expect([reaches(rig, mac(3)), reaches(rig, mac(4))]).toEqual([[1], [1]]);
    const { key0, key1, bits } = keyOf(mac(3), 1, 0);
    remove(rig.lane, key0, key1, bits);
    rig.send(1, frame(ALL, mac(5)));
    expect(reaches(rig, mac(5))).toEqual([1]);
    flush(rig, 1);
    seconds(rig, 2);
    rig.send(1, frame(ALL, mac(6)));
    rig.send(1, frame(ALL, mac(7)));
    expect([reaches(rig, mac(6)), reaches(rig, mac(7))]).toEqual([[1], [1]]);
  });

  it('moves do not get around the limit', () => {
    const rig = rigOf([{}, { fdbLimit: 2 }, {}]);
    for (let k = 1; k <= 5; k++) rig.send(1, frame(ALL, mac(k)));
    for (let k = 1; k <= 5; k++) rig.send(2, frame(ALL, mac(k)));
    expect([rig.cell(2, PortCell.MOVED), rig.cell(2, PortCell.LEARN_LIMITED)]).toEqual([2, 3]);
    expect(counts(rig, PORT_COUNTS_AT + 2)).toBe(2);
    expect([reaches(rig, mac(2)), reaches(rig, mac(3))]).toEqual([[2], [1]]);
  });
});

describe('OD "MAC table overflow"', () => {
  it('overflow: the bridge holds no more than it may, and the newest are there', () => {
    const rig = rigOf([{}, {}, {}], { fdbLimit: 20 });
    for (let k = 1; k <= 60; k++) {
      rig.send(1, frame(ALL, mac(k)));
      expect(counts(rig, BRIDGE_COUNTS_AT + 1)).toBeLessThanOrEqual(20);
      expect(entryOf(rig, mac(k))).not.toBe(0);
    }
    expect(counts(rig, BRIDGE_COUNTS_AT + 1)).toBe(20);
    expect(counts(rig, EVICTED_AT)).toBe(40);
    // The oldest went first.
    for (let k = 41; k <= 60; k++) expect(entryOf(rig, mac(k)), `${k}`).not.toBe(0);
  });

  it("overflow fairness: a flooding port evicts only its own, others' addresses stay and new ones find room", () => {
    const rig = rigOf([{}, {}, {}, {}], { fdbLimit: 50 });
    for (let k = 1; k <= 5; k++) {
      rig.send(2, frame(ALL, mac(1000 + k)));
      rig.send(3, frame(ALL, mac(2000 + k)));
    }
    for (let k = 1; k <= 500; k++) rig.send(1, frame(ALL, mac(k)));
    for (let k = 1; k <= 5; k++) {
      expect(entryOf(rig, mac(1000 + k))).not.toBe(0);
      expect(entryOf(rig, mac(2000 + k))).not.toBe(0);
    }
    for (let k = 6; k <= 20; k++) rig.send(2, frame(ALL, mac(1000 + k)));
    expect([1, 2, 3].map((port) => counts(rig, PORT_COUNTS_AT + port))).toEqual([25, 20, 5]);
    expect(counts(rig, BRIDGE_COUNTS_AT + 1)).toBe(50);
    expect(rig.cell(1, PortCell.LEARN_LIMITED)).toBe(0);
  });

  it('static entries are never evicted; a bridge full of them learns nothing', () => {
    const rig = rigOf([{}, {}, {}], { fdbLimit: 10 });
    for (let k = 1; k <= 10; k++) place(rig, mac(k), 0, 1, STATIC);
    rig.send(2, frame(ALL, A));
    expect(entryOf(rig, A)).toBe(0);
    expect(rig.cell(2, PortCell.LEARN_LIMITED)).toBe(1);
    for (let k = 1; k <= 10; k++) expect(entryOf(rig, mac(k))).not.toBe(0);
  });

  it('a port with most of the static entries does not keep others from learning: the fullest of learned ones gives', () => {
    const rig = rigOf([{}, {}, {}], { fdbLimit: 10 });
    for (let k = 1; k <= 6; k++) place(rig, mac(k), 0, 1, STATIC);
    for (let k = 7; k <= 10; k++) rig.send(2, frame(ALL, mac(k)));
    rig.send(3, frame(ALL, A));
    expect(entryOf(rig, A)).not.toBe(0);
    expect([1, 2, 3].map((port) => counts(rig, PORT_COUNTS_AT + port))).toEqual([6, 3, 1]);
    expect(counts(rig, PORT_STATICS_AT + 1)).toBe(6);
    const { key0, key1, bits } = keyOf(mac(1), 1, 0);
    remove(rig.lane, key0, key1, bits);
    expect(counts(rig, PORT_STATICS_AT + 1)).toBe(5);
  });

  it('one bridge that overflows leaves the other alone', () => {
    const rig = new Rig();
    rig.publish(
      [tablePort(1), tablePort(2), tablePort(3, { bridge: 2 }), tablePort(4, { bridge: 2 })],
      [
        { number: 1, fdbLimit: 10, ageing: 300 },
        { number: 2, fdbLimit: 10, ageing: 300 },
      ],
    );
    for (let k = 1; k <= 10; k++) rig.send(3, frame(ALL, mac(k)));
    for (let k = 1; k <= 100; k++) rig.send(1, frame(ALL, mac(k)));
    for (let k = 1; k <= 10; k++) expect([...rig.send(4, frame(mac(k), A)).keys()]).toEqual([3]);
  });
});
