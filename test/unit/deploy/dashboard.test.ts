/** The dashboard and the alerts ask for what the switch exports, and say what they mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type MetricsServer, startMetrics } from '../../../control/metrics/server.ts';
import { DROPS } from '../../../dataplane/drop.ts';
import { buildDashboard, dashboardText } from '../../../deploy/dashboard.ts';
import { BACKUP, bondSample, LAG } from '../control/bond-rows.ts';
import { fakeSource } from '../control/fake-switch.ts';
import { MAPPED, POD7 } from '../control/tunnel-rows.ts';
import { alerts, CONFIG_FILE, DEPLOY, metricNames, panelQueries, panels, variableQueries } from './questions.ts';

/** Prometheus makes these itself. */
const OWN_NAMES = ['up'];

let server: MetricsServer;
let exported: Map<string, Set<string>>;

/** Label names by series name: buckets, sums and counts of a histogram are series of their own. */
function seriesOf(text: string): Map<string, Set<string>> {
  const series = new Map<string, Set<string>>();
  for (const [, name, labels] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm)) {
    const known = series.get(name!) ?? new Set();
    for (const [, label] of (labels ?? '').matchAll(/(\w+)="/g)) known.add(label!);
    series.set(name!, known);
  }
  return series;
}

beforeAll(async () => {
  const fail = (error: Error) => {
    throw error;
  };
  const source = fakeSource({
    bonds: () => [LAG, BACKUP].map(bondSample),
    tunnels: () => [POD7, MAPPED],
    tunnelEndpoints: () => [POD7.endpoint!],
    tunnelSenders: () => [POD7.sender!],
  });
  server = await startMetrics(source, {
    host: '127.0.0.1',
    port: 0,
    version: '0.0.0',
    onError: fail,
  });
  exported = seriesOf(await (await fetch(server.url)).text());
});
afterAll(() => server.close());

function unknownNames(expression: string): string[] {
  return metricNames(expression).filter((name) => !exported.has(name) && !OWN_NAMES.includes(name));
}

/** Labels that an expression selects by, of a metric that does not have them. */
function unknownLabels(expression: string): string[] {
  return [...expression.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name, matchers]) =>
    [...matchers!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)"/g)]
      .map(([, label]) => label!)
      .filter((label) => !['instance', 'job'].includes(label) && exported.get(name!)?.has(label) !== true)
      .map((label) => `${name}: ${label}`),
  );
}

describe('the names in an expression', () => {
  it.each<[string, string[]]>([
    ['sum(rate(a_total{b="c"}[5m])) or vector(0)', ['a_total']],
    ['a_total{b=~"x|y_total"} / on (c, d) e_bytes > 0.001', ['a_total', 'e_bytes']],
    ['histogram_quantile(0.9, sum by (le) (rate(a_bucket[$__rate_interval])))', ['a_bucket']],
    ['sum without (x) (up) == 0', ['up']],
  ])('of %s', (expression, names) => expect(metricNames(expression)).toEqual(names));
});

describe('the dashboard', () => {
  it('is what deploy/grafana/weft.json holds: npm run build && node dist/deploy/dashboard.js > deploy/grafana/weft.json', () => {
    expect(readFileSync(join(DEPLOY, 'grafana/weft.json'), 'utf8')).toBe(dashboardText());
  });

  it('has a row for each thing that is watched', () => {
    const rows = (buildDashboard().panels ?? []).filter(({ type }) => type === 'row').map(({ title }) => title);
    expect(rows.map((title) => title?.split(':')[0])).toEqual([
      ...['Overview', 'Ports', 'Guests', 'Bonds', 'Tunnels', 'Latency', 'Addresses', 'Workers', 'Process'],
    ]);
  });

  it('numbers panels without repeating and places none over another', () => {
    const all = buildDashboard().panels ?? [];
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const taken = new Map<string, string>();
    for (const { gridPos, title } of all) {
      expect(gridPos!.x + gridPos!.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos!.x; x < gridPos!.x + gridPos!.w; x++) {
        for (let y = gridPos!.y; y < gridPos!.y + gridPos!.h; y++) {
          expect(taken.get(`${x},${y}`), `${title} at ${x},${y}`).toBeUndefined();
          taken.set(`${x},${y}`, title ?? '');
        }
      }
    }
  });

  it('has panels that ask something and say what it means', () => {
    expect(panels().length).toBeGreaterThan(20);
    for (const { title, description, targets } of panels()) {
      expect(title, JSON.stringify(targets)).toMatch(/^[A-Z]/);
      expect(description, title).toMatch(/^[A-Z].{20,}\.$/s);
      expect(targets?.length, title).toBeGreaterThan(0);
    }
  });

  it('asks for metrics and labels that the switch exports', () => {
    const asked = [
      ...panelQueries(),
      ...variableQueries().map(({ where, selector }) => ({ where, expression: selector })),
    ];
    for (const { where, expression } of asked) {
      expect(metricNames(expression).length, where).toBeGreaterThan(0);
      expect(unknownNames(expression), where).toEqual([]);
      expect(unknownLabels(expression), where).toEqual([]);
    }
  });

  it('shows every metric of the switch', () => {
    const shown = new Set(
      [...panelQueries(), ...variableQueries().map((v) => ({ expression: v.selector }))].flatMap(({ expression }) =>
        metricNames(expression),
      ),
    );
    const unseen = [...exported.keys()].filter((name) => name.startsWith('weft_') && !shown.has(name));
    expect(unseen).toEqual([]);
  });
});

describe('the alerts', () => {
  it('have distinct names, a severity, a summary and a description that names the remedy', () => {
    const names = alerts().map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    for (const { alert, labels, annotations } of alerts()) {
      expect(alert).toMatch(/^Weft[A-Z]\w+$/);
      expect(['critical', 'warning'], alert).toContain(labels.severity);
      expect(annotations.summary, alert).toMatch(/^.{20,}\.$/);
      expect(annotations.description, alert).toMatch(/^.{40,}\.$/);
    }
  });

  it('ask for metrics and labels that the switch exports', () => {
    for (const { alert, expr } of alerts()) {
      expect(unknownNames(expr), alert).toEqual([]);
      expect(unknownLabels(expr), alert).toEqual([]);
    }
  });

  it('leave out only losses that are in the table of reasons', () => {
    const known = DROPS.map(({ name }) => name);
    const named = alerts().flatMap(({ expr }) =>
      [...expr.matchAll(/reason(?:=~|!~|!=|=)"([^"]*)"/g)].flatMap(([, reasons]) => reasons!.split('|')),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('look for the job that the scrape example makes', () => {
    const config = parse(readFileSync(CONFIG_FILE, 'utf8')) as { scrape_configs: { job_name: string }[] };
    const jobs = config.scrape_configs.map(({ job_name }) => job_name);
    const wanted = alerts().flatMap(({ expr }) => [...expr.matchAll(/job="([^"]*)"/g)].map(([, job]) => job!));
    expect(wanted.length).toBeGreaterThan(0);
    expect([...new Set(wanted)]).toEqual(jobs);
  });
});
