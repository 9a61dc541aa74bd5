/** Tunnels in the compiled tables: the words of a port's record, remotes and maps in the pool, and the table of VNIs. */
import { describe, expect, it } from 'vitest';
import type { TableTunnel } from '../../../control/compile/table-port.ts';
import { compileTables } from '../../../control/compile/tables.ts';
import { writeVnis } from '../../../control/compile/vni-table.ts';
import { BRIDGES_MAX, PORTS_MAX, VNI_PROBES_MAX, VNI_SLOTS_COUNT, VNIS_MAX } from '../../../dataplane/limits.ts';
import {
  BRIDGE_WORDS,
  Header,
  PORT_WORDS,
  plainArena,
  TABLE_BRIDGES_AT,
  TABLE_BYTES,
  TABLE_FLOOD_POOL_AT,
  TABLE_PORTS_AT,
  TABLE_VNIS_AT,
  VNI_WORDS,
} from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { Form, SET_FORM_SHIFT, SET_PORT_MASK } from '../../../dataplane/tables/flood-layout.ts';
import { BridgeWord, PortFlag, PortWord } from '../../../dataplane/tables/port-layout.ts';
import { NO_KEY, TunnelHeader, VniWord, vniSlot } from '../../../dataplane/tables/tunnel-layout.ts';
import { Rig, type RigPort, tablePort } from '../../rig.ts';
import { randomFrom, seedFor } from '../../seed.ts';

const ENDPOINT = 4000;

function tunnel(more: Partial<TableTunnel> = {}): TableTunnel {
  return {
    kind: 'vxlan',
    vni: 7,
    vlans: null,
    ttl: 0,
    tos: 0,
    splitHorizon: true,
    suppress: false,
    clampMss: false,
    endpoint: ENDPOINT,
    remotes: [],
    ...more,
  };
}

const BRIDGES = [1, 2].map((number) => ({ number, fdbLimit: 100, ageing: 300 }));

function fresh(): View {
  return new View(plainArena({ workers: 1, fdbEntries: 1024 }));
}

/** The copy that odd generations are written to. */
function copyOf(view: View): Int32Array {
  const at = view.layout.words[Header.TABLES_AT]! + view.layout.words[Header.TABLES_STRIDE]!;
  return new Int32Array(view.buffer, at, TABLE_BYTES / 4);
}

function compiled(...ports: [number, Partial<TableTunnel>, RigPort?][]): Int32Array {
  const view = fresh();
  const all = ports.map(([number, more, port]) => tablePort(number, { ...port, tunnel: tunnel(more) }));
  compileTables(view, 1, BRIDGES, all);
  return copyOf(view);
}

function wordOf(copy: Int32Array, port: number, word: number): number {
  return copy[(TABLE_PORTS_AT >> 2) + port * PORT_WORDS + word]!;
}

function poolAt(copy: Int32Array, at: number, count: number): number[] {
  return [...copy.subarray((TABLE_FLOOD_POOL_AT >> 2) + at).subarray(0, count)];
}

/** As a worker looks: port and VLAN, or null. */
function find(slots: Int32Array, endpoint: number, vni: number): [port: number, vlan: number] | null {
  for (let probe = 0; probe < VNI_PROBES_MAX; probe++) {
    const at = ((vniSlot(endpoint, vni) + probe) & (VNI_SLOTS_COUNT - 1)) * VNI_WORDS;
    if (slots[at + VniWord.PORT] === 0) return null;
    if (slots[at + VniWord.VNI] === vni && slots[at + VniWord.ENDPOINT] === endpoint)
      return [slots[at + VniWord.PORT]!, slots[at + VniWord.VLAN]!];
  }
  return null;
}

function vnisOf(copy: Int32Array): Int32Array {
  return copy.subarray(TABLE_VNIS_AT >> 2);
}

