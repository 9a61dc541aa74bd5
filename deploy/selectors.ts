/**
 * Which series a panel means: those of the switch, bridges and ports chosen at the top of the page; and what its rows consist of.
 * Used by the rows. Series of losses begin with the first loss, so sums of them fall back to zero.
 */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';

export interface Row {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

export const SWITCH = 'instance="$instance"';
export const BRIDGE = `${SWITCH},bridge=~"$bridge"`;
export const PORT = `${BRIDGE},port=~"$port"`;
export const BY_PORT = '{{bridge}}/{{port}}';
export const BY_PORT_AND_REASON = `${BY_PORT} {{reason}}`;

/** Per second, over as many scrapes as Grafana holds for safe. */
export function rate(metric: string, labels: string): string {
  return `rate(${metric}{${labels}}[$__rate_interval])`;
}
