// A report out of rows: the markdown table that a person reads, and the files in bench/out/ (markdown, JSON, SVG).
// Called after each scenario of `system` and `guests`, and at the end of every bench, on the main thread.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bar } from './bars.ts';
import { drawChart } from './chart.ts';
import { type Machine, machineLine } from './machine.ts';
import { projectRoot } from './root.ts';
import type { Row } from './row.ts';
import type { Spread } from './statistics.ts';

export interface Report {
  readonly level: string;
  readonly machine: Machine;
  readonly rows: readonly Row[];
  /** What could not be measured, with the reason. */
  readonly skipped: readonly string[];
}

/** The number with three significant figures, thousands grouped by commas: 12.3, 0.084, 1,250, 0. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en-US', { minimumFractionDigits: 0, maximumFractionDigits: Math.min(digits, 6) });
}

const HEAD = ['scenario', 'variant', 'subject', 'against', 'result: median (min–max)', 'n', 'must', 'aim', 'verdict'];

/** The table, its machine line and what was left out, as GitHub markdown. */
export function markdownReport(report: Report): string {
  const rows = report.rows.map((row) => [
    row.scenario,
    row.variant,
    `${row.subject} ${measured(row.subjectSpread, row.unit)}`.trim(),
    row.againstSpread === null ? '–' : `${row.against} ${measured(row.againstSpread, row.unit)}`,
    resultText(row),
    String(row.pairs.length),
    limitText(row.bar, 'must'),
    limitText(row.bar, 'aim'),
    row.verdict,
  ]);
  const lines = [
    `## ${report.level}`,
    '',
    machineLine(report.machine),
    '',
    tableLine(HEAD),
    tableLine(HEAD.map(() => '---')),
    ...rows.map(tableLine),
  ];
  const notes = report.rows.filter((row) => row.note).map((row) => `* ${row.scenario}, ${row.variant}: ${row.note}`);
  if (notes.length > 0) lines.push('', ...new Set(notes));
  if (report.skipped.length > 0) lines.push('', 'Left out:', '', ...report.skipped.map((text) => `* ${text}`));
  return `${lines.join('\n')}\n`;
}

/** Writes LEVEL.md, LEVEL.json and LEVEL.svg into `folder` (default bench/out) and returns their paths. */
export async function writeReport(report: Report, folder = join(projectRoot(), 'bench', 'out')): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const files: [string, string][] = [
    ['md', markdownReport(report)],
    ['json', `${JSON.stringify(report, null, 2)}\n`],
  ];
  if (report.rows.length > 0) files.push(['svg', await drawChart(report.level, report.rows)]);
  return files.map(([extension, text]) => {
    const path = join(folder, `${report.level}.${extension}`);
    writeFileSync(path, text);
    return path;
  });
}

function measured(values: Spread, unit: string): string {
  return `${formatNumber(values.median)} ${unit}`.trim();
}

function resultText(row: Row): string {
  const unit = row.how === 'ratio' ? '×' : ` ${row.unit}`;
  const plus = row.how === 'difference' && row.result.median > 0 ? '+' : '';
  const { median, low, high } = row.result;
  return `**${plus}${formatNumber(median)}${unit}** (${formatNumber(low)}${low < 0 ? ' to ' : '–'}${formatNumber(high)})`;
}

function limitText(bar: Bar | null, which: 'must' | 'aim'): string {
  if (bar === null) return '–';
  return `${bar.direction === 'at least' ? '≥' : '≤'} ${formatNumber(bar[which])}`;
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