describe('a tunnel’s record', () => {
  it.each([
    [{}, TunnelHeader.VXLAN, 7],
    [{ vni: 0xff_ffff }, TunnelHeader.VXLAN, 0xff_ffff],
    [{ kind: 'geneve' as const, vni: 0 }, TunnelHeader.GENEVE, 0],
    [{ kind: 'gre' as const, vni: null }, TunnelHeader.GRE, NO_KEY],
    [{ kind: 'gre' as const, vni: 0 }, TunnelHeader.GRE_KEY, 0],
    [{ kind: 'gre' as const, vni: 0xffff_fffe }, TunnelHeader.GRE_KEY, -2],
  ])('%j: header and VNI', (more, header, vni) => {
    const copy = compiled([5, more]);
    expect([wordOf(copy, 5, PortWord.HEADER), wordOf(copy, 5, PortWord.VNI)]).toEqual([header, vni]);
    expect(find(vnisOf(copy), ENDPOINT, vni)).toEqual([5, -1]);
  });

  it.each([
    [{}, 0],
    [{ ttl: 64 }, 64],
    [{ ttl: 255, tos: 252 }, 0xfc_00ff],
    [{ ttl: 'inherit' as const }, 0xff00],
    [{ tos: 'inherit' as const }, 0x100_0000],
    [{ ttl: 'inherit' as const, tos: 'inherit' as const }, 0x100_ff00],
  ])('%j: TTL and TOS', (more, outer) => {
    expect(wordOf(compiled([5, more]), 5, PortWord.OUTER)).toBe(outer);
  });

  it.each([
    [{ splitHorizon: false }, 0],
    [{}, PortFlag.SPLIT_HORIZON],
    [{ splitHorizon: false, suppress: true }, PortFlag.SUPPRESS],
    [{ splitHorizon: false, clampMss: true }, PortFlag.CLAMP_MSS],
    [{ splitHorizon: false, vni: null, vlans: [[10, 5010]] as const }, PortFlag.VNI_MAP],
  ])('%j: flags', (more, flags) => {
    const mask = PortFlag.SPLIT_HORIZON | PortFlag.SUPPRESS | PortFlag.CLAMP_MSS | PortFlag.VNI_MAP | PortFlag.TUNNEL;
    expect(wordOf(compiled([5, more]), 5, PortWord.FLAGS) & mask).toBe(flags | PortFlag.TUNNEL);
  });

  it('has its remotes as a set of their own, and none of an empty list', () => {
    const copy = compiled([5, { remotes: [PORTS_MAX, 65_535, 5000] }], [6, { vni: 8 }]);
    expect(poolAt(copy, wordOf(copy, 5, PortWord.REMOTES), 4)).toEqual([3, PORTS_MAX, 65_535, 5000]);
    expect(wordOf(copy, 6, PortWord.REMOTES)).toBe(0);
  });

  it('has a VNI for each VLAN of its map, and −1 for all others', () => {
    const copy = compiled([
      5,
      {
        vni: null,
        vlans: [
          [10, 5010],
          [4094, 0],
        ],
      },
    ]);
    const map = poolAt(copy, wordOf(copy, 5, PortWord.VNI_MAP), 4096);
    expect(map.flatMap((vni, vlan) => (vni === -1 ? [] : [[vlan, vni]]))).toEqual([
      [10, 5010],
      [4094, 0],
    ]);
    expect(find(vnisOf(copy), ENDPOINT, 5010)).toEqual([5, 10]);
    expect(find(vnisOf(copy), ENDPOINT, 0)).toEqual([5, 4094]);
    expect(find(vnisOf(copy), ENDPOINT, -1)).toBeNull();
  });

  it('tells its bridge that it answers for others, and no other bridge', () => {
    const copy = compiled([5, { suppress: true }, { bridge: 2 }], [6, { vni: 8 }, { bridge: 1 }]);
    const suppress = (bridge: number) => copy[(TABLE_BRIDGES_AT >> 2) + bridge * BRIDGE_WORDS + BridgeWord.SUPPRESS];
    expect(Array.from({ length: BRIDGES_MAX }, (_, k) => suppress(k)).findIndex((word) => word !== 0)).toBe(2);
    expect(suppress(1)).toBe(0);
  });
});

