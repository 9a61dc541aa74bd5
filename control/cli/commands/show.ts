/**
 * `weft show`: what the running switch is and counts, as tables or as the API's own JSON.
 */
import { Argument, type Command } from 'commander';
import type { Document } from '../../config/document.ts';
import { RequestError } from '../../errors.ts';
import type { BondRow, BridgeRow, DropRow, FdbRow, PortRow, VlanRow, WorkerRow } from '../../switch.ts';
import type { TunnelRow } from '../../tunnel-rows.ts';
import { bondNamed, bondTable, printBond } from '../bonds.ts';
import { type Client, query } from '../client.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { type Io, print, printJson } from '../io.ts';
import { type Column, tableLines } from '../table.ts';
import { printTunnel, tunnelNamed, tunnelTable } from '../tunnels.ts';
import { formatAge, formatBitRate, formatBytes, formatCount } from '../units.ts';

const WHATS = ['config', 'bridges', 'ports', 'fdb', 'vlans', 'bonds', 'tunnels', 'workers', 'drops'] as const;
type What = (typeof WHATS)[number];

interface ShowOptions {
  readonly json?: boolean;
  readonly bridge?: string;
  readonly port?: string;
  readonly vlan?: string;
  readonly mac?: string;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, value) => total + value, 0);
}

const loss = (value: number) => (value > 0 ? ('yellow' as const) : null);

const BRIDGES: readonly Column<BridgeRow>[] = [
  { title: 'BRIDGE', text: (b) => b.name },
  { title: 'PORTS', text: (b) => String(b.ports), right: true },
  { title: 'ADDRESSES', text: (b) => `${b.fdbEntries} of ${b.fdbLimit}`, right: true },
  { title: 'AGEING', text: (b) => (b.ageing === 0 ? 'never' : formatAge(b.ageing)), right: true, drop: 1 },
];

const PORTS: readonly Column<PortRow>[] = [
  { title: 'PORT', text: (p) => `${p.bridge}/${p.name}` },
  { title: 'STATE', text: (p) => (p.up ? 'up' : 'down'), colour: (p) => (p.up ? 'green' : 'red') },
  { title: 'KIND', text: (p) => p.kind, drop: 4 },
  { title: 'VLAN', text: (p) => p.vlan },
  {
    title: 'DEVICE',
    text: (p) => (p.device === null ? (p.socket ?? '') : p.netns === null ? p.device : `${p.device} in ${p.netns}`),
    drop: 5,
  },
  { title: 'MTU', text: (p) => String(p.mtu), right: true, drop: 8 },
  { title: 'SPEED', text: (p) => (p.speed === null ? '' : formatBitRate(p.speed)), right: true, drop: 9 },
  { title: 'RX FRAMES', text: (p) => formatCount(p.receive.frames), right: true },
  { title: 'RX BYTES', text: (p) => formatBytes(p.receive.bytes), right: true, drop: 6 },
  { title: 'TX FRAMES', text: (p) => formatCount(p.transmit.frames), right: true },
  { title: 'TX BYTES', text: (p) => formatBytes(p.transmit.bytes), right: true, drop: 6 },
  {
    title: 'MISSED',
    text: (p) => formatCount(sum(p.missed)),
    right: true,
    drop: 3,
    colour: (p) => loss(sum(p.missed)),
  },
  {
    title: 'DROPPED',
    text: (p) => formatCount(sum(p.dropped)),
    right: true,
    drop: 2,
    colour: (p) => loss(sum(p.dropped)),
  },
  { title: 'ADDRESSES', text: (p) => formatCount(p.fdbEntries), right: true, drop: 7 },
  { title: 'WHY DOWN', text: (p) => p.reason ?? '', drop: 1, colour: () => 'red' },
];

