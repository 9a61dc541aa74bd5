/** The port kinds that are written in TypeScript: what they take, what they give, and that none keeps the others waiting. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BATCH_COUNT_MAX, FRAME_BYTES_MAX, HEAD_BYTES } from '../../../dataplane/limits.ts';
import { PortCell } from '../../../dataplane/memory/layout.ts';
import { MemoryPort } from '../../../dataplane/ports/memory.ts';
import { NullPort } from '../../../dataplane/ports/null.ts';
import { PcapPort, readPcap } from '../../../dataplane/ports/pcap.ts';
import { Rig, tablePort } from '../../rig.ts';
import { A, ALL, B, frame, hex } from '../path/frames.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-ports-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function rigOf(ports: number, mtu = 65_535): Rig {
  const rig = new Rig();
  rig.publish(Array.from({ length: ports }, (_, k) => tablePort(k + 1, { mtu })));
  return rig;
}

describe('memory', () => {
  it('gives what was pushed, head and tail, at every length around the head', () => {
    const rig = rigOf(2);
    for (const bytes of [14, 60, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 9014, FRAME_BYTES_MAX - 8]) {
      const sent = frame(ALL, A, '', bytes);
      expect(rig.send(1, sent).get(2)!.map(hex), `${bytes}`).toEqual([hex(sent)]);
    }
  });

  it('refuses a frame that is longer than any', () => {
    expect(() => new MemoryPort(1).push(new Uint8Array(FRAME_BYTES_MAX + 1))).toThrow(
      `a frame of ${FRAME_BYTES_MAX + 1} bytes: at most ${FRAME_BYTES_MAX}`,
    );
  });

  it('one that has much to give does not keep the others waiting', () => {
    const rig = rigOf(3);
    for (let k = 0; k < 1000; k++) rig.port(1).push(frame(ALL, A));
    rig.port(2).push(frame(ALL, B));
    rig.turns.turn();
    expect([rig.cell(1, PortCell.RX_FRAMES), rig.cell(2, PortCell.RX_FRAMES)]).toEqual([BATCH_COUNT_MAX, 1]);
    rig.run();
    expect(rig.port(3).drain()).toHaveLength(1001);
  });
});

describe('null', () => {
  it('takes everything and gives nothing', () => {
    const rig = rigOf(2);
    rig.turns.removeScript(2);
    const port = new NullPort(2);
    rig.turns.addScript(port);
    for (let k = 0; k < 5000; k++) rig.port(1).push(frame(ALL, A));
    rig.run();
    expect([rig.cell(2, PortCell.TX_FRAMES), rig.cell(2, PortCell.TX_BYTES)]).toEqual([5000, 300_000]);
    expect(port.hasWork()).toBe(false);
    expect(rig.drops()).toEqual({});
  });
});

describe('pcap', () => {
  const frames = [frame(ALL, A), frame(ALL, A, '8100000a', 300), frame(B, A, '', 1514)];

  /** A classic capture file as any tool writes it. */
  function file(name: string, little: boolean, magic: number): string {
    const path = join(folder, name);
    const head = Buffer.alloc(24);
    const put = (to: Buffer, value: number, at: number) =>
      little ? to.writeUInt32LE(value, at) : to.writeUInt32BE(value, at);
    put(head, magic, 0);
    put(head, 65_535, 16);
    put(head, 1, 20);
    const records = frames.map((bytes, k) => {
      const record = Buffer.alloc(16);
      for (const [word, value] of [k, 0, bytes.length, bytes.length].entries()) put(record, value, word * 4);
      return Buffer.concat([record, bytes]);
    });
    writeFileSync(path, Buffer.concat([head, ...records]));
    return path;
  }

  it.each([
    ['little.pcap', true, 0xa1b2c3d4],
    ['big.pcap', false, 0xa1b2c3d4],
    ['nanoseconds.pcap', true, 0xa1b23c4d],
  ])('%s is replayed, and what the port is sent is written', (name, little, magic) => {
    const written = join(folder, `out-${name}`);
    const rig = rigOf(3);
    rig.turns.removeScript(1);
    rig.turns.removeScript(2);
    const [from, to] = [new PcapPort(1, file(name, little, magic), null), new PcapPort(2, null, written)];
    rig.turns.addScript(from);
    rig.turns.addScript(to);
    rig.run();
    to.close();
    expect(
      rig
        .port(3)
        .drain()
        .map(({ bytes }) => hex(bytes)),
    ).toEqual(frames.map(hex));
    expect(readPcap(written).map(hex)).toEqual(frames.map(hex));
    expect(from.hasWork()).toBe(false);
  });

  it('what is no capture, of no Ethernet or cut off is refused with its name', () => {
    const good = readFileSync(file('good.pcap', true, 0xa1b2c3d4));
    const broken = (name: string, bytes: Buffer): string => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    expect(() => readPcap(broken('short', good.subarray(0, 20)))).toThrow(/short: shorter than a pcap header/);
    expect(() => readPcap(broken('text', Buffer.from('x'.repeat(40))))).toThrow(/text: not a pcap file/);
    const wifi = Buffer.from(good);
    wifi.writeUInt32LE(105, 20);
    expect(() => readPcap(broken('wifi', wifi))).toThrow(/wifi: link type 105 is not Ethernet/);
    for (let cut = 25; cut < good.length; cut += 7) {
      const ends = [24, 24 + 76, 24 + 76 + 316];
      if (!ends.includes(cut))
        expect(() => readPcap(broken('cut', good.subarray(0, cut)))).toThrow(/cut: cut off or broken/);
    }
    const long = Buffer.from(good);
    long.writeUInt32LE(0xffff_ffff, 24 + 8);
    expect(() => readPcap(broken('long', long))).toThrow(/long: cut off or broken at byte 24/);
  });
});
