/**
 * A Switch without devices, workers or arena: enough state to test the API, the CLI and the metrics over. Its document is real,
 * its counters are what a test sets. Never used outside tests.
 */
import { EventEmitter } from 'node:events';
import type { Document, PortDocument } from '../../../control/config/document.ts';
import { RequestError } from '../../../control/errors.ts';
import type { MetricsSource, PortSample } from '../../../control/metrics/source.ts';
import type {
  ApplyResult,
  BondCommand,
  BondRow,
  Capture,
  CapturedFrame,
  CaptureOptions,
  DropRow,
  FdbEntry,
  FdbFilter,
  FdbRow,
  PlannedStep,
  PortDetail,
  PortRow,
  Switch,
  SwitchEvent,
} from '../../../control/switch.ts';
import type { TunnelRow } from '../../../control/tunnel-rows.ts';

export const TWO_TENANTS: Document = {
  bridges: [
    {
      name: 'br0',
      ports: [
        { name: 'web', kind: 'tap', device: 'tap-web', netns: 'web', vlan: { mode: 'access', tag: 10 } },
        { name: 'db', kind: 'tap', device: 'tap-db', netns: 'db', vlan: { mode: 'access', tag: 20 } },
      ],
    },
    { name: 'br1', ports: [{ name: 'up', kind: 'tap' }] },
  ],
};

