/**
 * Tables of plain columns that fit the terminal: first the least important columns go, then the widest texts are cut; a row never
 * wraps. Called by the commands; pure. Without a terminal (width Infinity) everything is there, for grep and awk.
 */
import { type Colour, type Io, paint } from './io.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly right?: boolean;
  /** The highest number is left out first; 0 (or none) never. */
  readonly drop?: number;
  readonly colour?: (row: Row) => Colour | null;
}

const GAP = '  ';
const SHORTEST = 6;

/** Cells that a text takes: names here are ASCII, reasons may hold wider dashes but no double-width signs. */
function cells(text: string): number {
  return [...text].length;
}

function cut(text: string, width: number): string {
  return cells(text) <= width ? text : `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(0, widths.length - 1);
}

/** Narrows the widest columns until the row fits, none below SHORTEST. */
function narrowed(widths: readonly number[], width: number): number[] {
  const out = [...widths];
  while (total(out) > width) {
    const widest = out.indexOf(Math.max(...out));
    if (out[widest]! <= SHORTEST) break;
    out[widest]!--;
  }
  return out;
}

/** The lines of a table, head first. */
export function tableLines<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  io: Pick<Io, 'colour' | 'width'>,
): string[] {
  const available = io.width();
  let kept = columns.map((column) => {
    const texts = rows.map((row) => column.text(row));
    const width = texts.reduce((most, text) => Math.max(most, cells(text)), cells(column.title));
    return { column, texts, width };
  });
  while (total(kept.map(({ width }) => width)) > available) {
    const next = Math.max(...kept.map(({ column }) => column.drop ?? 0));
    if (next === 0) break;
    kept = kept.filter(({ column }) => (column.drop ?? 0) !== next);
  }
  const widths = narrowed(
    kept.map(({ width }) => width),
    available,
  );
  const line = (cell: (k: (typeof kept)[number]) => string, colour: (k: (typeof kept)[number]) => Colour | null) =>
    kept
      .map((k, i) => {
        const text = cut(cell(k), widths[i]!);
        const space = ' '.repeat(widths[i]! - cells(text));
        const last = i === kept.length - 1 && k.column.right !== true;
        const tint = colour(k);
        const painted = tint === null ? text : paint(io, tint, text);
        return k.column.right === true ? space + painted : painted + (last ? '' : space);
      })
      .join(GAP)
      .trimEnd();
  const head = line(
    (k) => k.column.title,
    () => 'bold',
  );
  return [
    head,
    ...rows.map((row, r) =>
      line(
        (k) => k.texts[r]!,
        (k) => k.column.colour?.(row) ?? null,
      ),
    ),
  ];
}
