/**
 * From the running model and the wanted one to an ordered list of actions. Pure: `--dry-run` prints the same list that
 * apply carries out. Called by the running switch on the main thread. What did not change gives no action.
 *
 * The order, and why: deletions come first, because a name, a device or an address that moves from one port to another
 * must be free before it is taken (the kernel refuses a second device of a name; a second gateway is refused too). Ports
 * go before their bridge. Then bridges come before the ports in them. Live changes lie between: they may need what a
 * deletion freed, and an added port may need what a change gave up.
 */
import { type BridgeModel, isTunnel, type Model, type PortModel } from '../model/model.ts';
import { recreatesTunnel } from './tunnel-changes.ts';

export type BridgeSettings = Omit<BridgeModel, 'ports'>;

/** What of a bridge changes without touching its ports. */
export const BRIDGE_KEYS = ['ageing', 'fdbLimit', 'forwardReserved'] as const;
export type BridgeKey = (typeof BRIDGE_KEYS)[number];

/** What of a port changes while it forwards. */
export const LIVE_KEYS = [
  'vlan',
  'mtu',
  'speed',
  'flood',
  'protected',
  'fdbLimit',
  'learning',
  'sticky',
  'forwardReserved',
  'fdb',
  'mac',
  'addresses',
  'gateways',
  'mtuFixed',
  'settings',
] as const;
export type LiveKey = (typeof LIVE_KEYS)[number];

/** What makes it another port: the old one goes, a new one comes. Of a tunnel's `settings` some do (tunnel-changes.ts). */
export const RECREATE_KEYS = [
  'kind',
  'memberOf',
  'device',
  'netns',
  'takeOver',
  'socket',
  'type',
  'mode',
  'group',
  'remote',
  'queues',
  'peer',
  'read',
  'write',
] as const;
export type RecreateKey = (typeof RECREATE_KEYS)[number] | 'settings';

/** What the running daemon cannot change; `workers.idle` it can. */
export type RestartKey = 'workers.count' | 'workers.cpus' | 'workers.io' | 'api.socket' | 'metrics.listen';

export type Action =
  | {
      readonly type: 'delete-port';
      readonly bridge: string;
      readonly port: PortModel;
      /** Not empty: the port comes back in this plan with these keys changed. */
      readonly recreate: readonly RecreateKey[];
      readonly after: PortModel | null;
    }
  | { readonly type: 'delete-bridge'; readonly bridge: BridgeSettings }
  | {
      readonly type: 'change-idle';
      readonly before: Model['workers']['idle'];
      readonly after: Model['workers']['idle'];
    }
  | { readonly type: 'add-bridge'; readonly bridge: BridgeSettings }
  | {
      readonly type: 'change-bridge';
      readonly before: BridgeSettings;
      readonly after: BridgeSettings;
      readonly keys: readonly BridgeKey[];
    }
  | {
      readonly type: 'change-port';
      readonly bridge: string;
      readonly before: PortModel;
      readonly after: PortModel;
      /** All of them live. */
      readonly keys: readonly LiveKey[];
    }
  | { readonly type: 'add-port'; readonly bridge: string; readonly port: PortModel; readonly recreate: boolean }
  | { readonly type: 'restart-needed'; readonly key: RestartKey; readonly before: string; readonly after: string };

export interface Plan {
  readonly actions: readonly Action[];
  /** One sentence for each `restart-needed`. */
  readonly warnings: readonly string[];
}

/** Models are plain data with keys in one order, so that their JSON decides. */
function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function changed<K extends string>(keys: readonly K[], before: object, after: object): K[] {
  const [a, b] = [before as Partial<Record<K, unknown>>, after as Partial<Record<K, unknown>>];
  return keys.filter((key) => !same(a[key], b[key]));
}

export function settingsOf(bridge: BridgeModel): BridgeSettings {
  const { ports: _, ...settings } = bridge;
  return settings;
}

/** Actions in the making, by their place in the order. */
class Steps {
  readonly deletePorts: Action[] = [];
  readonly deleteBridges: Action[] = [];
  readonly addBridges: Action[] = [];
  readonly changeBridges: Action[] = [];
  readonly changePorts: Extract<Action, { type: 'change-port' }>[] = [];
  readonly addPorts: Action[] = [];

  inOrder(): Action[] {
    const givers = this.changePorts.filter(givesUp);
    const others = this.changePorts.filter((action) => !givesUp(action));
    return [
      ...this.deletePorts,
      ...this.deleteBridges,
      ...this.addBridges,
      ...this.changeBridges,
      ...givers,
      ...others,
      ...this.addPorts,
    ];
  }
}

