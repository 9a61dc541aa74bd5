/**
 * The selection logic (IEEE 802.1AX-2014, 6.4.14): which aggregator a port belongs to. Ports with the same LAG ID (6.3.6) share one; an
 * aggregator has the number of the port that founded it. Called by system.ts. Pure.
 */
import type { LacpActor, LacpPort } from './port.ts';

type Ports = ReadonlyMap<string, LacpPort>;

/** Its partner can't aggregate, or there is none: it is alone in its aggregator. */
export function isIndividual({ state, partner }: LacpPort): boolean {
  return !state.aggregation || !partner.state.aggregation;
}

/** The partner is a port of ours, or the same one: our own LACPDUs came back. Such a link would be a loop. */
function isLooped(port: LacpPort, ports: Ports, { system, systemPriority }: LacpActor): boolean {
  const { partner, state } = port;
  if (state.defaulted || partner.system !== system || partner.systemPriority !== systemPriority) return false;
  for (const { key } of ports.values()) if (key === partner.key) return true;
  return false;
}

/** What ports of one aggregator have in common. */
function lagId(port: LacpPort): string {
  const { partner, key } = port;
  const shared = `${key} ${partner.systemPriority} ${partner.system} ${partner.key}`;
  return isIndividual(port) ? `${shared} ${port.number} ${partner.portPriority} ${partner.port}` : shared;
}

/** Ports that have no aggregator and have left the last one find theirs. Returns the same map when there are none. */
export function selectAggregators(ports: Ports, actor: LacpActor): Ports {
  let selected: Map<string, LacpPort> | null = null;
  for (const [id, port] of ports) {
    if (port.aggregator !== null || !port.up || port.mux !== 'DETACHED') continue;
    if (isLooped(port, ports, actor)) continue;
    selected ??= new Map(ports);
    selected.set(id, { ...port, aggregator: aggregatorFor(port, selected), selected: 'standby' });
  }
  return selected ?? ports;
}

function aggregatorFor(port: LacpPort, ports: Ports): number {
  const wanted = lagId(port);
  const taken = new Set<number>();
  for (const other of ports.values()) {
    if (other.aggregator === null) continue;
    if (lagId(other) === wanted) return other.aggregator;
    taken.add(other.aggregator);
  }
  if (!taken.has(port.number)) return port.number;
  const free = [...ports.values()].map(({ number }) => number).filter((number) => !taken.has(number));
  return Math.min(...free);
}

/** Ports of the aggregator in use are SELECTED, those of others and held ones STANDBY. Returns the same map when nothing changed. */
export function markSelected(ports: Ports, active: number | null): Ports {
  let marked: Map<string, LacpPort> | null = null;
  for (const [id, port] of ports) {
    if (port.aggregator === null) continue;
    const selected = port.aggregator === active && !port.held ? 'selected' : 'standby';
    if (port.selected === selected) continue;
    marked ??= new Map(ports);
    marked.set(id, { ...port, selected });
  }
  return marked ?? ports;
}

/** Ready of 6.4.8: every port that shall attach to this aggregator has waited long enough. One that is down or held keeps nobody waiting. */
export function isReady(ports: Ports, aggregator: number | null, now: number): boolean {
  for (const port of ports.values()) {
    if (port.aggregator !== aggregator || !port.up || port.held) continue;
    if (port.mux === 'DETACHED' || (port.mux === 'WAITING' && now < port.waitUntil)) return false;
  }
  return true;
}
