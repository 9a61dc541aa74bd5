/**
 * How panels of the dashboard look: a few makers over Grafana's builders, so that dashboard.ts only says what is asked and why.
 * Called by dashboard.ts when the dashboard is written, never by the switch.
 */
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import { MappingType, ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapColorScale,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StateTimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The grid is this wide. */
export const FULL_SPAN = 24;
const STAT_HEIGHT = 4;
const GRAPH_HEIGHT = 8;

/** Whatever Prometheus the reader chooses at the top of the page. */
export const SOURCE: DataSourceRef = { type: 'prometheus', uid: '$' + '{datasource}' };

/** Expression, and the legend of its series. */
type Target = readonly [expression: string, legend: string];

interface Question {
  readonly title: string;
  /** What the number means and what to do about it: shown at the panel's corner. */
  readonly description: string;
  /** One of Grafana's unit names. */
  readonly unit: string;
  /** Columns of 24. */
  readonly span: number;
  readonly targets: readonly Target[];
}

interface GraphQuestion extends Question {
  readonly stacked?: boolean;
  readonly max?: number;
}

interface StatQuestion extends Question {
  /** From these values on the number turns yellow and red. */
  readonly limits?: readonly [warning: number, critical: number];
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

function queries(targets: readonly Target[]): DataqueryBuilder[] {
  return targets.map(([expression, legend], index) =>
    new DataqueryBuilder().expr(expression).legendFormat(legend).range().refId(refId(index)).datasource(SOURCE),
  );
}

/** Lines over time, with the last and the highest value beside each name. */
export function graph(question: GraphQuestion): TimeseriesBuilder {
  const legend = new VizLegendOptionsBuilder()
    .displayMode(LegendDisplayMode.Table)
    .placement(LegendPlacement.Bottom)
    .showLegend(true)
    .calcs(['lastNotNull', 'max']);
  const panel = new TimeseriesBuilder()
    .title(question.title)
    .description(question.description)
    .datasource(SOURCE)
    .unit(question.unit)
    .span(question.span)
    .height(GRAPH_HEIGHT)
    .min(0)
    .lineWidth(1)
    .fillOpacity(question.stacked ? 40 : 10)
    .gradientMode(GraphGradientMode.None)
    .showPoints(VisibilityMode.Never)
    .legend(legend)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(queries(question.targets));
  if (question.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (question.max !== undefined) panel.max(question.max);
  return panel;
}

/** One number now, with its course behind it. */
export function stat(question: StatQuestion): StatBuilder {
  const panel = new StatBuilder()
    .title(question.title)
    .description(question.description)
    .datasource(SOURCE)
    .unit(question.unit)
    .span(question.span)
    .height(STAT_HEIGHT)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(question.limits === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .targets(queries(question.targets));
  if (question.limits === undefined) return panel;
  const [warning, critical] = question.limits;
  return panel.thresholds(
    new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
      { value: null, color: 'green' },
      { value: warning, color: 'yellow' },
      { value: critical, color: 'red' },
    ]),
  );
}

/** A bar per series, coloured by 0 (down) and 1 (up). */
export function upDown(question: Question): StateTimelineBuilder {
  return new StateTimelineBuilder()
    .title(question.title)
    .description(question.description)
    .datasource(SOURCE)
    .unit(question.unit)
    .span(question.span)
    .height(GRAPH_HEIGHT)
    .showValue(VisibilityMode.Never)
    .mergeValues(true)
    .mappings([
      {
        type: MappingType.ValueToText,
        options: { '0': { text: 'down', color: 'red', index: 0 }, '1': { text: 'up', color: 'green', index: 1 } },
      },
    ])
    .targets(queries(question.targets));
}

/** A histogram's buckets over time; the expression must keep `le`. */
export function heatmap(question: Question): HeatmapBuilder {
  const targets = question.targets.map(([expression], index) =>
    new DataqueryBuilder()
      .expr(expression)
      .legendFormat('{{le}}')
      .format(PromQueryFormat.Heatmap)
      .range()
      .refId(refId(index))
      .datasource(SOURCE),
  );
  return new HeatmapBuilder()
    .title(question.title)
    .description(question.description)
    .datasource(SOURCE)
    .span(question.span)
    .height(GRAPH_HEIGHT)
    .calculate(false)
    .cellGap(1)
    .color(
      new HeatmapColorOptionsBuilder()
        .mode(HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .scale(HeatmapColorScale.Exponential)
        .exponent(0.5)
        .steps(64),
    )
    .yAxis(new YAxisConfigBuilder().unit(question.unit).axisPlacement(AxisPlacement.Left))
    .scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Linear))
    .showLegend()
    .targets(targets);
}
