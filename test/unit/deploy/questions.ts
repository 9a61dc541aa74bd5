/**
 * What deploy/ asks of Prometheus, as plain lists: queries of panels and variables, alerts and their expressions. Shared by the unit
 * tests, which look at names, and by test/interop, which asks a real Prometheus.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { buildDashboard } from '../../../deploy/dashboard.ts';

export const DEPLOY = fileURLToPath(new URL('../../../deploy', import.meta.url));
export const RULES_FILE = join(DEPLOY, 'prometheus/weft.rules.yaml');
export const CONFIG_FILE = join(DEPLOY, 'prometheus/prometheus.yaml');
export const UNIT_FILE = join(DEPLOY, 'systemd/weft.service');

export interface Asked {
  /** Where: title of the panel and letter of the query, or name of the alert. */
  readonly where: string;
  readonly expression: string;
}

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface PanelShape {
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly targets?: readonly { readonly refId?: string; readonly expr?: string }[];
}

export interface VariableShape {
  readonly name: string;
  readonly type: string;
  readonly query?: unknown;
}

/** Panels that show something: rows left out. */
export function panels(): PanelShape[] {
  return ((buildDashboard().panels ?? []) as PanelShape[]).filter(({ type }) => type !== 'row');
}

export function panelQueries(): Asked[] {
  return panels().flatMap(({ title, targets }) =>
    (targets ?? []).map(({ refId, expr }) => ({ where: `${title} (${refId})`, expression: expr ?? '' })),
  );
}

export function variables(): VariableShape[] {
  return (buildDashboard().templating?.list ?? []) as VariableShape[];
}

/** The two arguments of `label_values(selector, label)`. */
export function labelValues(query: string): { readonly selector: string; readonly label: string } {
  const found = /^label_values\((.+), (\w+)\)$/.exec(query);
  if (found === null) throw new Error(`not a label_values query: ${query}`);
  return { selector: found[1]!, label: found[2]! };
}

/** Queries of the variables that Prometheus answers. */
export function variableQueries(): { readonly where: string; readonly selector: string; readonly label: string }[] {
  return variables()
    .filter(({ type }) => type === 'query')
    .map(({ name, query }) => ({ where: `variable ${name}`, ...labelValues(String(query)) }));
}

export function alerts(): Alert[] {
  const rules = parse(readFileSync(RULES_FILE, 'utf8')) as { groups: { rules: Alert[] }[] };
  return rules.groups.flatMap((group) => group.rules);
}

/** Names of metrics in an expression: what is not a keyword, function, label, variable or within quotes. */
export function metricNames(expression: string): string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  const words = bare.match(/[a-zA-Z_:][\w:]*(?!\w|\s*\()/g) ?? [];
  return [...new Set(words.filter((word) => !['or', 'and', 'unless', 'bool', 'offset', 'inf', 'nan'].includes(word)))];
}
