import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pcapngHeader, pcapngPacket, pcapngStatistics } from '../../../control/capture/pcapng.ts';
import { PcapngReader } from '../../../control/capture/reader.ts';
import { summarise } from '../../../control/capture/summary.ts';
import type { CapturedFrame } from '../../../control/switch.ts';
import { itNeeds } from '../../needs.ts';

const HEADER = { bridge: 'br0', port: 'web', snapLength: 128, application: 'weft 0.1.0', os: 'Linux' };
const TIME = 1_700_000_000_123_456_789n;

function frame(direction: 'in' | 'out', length: number, originalBytes = length): CapturedFrame {
  const bytes = Uint8Array.from({ length }, (_, i) => i & 0xff);
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5].slice(0, length));
  return { direction, time: TIME + BigInt(length), originalBytes, bytes };
}

const FRAMES = [frame('in', 60), frame('out', 61), frame('in', 62), frame('out', 128, 1514)];
const FILE = Buffer.concat([pcapngHeader(HEADER), ...FRAMES.map(pcapngPacket), pcapngStatistics(TIME, 4, 9)]);

describe('pcapng', () => {
  it('gives back what it wrote, whatever the pieces', () => {
    for (const piece of [1, 3, 7, 64, FILE.length]) {
      const read: CapturedFrame[] = [];
      const reader = new PcapngReader((f) => read.push(f));
      for (let at = 0; at < FILE.length; at += piece) reader.push(FILE.subarray(at, at + piece));
      expect(read).toEqual(FRAMES);
      expect(reader).toMatchObject({ frames: 4, lost: 9 });
    }
  });

  it('has blocks of whole words whose lengths agree', () => {
    let at = 0;
    const types: number[] = [];
    while (at < FILE.length) {
      const length = FILE.readUInt32LE(at + 4);
      expect(length % 4).toBe(0);
      expect(FILE.readUInt32LE(at + length - 4)).toBe(length);
      types.push(FILE.readUInt32LE(at));
      at += length;
    }
    expect(types).toEqual([0x0a0d0d0a, 1, 6, 6, 6, 6, 5]);
  });

  it('refuses a stream that is not one of ours', () => {
    const reader = () => new PcapngReader(() => undefined);
    expect(() => reader().push(Buffer.from('HTTP/1.1 500 Internal Server Error\r\n'))).toThrow(/a block of/);
    const swapped = Buffer.from(FILE);
    swapped.writeUInt32BE(0x1a2b3c4d, 8);
    expect(() => reader().push(swapped)).toThrow(/byte order/);
    const longer = Buffer.from(FILE);
    longer.writeUInt32LE(0xffff, longer.indexOf(Buffer.from([60, 0, 0, 0, 60, 0, 0, 0])));
    expect(() => reader().push(longer)).toThrow(/longer than its block/);
  });

  itNeeds(
    { tools: ['tshark', 'capinfos'] },
    'is read by tshark: time, direction, lengths, interface',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'weft-capture-'));
      try {
        const file = join(folder, 'a.pcapng');
        writeFileSync(file, FILE);
        const fields = [
          'frame.time_epoch',
          'frame.packet_flags_direction',
          'frame.len',
          'frame.cap_len',
          'frame.interface_name',
          'eth.src',
        ];
        const out = execFileSync('tshark', ['-r', file, '-T', 'fields', ...fields.flatMap((f) => ['-e', f])], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        const rows = out
          .trim()
          .split('\n')
          .map((line) => line.split('\t'));
        expect(rows.map((row) => row[0])).toEqual(
          FRAMES.map((f) => `${f.time / 1_000_000_000n}.${f.time % 1_000_000_000n}`),
        );
        expect(rows.map((row) => Number(row[1]))).toEqual([1, 2, 1, 2]);
        expect(rows.map((row) => Number(row[2]))).toEqual([60, 61, 62, 1514]);
        expect(rows.map((row) => Number(row[3]))).toEqual([60, 61, 62, 128]);
        expect(rows.map((row) => row[4])).toEqual(Array(4).fill('br0/web'));
        expect(rows[0]?.[5]).toBe('02:00:00:00:00:01');
        const info = spawnSync('capinfos', [file], { encoding: 'utf8' });
        expect(info.stdout).toMatch(/weft 0\.1\.0/);
        expect(info.stdout).toMatch(/nanosecond/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    30_000,
  );
});

describe('the one-line summary', () => {
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
  const MACS = '020000000002 020000000001';
  const TCP = `${MACS} 8100 600a 0800 45000028000040004006 0000 0a000001 0a000002 01bb 1f90 00000001 00000002 5012 0000 0000 0000`;

  it('names tag, addresses, ports and flags', () => {
    expect(summarise(bytes(TCP))).toBe(
      '02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 10 priority 3 10.0.0.1:443 > 10.0.0.2:8080 TCP [S.]',
    );
    const arp = `${MACS} 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002`;
    expect(summarise(bytes(arp))).toMatch(/ARP who has 10\.0\.0\.2\? tell 10\.0\.0\.1$/);
    expect(summarise(bytes(`${MACS} 88b5 00`))).toMatch(/type 0x88b5$/);
    expect(summarise(bytes(`${MACS} 0027 00`))).toMatch(/802\.3 length 39$/);
    const udp6 = `${MACS} 86dd 60000000 0008 11 40 fe80000000000000 0000000000000001 ff020000000000000000000000000001 0222 0223`;
    expect(summarise(bytes(udp6))).toMatch(/\[fe80::1\]:546 > \[ff02::1\]:547 UDP$/);
  });

  it('never throws, wherever a frame is cut', () => {
    const whole = bytes(TCP);
    for (let length = 0; length <= whole.length; length++) expect(summarise(whole.subarray(0, length))).toMatch(/./);
  });
});
