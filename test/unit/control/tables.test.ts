/** Compiled tables: nothing of the copy's last ones stays, also where those were larger or failed half-way. */
import { describe, expect, it } from 'vitest';
import { compileTables } from '../../../control/compile/tables.ts';
import { Header, plainArena, TABLE_FLOOD_POOL_AT } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import { type RigPort, tablePort } from '../../rig.ts';

const ACCESS: RigPort = { vlan: { mode: 'access', tag: 10 } };
/** Generations that are written to the same copy. */
const [FIRST, SECOND] = [1, 3];

function bridge(number: number) {
  return { number, fdbLimit: 100, ageing: 300 };
}

function fresh(): View {
  return new View(plainArena({ workers: 1, fdbEntries: 1024 }));
}

/** All of the copy that is read by a port's, bridge's or VLAN's number. */
function words(view: View): Int32Array {
  const at = view.layout.words[Header.TABLES_AT]! + view.layout.words[Header.TABLES_STRIDE]!;
  return new Int32Array(view.buffer, at, TABLE_FLOOD_POOL_AT / 4);
}

function compileSmall(view: View, generation: number): void {
  compileTables(view, generation, [bridge(2)], [tablePort(3, { ...ACCESS, bridge: 2 })]);
}

function compileLarge(view: View, generation: number): void {
  compileTables(view, generation, [bridge(1), bridge(7)], [tablePort(2), tablePort(900, { bridge: 7 })]);
}

describe('compileTables', () => {
  const wanted = fresh();
  compileSmall(wanted, FIRST);

  it('leaves nothing of larger tables', () => {
    const view = fresh();
    compileLarge(view, FIRST);
    expect(words(view).findIndex((word, k) => word !== words(wanted)[k])).not.toBe(-1);
    compileSmall(view, SECOND);
    expect(words(view).findIndex((word, k) => word !== words(wanted)[k])).toBe(-1);
  });

  it('leaves nothing of tables that failed half-way', () => {
    const view = fresh();
    expect(() => compileTables(view, FIRST, [bridge(7), bridge(100_000)], [])).toThrow('bridges');
    const many = Array.from({ length: 9000 }, (_, k) =>
      tablePort((k % 4000) + 1, { vlan: { mode: 'dot1q-tunnel', tag: 10, cvlans: [k % 4000] } }),
    );
    expect(() => compileTables(view, FIRST, [bridge(1)], many)).toThrow('members');
    compileSmall(view, SECOND);
    expect(words(view).findIndex((word, k) => word !== words(wanted)[k])).toBe(-1);
  });

  it('refuses numbers that have no place', () => {
    expect(() => compileTables(fresh(), FIRST, [], [tablePort(0)])).toThrow('ports');
    expect(() => compileTables(fresh(), FIRST, [], [tablePort(1_000_000)])).toThrow('ports');
  });
});
