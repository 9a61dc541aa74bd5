/** The arena's map: every region on a page of its own, none over another, and an arena that says what it is. */
import { describe, expect, it } from 'vitest';
import { FDB_ENTRIES_MAX, WORKERS_MAX } from '../../../dataplane/limits.ts';
import { Lane } from '../../../dataplane/memory/lane.ts';
import {
  fdbSlotsFor,
  Header,
  layoutFor,
  PAGE_BYTES,
  plainArena,
  readLayout,
} from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';

const SHAPES = [1, 2, WORKERS_MAX].flatMap((workers) => [1024, 65_536].map((fdbEntries) => ({ workers, fdbEntries })));
const OFFSETS = Object.entries(Header).filter(([name]) => name.endsWith('_AT'));

describe('the layout', () => {
  it.each(SHAPES)('of %o: regions in order, on pages, within the arena', (shape) => {
    const layout = layoutFor(shape);
    const starts = OFFSETS.map(([, word]) => layout.words[word]!).sort((a, b) => a - b);
    expect(new Set(starts).size).toBe(OFFSETS.length);
    for (const start of starts) expect(start % PAGE_BYTES).toBe(0);
    expect(starts[0]).toBe(PAGE_BYTES);
    expect(starts.at(-1)).toBeLessThan(layout.bytes);
    const shared = layout.words[Header.TABLES_AT]!;
    expect(shared).toBe(PAGE_BYTES + shape.workers * layout.workerStride);
  });

  it('is at most half full, in a power of two', () => {
    for (const entries of [1, 1024, 1025, 65_536, FDB_ENTRIES_MAX]) {
      const slots = fdbSlotsFor(entries);
      expect(slots).toBeGreaterThanOrEqual(2 * entries);
      expect(slots & (slots - 1)).toBe(0);
    }
    expect(fdbSlotsFor(FDB_ENTRIES_MAX)).toBe(2 ** 21);
  });

  it('refuses workers that it has no room for', () => {
    for (const workers of [0, -1, WORKERS_MAX + 1])
      expect(() => layoutFor({ workers, fdbEntries: 1024 })).toThrow(
        `${workers} workers: allowed are 1–${WORKERS_MAX}`,
      );
  });

  it('is what a reader finds; a foreign or older arena is refused', () => {
    const shape = { workers: 2, fdbEntries: 1024 };
    const arena = plainArena(shape);
    expect(readLayout(arena)).toEqual(layoutFor(shape));
    for (const word of [Header.MAGIC, Header.VERSION]) {
      const words = new Int32Array(arena, 0, PAGE_BYTES / 4);
      words[word]!++;
      expect(() => readLayout(arena)).toThrow(/not an arena of version/);
      words[word]!--;
    }
  });

  it('gives two lanes nothing in common but tables, FDB, bonds and remotes', () => {
    const view = new View(plainArena({ workers: 2, fdbEntries: 1024 }));
    const [one, two] = [new Lane(view, 0), new Lane(view, 1)];
    const shared = /^(tables|fdb|generationAt|bonds|members|reflected|remote|neighbours)/;
    for (const [name, value] of Object.entries(one) as [keyof Lane, unknown][]) {
      if (!/At(Bytes)?$/.test(name) || /^(ports|membership|bridges|flood|vnis|evict)/.test(name)) continue;
      if (shared.test(name)) expect(two[name], name).toBe(value);
      else expect(two[name], name).toBeGreaterThan(value as number);
    }
  });
});
