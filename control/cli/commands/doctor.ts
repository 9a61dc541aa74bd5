/**
 * `weft doctor mtu`: asks the daemon to try the ways between tunnels' ends, and tells which of them lose long packets. Exit 1 when one does.
 */
import type { IncomingMessage } from 'node:http';
import type { Command } from 'commander';
import type { MtuLine } from '../../api/tunnel-schemas.ts';
import type { MtuRow } from '../../doctor/mtu.ts';
import { WeftError } from '../../errors.ts';
import type { TunnelRow } from '../../tunnel-rows.ts';
import { type Context, clientOf, examples } from '../context.ts';
import { type Colour, type Io, paint, print, printJson } from '../io.ts';
import { type Column, tableLines } from '../table.ts';
import { tunnelNamed } from '../tunnels.ts';

const COLOURS: Readonly<Record<MtuRow['verdict'], Colour>> = {
  fine: 'green',
  lost: 'red',
  short: 'yellow',
  silent: 'yellow',
  unreachable: 'red',
};

function bytes(value: number | null): string {
  return value === null || value === 0 ? '' : String(value);
}

function tunnelsText({ tunnels }: MtuRow): string {
  return tunnels.length > 1 ? `${tunnels[0]} and ${tunnels.length - 1} more` : (tunnels[0] ?? '');
}

const COLUMNS: readonly Column<MtuRow>[] = [
  { title: 'LOCAL', text: (r) => r.local },
  { title: 'REMOTE', text: (r) => r.remote },
  { title: 'TUNNEL', text: tunnelsText, drop: 2 },
  { title: 'NEEDS', text: (r) => bytes(r.needed), right: true },
  { title: 'ROUTE', text: (r) => bytes(r.route), right: true, drop: 1 },
  { title: 'PASSED', text: (r) => bytes(r.passed), right: true },
  { title: 'RESULT', text: (r) => r.verdict, colour: (r) => COLOURS[r.verdict] },
];

function isBad({ verdict }: MtuRow): boolean {
  return verdict === 'lost' || verdict === 'unreachable';
}

function printRows(io: Io, rows: readonly MtuRow[]): void {
  if (rows.length === 0) print(io, 'no remote is known, so there is nobody to ask');
  else for (const line of tableLines(rows, COLUMNS, io)) print(io, line);
  for (const { local, remote, problem, remedy, verdict } of rows) {
    if (problem === null) continue;
    print(io, `${paint(io, COLOURS[verdict], `${local} → ${remote}`)}: ${problem}`);
    if (remedy !== null) print(io, `  ${remedy}`);
  }
}

/** One line of a terminal that is written over; nothing elsewhere. */
class Progress {
  readonly #io: Io;
  #shown = false;
  constructor(io: Io, wanted: boolean) {
    this.#io = io;
    this.#shown = wanted && io.terminal;
  }
  show(done: number, of: number): void {
    if (this.#shown) this.#io.err.write(`\rasking the ways: ${done} of ${of}`);
  }
  clear(): void {
    if (this.#shown) this.#io.err.write('\r\u001b[K');
  }
}

/** Rows in the order of their addresses, however soon they came. Throws a WeftError when the answer breaks off. */
async function readRows(stream: IncomingMessage, progress: Progress): Promise<MtuRow[]> {
  const { createInterface } = await import('node:readline');
  const rows: MtuRow[] = [];
  let pairs = 0;
  let ended = false;
  try {
    for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (text === '') continue;
      const { type, ...line } = JSON.parse(text) as MtuLine;
      if (type === 'begin') pairs = (line as { pairs: number }).pairs;
      else if (type === 'pair') rows.push(line as MtuRow);
      else ended = true;
      progress.show(rows.length, pairs);
    }
  } finally {
    progress.clear();
  }
  if (!ended) throw new WeftError('connection', 'the daemon ended before all ways were asked');
  const key = ({ local, remote }: MtuRow) => `${local} ${remote}`;
  return rows.sort((a, b) => key(a).localeCompare(key(b), 'en', { numeric: true }));
}

async function mtu(context: Context, name: string | undefined, json: boolean, self: Command): Promise<void> {
  const { io } = context;
  const client = clientOf(context, self);
  const tunnel = name === undefined ? null : tunnelNamed(await client.get<TunnelRow[]>('/v1/tunnels'), name);
  const wanted = tunnel === null ? {} : { bridge: tunnel.bridge, tunnel: tunnel.name };
  const stream = await client.stream('/v1/doctor/mtu', 'POST', wanted);
  const rows = await readRows(stream, new Progress(io, !json));
  if (json) printJson(io, rows);
  else printRows(io, rows);
  if (rows.some(isBad)) context.exitCode = 1;
}

export function addDoctorCommands(program: Command, context: Context): void {
  const doctor = program.command('doctor').description('ask the world outside what no counter tells');
  const asking = doctor
    .command('mtu')
    .description(
      'try how long a packet the ways to tunnels’ remotes really take, by echo requests that may not be fragmented; exit 1 where long ones are lost',
    )
    .argument('[tunnel]', 'its remotes alone, as br0/pod7 or pod7')
    .option('--json', 'one row for each pair as JSON')
    .action((name: string | undefined, options: { json?: boolean }, self: Command) =>
      mtu(context, name, options.json === true, self),
    );
  examples(
    asking,
    ['doctor mtu', 'every remote of every tunnel'],
    ['doctor mtu pod7', 'those of one'],
    ['doctor mtu --json', 'for programs'],
  );
  examples(doctor, ['doctor mtu', 'find ways that lose long packets']);
}
