/** Who has which address: the table that workers read, what control believes of what they hand up, and how much it keeps. */
import { describe, expect, it } from 'vitest';
import { NeighbourTable } from '../../../control/compile/neighbour-table.ts';
import { readBinding } from '../../../control/running/binding-frames.ts';
import { Neighbours } from '../../../control/running/neighbours.ts';
import type { PortBook } from '../../../control/running/port-book.ts';
import { type PuntReceiver, Punts } from '../../../control/running/punts.ts';
import { Lane } from '../../../dataplane/memory/lane.ts';
import { Header, NEIGHBOUR_SLOTS_COUNT, Protocol, plainArena } from '../../../dataplane/memory/layout.ts';
import { View } from '../../../dataplane/memory/view.ts';
import {
  NEIGHBOUR_ROUTER,
  NEIGHBOURS_MAX,
  NeighbourWord,
  neighbourKey,
  neighbourSlot,
} from '../../../dataplane/tables/neighbour-layout.ts';
import { findNeighbour, isWhole } from '../../../dataplane/tables/neighbours.ts';
import { buildArpFrame } from '../../../dataplane/wire/build.ts';
import { randomFrom, seedFor } from '../../seed.ts';
import { advertisement, solicitation, THERE } from '../path/suppress-rig.ts';

const view = new View(plainArena({ workers: 1, fdbEntries: 1024 }));
const lane = new Lane(view, 0);
const isEmpty = () => {
  const at = view.layout.words[Header.NEIGHBOURS_AT]! >> 2;
  return view.i32.subarray(at, at + NEIGHBOUR_SLOTS_COUNT * 8).every((word, k) => k % 8 !== 0 || word === 0);
};

/** What a worker finds; null: nothing. */
function found(bridge: number, vlan: number, address: Uint8Array): { mac: string; isRouter: boolean } | null {
  const at = lane.headsAtBytes;
  view.u8.fill(0xa5, at, at + 32).set(address, at);
  const wanted = neighbourKey(bridge, vlan, address.length > 4);
  const entry = findNeighbour(lane, wanted, at);
  if (entry === 0) return null;
  const key = view.i32[entry]!;
  const [mac, low] = [view.i32[entry + NeighbourWord.MAC]!, view.i32[entry + NeighbourWord.MAC_LOW]!];
  expect(isWhole(lane, entry, key, mac, low, wanted, at)).toBe(true);
  // Neither for another VLAN nor for another address.
  expect(isWhole(lane, entry, key, mac, low, neighbourKey(bridge, vlan ^ 1, address.length > 4), at)).toBe(false);
  view.u8[at]! ^= 1;
  expect(isWhole(lane, entry, key, mac, low, wanted, at)).toBe(false);
  const start = (entry + NeighbourWord.MAC) << 2;
  const bytes = Buffer.from([...view.u8.subarray(start + 4, start + 6), ...view.u8.subarray(start, start + 4)]);
  return { mac: bytes.toString('hex'), isRouter: (key & NEIGHBOUR_ROUTER) !== 0 };
}

it('finds in the table what was written and nothing else, also where addresses collide', () => {
  const random = randomFrom(seedFor('neighbour table'));
  // Addresses of both families whose places are next to each other.
  const hosts: { bridge: number; vlan: number; address: Uint8Array }[] = [];
  while (hosts.length < 14) {
    const address = Uint8Array.from({ length: random(2) === 0 ? 4 : 16 }, () => random(256));
    const words = new Int32Array(4);
    new Uint8Array(words.buffer).set(address);
    const [bridge, vlan] = [1 + random(255), random(4095)];
    const slot = neighbourSlot(
      neighbourKey(bridge, vlan, address.length > 4),
      words[0]!,
      words[1]!,
      words[2]!,
      words[3]!,
    );
    // At the table's end, so that it goes on at its beginning.
    if (slot >= NEIGHBOUR_SLOTS_COUNT - 6) hosts.push({ bridge, vlan, address });
  }
  const table = new NeighbourTable(view);
  const truth = new Map<number, { slot: number; mac: string; isRouter: boolean }>();
  for (let round = 0; round < 3000; round++) {
    const k = random(hosts.length);
    const known = truth.get(k);
    if (known !== undefined && random(2) === 0) {
      table.remove(known.slot);
      truth.delete(k);
    } else {
      const mac = Uint8Array.from({ length: 6 }, () => random(256));
      const isRouter = random(2) === 0;
      const slot = table.write({ ...hosts[k]!, mac, isRouter }, known?.slot);
      expect(known === undefined || slot === known.slot).toBe(true);
      truth.set(k, { slot, mac: Buffer.from(mac).toString('hex'), isRouter });
    }
    const one = random(hosts.length);
    const { slot: _, ...wanted } = truth.get(one) ?? { slot: -1, isNone: true };
    const { bridge, vlan, address } = hosts[one]!;
    expect(found(bridge, vlan, address) ?? { isNone: true }).toEqual(wanted);
  }
  for (const { slot } of truth.values()) table.remove(slot);
  expect(isEmpty()).toBe(true);
});

