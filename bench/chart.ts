// The picture beside the table: one bar per row (median), a line for the spread, ticks for "must" and "aim".
// Drawn by vega-lite to SVG text; no canvas, no browser, no network.
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Row } from './row.ts';

interface Point {
  readonly label: string;
  readonly panel: string;
  readonly verdict: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly must: number | null;
  readonly aim: number | null;
}

/** SVG text of the rows' medians, spreads and bars; one panel per scenario and unit. */
export async function drawChart(title: string, rows: readonly Row[]): Promise<string> {
  const { spec } = compile(chartSpec(title, rows.map(toPoint)));
  const view = new View(parse(spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

function toPoint(row: Row): Point {
  const unit = row.how === 'ratio' ? 'ratio' : row.how === 'difference' ? `added ${row.unit}` : row.unit;
  return {
    label: row.againstSpread === null ? row.variant : `${row.variant}, against ${row.against}`,
    panel: `${row.scenario} (${unit})`,
    verdict: row.verdict,
    median: row.result.median,
    low: row.result.low,
    high: row.result.high,
    must: row.bar?.must ?? null,
    aim: row.bar?.aim ?? null,
  };
}

function chartSpec(title: string, points: readonly Point[]): TopLevelSpec {
  const panels = [...new Set(points.map((point) => point.panel))];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, subtitle: 'bar: median · line: min–max · dark tick: must · green tick: aim' },
    config: { view: { stroke: null }, axis: { labelLimit: 320 } },
    vconcat: panels.map((panel) =>
      panelSpec(
        panel,
        points.filter((point) => point.panel === panel),
      ),
    ),
  } as TopLevelSpec;
}

function panelSpec(title: string, points: readonly Point[]) {
  const y = { field: 'label', type: 'nominal', title: null, sort: null } as const;
  const tick = (field: string, color: string) => ({
    mark: { type: 'tick', thickness: 2, size: 18, color, invalid: 'filter' },
    encoding: { y, x: { field, type: 'quantitative' } },
  });
  const colour = {
    field: 'verdict',
    type: 'nominal',
    legend: null,
    scale: { domain: ['aim met', 'met', 'MISSED', '–'], range: ['#4c9f70', '#4c78a8', '#d1495b', '#9aa5b1'] },
  };
  return {
    title: { text: title, anchor: 'start', fontSize: 12 },
    width: 420,
    height: { step: 24 },
    data: { values: points },
    layer: [
      {
        mark: { type: 'bar', height: 14 },
        encoding: { y, x: { field: 'median', type: 'quantitative', title: null }, color: colour },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.5 },
        encoding: { y, x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } },
      },
      tick('must', '#222222'),
      tick('aim', '#1b7f3b'),
    ],
  };
}
