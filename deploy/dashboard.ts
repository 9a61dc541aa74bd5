/**
 * The Grafana dashboard as code. `npm run build && node dist/deploy/dashboard.js > deploy/grafana/weft.json` writes what Grafana
 * imports; a test fails when that file is not what this says. Never used by the switch.
 */
import { fileURLToPath } from 'node:url';
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { bonds } from './bond-rows.ts';
import { guests } from './guest-rows.ts';
import { addresses, daemon, latency, workers } from './inside-rows.ts';
import { SOURCE } from './panels.ts';
import { overview, ports } from './traffic-rows.ts';
import { tunnels } from './tunnel-rows.ts';

const UID = 'weft-switch';

interface Choice {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** What to choose from, as Grafana asks Prometheus. */
  readonly query: string;
  readonly several: boolean;
}

const CHOICES: readonly Choice[] = [
  {
    name: 'instance',
    label: 'Switch',
    description: 'One switch, by the address of its metrics.',
    query: 'label_values(weft_build_info, instance)',
    several: false,
  },
  {
    name: 'bridge',
    label: 'Bridge',
    description: 'Bridges of the switch.',
    query: 'label_values(weft_port_up{instance="$instance"}, bridge)',
    several: true,
  },
  {
    name: 'port',
    label: 'Port',
    description: 'Ports of these bridges.',
    query: 'label_values(weft_port_up{instance="$instance",bridge=~"$bridge"}, port)',
    several: true,
  },
];

function variable(choice: Choice): QueryVariableBuilder {
  const builder = new QueryVariableBuilder(choice.name)
    .label(choice.label)
    .description(choice.description)
    .datasource(SOURCE)
    .query(choice.query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);
  if (!choice.several) return builder;
  return builder.multi(true).includeAll(true).allValue('.*').current({ text: 'All', value: '$__all' });
}

/** The whole dashboard, panels numbered from 1 in reading order. */
export function buildDashboard(): Dashboard {
  const builder = new DashboardBuilder('Weft switch')
    .uid(UID)
    .description('A Weft switch: ports, bonds, tunnels, losses, latency, addresses, workers and the process.')
    .tags(['weft', 'network'])
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .editable()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'));
  for (const choice of CHOICES) builder.withVariable(variable(choice));
  for (const row of [overview(), ports(), guests(), bonds(), tunnels(), latency(), addresses(), workers(), daemon()]) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  const dashboard = builder.build();
  dashboard.panels?.forEach((panel, index) => {
    panel.id = index + 1;
  });
  return dashboard;
}

/** As it is committed. */
export function dashboardText(): string {
  return `${JSON.stringify(buildDashboard(), null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(dashboardText());
