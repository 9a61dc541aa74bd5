/**
 * Actions as a person reads them, for `--dry-run`, the API's answer and the log; and what an apply would undo.
 * Pure; called by the running switch on the main thread.
 */
import { type FdbEntryModel, type FloodModel, isTunnel, type Model, type PortModel } from '../model/model.ts';
import { describeVlan, type VlanModel } from '../model/vlan.ts';
import type { PlannedStep } from '../switch.ts';
import { bondChanges, describeBond } from './describe-bond.ts';
import { type Action, plan } from './plan.ts';
import { describeTunnel, tunnelChanges } from './tunnel-changes.ts';

/** Keys as the document writes them. */
const WRITTEN: Readonly<Record<string, string>> = {
  fdbLimit: 'fdb-limit',
  forwardReserved: 'forward-reserved',
  addresses: 'address',
  gateways: 'gateway',
  takeOver: 'take-over',
  mtuFixed: 'mtu as written',
};

function describeFlood(flood: FloodModel): string {
  const on = Object.entries(flood).flatMap(([what, is]) => (is ? [what] : []));
  return on.length === 3 ? 'all' : on.join(', ') || 'none';
}

function describeReserved(mask: number): string {
  if (mask === 0xffff) return 'all';
  const on = Array.from({ length: 16 }, (_, i) => i).filter((i) => (mask >> i) & 1);
  return on.map((i) => `-0${i.toString(16).toUpperCase()}`).join(', ') || 'none';
}

/** One value of a model, short. */
function describeValue(key: string, value: unknown): string {
  if (key === 'vlan') return describeVlan(value as VlanModel);
  if (key === 'flood') return describeFlood(value as FloodModel);
  if (key === 'forwardReserved') return describeReserved(value as number);
  if (key === 'fdb') return `${(value as FdbEntryModel[]).length} entries`;
  if (key === 'peer') {
    const peer = value as { bridge: string; port: string } | undefined;
    return peer === undefined ? 'none' : `${peer.bridge}/${peer.port}`;
  }
  if (key === 'ageing' && value === 0) return 'never';
  if (key === 'queues' && value === null) return 'as many as workers';
  if (Array.isArray(value)) return value.join(', ') || 'none';
  return value === null || value === undefined ? 'none' : String(value);
}

/** What bonds and tunnels keep apart from their ports' common keys. */
function settingsChanges(before: PortModel, after: PortModel): string[] {
  if (before.kind === 'bond' && after.kind === 'bond') return bondChanges(before.settings, after.settings);
  return isTunnel(before) && isTunnel(after) ? tunnelChanges(before.settings, after.settings) : [];
}

function describeChange(keys: readonly string[], before: object, after: object): string {
  const [a, b] = [before as Record<string, unknown>, after as Record<string, unknown>];
  return keys
    .filter((key) => key !== 'mtuFixed' || !keys.includes('mtu'))
    .flatMap((key) => {
      if (key === 'settings') return settingsChanges(before as PortModel, after as PortModel);
      const [from, to] = [describeValue(key, a[key]), describeValue(key, b[key])];
      return [from === to ? `${WRITTEN[key] ?? key} changes` : `${WRITTEN[key] ?? key} ${from} → ${to}`];
    })
    .join('; ');
}

function forGroup({ group }: { readonly group: string | null }): string {
  return group === null ? '' : ` for group ${group}`;
}

/** A member's VLANs are its bond's. */
function describePort(port: PortModel): string {
  const text = describeOwn(port);
  return port.memberOf === null ? `${text}, ${describeVlan(port.vlan)}` : `member of ${port.memberOf}, ${text}`;
}

function describeOwn(port: PortModel): string {
  switch (port.kind) {
    case 'tap': {
      const where = port.netns === null ? '' : ` in namespace ${port.netns}`;
      const addresses = port.addresses.length === 0 ? '' : `, ${port.addresses.join(', ')}`;
      return `tap ${port.device}${where}${addresses}`;
    }
    case 'netdev':
      return `netdev ${port.device}${port.takeOver === null ? '' : `, taken over by ${port.takeOver}`}`;
    case 'vhost-user':
      return `vhost-user ${port.mode} at ${port.socket}${forGroup(port)}`;
    case 'socket': {
      const way = port.remote === null ? port.mode : `to ${port.remote}`;
      return `socket ${port.type} ${way} at ${port.socket}${forGroup(port)}`;
    }
    case 'bond':
      return describeBond(port.settings);
    case 'vxlan':
    case 'geneve':
    case 'gre':
      return describeTunnel(port.settings);
    case 'patch':
      return `patch to ${port.peer.bridge}/${port.peer.port}`;
    case 'pcap':
      return `pcap${port.read === null ? '' : ` reading ${port.read}`}${port.write === null ? '' : ` writing ${port.write}`}`;
    default:
      return port.kind;
  }
}

/** One action as a step of the plan that people read. */
export function describe(action: Action): PlannedStep {
  switch (action.type) {
    case 'delete-port': {
      const subject = `${action.bridge}/${action.port.name}`;
      if (action.after === null) return { verb: 'delete', subject, detail: describePort(action.port) };
      const why = describeChange(action.recreate, action.port, action.after);
      return { verb: 'delete', subject, detail: `to make it again: ${why}` };
    }
    case 'delete-bridge':
      return { verb: 'delete', subject: action.bridge.name, detail: 'bridge' };
    case 'add-bridge': {
      const { name, fdbLimit, ageing } = action.bridge;
      return {
        verb: 'add',
        subject: name,
        detail: `bridge, fdb-limit ${fdbLimit}, ageing ${describeValue('ageing', ageing)}`,
      };
    }
    case 'change-bridge':
      return {
        verb: 'change',
        subject: action.after.name,
        detail: describeChange(action.keys, action.before, action.after),
      };
    case 'change-port': {
      const detail = describeChange(action.keys, action.before, action.after);
      return { verb: 'change', subject: `${action.bridge}/${action.after.name}`, detail };
    }
    case 'add-port':
      return { verb: 'add', subject: `${action.bridge}/${action.port.name}`, detail: describePort(action.port) };
    case 'change-idle':
      return { verb: 'change', subject: 'workers.idle', detail: `${action.before} → ${action.after}` };
    case 'restart-needed':
      return { verb: 'change', subject: action.key, detail: `${action.before} → ${action.after}, at the next start` };
  }
}

const PAST = { delete: 'deleted', add: 'added' } as const;

/** Subject to what was done to it: the changes that lead from one model to another. */
function changesBetween(from: Model, to: Model): Map<string, string> {
  const changes = new Map<string, string>();
  for (const action of plan(from, to).actions) {
    if (action.type === 'restart-needed') continue;
    const { verb, subject, detail } = describe(action);
    const earlier = changes.get(subject);
    // A port that is made again is one change: its deletion already says what changes.
    if (earlier === undefined) changes.set(subject, verb === 'change' ? detail : `${PAST[verb]}: ${detail}`);
  }
  return changes;
}

/**
 * What an apply of `wanted` undoes: changes that commands made to `running` since `saved` (the document as it was last
 * applied or saved), on subjects that `wanted` has otherwise than `running`. Lines as `bridge/port: what`.
 */
export function undoes(saved: Model, running: Model, wanted: Model): string[] {
  const made = changesBetween(saved, running);
  const coming = changesBetween(running, wanted);
  return [...made].flatMap(([subject, what]) => (coming.has(subject) ? [`${subject}: ${what}`] : []));
}
