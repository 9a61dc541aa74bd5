/** Remotes in the arena: numbers, records, and an index that is read as the path reads it. */
import { describe, expect, it } from 'vitest';
import { addressWords, portOf, remoteOf } from '../../../../control/running/remote-record.ts';
import { REST_MS, type RemoteSpec, Remotes } from '../../../../control/running/remotes.ts';
import {
  DESTINATIONS_COUNT,
  PORTS_MAX,
  REMOTE_PROBES_MAX,
  REMOTE_SLOTS_COUNT,
  REMOTES_MAX,
} from '../../../../dataplane/limits.ts';
import { Header, plainArena } from '../../../../dataplane/memory/layout.ts';
import { RemoteWord } from '../../../../dataplane/memory/tunnel-words.ts';
import { View } from '../../../../dataplane/memory/view.ts';
import { GENERATIONS_AT } from '../../../../dataplane/tables/fdb-layout.ts';
import { remoteAt, remoteSlot } from '../../../../dataplane/tables/tunnel-layout.ts';
import { randomFrom, seedFor } from '../../../seed.ts';

const TO: RemoteSpec = { port: 7, address: '192.0.2.2', udpPort: 4789, scope: 0, vni: null, frameBytesMax: 1464 };

function stand() {
  const view = new View(plainArena({ workers: 1, fdbEntries: 1024 }));
  const clock = { now: 0 };
  const { words } = view.layout;
  const record = (destination: number) => remoteAt(words[Header.REMOTES_AT]! >> 2, destination);
  const index = words[Header.REMOTE_INDEX_AT]! >> 2;
  return {
    view,
    clock,
    record,
    index,
    remotes: new Remotes(view, () => clock.now),
    word: (destination: number, at: number) => view.i32[record(destination) + at]!,
    generation: (destination: number) => view.i32[(words[Header.FDB_COUNTS_AT]! >> 2) + GENERATIONS_AT + destination]!,
    /** As path/arrival.ts finds who sent to `port`. */
    find(port: number, address: string): number {
      const [a0, a1, a2, a3] = addressWords(address) as unknown as [number, number, number, number];
      let slot = remoteSlot(port, a0, a1, a2, a3);
      for (let probe = 0; probe < REMOTE_PROBES_MAX; probe++) {
        const destination = view.i32[index + slot]!;
        if (destination === 0) return 0;
        const at = record(destination);
        const isIt = (k: number, word: number) => view.i32[at + RemoteWord.ADDRESS + k] === word;
        if (
          destination > 0 &&
          view.i32[at + RemoteWord.PORT] === port &&
          view.i32[at + RemoteWord.FAMILY] !== 0 &&
          [a0, a1, a2, a3].every((word, k) => isIt(k, word))
        )
          return destination;
        slot = (slot + 1) & (REMOTE_SLOTS_COUNT - 1);
      }
      return 0;
    },
  };
}

describe('a record', () => {
  it('says of IPv4 what is in a packet', () => {
    const { remotes, word } = stand();
    const to = remotes.add(TO);
    expect(to).toBe(PORTS_MAX);
    const words = Array.from({ length: 10 }, (_, k) => word(to, k));
    // 192.0.2.2 and port 4789 (0x12b5) as little-endian words of what lies in network order.
    expect(words).toEqual([7, 4, 0x0202_00c0, 0, 0, 0, 0xb512, 0, -1, 1464]);
  });

  it('says of IPv6 what is in a packet, and of a group its interface', () => {
    const { remotes, view, word } = stand();
    const to = remotes.add({ ...TO, address: 'ff05::1:2', scope: 9, vni: 77 });
    expect(word(to, RemoteWord.FAMILY)).toBe(6);
    expect(word(to, RemoteWord.ADDRESS)).toBe(0x0000_05ff);
    expect(word(to, RemoteWord.ADDRESS + 3)).toBe(0x0200_0100);
    expect(word(to, RemoteWord.SCOPE)).toBe(9);
    expect(remoteOf(view, to)).toEqual({ address: 'ff05::1:2', vni: 77 });
    expect(portOf(view, to)).toBe(7);
  });

  it('takes another limit', () => {
    const { remotes, word } = stand();
    const to = remotes.add(TO);
    remotes.limit(to, 0);
    expect(word(to, RemoteWord.FRAME_BYTES_MAX)).toBe(0);
  });
});

