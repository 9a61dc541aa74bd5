/**
 * Which numbers bridges and ports have in the arena, and what each port's device is doing. The running switch writes it; show, metrics
 * and captures read it. Main thread.
 */
import { BRIDGES_MAX, PORTS_MAX } from '../../dataplane/limits.ts';
import { PortKind, Takes } from '../../dataplane/tables/port-layout.ts';
import type { TableBridge, TablePort } from '../compile/table-port.ts';
import type { PortDevice } from '../devices/port-device.ts';
import { RequestError } from '../errors.ts';
import type { BridgeModel, PortModel } from '../model/model.ts';

/** A TAP that weft made, open. */
export interface HeldTap {
  readonly by: 'tap';
  readonly handle: number;
  readonly takes: number;
  /** What tunnels made of the document's MTU (bridge-mtu.ts); 0: unknown. */
  mtu?: number;
}

/** What the opener of a port's kind opened, and what workers and tables make of it (opened-port.ts). */
export interface OpenedBacking {
  readonly by: 'opener';
  /** The port's number. */
  readonly number: number;
  readonly device: PortDevice;
  /** What workers serve; null: nothing. */
  readonly handle: number | null;
  /** What the tables say that it takes. */
  takes: number;
  readonly up: boolean;
  readonly reason: string | null;
  enter(number: number): void;
  follow(): Promise<string | null>;
  retire(): void;
  letGo(): Promise<void>;
  close(): Promise<void>;
}

/** What a port's frames come from and go to, outside the workers. */
export type Backing = HeldTap | OpenedBacking;

/** A port of the running switch. */
export interface PortState {
  readonly number: number;
  readonly bridge: string;
  model: PortModel;
  /** The opened device; null for kinds without one, and while it could not be opened. */
  device: Backing | null;
  up: boolean;
  /** Why it is down; null when it is up. */
  reason: string | null;
  /** It is being deleted: a worker that starts now must not take it up. */
  leaving: boolean;
  /** What somebody renamed the device to; null: it has its own name. */
  renamedTo: string | null;
  /** The kernel's tx_dropped when the port was made: what was lost before is not ours. */
  missedBase: number;
}

export interface BridgeState {
  readonly number: number;
  model: Omit<BridgeModel, 'ports'>;
}

const KINDS: Readonly<Record<PortModel['kind'], number>> = {
  tap: PortKind.TAP,
  netdev: PortKind.NETDEV,
  'vhost-user': PortKind.VHOST_USER,
  socket: PortKind.SOCKET,
  memory: PortKind.MEMORY,
  pcap: PortKind.PCAP,
  null: PortKind.NULL,
  patch: PortKind.PATCH,
  bond: PortKind.BOND,
  vxlan: PortKind.VXLAN,
  geneve: PortKind.GENEVE,
  gre: PortKind.GRE,
};

/** Bits of TUN_F_* (linux/if_tun.h) as what an egress takes unfinished. */
export function takesOf(offloads: number): number {
  let takes = 0;
  if ((offloads & 0x01) !== 0) takes |= Takes.CHECKSUM;
  if ((offloads & 0x02) !== 0) takes |= Takes.TSO4;
  if ((offloads & 0x04) !== 0) takes |= Takes.TSO6;
  if ((offloads & 0x60) === 0x60) takes |= Takes.USO;
  return takes;
}

/** Numbers 1 to max − 1; a number that was given back is used again last, so that late counts meet nobody. */
class Numbers {
  readonly #free: number[];
  readonly #what: string;
  constructor(max: number, what: string) {
    this.#free = Array.from({ length: max - 1 }, (_, k) => k + 1);
    this.#what = what;
  }
  take(): number {
    const number = this.#free.shift();
    if (number === undefined)
      throw new RequestError(`too-many-${this.#what}`, `no more ${this.#what} fit into one daemon`);
    return number;
  }
  give(number: number): void {
    this.#free.push(number);
  }
}

export class PortBook {
  readonly #portNumbers = new Numbers(PORTS_MAX, 'ports');
  readonly #bridgeNumbers = new Numbers(BRIDGES_MAX, 'bridges');
  readonly #ports = new Map<string, PortState>();
  readonly #byNumber = new Map<number, PortState>();
  readonly #bridges = new Map<string, BridgeState>();