/** A capture whose queue holds `room` frames and counts what does not fit, as the real one does. */
export class FakeCapture implements Capture {
  lost = 0;
  closed = false;
  readonly #room: number;
  readonly #queue: CapturedFrame[] = [];
  #wake: (() => void) | null = null;
  constructor(room: number) {
    this.#room = room;
  }
  give(frame: CapturedFrame): void {
    if (this.closed || this.#queue.length >= this.#room) this.lost++;
    else this.#queue.push(frame);
    this.#wake?.();
  }
  async close(): Promise<void> {
    this.closed = true;
    this.#wake?.();
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<CapturedFrame> {
    while (true) {
      const frame = this.#queue.shift();
      if (frame !== undefined) yield frame;
      else if (this.closed) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

export class FakeSwitch implements Switch {
  document: Document;
  readonly events = new EventEmitter();
  readonly captures: { options: CaptureOptions; capture: FakeCapture }[] = [];
  readonly restarted: number[] = [];
  fdbRows: FdbRow[] = [];
  bondRows: BondRow[] = [];
  tunnelRows: TunnelRow[] = [];
  dropRows: DropRow[] = [
    {
      bridge: 'br0',
      port: 'web',
      reason: 'tagged-on-access',
      meaning: 'A tagged frame came in on an access port.',
      frames: 7,
    },
  ];
  readonly commands: { bridge: string; port: string; member: string; command: BondCommand }[] = [];
  /** Of every port. */
  settings: PortDetail['settings'] = {};
  details: PortDetail['details'] = {};
  saves = 0;
  closed = false;
  captureRoom = 100;

  constructor(document: Document = TWO_TENANTS) {
    this.document = structuredClone(document);
    this.events.setMaxListeners(0);
  }

  config(): Document {
    return this.document;
  }

  async apply(document: Document, options: { readonly dryRun: boolean }): Promise<ApplyResult> {
    const steps = diff(this.document, document);
    if (!options.dryRun) {
      this.document = document;
      this.emit({ type: 'config-applied', time: new Date(0).toISOString(), steps: steps.length });
    }
    return { applied: !options.dryRun, steps, undoes: [], warnings: [] };
  }

  async save(): Promise<{ readonly file: string }> {
    this.saves++;
    return { file: '/etc/weft/weft.yaml' };
  }

  async addPort(bridge: string, port: PortDocument): Promise<ApplyResult> {
    const next = structuredClone(this.document);
    const at = next.bridges.find((b) => b.name === bridge);
    if (at === undefined) throw new RequestError('no-bridge', `there is no bridge "${bridge}"`, null, 404);
    at.ports = [...(at.ports ?? []), port];
    return this.apply(next, { dryRun: false });
  }

  async deletePort(bridge: string, name: string): Promise<ApplyResult> {
    const next = structuredClone(this.document);
    const at = next.bridges.find((b) => b.name === bridge);
    if (at?.ports?.some((p) => p.name === name) !== true) {
      throw new RequestError('no-port', `bridge "${bridge}" has no port "${name}"`, 'weft show ports lists them', 404);
    }
    at.ports = at.ports.filter((p) => p.name !== name);
    return this.apply(next, { dryRun: false });
  }

  bridges() {
    return this.document.bridges.map((b) => ({
      name: b.name,
      ports: b.ports?.length ?? 0,
      fdbEntries: this.fdbRows.filter((row) => row.bridge === b.name).length,
      fdbLimit: b['fdb-limit'] ?? 65_536,
      ageing: b.ageing ?? 300,
    }));
  }

  ports(): PortRow[] {
    return this.document.bridges.flatMap((b) =>
      (b.ports ?? []).map(
        (p): PortRow => ({
          bridge: b.name,
          name: p.name,
          kind: p.kind,
          device: p.kind === 'tap' || p.kind === 'netdev' ? (p.device ?? p.name) : null,
          netns: p.kind === 'tap' ? (p.netns ?? null) : null,
          socket: p.kind === 'vhost-user' || p.kind === 'socket' ? p.socket : null,
          up: p.name !== 'db',
          reason: p.name === 'db' ? 'the namespace is gone' : null,
          vlan: p.vlan?.tag === undefined ? 'trunk all' : `access ${p.vlan.tag}`,
          mtu: p.mtu ?? 1500,
          speed: null,
          receive: { frames: 1_234_567, bytes: 1_500_000_000, segments: 2_000_000 },
          transmit: { frames: 10, bytes: 640, segments: 10 },
          missed: p.name === 'web' ? { 'tx-dropped': 3 } : {},
          dropped: p.name === 'web' ? { 'tagged-on-access': 7 } : {},
          fdbEntries: 1,
        }),
      ),
    );
  }

  port(bridge: string, name: string): PortDetail {
    const found = this.ports().find((row) => row.bridge === bridge && row.name === name);
    if (found === undefined) throw new RequestError('unknown-port', `there is no port ${name}`, null, 404);
    return { ...found, mac: '02:00:00:00:00:77', settings: this.settings, details: this.details };
  }

  fdb(filter: FdbFilter): FdbRow[] {
    return this.fdbRows.filter(
      (row) =>
        (filter.bridge === undefined || row.bridge === filter.bridge) &&
        (filter.port === undefined || row.port === filter.port) &&
        (filter.vlan === undefined || row.vlan === filter.vlan) &&
        (filter.mac === undefined || row.mac === filter.mac),
    );
  }

  async addFdb(entry: FdbEntry) {
    const { vlan = 0, remote = null, vni = null } = entry;
    this.fdbRows.push({ ...entry, vlan, age: null, remote, vni });
  }

  async deleteFdb(entry: { bridge: string; vlan: number; mac: string }) {
    const before = this.fdbRows.length;
    this.fdbRows = this.fdbRows.filter(
      (row) => row.mac !== entry.mac || row.vlan !== entry.vlan || row.bridge !== entry.bridge,
    );
    if (this.fdbRows.length === before) throw new RequestError('no-entry', `${entry.mac} is not there`, null, 404);
  }

  async flushFdb(filter: { bridge?: string | undefined; port?: string | undefined; vlan?: number | undefined }) {
    const gone = new Set(this.fdb(filter).filter((row) => row.type === 'learned'));
    this.fdbRows = this.fdbRows.filter((row) => !gone.has(row));
    return gone.size;
  }

  vlans() {
    return [{ bridge: 'br0', vlans: '10', tagged: [], untagged: ['web'] }];
  }

  workers() {
    return [
      {
        index: 0,
        cpu: 1,
        state: 'running' as const,
        restarts: 0,
        turns: 1000,
        busySeconds: 1.5,
        frames: 5000,
        activeFlows: 12,
        io: 'io_uring' as const,
      },
    ];
  }

  async restartWorker(index: number): Promise<void> {
    if (index !== 0) throw new RequestError('no-worker', `there is no worker ${index}`, null, 404);
    this.restarted.push(index);
  }

  drops(): DropRow[] {
    return this.dropRows;
  }

  tunnels(): TunnelRow[] {
    return this.tunnelRows;
  }

  bonds(): BondRow[] {
    return this.bondRows;
  }

  async commandMember(bridge: string, port: string, member: string, command: BondCommand): Promise<void> {
    const bond = this.bondRows.find((row) => row.bridge === bridge && row.name === port);
    if (bond?.members.some(({ name }) => name === member) !== true)
      throw new RequestError('unknown-member', `there is no member ${member} in ${bridge}/${port}`, null, 404);
    this.commands.push({ bridge, port, member, command });
  }

  capture(options: CaptureOptions): Capture {
    const found = this.ports().some((p) => p.name === options.port && (options.bridge ?? p.bridge) === p.bridge);
    if (!found)
      throw new RequestError('no-port', `there is no port "${options.port}"`, 'weft show ports lists them', 404);
    const capture = new FakeCapture(this.captureRoom);
    this.captures.push({ options, capture });
    return capture;
  }

  onEvent(listener: (event: SwitchEvent) => void): () => void {
    this.events.on('event', listener);
    return () => this.events.off('event', listener);
  }

  emit(event: SwitchEvent): void {
    this.events.emit('event', event);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function diff(before: Document, after: Document): PlannedStep[] {
  const names = (d: Document) => d.bridges.flatMap((b) => (b.ports ?? []).map((p) => `${b.name}/${p.name}`));
  const old = names(before);
  const wanted = names(after);
  return [
    ...old
      .filter((n) => !wanted.includes(n))
      .map((subject): PlannedStep => ({ verb: 'delete', subject, detail: 'tap' })),
    ...wanted.filter((n) => !old.includes(n)).map((subject): PlannedStep => ({ verb: 'add', subject, detail: 'tap' })),
  ];
}

export function portSample(bridge: string, port: string, change: Partial<PortSample> = {}): PortSample {
  return {
    bridge,
    port,
    kind: 'tap',
    up: true,
    speed: null,
    receiveFrames: 3,
    receiveBytes: 180,
    receiveSegments: 3,
    transmitFrames: 2,
    transmitBytes: 120,
    transmitSegments: 2,
    floodFrames: 1,
    fdbMoves: 0,
    learnLimited: 0,
    residence: Float64Array.from({ length: 18 }, (_, k) => (k === 3 ? 3 : 0)),
    residenceSum: 15e-6,
    guests: null,
    ...change,
  };
}

export function fakeSource(change: Partial<MetricsSource> = {}): MetricsSource {
  return {
    ports: () => [
      portSample('br0', 'web', { speed: 1e10 }),
      portSample('br0', 'db', { up: false }),
      portSample('br0', 'vm', {
        kind: 'vhost-user',
        guests: { connections: 4, refusedClients: 2, refusedMessages: 1 },
      }),
    ],
    bonds: () => [],
    tunnels: () => [],
    tunnelEndpoints: () => [],
    tunnelSenders: () => [],
    bridges: () => [{ bridge: 'br0', fdbEntries: 2, fdbLimit: 1024 }],
    evictions: () => 5,
    workers: () => [{ worker: 0, turns: 10, busySeconds: 0.5, restarts: 3, activeFlows: 1, tornReads: 6 }],
    drops: () => [
      { bridge: 'br0', port: 'web', reason: 'runt', frames: 0 },
      { bridge: 'br0', port: 'web', reason: 'egress-full', frames: 4 },
    ],
    missed: () => [{ bridge: 'br0', port: 'web', reason: 'tx-dropped', frames: 2 }],
    ...change,
  };
}