it('a port with a map gets its floods untagged, beside trunks of the same VLANs that get them tagged', () => {
  const rig = new Rig();
  const trunks = { trunks: [10, 20] };
  const vlans = [
    [10, 5010],
    [20, 5020],
  ] as const;
  rig.publish([
    tablePort(1),
    tablePort(2, { vlan: trunks }),
    tablePort(3, { vlan: trunks, tunnel: tunnel({ vni: null, vlans }) }),
    tablePort(4, { vlan: trunks, tunnel: tunnel({ vni: 9 }) }),
  ]);
  const { lane } = rig;
  const setAt = lane.floodPoolAt + lane.i32[lane.floodIndexAt + 4096 + 10]!;
  const members = Array.from({ length: lane.i32[setAt]! }, (_, k) => lane.i32[setAt + 1 + k]!);
  const forms = members.map((member) => [member & SET_PORT_MASK, member >> SET_FORM_SHIFT]);
  expect(forms).toEqual([
    [1, Form.TAGGED],
    [2, Form.TAGGED],
    [3, Form.UNTAGGED],
    [4, Form.TAGGED],
  ]);
});

describe('the table of VNIs', () => {
  it('leads from every VNI to its port, from no other anywhere, and keeps endpoints apart', () => {
    const random = randomFrom(seedFor('vnis'));
    for (let round = 0; round < 20; round++) {
      const wanted = new Map<string, [endpoint: number, vni: number, port: number, vlan: number]>();
      const count = random(random(4000) + 1) + 1;
      const near = random(0xff_0000);
      // VNIs are as often in a row as anywhere.
      const vniOf = () => (random(2) === 0 ? near + random(5000) : random(0x100_0000));
      const ports = Array.from({ length: count }, (_, k) => {
        const endpoint = 4000 + random(3);
        const vlans: [number, number][] = [];
        for (let m = 0; m < (random(5) === 0 ? 6 : 1); m++) {
          const [vni, vlan] = [vniOf(), 10 + m];
          if (wanted.has(`${endpoint}/${vni}`)) continue;
          wanted.set(`${endpoint}/${vni}`, [endpoint, vni, k + 1, vlan]);
          vlans.push([vlan, vni]);
        }
        return tablePort(k + 1, { tunnel: tunnel({ endpoint, vni: null, vlans }) });
      });
      const slots = new Int32Array(VNI_SLOTS_COUNT * VNI_WORDS);
      writeVnis(slots, ports);
      for (const [endpoint, vni, port, vlan] of wanted.values())
        expect(find(slots, endpoint, vni), `${endpoint}/${vni}`).toEqual([port, vlan]);
      for (let k = 0; k < 2000; k++) {
        const [endpoint, vni] = [4000 + random(4), vniOf()];
        if (wanted.has(`${endpoint}/${vni}`)) continue;
        expect(find(slots, endpoint, vni), `${endpoint}/${vni} is nobody’s`).toBeNull();
      }
    }
  });

  it('holds as many VNIs in a row as there may be, each within a few looks', () => {
    const vlans = (from: number): [number, number][] => Array.from({ length: 4094 }, (_, k) => [k + 1, from + k]);
    const ports = [1, 2, 3, 4].map((number) =>
      tablePort(number, { tunnel: tunnel({ vni: null, vlans: vlans(number * 5000) }) }),
    );
    const singles = [5, 6, 7, 8, 9, 10, 11, 12].map((number) => tablePort(number, { tunnel: tunnel({ vni: number }) }));
    const slots = new Int32Array(VNI_SLOTS_COUNT * VNI_WORDS);
    writeVnis(slots, [...ports, ...singles]);
    expect(find(slots, ENDPOINT, 5000 + 4093)).toEqual([1, 4094]);
    const over = [...ports, ...singles, tablePort(13, { tunnel: tunnel({ vni: 13 }) })];
    expect(() => writeVnis(new Int32Array(slots.length), over)).toThrow(`${VNIS_MAX + 1} VNIs are too many`);
  });

  it('refuses one VNI in two ports of an endpoint, and lets two endpoints have it', () => {
    expect(() => compiled([1, {}], [2, {}])).toThrow('VNI 7 of one local address and port belongs to two ports');
    const copy = compiled([1, {}], [2, { endpoint: 4001 }]);
    expect([find(vnisOf(copy), ENDPOINT, 7), find(vnisOf(copy), 4001, 7)]).toEqual([
      [1, -1],
      [2, -1],
    ]);
  });

  it('tells endpoints apart also where their VNI falls on one slot', () => {
    const seen = new Map<number, number>();
    let other = 1;
    while (!seen.has(vniSlot(other, 7))) seen.set(vniSlot(other, 7), other++);
    const one = seen.get(vniSlot(other, 7))!;
    const copy = compiled([1, { endpoint: one }], [2, { endpoint: other }]);
    expect(find(vnisOf(copy), one, 7)).toEqual([1, -1]);
    expect(find(vnisOf(copy), other, 7)).toEqual([2, -1]);
  });

  it('refuses a VNI that nobody would find', () => {
    // All that fall on one slot, and the next ones behind it.
    const first = vniSlot(ENDPOINT, 1);
    const crowd: [number, number][] = [[1, 1]];
    for (let vni = 2; crowd.length <= VNI_PROBES_MAX && vni < 0x100_0000; vni++)
      if (vniSlot(ENDPOINT, vni) === first) crowd.push([crowd.length + 1, vni]);
    expect(crowd.length).toBe(VNI_PROBES_MAX + 1);
    const slots = new Int32Array(VNI_SLOTS_COUNT * VNI_WORDS);
    const put = (vlans: [number, number][]) =>
      writeVnis(slots, [tablePort(1, { tunnel: tunnel({ vni: null, vlans }) })]);
    expect(() => put(crowd)).toThrow(`would lie behind ${VNI_PROBES_MAX} others`);
    slots.fill(0);
    put(crowd.slice(0, -1));
    expect(find(slots, ENDPOINT, crowd.at(-2)![1])).toEqual([1, VNI_PROBES_MAX]);
  });

  it('has no entry of a tunnel that does not receive, so that two of them can wait for their address', () => {
    const copy = compiled([1, { endpoint: 0 }], [2, { endpoint: 0 }]);
    expect(vnisOf(copy).findIndex((word) => word !== 0)).toBe(-1);
  });

  it('is empty again when the next tables have no tunnel, also after tables that failed', () => {
    const view = fresh();
    compileTables(view, 1, BRIDGES, [tablePort(900, { tunnel: tunnel() })]);
    expect(vnisOf(copyOf(view)).findIndex((word) => word !== 0)).not.toBe(-1);
    const two = [tablePort(1, { tunnel: tunnel() }), tablePort(2, { tunnel: tunnel() })];
    expect(() => compileTables(view, 3, BRIDGES, two)).toThrow('two ports');
    compileTables(view, 5, BRIDGES, [tablePort(1)]);
    expect(vnisOf(copyOf(view)).findIndex((word) => word !== 0)).toBe(-1);
    const wanted = fresh();
    compileTables(wanted, 5, BRIDGES, [tablePort(1)]);
    const [now, then] = [copyOf(view), copyOf(wanted)].map((copy) => copy.subarray(0, TABLE_FLOOD_POOL_AT >> 2));
    expect(now!.findIndex((word, k) => word !== then![k])).toBe(-1);
  });
});