const FDB: readonly Column<FdbRow>[] = [
  { title: 'BRIDGE', text: (e) => e.bridge, drop: 1 },
  { title: 'VLAN', text: (e) => String(e.vlan), right: true },
  { title: 'ADDRESS', text: (e) => e.mac },
  { title: 'PORT', text: (e) => e.port },
  { title: 'REMOTE', text: (e) => (e.vni === null ? (e.remote ?? '') : `${e.remote ?? ''} VNI ${e.vni}`.trim()) },
  { title: 'TYPE', text: (e) => e.type, drop: 3 },
  { title: 'SEEN', text: (e) => (e.age === null ? '' : `${formatAge(e.age)} ago`), right: true, drop: 2 },
];

const VLANS: readonly Column<VlanRow>[] = [
  { title: 'BRIDGE', text: (v) => v.bridge },
  { title: 'VLANS', text: (v) => v.vlans },
  { title: 'UNTAGGED', text: (v) => v.untagged.join(' ') },
  { title: 'TAGGED', text: (v) => v.tagged.join(' ') },
];

const WORKERS: readonly Column<WorkerRow>[] = [
  { title: 'WORKER', text: (w) => String(w.index), right: true },
  { title: 'STATE', text: (w) => w.state, colour: (w) => (w.state === 'running' ? 'green' : 'yellow') },
  { title: 'CPU', text: (w) => (w.cpu === null ? 'any' : String(w.cpu)), right: true },
  { title: 'FRAMES', text: (w) => formatCount(w.frames), right: true },
  { title: 'TURNS', text: (w) => formatCount(w.turns), right: true, drop: 2 },
  { title: 'BUSY', text: (w) => `${w.busySeconds.toFixed(1)} s`, right: true },
  { title: 'FLOWS', text: (w) => formatCount(w.activeFlows), right: true, drop: 1 },
  { title: 'RESTARTS', text: (w) => String(w.restarts), right: true, colour: (w) => loss(w.restarts) },
  { title: 'TAP I/O', text: (w) => w.io, drop: 3 },
];

const DROPS: readonly Column<DropRow>[] = [
  { title: 'PORT', text: (d) => (d.bridge === '' ? d.port : `${d.bridge}/${d.port}`) },
  { title: 'REASON', text: (d) => d.reason },
  { title: 'FRAMES', text: (d) => formatCount(d.frames), right: true },
  { title: 'MEANS', text: (d) => d.meaning, drop: 1 },
];

function table<Row>(io: Io, rows: readonly Row[], columns: readonly Column<Row>[], none: string): void {
  if (rows.length === 0) print(io, none);
  else for (const line of tableLines(rows, columns, io)) print(io, line);
}

function printFdb(io: Io, rows: readonly FdbRow[]): void {
  const remote = rows.some((row) => row.remote !== null || row.vni !== null);
  table(io, rows, remote ? FDB : FDB.filter(({ title }) => title !== 'REMOTE'), 'no addresses');
}

async function fetchRows(client: Client, what: What, options: ShowOptions): Promise<unknown> {
  if (what !== 'fdb') return client.get(`/v1/${what}`);
  const slash = options.port?.indexOf('/') ?? -1;
  const bridge = slash > 0 ? options.port?.slice(0, slash) : options.bridge;
  const port = slash > 0 ? options.port?.slice(slash + 1) : options.port;
  return client.get(`/v1/fdb${query({ bridge, port, vlan: options.vlan, mac: options.mac })}`);
}