describe('a remote that is given back', () => {
  it('is found no more, its addresses are forgotten, and its port stays known', () => {
    const { remotes, view, find, generation, word } = stand();
    const to = remotes.add(TO);
    expect(find(7, TO.address)).toBe(to);
    remotes.remove(to);
    expect(find(7, TO.address)).toBe(0);
    expect(generation(to)).toBe(1);
    expect(word(to, RemoteWord.FAMILY)).toBe(0);
    expect([portOf(view, to), remoteOf(view, to)]).toEqual([7, null]);
    expect([...remotes.of(7)]).toEqual([]);
  });

  it('lets its number rest, and the oldest is used first', () => {
    const { remotes, clock, generation } = stand();
    const spec = (k: number) => ({ ...TO, vni: 1, address: `10.${k >> 16}.${(k >> 8) & 255}.${k & 255}` });
    for (let k = 0; k < REMOTES_MAX; k++) expect(remotes.add(spec(k))).toBe(PORTS_MAX + k);
    expect(remotes.add(TO)).toBe(0);
    const [first, second] = [DESTINATIONS_COUNT - 1, PORTS_MAX + 5];
    remotes.remove(first);
    clock.now = 10;
    remotes.remove(second);
    clock.now = REST_MS - 1;
    expect(remotes.add(TO)).toBe(0);
    clock.now = REST_MS;
    expect(remotes.add(TO)).toBe(first);
    expect(generation(first)).toBe(2);
    expect(remotes.add(TO)).toBe(0);
    clock.now = REST_MS + 10;
    expect(remotes.add(TO)).toBe(second);
  });
});

describe('the index', () => {
  it('knows ports apart, and remotes with a VNI of their own not at all', () => {
    const { remotes, find } = stand();
    const [a, b] = [remotes.add(TO), remotes.add({ ...TO, port: 8 })];
    remotes.add({ ...TO, port: 9, vni: 5 });
    expect([find(7, TO.address), find(8, TO.address), find(9, TO.address)]).toEqual([a, b, 0]);
  });

  it('finds whoever is there after any coming and going', () => {
    const { remotes, find, clock, view, index } = stand();
    const random = randomFrom(seedFor('remotes'));
    const there = new Map<string, number>();
    // Few places to begin from, so that many share them: the addresses that begin within the first 64 slots.
    const near: string[] = [];
    for (let k = 0; near.length < 40; k++) {
      const address = `10.${(k >> 16) & 255}.${(k >> 8) & 255}.${k & 255}`;
      const words = addressWords(address);
      if (remoteSlot(7, words[0]!, 0, 0, 0) < 48) near.push(address);
    }
    for (let step = 0; step < 4000; step++) {
      clock.now += REST_MS;
      const address = near[random(near.length)]!;
      const known = there.get(address);
      if (known === undefined) {
        const to = remotes.add({ ...TO, address });
        expect(to).toBeGreaterThan(0);
        there.set(address, to);
      } else {
        remotes.remove(known);
        there.delete(address);
      }
      for (const one of near) expect(find(7, one)).toBe(there.get(one) ?? 0);
    }
    for (const to of there.values()) remotes.remove(to);
    expect(view.i32.slice(index, index + REMOTE_SLOTS_COUNT).every((word) => word === 0)).toBe(true);
  }, 60_000);

  it('refuses whom a reader would not find', () => {
    const { remotes, view, index } = stand();
    const words = addressWords(TO.address);
    const start = remoteSlot(7, words[0]!, 0, 0, 0);
    for (let k = 0; k < REMOTE_PROBES_MAX; k++) view.i32[index + ((start + k) & (REMOTE_SLOTS_COUNT - 1))] = PORTS_MAX;
    expect(remotes.add(TO)).toBe(0);
    expect(remotes.count).toBe(0);
  });
});

it('flushes every remote of a port, and of no other', () => {
  const { remotes, generation } = stand();
  const [a, b, c] = [remotes.add(TO), remotes.add({ ...TO, address: '192.0.2.3' }), remotes.add({ ...TO, port: 8 })];
  remotes.flush(7);
  expect([a, b, c].map(generation)).toEqual([1, 1, 0]);
});
