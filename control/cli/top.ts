/**
 * `weft top`: differences of two measurements as rates. On a terminal it owns the alternate screen until q, Ctrl-C or the daemon's end;
 * otherwise it prints one measurement. `ratesOf` and `screen` are pure, so tests need no terminal.
 */
import { emitKeypressEvents } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import type { PortRow, WorkerRow } from '../switch.ts';
import type { Client } from './client.ts';
import { type Io, paint, print, printJson } from './io.ts';
import { type Column, tableLines } from './table.ts';
import { formatBitRate, formatRate, formatShare } from './units.ts';

export interface Sample {
  /** Milliseconds of a monotonic clock. */
  readonly at: number;
  readonly ports: readonly PortRow[];
  readonly workers: readonly WorkerRow[];
}

export interface PortRates {
  readonly port: string;
  readonly up: boolean;
  readonly receiveFrames: number;
  readonly receiveBits: number;
  readonly transmitFrames: number;
  readonly transmitBits: number;
  /** Frames per second, dropped in the switch and missed before it. */
  readonly lost: number;
  /** Of the port's speed, the busier direction; null where the speed is unknown. */
  readonly utilisation: number | null;
}

export interface WorkerRates {
  readonly worker: number;
  readonly state: string;
  readonly busy: number;
  readonly frames: number;
}

export interface Rates {
  readonly seconds: number;
  readonly ports: readonly PortRates[];
  readonly workers: readonly WorkerRates[];
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, value) => total + value, 0);
}

function portRates(old: PortRow | undefined, port: PortRow, seconds: number): PortRates {
  // A counter that went back belongs to a port that was made anew.
  const rate = (read: (row: PortRow) => number) =>
    Math.max(0, read(port) - (old === undefined ? read(port) : read(old))) / seconds;
  const receiveBits = rate((row) => row.receive.bytes) * 8;
  const transmitBits = rate((row) => row.transmit.bytes) * 8;
  return {
    port: `${port.bridge}/${port.name}`,
    up: port.up,
    receiveFrames: rate((row) => row.receive.frames),
    receiveBits,
    transmitFrames: rate((row) => row.transmit.frames),
    transmitBits,
    lost: rate((row) => sum(row.dropped) + sum(row.missed)),
    utilisation: port.speed === null ? null : Math.max(receiveBits, transmitBits) / port.speed,
  };
}

/** Per second, busiest port first. */
export function ratesOf(before: Sample, after: Sample): Rates {
  const seconds = Math.max(0.001, (after.at - before.at) / 1000);
  const old = new Map(before.ports.map((port) => [`${port.bridge}/${port.name}`, port]));
  const oldWorkers = new Map(before.workers.map((worker) => [worker.index, worker]));
  const ports = after.ports.map((port) => portRates(old.get(`${port.bridge}/${port.name}`), port, seconds));
  const workers = after.workers.map((worker): WorkerRates => {
    const was = oldWorkers.get(worker.index) ?? worker;
    return {
      worker: worker.index,
      state: worker.state,
      busy: Math.min(1, Math.max(0, worker.busySeconds - was.busySeconds) / seconds),
      frames: Math.max(0, worker.frames - was.frames) / seconds,
    };
  });
  const load = (port: PortRates) => port.receiveBits + port.transmitBits;
  return { seconds, ports: ports.sort((a, b) => load(b) - load(a) || a.port.localeCompare(b.port)), workers };
}

const COLUMNS: readonly Column<PortRates>[] = [
  { title: 'PORT', text: (p) => p.port },
  { title: 'STATE', text: (p) => (p.up ? 'up' : 'down'), drop: 2, colour: (p) => (p.up ? 'green' : 'red') },
  { title: 'RX', text: (p) => formatBitRate(p.receiveBits), right: true },
  { title: 'RX FRAMES', text: (p) => formatRate(p.receiveFrames), right: true, drop: 3 },
  { title: 'TX', text: (p) => formatBitRate(p.transmitBits), right: true },
  { title: 'TX FRAMES', text: (p) => formatRate(p.transmitFrames), right: true, drop: 3 },
  { title: 'LOST', text: (p) => formatRate(p.lost), right: true, drop: 1, colour: (p) => (p.lost > 0 ? 'red' : null) },
  { title: 'USED', text: (p) => (p.utilisation === null ? '' : formatShare(p.utilisation)), right: true, drop: 4 },
];

function workerText(io: Io, rates: Rates): string {
  const parts = rates.workers.map(({ worker, state, busy, frames }) =>
    state === 'running'
      ? `worker ${worker} ${formatShare(busy)} busy, ${formatRate(frames)}`
      : `worker ${worker} ${paint(io, 'red', state)}`,
  );
  return parts.join(' · ');
}

/** The lines of one picture; `rows` is the terminal's height, Infinity for all ports. */
export function screen(io: Io, rates: Rates, rows: number): string[] {
  const room = Math.max(1, rows - 4);
  const shown = rates.ports.slice(0, room);
  const hidden = rates.ports.length - shown.length;
  const lines = [workerText(io, rates), '', ...tableLines(shown, COLUMNS, io)];
  if (hidden > 0) lines.push(paint(io, 'dim', `and ${hidden} quieter ${hidden === 1 ? 'port' : 'ports'}`));
  return lines;
}

async function sample(client: Client): Promise<Sample> {
  const [ports, workers] = await Promise.all([
    client.get<PortRow[]>('/v1/ports'),
    client.get<WorkerRow[]>('/v1/workers'),
  ]);
  return { at: performance.now(), ports, workers };
}

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** Takes the terminal; answers what gives it back. `quit` is called at q and Ctrl-C. */
function takeTerminal(io: Io, quit: () => void): () => void {
  const { stdin } = process;
  const onKey = (_: string, key: { name?: string; ctrl?: boolean }) => {
    if (key.name === 'q' || key.name === 'escape' || (key.ctrl === true && key.name === 'c')) quit();
  };
  io.out.write(ENTER);
  emitKeypressEvents(stdin);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('keypress', onKey);
  process.once('SIGTERM', quit);
  stdin.resume();
  return () => {
    stdin.off('keypress', onKey);
    process.off('SIGTERM', quit);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    io.out.write(LEAVE);
  };
}

async function live(io: Io, client: Client, interval: number): Promise<void> {
  const stop = new AbortController();
  let before = await sample(client);
  const release = takeTerminal(io, () => stop.abort());
  try {
    for (let pause = Math.min(300, interval); !stop.signal.aborted; pause = interval) {
      await wait(pause, undefined, { signal: stop.signal }).catch(() => undefined);
      if (stop.signal.aborted) return;
      const after = await sample(client);
      const lines = screen(io, ratesOf(before, after), process.stdout.rows ?? 24);
      io.out.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
      before = after;
    }
  } finally {
    release();
  }
}

/** Rejects when the daemon can't be asked, after giving the terminal back. */
export async function runTop(io: Io, client: Client, interval: number, json: boolean): Promise<void> {
  if (io.terminal && process.stdin.isTTY && !json) return live(io, client, interval);
  const before = await sample(client);
  await wait(interval);
  const rates = ratesOf(before, await sample(client));
  if (json) printJson(io, rates);
  else for (const line of screen(io, rates, Number.POSITIVE_INFINITY)) print(io, line);
}