describe('a frame', () => {
  const arp = (more: object = {}) =>
    buildArpFrame({
      operation: 1,
      senderMac: THERE.mac,
      senderAddress: THERE.ip4,
      targetMac: '00:00:00:00:00:00',
      targetAddress: '198.51.100.1',
      ...more,
    });
  const text = (frame: Uint8Array) => {
    const binding = readBinding(frame);
    if (binding === null) return null;
    const { address, mac, isRouter } = binding;
    return `${Buffer.from(address).toString('hex')} ${Buffer.from(mac).toString('hex')} ${isRouter}`;
  };

  it.each([
    ['a request', arp(), 'c6336409 020000000009 false'],
    ['a reply behind a tag', arp({ operation: 2, vlan: [{ vid: 7 }] }), 'c6336409 020000000009 false'],
    ['an advertisement', advertisement(THERE), '20010db8000000000000000000000009 020000000009 false'],
    ['a router’s', advertisement(THERE, { router: true }), '20010db8000000000000000000000009 020000000009 true'],
    ['a solicitation', solicitation(THERE, '2001:db8::1'), '20010db8000000000000000000000009 020000000009 null'],
  ])('that is %s tells its sender’s address', (_, frame, wanted) => expect(text(frame)).toBe(wanted));

  it.each([
    ['a probe', arp({ senderAddress: '0.0.0.0' })],
    ['another’s word', arp({ src: '02:00:00:00:00:0a' })],
    ['another operation', arp({ operation: 3 })],
    ['from a group', arp({ senderMac: '03:00:00:00:00:09' })],
    ['a search for duplicates', solicitation(THERE, THERE.ip6, { ip6: { source: '::', destination: 'ff02::1' } })],
    ['about several', advertisement(THERE, { override: false })],
    [
      'about a group',
      advertisement({ ...THERE, ip6: 'ff02::9' }, { ip6: { source: '2001:db8::9', destination: 'ff02::1' } }),
    ],
    ['from afar', advertisement(THERE, { ip6: { source: THERE.ip6, destination: 'ff02::1', hopLimit: 254 } })],
    ['something else', arp().fill(0x88, 12, 13)],
  ])('that is %s tells nothing', (_, frame) => expect(text(frame)).toBeNull());

  it('cut off anywhere tells nothing and harms nobody', () => {
    for (const frame of [arp().subarray(0, 42), advertisement(THERE)])
      for (let end = 0; end < frame.length; end++) expect(text(frame.slice(0, end))).toBeNull();
  });
});

describe('control', () => {
  function stand(ports = [3]) {
    const punts = new Punts(view);
    let receiver: PuntReceiver = () => {};
    punts.hear = (protocol, heard) => {
      expect(protocol).toBe(Protocol.BINDINGS);
      receiver = heard;
    };
    const model = { name: 'pod', kind: 'geneve', settings: { suppress: true } };
    const states = new Map(ports.map((number) => [number, { number, bridge: 'br0', leaving: false, model }]));
    const book = { byNumber: (port: number) => states.get(port), bridge: () => ({ number: 1 }) } as unknown as PortBook;
    const clock = { ms: 0 };
    const neighbours = new Neighbours(view, book, punts, () => clock.ms);
    const hear = (port: number, bytes: Uint8Array) => receiver({ port, vlan: 10, about: 0, bytes });
    return { neighbours, hear, clock, states };
  }
  const host = (k: number) => {
    const tail = [k >> 16, (k >> 8) & 255, k & 255];
    const senderAddress = `10.${tail.join('.')}`;
    const senderMac = `02:00:00:${tail.map((octet) => octet.toString(16).padStart(2, '0')).join(':')}`;
    return buildArpFrame({
      ...{ operation: 1, senderMac, senderAddress },
      ...{ targetMac: '00:00:00:00:00:00', targetAddress: senderAddress },
    });
  };

  it('keeps what a solicitation confirms, and drops what it denies', () => {
    const { neighbours, hear } = stand();
    hear(3, advertisement(THERE));
    hear(3, solicitation(THERE, '2001:db8::1'));
    expect(neighbours.rows()).toHaveLength(1);
    hear(3, solicitation({ ...THERE, mac: '02:00:00:00:00:0a' }, '2001:db8::1'));
    expect(neighbours.rows()).toEqual([]);
    hear(3, solicitation(THERE, '2001:db8::1'));
    expect(neighbours.rows()).toEqual([]);
    neighbours.close();
  });

  it('hears nothing of ports that are gone, leave, or answer not', () => {
    const { neighbours, hear, states } = stand([3, 4]);
    hear(5, host(1));
    states.get(4)!.leaving = true;
    hear(4, host(1));
    expect(neighbours.rows()).toEqual([]);
  });

  it('keeps a bounded number, and a tunnel that tells of too many loses its own', () => {
    const { neighbours, hear, clock } = stand([3, 4]);
    for (let k = 0; k < 90; k++) hear(4, host(100_000 + k));
    for (let k = 0; k < NEIGHBOURS_MAX; k++) {
      clock.ms = k;
      hear(3, host(k));
    }
    // Heard again: it is no longer the oldest.
    hear(3, host(90));
    hear(3, host(NEIGHBOURS_MAX));
    const rows = neighbours.rows();
    expect(rows).toHaveLength(NEIGHBOURS_MAX);
    const addresses = new Set(rows.map(({ address }) => address));
    expect([...Array(90).keys()].every((k) => addresses.has(`10.1.134.${160 + k}`))).toBe(true);
    // The oldest of the one that told too many.
    expect([89, 90, 91, 92].map((k) => addresses.has(`10.0.0.${k}`))).toEqual([false, true, false, true]);
    neighbours.forget(3);
    expect(neighbours.rows()).toHaveLength(90);
    neighbours.forget(4);
    expect(isEmpty()).toBe(true);
  });
});
