/** Patch ports: into the peer bridge in the same turn, admitted there again, at most 8 hops, every frame counted on both sides. */
import { describe, expect, it } from 'vitest';
import type { TablePort } from '../../../control/compile/table-port.ts';
import type { VlanDocument } from '../../../control/config/document.ts';
import { PATCH_HOPS_MAX } from '../../../dataplane/limits.ts';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { A, ALL, B, frame, hex, tagsOf } from './frames.ts';

const FAR = 1000;

/** `hops` patches in a row: port 1 in bridge 1, port FAR in the last bridge; patch k leads from bridge k to bridge k + 1. */
function chain(hops: number, patch: RigPort = {}): Rig {
  const ports: TablePort[] = [tablePort(1, { bridge: 1 }), tablePort(FAR, { bridge: hops + 1 })];
  for (let k = 1; k <= hops; k++) {
    ports.push(tablePort(10 * k, { ...patch, bridge: k, peer: 10 * k + 1 }));
    ports.push(tablePort(10 * k + 1, { ...patch, bridge: k + 1, peer: 10 * k }));
  }
  const rig = new Rig();
  const bridges = Array.from({ length: hops + 1 }, (_, k) => ({ number: k + 1, fdbLimit: 100, ageing: 300 }));
  rig.publish(ports, bridges);
  return rig;
}

/** Two bridges, a patch between them whose two ends have these VLANs. */
function joined(near: VlanDocument | undefined, far: VlanDocument | undefined, more: RigPort = {}): Rig {
  const rig = new Rig();
  rig.publish(
    [
      tablePort(1),
      tablePort(2, { peer: 3, vlan: near, ...more }),
      tablePort(3, { bridge: 2, peer: 2, vlan: far, ...more }),
      tablePort(4, { bridge: 2 }),
    ],
    [1, 2].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
  );
  return rig;
}

describe('hops', () => {
  it.each([1, 2, PATCH_HOPS_MAX])('%i patches are passed, flooded and known, there and back', (hops) => {
    const rig = chain(hops);
    expect([...rig.send(1, frame(B, A)).keys()]).toEqual([FAR]);
    expect([...rig.send(FAR, frame(A, B)).keys()]).toEqual([1]);
    const [out] = rig.send(1, frame(B, A)).get(FAR)!;
    expect(hex(out!)).toBe(hex(frame(B, A)));
    expect(rig.drops()).toEqual({});
    for (let k = 1; k <= hops; k++) {
      expect(rig.cell(10 * k, PortCell.TX_FRAMES)).toBe(2);
      expect(rig.cell(10 * k + 1, PortCell.RX_FRAMES)).toBe(2);
      expect(rig.cell(10 * k, PortCell.RX_FRAMES)).toBe(1);
      expect(rig.cell(10 * k, PortCell.TX_BYTES)).toBe(120);
      expect(rig.cell(10 * k + 1, PortCell.RX_SEGMENTS)).toBe(2);
    }
  });

  it('patch-loop: one more is too many, and counts no bytes as sent', () => {
    const rig = chain(PATCH_HOPS_MAX + 1);
    expect(rig.send(1, frame(ALL, A)).size).toBe(0);
    const last = 10 * (PATCH_HOPS_MAX + 1);
    expect(rig.drops()).toEqual({ [`${last} patch-loop`]: 1 });
    expect([PortCell.TX_FRAMES, PortCell.TX_BYTES].map((cell) => rig.cell(last, cell))).toEqual([0, 0]);
  });

  it('patch-loop: a ring of patches ends, and everything is counted', () => {
    const rig = new Rig();
    const ports = [tablePort(1), tablePort(2, { bridge: 2 }), tablePort(3, { bridge: 3 })];
    for (const [k, from, to] of [
      [0, 1, 2],
      [1, 2, 3],
      [2, 3, 1],
    ] as const) {
      ports.push(tablePort(10 + k, { bridge: from, peer: 20 + k }), tablePort(20 + k, { bridge: to, peer: 10 + k }));
    }
    rig.publish(
      ports,
      [1, 2, 3].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
    );
    const out = rig.send(1, frame(ALL, A));
    const drops = rig.drops();
    expect(Object.keys(drops).every((name) => name.endsWith('patch-loop'))).toBe(true);
    let received = 0;
    let sent = 0;
    for (const port of ports) {
      received += rig.cell(port.number, PortCell.RX_FRAMES) + rig.cell(port.number, PortCell.REPLICATED);
      sent += rig.cell(port.number, PortCell.TX_FRAMES);
    }
    expect(received).toBe(sent + Object.values(drops).reduce((sum, dropped) => sum + dropped, 0));
    expect(out.size).toBeGreaterThan(0);
  });
});