/** Does the change free an address or gateway that another port may be about to take? */
function givesUp(action: Extract<Action, { type: 'change-port' }>): boolean {
  const { before, after } = action;
  if (before.kind !== 'tap' || after.kind !== 'tap') return false;
  const lost = (had: readonly string[], has: readonly string[]) => had.some((item) => !has.includes(item));
  return lost(before.addresses, after.addresses) || lost(before.gateways, after.gateways);
}

/** What makes `after` another port than `before`. Another kind is one whatever else differs, which is not worth a word. */
function recreateKeys(before: PortModel, after: PortModel): readonly RecreateKey[] {
  if (before.kind !== after.kind) return ['kind'];
  const keys = changed(RECREATE_KEYS, before, after);
  if (!isTunnel(before) || !isTunnel(after) || !recreatesTunnel(before.settings, after.settings)) return keys;
  return [...keys, 'settings'];
}

function planPort(steps: Steps, bridge: string, before: PortModel, after: PortModel): void {
  const recreate = recreateKeys(before, after);
  if (recreate.length > 0) {
    steps.deletePorts.push({ type: 'delete-port', bridge, port: before, recreate, after });
    steps.addPorts.push({ type: 'add-port', bridge, port: after, recreate: true });
    return;
  }
  const keys = changed(LIVE_KEYS, before, after);
  if (keys.length > 0) steps.changePorts.push({ type: 'change-port', bridge, before, after, keys });
}

function planPorts(steps: Steps, bridge: string, before: readonly PortModel[], after: readonly PortModel[]): void {
  const wanted = new Map(after.map((port) => [port.name, port]));
  for (const port of before) {
    const next = wanted.get(port.name);
    if (next !== undefined) planPort(steps, bridge, port, next);
    else steps.deletePorts.push({ type: 'delete-port', bridge, port, recreate: [], after: null });
  }
  const had = new Set(before.map((port) => port.name));
  for (const port of after) {
    if (!had.has(port.name)) steps.addPorts.push({ type: 'add-port', bridge, port, recreate: false });
  }
}

function planBridges(steps: Steps, before: readonly BridgeModel[], after: readonly BridgeModel[]): void {
  const wanted = new Map(after.map((bridge) => [bridge.name, bridge]));
  const had = new Map(before.map((bridge) => [bridge.name, bridge]));
  for (const bridge of before) {
    const next = wanted.get(bridge.name);
    planPorts(steps, bridge.name, bridge.ports, next?.ports ?? []);
    if (next === undefined) {
      steps.deleteBridges.push({ type: 'delete-bridge', bridge: settingsOf(bridge) });
      continue;
    }
    const keys = changed(BRIDGE_KEYS, bridge, next);
    if (keys.length === 0) continue;
    steps.changeBridges.push({ type: 'change-bridge', before: settingsOf(bridge), after: settingsOf(next), keys });
  }
  for (const bridge of after) {
    if (had.has(bridge.name)) continue;
    steps.addBridges.push({ type: 'add-bridge', bridge: settingsOf(bridge) });
    planPorts(steps, bridge.name, [], bridge.ports);
  }
}

/** What takes effect only at the next start, as text for people. */
function restartValues(model: Model): Record<RestartKey, string> {
  return {
    'workers.count': String(model.workers.count),
    'workers.cpus': model.workers.cpus?.join(', ') ?? 'any',
    'workers.io': model.workers.io,
    'api.socket': model.api.socket ?? 'default',
    'metrics.listen': model.metrics === null ? 'off' : `${model.metrics.host}:${model.metrics.port}`,
  };
}

function planRestarts(current: Model, wanted: Model): Extract<Action, { type: 'restart-needed' }>[] {
  const before = restartValues(current);
  const after = restartValues(wanted);
  const keys = Object.keys(before) as RestartKey[];
  return keys
    .filter((key) => before[key] !== after[key])
    .map((key) => ({ type: 'restart-needed', key, before: before[key], after: after[key] }));
}

/** `current` is null at the start: everything is added, and nothing needs a restart. */
export function plan(current: Model | null, wanted: Model): Plan {
  const steps = new Steps();
  planBridges(steps, current?.bridges ?? [], wanted.bridges);
  const actions = steps.inOrder();
  if (current === null) return { actions, warnings: [] };
  if (current.workers.idle !== wanted.workers.idle) {
    actions.push({ type: 'change-idle', before: current.workers.idle, after: wanted.workers.idle });
  }
  const restarts = planRestarts(current, wanted);
  return {
    actions: [...actions, ...restarts],
    warnings: restarts.map(
      ({ key, before, after }) => `${key}: ${before} → ${after} takes effect when weft is started again`,
    ),
  };
}