  addBridge(model: BridgeState['model']): BridgeState {
    const state = { number: this.#bridgeNumbers.take(), model };
    this.#bridges.set(model.name, state);
    return state;
  }

  removeBridge(name: string): void {
    const state = this.#bridges.get(name);
    if (state === undefined) return;
    this.#bridges.delete(name);
    this.#bridgeNumbers.give(state.number);
  }

  addPort(bridge: string, model: PortModel): PortState {
    const state: PortState = {
      number: this.#portNumbers.take(),
      bridge,
      model,
      device: null,
      up: false,
      reason: 'starting',
      leaving: false,
      renamedTo: null,
      missedBase: 0,
    };
    this.#ports.set(`${bridge}/${model.name}`, state);
    this.#byNumber.set(state.number, state);
    return state;
  }

  /** A number for what no bridge has as a port: a tunnel's endpoint. */
  takeNumber(): number {
    return this.#portNumbers.take();
  }

  giveNumber(number: number): void {
    this.#portNumbers.give(number);
  }

  removePort(state: PortState): void {
    this.#ports.delete(`${state.bridge}/${state.model.name}`);
    this.#byNumber.delete(state.number);
    this.#portNumbers.give(state.number);
  }

  bridge(name: string): BridgeState {
    const found = this.#bridges.get(name);
    if (found === undefined) throw unknown('bridge', name, [...this.#bridges.keys()]);
    return found;
  }

  bridgeByNumber(number: number): BridgeState | undefined {
    return [...this.#bridges.values()].find((bridge) => bridge.number === number);
  }

  /** The port, or null where there is none. */
  find(bridge: string, name: string): PortState | null {
    return this.#ports.get(`${bridge}/${name}`) ?? null;
  }

  port(bridge: string, name: string): PortState {
    const found = this.#ports.get(`${this.bridge(bridge).model.name}/${name}`);
    if (found === undefined)
      throw unknown(
        'port',
        name,
        this.portsOf(bridge).map((port) => port.model.name),
      );
    return found;
  }

  /** A port by name alone, where that names one; throws when several bridges have it. */
  portAnywhere(name: string, bridge?: string): PortState {
    if (bridge !== undefined) return this.port(bridge, name);
    const found = [...this.#ports.values()].filter((port) => port.model.name === name);
    if (found.length === 1) return found[0]!;
    // `bridge/port`, where the port may be a bond's member and have a slash of its own.
    const slash = name.indexOf('/');
    if (slash > 0 && found.length === 0) return this.port(name.slice(0, slash), name.slice(slash + 1));
    if (found.length === 0)
      throw unknown(
        'port',
        name,
        [...this.#ports.values()].map((port) => port.model.name),
      );
    throw new RequestError(
      'ambiguous-port',
      `port ${name} is in ${found.length} bridges`,
      `say ${found.map((port) => `${port.bridge}/${name}`).join(' or ')}`,
    );
  }

  byNumber(number: number): PortState | undefined {
    return this.#byNumber.get(number);
  }

  ports(): PortState[] {
    return [...this.#ports.values()];
  }

  portsOf(bridge: string): PortState[] {
    return this.ports().filter((port) => port.bridge === bridge);
  }

  bridges(): BridgeState[] {
    return [...this.#bridges.values()];
  }

  tableBridges(): TableBridge[] {
    return this.bridges().map(({ number, model }) => ({ number, fdbLimit: model.fdbLimit, ageing: model.ageing }));
  }

  /** Ports as compile wants them. A patch whose other side is missing is down. */
  tablePorts(): TablePort[] {
    return this.ports().map((state) => {
      const { model } = state;
      const bridge = this.bridge(state.bridge);
      const peer = model.kind === 'patch' ? this.#ports.get(`${model.peer.bridge}/${model.peer.port}`) : undefined;
      return {
        number: state.number,
        bridge: model.memberOf === null ? bridge.number : 0,
        kind: KINDS[model.kind],
        up: model.kind === 'patch' ? peer !== undefined : state.up,
        mtu: model.mtu,
        vlan: model.vlan,
        flood: model.flood,
        protected: model.protected,
        learning: model.learning,
        sticky: model.sticky,
        fdbLimit: model.fdbLimit ?? 0,
        reserved: model.forwardReserved | bridge.model.forwardReserved,
        takes: takesIn(state),
        bond: state.device?.by === 'opener' ? (state.device.device.bond ?? 0) : 0,
        tunnel: state.device?.by === 'opener' ? (state.device.device.tunnel ?? null) : null,
        peer: peer?.number ?? 0,
      };
    });
  }
}

/** What frames to a port may leave unfinished. Other ends in this process take everything, a file nothing. */
function takesIn({ model, device }: PortState): number {
  if (model.kind === 'pcap') return 0;
  return model.kind === 'patch' || model.kind === 'memory' || model.kind === 'null' ? Takes.ALL : (device?.takes ?? 0);
}

/** The TAP of a port that has one now. */
export function heldTap({ device }: PortState): HeldTap | null {
  return device?.by === 'tap' ? device : null;
}

/** The name that a tap port's device has now, whatever the document calls it. */
export function deviceName({ model, renamedTo }: PortState): string | null {
  return model.kind === 'tap' ? (renamedTo ?? model.device) : null;
}

function unknown(what: string, name: string, known: readonly string[]): RequestError {
  const hint =
    known.length === 0
      ? `there is no ${what} yet`
      : `there ${known.length === 1 ? 'is' : 'are'}: ${known.slice(0, 20).join(', ')}`;
  return new RequestError(`unknown-${what}`, `there is no ${what} ${name}`, hint, 404);
}
