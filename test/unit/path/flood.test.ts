/** Who gets a frame that goes to many, and who must not: flood switches, protected ports, ports that are down, hairpin, reserved addresses. */
import { describe, expect, it } from 'vitest';
import { Drop, REASONS_COUNT } from '../../../dataplane/drop.ts';
import { LIST_COUNT_MAX, REPLICA_SLOTS_COUNT } from '../../../dataplane/limits.ts';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { A, ALL, B, C, frame, GROUP, place } from './frames.ts';

function rigOf(ports: readonly RigPort[]): Rig {
  const rig = new Rig();
  rig.publish(ports.map((port, k) => tablePort(k + 1, port)));
  return rig;
}

describe('K bridge_vlan_aware.sh flood_test: flooding on and off per port', () => {
  const kinds = [
    ['unknown', B],
    ['multicast', GROUP],
    ['broadcast', ALL],
  ] as const;
  for (const [kind, dst] of kinds) {
    it(`${kind} off keeps these frames from the port, and only these`, () => {
      const rig = rigOf([{}, { flood: { [kind]: false } }, {}]);
      for (const [other, to] of kinds) {
        expect([...rig.send(1, frame(to, A)).keys()], other).toEqual(to === dst ? [3] : [2, 3]);
      }
      expect(rig.drops()).toEqual({});
    });
  }

  it('off at every other port is a counted drop', () => {
    const rig = rigOf([{}, { flood: { unknown: false } }]);
    expect(rig.send(1, frame(B, A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 no-egress': 1 });
  });

  it('off does not keep known addresses out', () => {
    const rig = rigOf([{}, { flood: { unknown: false, multicast: false, broadcast: false } }]);
    rig.send(2, frame(ALL, B));
    expect([...rig.send(1, frame(B, A)).keys()]).toEqual([2]);
  });
});

describe('protected ports', () => {
  const ports = [{ protected: true }, { protected: true }, {}];
  it('get nothing from each other, flooded or known', () => {
    const rig = rigOf(ports);
    expect([...rig.send(1, frame(ALL, A)).keys()]).toEqual([3]);
    expect([...rig.send(2, frame(ALL, B)).keys()]).toEqual([3]);
    expect(rig.send(1, frame(B, A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '2 protected': 1 });
  });

  it('and unprotected ones reach each other', () => {
    const rig = rigOf(ports);
    rig.send(1, frame(ALL, A));
    rig.send(3, frame(ALL, C));
    expect([...rig.send(1, frame(C, A)).keys()]).toEqual([3]);
    expect([...rig.send(3, frame(A, C)).keys()]).toEqual([1]);
    expect([...rig.send(3, frame(ALL, C)).keys()]).toEqual([1, 2]);
  });
});

describe('hairpin', () => {
  it('is off: a frame never leaves where it came in', () => {
    const rig = rigOf([{}, {}]);
    rig.send(1, frame(ALL, A));
    rig.send(1, frame(ALL, B));
    expect(rig.send(1, frame(B, A)).size).toBe(0);
    expect(rig.send(1, frame(A, A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 same-port': 2 });
  });
});

describe('ports that are down', () => {
  it('neither take nor give frames', () => {
    const rig = rigOf([{}, { up: false }, {}]);
    place(rig, B, 0, 2);
    expect([...rig.send(1, frame(ALL, A)).keys()]).toEqual([3]);
    expect(rig.send(1, frame(B, A)).size).toBe(0);
    expect(rig.send(2, frame(ALL, B)).size).toBe(0);
    expect(rig.drops()).toEqual({ '2 egress-down': 1, '2 ingress-down': 1 });
    expect(rig.cell(2, PortCell.RX_FRAMES)).toBe(1);
  });

  it('and ports that the tables do not know lose their frames with a reason', () => {
    const rig = rigOf([{}, {}]);
    rig.publish([tablePort(1)]);
    rig.send(2, frame(ALL, A));
    expect(rig.cell(2, PortCell.RX_FRAMES)).toBe(1);
    expect(rig.view.f64[rig.lane.dropsAt + 2 * REASONS_COUNT + Drop.INGRESS_DOWN]).toBe(1);
  });
});

describe('reserved addresses (IEEE 802.1Q table 8-1)', () => {
  const reserved = (low: number): string => `0180c200000${low.toString(16)}`;
  it('are not forwarded by default', () => {
    const rig = rigOf([{}, {}]);
    for (let low = 0; low < 16; low++) expect(rig.send(1, frame(reserved(low), A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 reserved-address': 16 });
  });

  it('are forwarded one by one where the port says so', () => {
    for (let allowed = 0; allowed < 16; allowed++) {
      const rig = rigOf([{ reserved: 1 << allowed }, {}]);
      for (let low = 0; low < 16; low++) {
        expect(rig.send(1, frame(reserved(low), A)).size, `${low} with bit ${allowed}`).toBe(low === allowed ? 1 : 0);
      }
      expect(rig.drops()).toEqual({ '1 reserved-address': 15 });
    }
  });

  it('have neighbours that are plain multicast', () => {
    const rig = rigOf([{}, {}]);
    for (const dst of [
      '0180c2000010',
      '0180c2000100',
      '0180c2010000',
      '0180c200ff00',
      '0180c3000000',
      '0080c2000000',
    ]) {
      expect(rig.send(1, frame(dst, A)).size, dst).toBe(1);
    }
  });
});

describe('source addresses', () => {
  it('that are groups or zero are dropped and never learned', () => {
    const rig = rigOf([{}, {}]);
    for (const src of [ALL, GROUP, '000000000000']) expect(rig.send(1, frame(B, src)).size).toBe(0);
    expect(rig.drops()).toEqual({ '1 bad-source': 3 });
    expect(rig.cell(1, PortCell.LEARNED)).toBe(0);
    for (const src of ['000000000001', '000100000000', '020000000000']) expect(rig.send(1, frame(B, src)).size).toBe(1);
  });
});

describe('lists and slots', () => {
  it('egress-full: a port that takes no more loses the rest, the others get all', () => {
    const rig = rigOf([{}, {}, {}]);
    rig.port(2).capacity = 3;
    for (let k = 0; k < 10; k++) rig.port(1).push(frame(ALL, A));
    rig.run();
    expect([rig.port(2).drain().length, rig.port(3).drain().length]).toEqual([3, 10]);
    expect(rig.drops()).toEqual({ '2 egress-full': 7 });
    expect(rig.cell(2, PortCell.TX_FRAMES)).toBe(3);
  });

  it('no-slot: without a free slot one form loses the frame, the other forms do not', () => {
    const rig = rigOf([{}, {}, { vlan: { mode: 'native-untagged', tag: 7 } }]);
    rig.lane.replicasUsed = 0;
    const used = REPLICA_SLOTS_COUNT - 2;
    const tap = {
      received: (lane: { replicasUsed: number }, _list: number, n: number) => {
        lane.replicasUsed = used;
        return n;
      },
      sending: (_lane: unknown, _list: number, n: number) => n,
    };
    rig.turns.addTap(tap);
    for (let k = 0; k < 5; k++) rig.port(1).push(frame(ALL, A, '81000007'));
    rig.run();
    expect([rig.port(2).drain().length, rig.port(3).drain().length]).toEqual([5, 2]);
    expect(rig.drops()).toEqual({ '3 no-slot': 3 });
    expect(rig.cell(1, PortCell.REPLICATED)).toBe(5);
  });

  it('a list holds every slot of a turn', () => {
    expect(LIST_COUNT_MAX).toBeGreaterThanOrEqual(1024);
    const ports = Array.from({ length: 50 }, () => ({ vlan: { tag: 10 } }));
    const rig = rigOf(ports);
    for (let k = 0; k < 64; k++) rig.port(1).push(frame(ALL, A));
    rig.run();
    for (let port = 2; port <= 50; port++) expect(rig.port(port).drain()).toHaveLength(64);
    expect(rig.lane.replicasUsed).toBe(0);
    expect(rig.cell(1, PortCell.REPLICATED)).toBe(64 * 48);
    expect(rig.cell(1, PortCell.FLOODED)).toBe(64);
  });
});
