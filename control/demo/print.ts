/**
 * A demo's result for people: what held, the ports, what was dropped and why, how fast, and where to look next. Pure but for `io.out`.
 */
import { type Io, paint, print } from '../cli/io.ts';
import { type Column, tableLines } from '../cli/table.ts';
import { formatBitRate, formatBytes, formatCount } from '../cli/units.ts';
import { WeftError } from '../errors.ts';
import { HOST_LIST, HOSTS } from './hosts.ts';
import type { DemoDrop, DemoMode, DemoPort, DemoResult, Expectation } from './result.ts';

const PICTURE = [
  `  red1  ${HOSTS.red1.address} ──┐               ┌── ${HOSTS.blue1.address}  blue1`,
  '                  VLAN 10 ─ weft ─ VLAN 20',
  `  red2  ${HOSTS.red2.address} ──┘               └── ${HOSTS.blue2.address}  blue2`,
];

const GUESTS_PICTURE = ['  vm1 ── socket (stream) ── weft ── socket (dgram) ── vm2', '                        VLAN 10'];

const PORTS: readonly Column<DemoPort>[] = [
  { title: 'PORT', text: (p) => p.name },
  { title: 'VLAN', text: (p) => p.vlan },
  { title: 'IN FRAMES', text: (p) => formatCount(p.receive.frames), right: true },
  { title: 'IN BYTES', text: (p) => formatBytes(p.receive.bytes), right: true, drop: 1 },
  { title: 'OUT FRAMES', text: (p) => formatCount(p.transmit.frames), right: true },
  { title: 'OUT BYTES', text: (p) => formatBytes(p.transmit.bytes), right: true, drop: 1 },
  {
    title: 'DROPPED',
    text: (p) => formatCount(Object.values(p.dropped).reduce((sum, n) => sum + n, 0)),
    right: true,
    drop: 2,
  },
];

const DROPS: readonly Column<DemoDrop>[] = [
  { title: 'DROPPED AT', text: (d) => d.port },
  { title: 'FRAMES', text: (d) => formatCount(d.frames), right: true },
  { title: 'REASON', text: (d) => d.reason },
  { title: 'MEANS', text: (d) => d.meaning, drop: 1 },
];

export function expectationLine(io: Pick<Io, 'colour'>, { what, held, detail }: Expectation): string {
  const word = held ? paint(io, 'green', 'ok    ') : paint(io, 'red', 'FAILED');
  return `  ${word}  ${what}: ${detail}`;
}

function speedLines({ throughput, roundTrip }: DemoResult): string[] {
  const lines: string[] = [];
  if (throughput !== null) {
    const { from, to, tool, seconds, bitsPerSecond, framesPerSecond } = throughput;
    const frames = framesPerSecond === null ? '' : `, ${formatCount(framesPerSecond)} frames/s`;
    const what = framesPerSecond === null ? `TCP, one stream, ${tool}` : 'frames of 1,514 bytes, ports in JavaScript';
    lines.push(
      `Throughput  ${formatBitRate(bitsPerSecond)}${frames}  (${from} → ${to}, ${what}, ${seconds.toFixed(1)} s)`,
    );
  }
  if (roundTrip !== null) {
    const { from, to, milliseconds } = roundTrip;
    lines.push(`Round trip  ${milliseconds.toFixed(3)} ms  (${from} → ${to} and back, the quickest)`);
  }
  return lines;
}

function keptLines(result: DemoResult): string[] {
  if (result.kept === null || result.metrics === null) return [];
  const { socket, namespaces } = result.kept;
  return [
    '',
    'It stays up. To look around:',
    ...['ports', 'fdb', 'drops'].map((what) => `  npx weft show ${what} --socket ${socket}`),
    `  npx weft top --socket ${socket}`,
    `  npx weft capture red1 --socket ${socket}`,
    `  ip netns exec ${namespaces[0]} ping ${HOSTS.red2.address}`,
    `  curl ${result.metrics.url}`,
    'To remove all of it:',
    '  npx weft demo --clean',
  ];
}

function metricsLines({ metrics, kept }: DemoResult): string[] {
  if (metrics === null) return [];
  return [
    '',
    `Metrics     ${metrics.url}${kept === null ? '  (while the switch ran)' : ''}`,
    ...metrics.sample.map((line) => `  ${line}`),
  ];
}

function headLines(mode: DemoMode): string[] {
  if (mode === 'guests') return ['Two QEMU guests, one switch, no root:', ...GUESTS_PICTURE];
  return [`Two tenants, ${HOST_LIST.length} hosts in one subnet, one switch:`, ...PICTURE];
}

export function printResult(io: Io, result: DemoResult): void {
  const held = result.expectations.filter((expectation) => expectation.held).length;
  const lines = [
    '',
    ...headLines(result.mode),
    '',
    ...tableLines(result.ports, PORTS, io),
    '',
    ...(result.drops.length > 0 ? tableLines(result.drops, DROPS, io) : ['Nothing was dropped.']),
    '',
    ...speedLines(result),
    ...metricsLines(result),
    ...keptLines(result),
    '',
    `${held} of ${result.expectations.length} expectations held, in ${result.seconds.toFixed(1)} s.`,
  ];
  print(io, lines.join('\n'));
}

/** What the demo can't do without, in one sentence with what works instead. */
export function lacks(what: string): WeftError {
  const instead = 'without that, `npm run demo -- --memory` shows the same switch over memory ports';
  return new WeftError('demo-needs', `the demo makes TAP devices and network namespaces, so ${what}; ${instead}`);
}
