/**
 * Mutated ARP, neighbour discovery and SYNs through a tunnel that suppresses and clamps, both ways, with control listening: nothing throws,
 * everything is counted, and nobody is answered in the name of a host that is not there.
 */
import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { readBinding } from '../../control/running/binding-frames.ts';
import { PortCell } from '../../dataplane/memory/layout.ts';
import { buildTcpFrame } from '../../dataplane/wire/build.ts';
import { TCP_SYN } from '../../dataplane/wire/tcp.ts';
import { isLong } from '../needs.ts';
import { randomFrom, seedFor } from '../seed.ts';
import {
  advertisement,
  announcement,
  HERE,
  REQUEST,
  SOLICITATION,
  solicitation,
  stand,
  THERE,
} from '../unit/path/suppress-rig.ts';
import { ENDPOINT_PORT, TUNNEL } from '../unit/path/tunnel-rig.ts';

const CASES = isLong() ? 1_000_000 : 6000;
const VXLAN = '0800000000138f00';

it(`${CASES} mutated frames: nothing throws, everything is counted, no answer is made up`, {
  timeout: 3_600_000,
}, () => {
  const random = randomFrom(seedFor('mutated neighbours'));
  const { rig, neighbours, punts } = stand({ clampMss: true });
  const options = new Uint8Array(Buffer.from('0101020405b40402080a0000000100000000010303070000', 'hex'));
  const syn = { sourcePort: 1, destinationPort: 2, flags: TCP_SYN, options };
  const [ip4, ip6] = [
    { source: HERE.ip4, destination: THERE.ip4 },
    { source: HERE.ip6, destination: THERE.ip6 },
  ];
  const link = { dst: 'ff:ff:ff:ff:ff:ff', src: HERE.mac };
  const seeds = [
    ...[REQUEST, SOLICITATION, announcement(THERE), advertisement(THERE), solicitation(THERE, HERE.ip6)],
    ...[buildTcpFrame({ ...link, ...syn, ip4 }), buildTcpFrame({ ...link, ...syn, ip6 })],
  ];
  let answered = 0;
  for (let k = 0; k < CASES; k++) {
    const seed = seeds[random(seeds.length)]!;
    const tagged = random(4) === 0 ? [...seed.subarray(0, 12), 0x81, 0, 0, random(3), ...seed.subarray(12)] : seed;
    const bytes = Uint8Array.from(tagged);
    for (let n = random(5); n > 0; n--)
      bytes[12 + random(bytes.length - 12)] = random(3) === 0 ? random(256) : random(4);
    const frame = random(8) === 0 ? bytes.slice(0, 14 + random(bytes.length - 14)) : bytes;
    if (random(2) === 0) rig.arrive({ frame, from: '192.0.2.2', header: VXLAN });
    else {
      const rows = neighbours.rows();
      for (const answer of rig.send(1, frame).get(1) ?? []) {
        answered++;
        const binding = readBinding(answer);
        if (binding === null) throw new Error(`no valid answer: ${Buffer.from(answer).toString('hex')}`);
        const mac = Buffer.from(binding.mac).toString('hex');
        expect(rows.some((row) => row.mac.replaceAll(':', '') === mac)).toBe(true);
        expect(answer.subarray(0, 6)).toEqual(frame.subarray(6, 12));
      }
    }
    rig.collected();
    rig.left();
    punts.drain();
  }
  const ports = [1, 2, TUNNEL, ENDPOINT_PORT];
  const sum = (cell: number) => ports.reduce((total, port) => total + rig.cell(port, cell), 0);
  const dropped = Object.values(rig.drops()).reduce((a, b) => a + b, 0);
  expect(sum(PortCell.RX_FRAMES) + sum(PortCell.REPLICATED)).toBe(sum(PortCell.TX_FRAMES) + dropped);
  expect(answered).toBeGreaterThan(CASES / 200);
  expect(rig.lane.punted).toBeGreaterThan(10);
});
