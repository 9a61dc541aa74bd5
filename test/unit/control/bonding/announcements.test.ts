/** What the switch tells its neighbours, byte by byte and as tshark reads it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  arpRequest,
  gratuitousArp,
  gratuitousArpReply,
  NO_IPV4,
  NO_IPV6,
  neighbourSolicitation,
  rarpRequest,
  unsolicitedNa,
} from '../../../../control/bonding/announcements.ts';
import { itNeeds } from '../../../needs.ts';

const MAC = '52:54:00:12:34:56';
const HEX = '525400123456';
const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');

it('is a RARP request, byte by byte as QEMU announces its guests', () => {
  expect(hex(rarpRequest(MAC))).toBe(
    `ffffffffffff${HEX}80350001080006040003${HEX}00000000${HEX}00000000${'00'.repeat(18)}`,
  );
});

it('is an ARP announcement: a request for the own address, in its VLAN', () => {
  const body = `08060001080006040001${HEX}c0000201000000000000c0000201`;
  expect(hex(gratuitousArp(MAC, '192.0.2.1'))).toBe(`ffffffffffff${HEX}${body}${'00'.repeat(18)}`);
  expect(hex(gratuitousArp(MAC, '192.0.2.1', { vid: 10 }))).toBe(`ffffffffffff${HEX}8100000a${body}${'00'.repeat(14)}`);
});

const FRAMES: readonly (readonly [Uint8Array, Readonly<Record<string, string>>])[] = [
  [rarpRequest(MAC), { 'arp.opcode': '3', 'arp.src.hw_mac': MAC, 'arp.dst.hw_mac': MAC, 'eth.type': '0x8035' }],
  [rarpRequest(MAC, { vid: 7, tpid: 0x88a8 }), { 'arp.opcode': '3', 'ieee8021ad.id': '7' }],
  [gratuitousArp(MAC, '192.0.2.1'), { 'arp.opcode': '1', 'arp.isgratuitous': '1', 'arp.src.proto_ipv4': '192.0.2.1' }],
  [gratuitousArp(MAC, '192.0.2.1', { vid: 4094 }), { 'arp.isgratuitous': '1', 'vlan.id': '4094', 'eth.src': MAC }],
  [gratuitousArpReply(MAC, '192.0.2.1'), { 'arp.opcode': '2', 'arp.isgratuitous': '1', 'arp.dst.hw_mac': MAC }],
  [
    arpRequest(MAC, NO_IPV4, '192.0.2.9'),
    { 'arp.opcode': '1', 'arp.isprobe': '1', 'arp.src.proto_ipv4': '0.0.0.0', 'arp.dst.proto_ipv4': '192.0.2.9' },
  ],
  [arpRequest(MAC, '192.0.2.1', '192.0.2.9'), { 'arp.src.proto_ipv4': '192.0.2.1', 'arp.isgratuitous': '' }],
  [
    unsolicitedNa(MAC, '2001:db8::1'),
    {
      'eth.dst': '33:33:00:00:00:01',
      'ipv6.hlim': '255',
      'ipv6.dst': 'ff02::1',
      'icmpv6.type': '136',
      'icmpv6.checksum.status': '1',
      'icmpv6.nd.na.target_address': '2001:db8::1',
      'icmpv6.nd.na.flag.o': '1',
      'icmpv6.nd.na.flag.s': '0',
      'icmpv6.opt.linkaddr': MAC,
    },
  ],
  [unsolicitedNa(MAC, 'fe80::1', { vid: 10 }), { 'vlan.id': '10', 'icmpv6.checksum.status': '1' }],
  [
    neighbourSolicitation(MAC, 'fe80::1', '2001:db8::12:3456'),
    {
      'eth.dst': '33:33:ff:12:34:56',
      'ipv6.hlim': '255',
      'ipv6.src': 'fe80::1',
      'ipv6.dst': 'ff02::1:ff12:3456',
      'icmpv6.type': '135',
      'icmpv6.checksum.status': '1',
      'icmpv6.nd.ns.target_address': '2001:db8::12:3456',
      'icmpv6.opt.linkaddr': MAC,
    },
  ],
  [
    neighbourSolicitation(MAC, NO_IPV6, 'fe80::1', { vid: 10 }),
    { 'ipv6.src': '::', 'icmpv6.checksum.status': '1', 'icmpv6.opt.linkaddr': '', 'vlan.id': '10' },
  ],
];

it('each has at least 60 bytes', () => {
  for (const [frame] of FRAMES) expect(frame.length).toBeGreaterThanOrEqual(60);
});

itNeeds(
  { tools: ['tshark'] },
  'tshark reads all of it as meant and complains of nothing',
  () => {
    const fields = [...new Set(FRAMES.flatMap(([, wanted]) => Object.keys(wanted)))];
    const columns = ['_ws.expert.message', ...fields];
    const rows = dissect(
      FRAMES.map(([frame]) => frame),
      columns,
    );
    expect(rows.length).toBe(FRAMES.length);
    for (const [k, [, wanted]] of FRAMES.entries()) {
      const row = Object.fromEntries(columns.map((column, at) => [column, (rows[k]![at] ?? '').replace('True', '1')]));
      expect(row).toMatchObject({ '_ws.expert.message': '', ...wanted });
    }
  },
  30_000,
);

/** The fields of each frame, through a classic capture file. */
function dissect(frames: readonly Uint8Array[], columns: readonly string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'weft-announcements-'));
  try {
    const head = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
    const records = frames.flatMap((frame) => {
      const record = Buffer.alloc(16);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      return [record, frame];
    });
    const file = join(folder, 'frames.pcap');
    writeFileSync(file, Buffer.concat([head, ...records]));
    const wanted = columns.flatMap((column) => ['-e', column]);
    const args = ['-r', file, '-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=f', ...wanted];
    const out = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return out
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