describe('VLANs through a patch', () => {
  const CASES: readonly (readonly [
    string,
    VlanDocument | undefined,
    VlanDocument | undefined,
    string,
    string | null,
  ])[] = [
    ['a plain patch keeps the tag', undefined, undefined, '8100600a', '8100600a'],
    ['a plain patch keeps two tags', undefined, undefined, '88a8600a8100000b', '88a8600a8100000b'],
    ['two trunks carry what both name', { trunks: [10] }, { trunks: [10, 20] }, '8100000a', '8100000a'],
    ['and nothing that one lacks', { trunks: [10, 20] }, { trunks: [10] }, '81000014', null],
    ['access to access changes the VLAN', { tag: 10 }, { tag: 20 }, '8100600a', '81000014'],
    ['access to a plain one leaves it untagged', { tag: 10 }, undefined, '8100000a', ''],
    ['access to tunnel gets a service tag', { tag: 10 }, { mode: 'dot1q-tunnel', tag: 100 }, '8100000a', '88a80064'],
    ['plain to tunnel puts it around', undefined, { mode: 'dot1q-tunnel', tag: 100 }, '8100600a', '88a860648100600a'],
    ['plain to access refuses a tag', undefined, { tag: 20 }, '8100000a', null],
    [
      'tunnel to plain frees the customer',
      { mode: 'dot1q-tunnel', tag: 100 },
      undefined,
      '88a860648100600a',
      '8100600a',
    ],
    [
      'tunnel to tunnel changes the service tag',
      { mode: 'dot1q-tunnel', tag: 100 },
      { mode: 'dot1q-tunnel', tag: 200, ethertype: '802.1q' },
      '88a800648100600a',
      '810060c88100600a',
    ],
  ];
  it.each(CASES)('%s', (_, near, far, tags, wanted) => {
    const rig = joined(near, far);
    const out = rig.send(1, frame(ALL, A, tags)).get(4);
    expect(out?.map((bytes) => tagsOf(bytes, ALL, A)) ?? null).toEqual(wanted === null ? null : [wanted]);
    expect(Object.keys(rig.drops())).toHaveLength(wanted === null ? 1 : 0);
  });

  it('eight tunnels in a row put eight tags around, whole and in order', () => {
    const rig = new Rig();
    const ports: TablePort[] = [tablePort(1, { mtu: 9000 }), tablePort(FAR, { bridge: 9, mtu: 9000 })];
    for (let k = 1; k <= 8; k++) {
      ports.push(tablePort(10 * k, { mtu: 9000, bridge: k, peer: 10 * k + 1 }));
      ports.push(
        tablePort(10 * k + 1, { mtu: 9000, bridge: k + 1, peer: 10 * k, vlan: { mode: 'dot1q-tunnel', tag: 100 + k } }),
      );
    }
    rig.publish(
      ports,
      Array.from({ length: 9 }, (_, k) => ({ number: k + 1, fdbLimit: 100, ageing: 300 })),
    );
    const tags = [8, 7, 6, 5, 4, 3, 2, 1].map((k) => `88a8${(100 + k).toString(16).padStart(4, '0')}`).join('');
    for (const bytes of [60, 255, 256, 257, 1000]) {
      const [out] = rig.send(1, frame(ALL, A, '', bytes)).get(FAR)!;
      expect(hex(out!)).toBe(hex(frame(ALL, A, tags, bytes + 32)));
    }
    expect(rig.drops()).toEqual({});
  });

  it('bad-tag: a third tag that turns out to be cut off is no frame', () => {
    const tunnel: VlanDocument = { mode: 'dot1q-tunnel', tag: 100 };
    const rig = new Rig();
    const ports = [tablePort(1), tablePort(FAR, { bridge: 3 })];
    ports.push(tablePort(10, { peer: 11, vlan: tunnel }), tablePort(11, { bridge: 2, peer: 10 }));
    ports.push(tablePort(20, { bridge: 2, peer: 21, vlan: tunnel }), tablePort(21, { bridge: 3, peer: 20 }));
    rig.publish(
      ports,
      [1, 2, 3].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
    );
    const tags = '88a8006488a800648100000a';
    rig.send(1, frame(ALL, A, tags, 60));
    expect(rig.drops()).toEqual({});
    for (const bytes of [22, 23, 24, 25]) expect(rig.send(1, frame(ALL, A, tags, bytes)).size, `${bytes}`).toBe(0);
    expect(rig.send(1, frame(ALL, A, '88a8006488a8006481000fff')).size).toBe(0);
    expect(rig.drops()).toEqual({ '10 bad-tag': 4, '20 bad-tag': 1 });
  });
});

describe('the state of a patch', () => {
  it('egress-down: a peer that is down gets nothing', () => {
    const rig = joined(undefined, undefined);
    rig.publish(
      [
        tablePort(1),
        tablePort(2, { peer: 3 }),
        tablePort(3, { bridge: 2, peer: 2, up: false }),
        tablePort(4, { bridge: 2 }),
      ],
      [1, 2].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
    );
    expect(rig.send(1, frame(ALL, A)).size).toBe(0);
    expect(rig.drops()).toEqual({ '2 egress-down': 1 });
    expect(rig.cell(3, PortCell.RX_FRAMES)).toBe(0);
  });

  it('mtu-exceeded: counts at the patch', () => {
    const rig = joined(undefined, undefined, { mtu: 1000 });
    expect(rig.send(1, frame(ALL, A, '', 1015)).size).toBe(0);
    expect(rig.drops()).toEqual({ '2 mtu-exceeded': 1 });
  });

  it('a flood to a patch and to tagged and untagged ports changes none of the others', () => {
    const rig = new Rig();
    rig.publish(
      [
        tablePort(1, { vlan: { tag: 10 } }),
        tablePort(2, { vlan: { tag: 10 } }),
        tablePort(3, { vlan: { trunks: [10] } }),
        tablePort(4, { vlan: { tag: 10 }, peer: 5 }),
        tablePort(5, { bridge: 2, vlan: { tag: 20 }, peer: 4 }),
        tablePort(6, { bridge: 2, vlan: { tag: 20 } }),
        tablePort(7, { bridge: 2 }),
        tablePort(8, { vlan: { tag: 10 } }),
      ],
      [1, 2].map((number) => ({ number, fdbLimit: 100, ageing: 300 })),
    );
    const out = rig.send(1, frame(ALL, A));
    const seen = [...out].map(([port, frames]) => [port, frames.map((bytes) => tagsOf(bytes, ALL, A))]);
    expect(seen).toEqual([
      [2, ['']],
      [3, ['8100000a']],
      [6, ['']],
      [7, ['81000014']],
      [8, ['']],
    ]);
  });
});
