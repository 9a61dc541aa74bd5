/**
 * Every kind of port with every other, in both directions: address resolution, ping, and 20 MB over TCP whose SHA-256 must be the same at
 * the other end; over IPv4 and IPv6, with 1,500 and 9,000 bytes of MTU, with offloads and without on either side. All of it in `test:all`,
 * otherwise rows that hold every two of these choices together, drawn by a seed.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNeeds, GUESTS, isLong } from '../needs.ts';
import { REAL } from '../netns/lab.ts';
import { randomFrom, seedFor } from '../seed.ts';
import { pairwise } from './pairwise.ts';
import { arp, fetchFile, ping, serveFile } from './peer.ts';
import { KINDS as ALL_KINDS, type Kind, knowsOffloads, MTU_MAX, type Wish } from './seats.ts';
import { type Seat, Stand } from './stand.ts';

/** Some of them, to look for a fault: WEFT_GUEST_KINDS=tap,stream. */
const chosen = process.env.WEFT_GUEST_KINDS?.split(',');
const KINDS = ALL_KINDS.filter((kind) => chosen === undefined || chosen.includes(kind));

const FILE_BYTES = isLong() ? 20_000_000 : 8_000_000;
/** ICMP and IPv4 headers of a ping that fills a frame. */
const PING_HEADERS_BYTES = 28;
const ON_OFF = [true, false];
const MTUS = [1500, MTU_MAX];

interface Case {
  readonly from: Kind;
  readonly to: Kind;
  readonly fromOffloads: boolean;
  readonly toOffloads: boolean;
  readonly mtu: number;
  readonly families: readonly (4 | 6)[];
}

type Side = 'a' | 'b';

function seatName(side: Side, kind: Kind, offloads: boolean): string {
  return `${side}-${kind}${offloads || !knowsOffloads(kind) ? '' : '-off'}`;
}

/** Both sides have every kind, with offloads and without. */
function everySeat(): Wish[] {
  const seats = (['a', 'b'] as const).flatMap((side) =>
    KINDS.flatMap((kind) =>
      ON_OFF.map((offloads) => ({ name: seatName(side, kind, offloads), kind, guest: side, offloads })),
    ),
  );
  return seats.filter(({ kind, offloads }) => offloads || knowsOffloads(kind));
}

function everyCase(): Case[] {
  const able = (kind: Kind) => (knowsOffloads(kind) ? ON_OFF : [true]);
  return KINDS.flatMap((from) =>
    KINDS.flatMap((to) =>
      able(from).flatMap((fromOffloads) =>
        able(to).flatMap((toOffloads) =>
          MTUS.map((mtu): Case => ({ from, to, fromOffloads, toOffloads, mtu, families: [4, 6] })),
        ),
      ),
    ),
  );
}

function coveringCases(random: (below: number) => number): Case[] {
  const rows = pairwise([KINDS.length, KINDS.length, 2, 2, 2, 2], random);
  return rows.map(([from, to, fromOffloads, toOffloads, mtu, family]) => ({
    from: KINDS[from!]!,
    to: KINDS[to!]!,
    fromOffloads: fromOffloads === 0,
    toOffloads: toOffloads === 0,
    mtu: MTUS[mtu!]!,
    families: [family === 0 ? 4 : 6],
  }));
}

function titleOf({ from, to, fromOffloads, toOffloads, mtu, families }: Case): string {
  const end = (kind: Kind, offloads: boolean) =>
    `${kind}${knowsOffloads(kind) && !offloads ? ' without offloads' : ''}`;
  const over = families.map((family) => `IPv${family}`).join(' and ');
  return `${end(from, fromOffloads)} → ${end(to, toOffloads)}, ${over}, MTU ${mtu}`;
}

describeNeeds(
  { ...REAL, ...GUESTS, tools: [...REAL.tools, ...GUESTS.tools, 'ethtool'] },
  'every kind with every other',
  () => {
    const cases = isLong() ? everyCase() : coveringCases(randomFrom(seedFor('every kind with every other')));
    let stand: Stand;
    const digests = new Map<Seat, string>();

    beforeAll(async () => {
      stand = new Stand(everySeat());
      await stand.open();
    }, 180_000);
    afterAll(() => stand.close());

    /** The file of a seat, made and served when it is first asked for. */
    async function digestOf(seat: Seat): Promise<string> {
      const digest = digests.get(seat) ?? (await serveFile(seat.peer, stand.folderOf(seat), FILE_BYTES));
      digests.set(seat, digest);
      return digest;
    }

    it.each(cases.map((one) => [titleOf(one), one] as const))('%s', { timeout: 180_000 }, async (_, one) => {
      const from = stand.seat(seatName('a', one.from, one.fromOffloads));
      const to = stand.seat(seatName('b', one.to, one.toOffloads));
      const ends = [from, to];
      await Promise.all(ends.map(({ peer }) => peer.run(`ip link set eth0 mtu ${one.mtu}; ip neigh flush dev eth0`)));
      expect(await arp(from.peer, to.ipv4)).toBe(true);
      for (const family of one.families) {
        const target = family === 4 ? to.ipv4 : to.ipv6;
        expect(await ping(from.peer, target)).toBe(3);
        expect(await ping(from.peer, target, { size: one.mtu - PING_HEADERS_BYTES - (family === 4 ? 0 : 20) })).toBe(3);
        const sent = await digestOf(from);
        expect(await fetchFile(to.peer, family === 4 ? from.ipv4 : from.ipv6)).toBe(sent);
      }
    });
  },
);
