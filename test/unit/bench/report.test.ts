import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findBar, judge } from '../../../bench/bars.ts';
import { type Machine, machineLine } from '../../../bench/machine.ts';
import { formatNumber, markdownReport, writeReport } from '../../../bench/report.ts';
import { type Measurement, makeRow } from '../../../bench/row.ts';

const machine: Machine = {
  cpu: 'Some CPU',
  cores: 2,
  memoryGiB: 8,
  l2: '2048K',
  virtual: true,
  kernel: '6.1.0',
  node: 'v20.19.0',
  v8: '11.3',
  commit: '0123456789ab',
  changed: true,
  date: '2026-01-01T00:00:00.000Z',
};

const tcp: Measurement = {
  scenario: 'tcp',
  variant: 'pinned',
  subject: 'weft',
  against: 'linux-bridge',
  unit: 'Gb/s',
  how: 'ratio',
  pairs: [
    { subject: 12, against: 16 },
    { subject: 16, against: 16 },
    { subject: 14, against: 16 },
  ],
};

describe('judging', () => {
  test('at least: aim, must, missed, at the limit itself', () => {
    const bar = findBar('tcp', 'pinned', 'linux-bridge');
    expect(bar).toEqual({ direction: 'at least', must: 0.75, aim: 1 });
    expect([1, 0.75, 0.7499].map((value) => judge(value, bar))).toEqual(['aim met', 'met', 'MISSED']);
  });

  test('at most: aim, must, missed', () => {
    const bar = findBar('round-trip', 'busy p50', 'veth');
    expect([1.5, 3, 3.01].map((value) => judge(value, bar))).toEqual(['aim met', 'met', 'MISSED']);
  });

  test('no bar, no verdict', () => {
    expect(findBar('tcp', 'pinned', 'vde')).toBeNull();
    expect(judge(1, null)).toBe('–');
  });
});

describe('rows', () => {
  test('take the median of the ratios and judge it', () => {
    const row = makeRow(tcp);
    expect(row.result).toEqual({ median: 0.875, low: 0.75, high: 1 });
    expect(row.subjectSpread.median).toBe(14);
    expect(row.againstSpread?.median).toBe(16);
    expect(row.verdict).toBe('met');
  });

  test("another subject is measured and not held to Weft's bars", () => {
    expect(makeRow({ ...tcp, subject: 'vde' })).toMatchObject({ bar: null, verdict: '–' });
  });

  test('what must never happen is judged by the worst run', () => {
    const pairs = [0, 0, 1].map((subject) => ({ subject, against: null }));
    const lost: Measurement = {
      ...tcp,
      scenario: 'churn',
      variant: 'A↔B frames lost',
      against: '',
      how: 'absolute',
      pairs,
    };
    expect(makeRow({ ...lost, worst: true }).verdict).toBe('MISSED');
    expect(makeRow(lost).verdict).toBe('aim met');
  });
});

describe('report', () => {
  test('numbers keep three significant figures', () => {
    expect([0, 0.08444, 1.5, 12.345, 1249.6, 1_234_567].map(formatNumber)).toEqual([
      '0',
      '0.0844',
      '1.5',
      '12.3',
      '1,250',
      '1,234,567',
    ]);
  });

  test('the table names both sides, the spread, the bar and what was left out', () => {
    const text = markdownReport({ level: 'system', machine, rows: [makeRow(tcp)], skipped: ['vde: not installed'] });
    expect(text).toContain(
      '| tcp | pinned | weft 14 Gb/s | linux-bridge 16 Gb/s | **0.875×** (0.75–1) | 3 | ≥ 0.75 | ≥ 1 | met |',
    );
    expect(text).toContain('* vde: not installed');
    expect(text).toContain('commit 0123456789ab with uncommitted changes');
  });

  test('every table line has as many cells as the head', () => {
    const rows = [makeRow(tcp), makeRow({ ...tcp, variant: 'a|b', how: 'difference' })];
    const lines = markdownReport({ level: 'x', machine, rows, skipped: [] })
      .split('\n')
      .filter((line) => line.startsWith('|'));
    expect(lines).toHaveLength(4);
    const cells = (line: string) => line.split(/(?<!\\)\|/).length;
    for (const line of lines) expect(cells(line)).toBe(cells(lines[0]!));
  });

  test('the machine line says that it is a virtual one', () => {
    expect(machineLine(machine)).toContain('Some CPU (2 cores, 2048K L2, 8 GiB, virtual), Linux 6.1.0, Node v20.19.0');
  });

  test('writes table, JSON with every sample, and a picture with every label', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-bench-report-'));
    try {
      const files = await writeReport({ level: 'system', machine, rows: [makeRow(tcp)], skipped: [] }, folder);
      expect(files.map((file) => file.slice(folder.length + 1))).toEqual(['system.md', 'system.json', 'system.svg']);
      const json = JSON.parse(readFileSync(files[1]!, 'utf8'));
      expect(json.rows[0].pairs).toEqual(tcp.pairs);
      const svg = readFileSync(files[2]!, 'utf8');
      expect(svg).toMatch(/^<svg /);
      expect(svg).toContain('pinned, against linux-bridge');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