async function printRows(io: Io, what: What, rows: unknown): Promise<void> {
  switch (what) {
    case 'config': {
      const { toYaml } = await import('../../config/save.ts');
      return void io.out.write(toYaml(rows as Document));
    }
    case 'bridges':
      return table(io, rows as BridgeRow[], BRIDGES, 'no bridges');
    case 'ports': {
      const ports = rows as PortRow[];
      const columns = ports.every((port) => port.up) ? PORTS.filter((column) => column.title !== 'WHY DOWN') : PORTS;
      return table(io, ports, columns, 'no ports');
    }
    case 'fdb':
      return printFdb(io, rows as FdbRow[]);
    case 'vlans':
      return table(io, rows as VlanRow[], VLANS, 'no VLANs');
    case 'bonds': {
      const bonds = rows as BondRow[];
      if (bonds.length === 0) return print(io, 'no bonds');
      for (const line of bondTable(bonds, io)) print(io, line);
      return;
    }
    case 'tunnels': {
      const tunnels = rows as TunnelRow[];
      if (tunnels.length === 0) return print(io, 'no tunnels');
      for (const line of tunnelTable(tunnels, io)) print(io, line);
      return;
    }
    case 'workers':
      return table(io, rows as WorkerRow[], WORKERS, 'no workers');
    case 'drops':
      return table(io, rows as DropRow[], DROPS, 'nothing was dropped');
  }
}

async function overview(io: Io, client: Client, json: boolean): Promise<void> {
  const whats = ['bridges', 'ports', 'bonds', 'tunnels', 'workers', 'drops'] as const;
  const all = await Promise.all(whats.map((what) => fetchRows(client, what, {})));
  if (json) return printJson(io, Object.fromEntries(whats.map((what, i) => [what, all[i]])));
  for (const [i, what] of whats.entries()) {
    if ((what === 'bonds' || what === 'tunnels') && (all[i] as unknown[]).length === 0) continue;
    if (i > 0) print(io, '');
    await printRows(io, what, all[i]);
  }
}

function showOne(io: Io, what: 'bonds' | 'tunnels', rows: unknown, name: string, json: boolean): void {
  const found = what === 'bonds' ? bondNamed(rows as BondRow[], name) : tunnelNamed(rows as TunnelRow[], name);
  if (json) printJson(io, found);
  else if ('members' in found) printBond(io, found);
  else printTunnel(io, found);
}

async function show(
  context: Context,
  what: What | undefined,
  name: string | undefined,
  options: ShowOptions,
  self: Command,
): Promise<void> {
  const { io } = context;
  const client = clientOf(context, self);
  const json = options.json === true;
  if (what === undefined) return overview(io, client, json);
  if (name !== undefined && what !== 'bonds' && what !== 'tunnels')
    throw new RequestError(
      'too-many-words',
      `show ${what} takes no name ("${name}")`,
      '`weft port show PORT` shows one port',
    );
  const rows = await fetchRows(client, what, options);
  if (name !== undefined) showOne(io, what === 'bonds' ? 'bonds' : 'tunnels', rows, name, json);
  else if (json) printJson(io, rows);
  else await printRows(io, what, rows);
}

export function addShowCommand(program: Command, context: Context): void {
  const command = program
    .command('show')
    .description('show what the running switch is and counts; without WHAT an overview')
    .addArgument(new Argument('[what]', 'what to show').choices(WHATS))
    .argument('[name]', 'bonds, tunnels: this one in full, as up or br0/up')
    .option('--json', 'the API’s JSON, with every field')
    .option('--bridge <name>', 'fdb: only of this bridge')
    .option('--port <name>', 'fdb: only at this port (also br0/web)')
    .option('--vlan <number>', 'fdb: only in this VLAN')
    .option('--mac <address>', 'fdb: only this address')
    .action((what: What | undefined, name: string | undefined, options: ShowOptions, self: Command) =>
      show(context, what, name, options, self),
    );
  examples(
    command,
    ['show ports', 'ports with state, VLAN and counters'],
    ['show fdb --vlan 10', 'where the addresses of VLAN 10 live'],
    ['show bonds', 'bonds, their members, and who is at the other end'],
    ['show bonds up', 'one with all that LACP knows'],
    ['show tunnels', 'tunnels, their remotes, and the MTU that fits'],
    ['show tunnels pod7', 'one with its sockets and where its MTU comes from'],
    ['show drops --json', 'what was lost, where and why'],
    ['show config > weft.yaml', 'the running document'],
  );
}
