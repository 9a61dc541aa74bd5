import { describe, expect, it } from 'vitest';
import { type Column, tableLines } from '../../../control/cli/table.ts';
import { ratesOf, type Sample, screen } from '../../../control/cli/top.ts';
import { formatAge, formatBitRate, formatBytes, formatCount, formatShare } from '../../../control/cli/units.ts';
import { FakeSwitch } from './fake-switch.ts';

const plain = (width: number) => ({ colour: false, width: () => width });

describe('units', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [999.6, '1.00 k'],
    [1000, '1.00 k'],
    [12_345, '12.3 k'],
    [999_499, '999 k'],
    [999_500, '1.00 M'],
    [1_234_567, '1.23 M'],
    [9_995_000, '10.0 M'],
    [2 ** 60, '1153 P'],
  ])('%d frames are %s', (value, text) => expect(formatCount(value)).toBe(text));

  it('have names', () => {
    expect([formatBytes(1536), formatBitRate(9.42e9), formatShare(0.005), formatShare(0.42), formatShare(0)]).toEqual([
      '1.54 kB',
      '9.42 Gb/s',
      '0.5 %',
      '42 %',
      '0 %',
    ]);
    expect([0, 119, 120, 7199, 7200, 172_800].map(formatAge)).toEqual([
      '0 s',
      '119 s',
      '2 min',
      '119 min',
      '2 h',
      '2 d',
    ]);
  });
});

describe('tables', () => {
  interface Row {
    readonly name: string;
    readonly count: number;
    readonly why: string;
  }
  const columns: readonly Column<Row>[] = [
    { title: 'NAME', text: (row) => row.name },
    { title: 'COUNT', text: (row) => String(row.count), right: true, colour: (row) => (row.count > 9 ? 'red' : null) },
    { title: 'WHY', text: (row) => row.why, drop: 1 },
  ];
  const rows: readonly Row[] = [
    { name: 'a', count: 1, why: '' },
    { name: 'a-long-name', count: 10, why: 'because of the namespace' },
  ];

  it('align, and end no line with blanks', () => {
    expect(tableLines(rows, columns, plain(Number.POSITIVE_INFINITY))).toEqual([
      'NAME         COUNT  WHY',
      'a                1',
      'a-long-name     10  because of the namespace',
    ]);
  });

  it('drop a column before they cut, and cut before they wrap', () => {
    expect(tableLines(rows, columns, plain(44))[2]).toBe('a-long-name     10  because of the namespace');
    expect(tableLines(rows, columns, plain(43))).toEqual([
      'NAME         COUNT',
      'a                1',
      'a-long-name     10',
    ]);
    expect(tableLines(rows, columns, plain(15))[2]).toBe('a-long-…     10');
  });

  it('paint without moving anything', () => {
    const painted = tableLines(rows, columns, { colour: true, width: () => 44 });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is removed is the colour
    const bare = painted.map((line) => line.replaceAll(/\u001b\[\d+m/g, ''));
    expect(bare).toEqual(tableLines(rows, columns, plain(44)));
    expect(painted[2]).toContain('\u001b[31m10\u001b[0m');
  });
});

describe('weft top', () => {
  const at = (
    ms: number,
    change: (sample: {
      ports: ReturnType<FakeSwitch['ports']>;
      workers: ReturnType<FakeSwitch['workers']>;
    }) => void = () => undefined,
  ): Sample => {
    const sw = new FakeSwitch();
    const sample = { ports: sw.ports(), workers: sw.workers() };
    change(sample);
    return { at: ms, ...sample };
  };
  const grow = (sample: { ports: ReturnType<FakeSwitch['ports']>; workers: ReturnType<FakeSwitch['workers']> }) => {
    const [web, db, ...rest] = sample.ports;
    sample.ports = [
      web!,
      {
        ...db!,
        speed: 1e9,
        receive: { ...db!.receive, frames: db!.receive.frames + 2000, bytes: db!.receive.bytes + 125e6 },
        dropped: { runt: 4 },
      },
      ...rest,
    ];
    sample.workers = sample.workers.map((worker) => ({
      ...worker,
      busySeconds: worker.busySeconds + 0.5,
      frames: worker.frames + 2000,
    }));
  };

  it('makes rates of two measurements, busiest port first', () => {
    const rates = ratesOf(at(1000), at(3000, grow));
    expect(rates.seconds).toBe(2);
    expect(rates.ports[0]).toEqual({
      port: 'br0/db',
      up: false,
      receiveFrames: 1000,
      receiveBits: 5e8,
      transmitFrames: 0,
      transmitBits: 0,
      lost: 2,
      utilisation: 0.5,
    });
    expect(rates.ports.slice(1).map((port) => port.receiveBits)).toEqual([0, 0]);
    expect(rates.workers).toEqual([{ worker: 0, state: 'running', busy: 0.25, frames: 1000 }]);
  });

  it('a port that is new or was made anew has no negative rate', () => {
    const fewer = (sample: { ports: ReturnType<FakeSwitch['ports']> }) => {
      sample.ports = sample.ports.slice(1).map((port) => ({ ...port, receive: { frames: 0, bytes: 0, segments: 0 } }));
    };
    expect(ratesOf(at(0, fewer), at(1000)).ports.find((port) => port.port === 'br0/web')?.receiveBits).toBe(0);
    expect(ratesOf(at(0), at(1000, fewer)).ports.every((port) => port.receiveBits === 0)).toBe(true);
  });

  it('fits the terminal’s width and height', () => {
    const io = { ...plain(60), out: process.stdout, err: process.stderr, environment: {}, terminal: true };
    const lines = screen(io, ratesOf(at(0), at(1000, grow)), 6);
    expect(lines).toHaveLength(6);
    expect(lines.every((line) => [...line].length <= 60)).toBe(true);
    expect(lines.at(-1)).toBe('and 1 quieter port');
  });
});
