/**
 * Writes what steers bonds into the arena, where workers read it as it is: no generation, no grace, so that a member's loss is obeyed within
 * a turn. Every write is a word; their order is such that a worker in between sends to members that were there before or are there now.
 * Main thread.
 */
import { BONDS_MAX, BUCKETS_COUNT, MEMBERS_MAX, UNIT_BYTES_SHIFT } from '../../dataplane/limits.ts';
import { BOND_WORDS_SHIFT, Header, workerRegion } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import {
  BondSend,
  BondTrait,
  BondWord,
  Hash,
  MEMBER_PUNTS_NEIGHBOURS,
  MEMBER_PUNTS_SLOW,
  MEMBER_RECEIVE_SHIFT,
  MEMBER_SIFTS,
  Receive,
  TARGETS_WORDS,
  targetBit,
} from '../../dataplane/tables/bond-layout.ts';
import { parseIpv4Address, parseIpv6Address } from '../../dataplane/wire/text.ts';
import type { HashPolicy } from '../model/bond.ts';
import { macKeys } from '../model/mac.ts';

const HASHES: Readonly<Record<HashPolicy, number>> = {
  layer2: Hash.LAYER2,
  'layer2+3': Hash.LAYER23,
  'layer3+4': Hash.LAYER34,
  'encap2+3': Hash.ENCAP23,
  'encap3+4': Hash.ENCAP34,
  'vlan+srcmac': Hash.VLAN_SOURCE,
};
const SENDS = {
  none: BondSend.NONE,
  buckets: BondSend.BUCKETS,
  'round-robin': BondSend.ROUND_ROBIN,
  broadcast: BondSend.BROADCAST,
} as const;
const RECEIVES = { none: Receive.NONE, unicast: Receive.UNICAST, all: Receive.ALL } as const;

/** How a bond sends. */
export interface BondRecord {
  readonly send: keyof typeof SENDS;
  readonly hash: HashPolicy;
  readonly seed: number;
  /** Port numbers of the members that carry; 0 for one that has no port yet. */
  readonly members: readonly number[];
  /** Per bucket an index into `members`; of no account where there are none. */
  readonly buckets: ArrayLike<number>;
  /** Frames in a row to one member, of round-robin. */
  readonly each: number;
  /** Its own frames may come back by other members. */
  readonly reflects: boolean;
  /** Of balance-alb: this machine's own address, and those of the members, the carrying ones first. */
  readonly own?: { readonly mac: string; readonly addresses: readonly string[] } | null;
  /** As what address its monitor asks, and whom: the ARP and neighbour frames that members hand up. Left out without a monitor. */
  readonly asks?: { readonly mac: string; readonly targets: readonly string[] } | undefined;
}

/** What a member is to workers. */
export interface MemberRecord {
  /** The bond's port number. */
  readonly bond: number;
  readonly receive: keyof typeof RECEIVES;
  readonly puntsSlow: boolean;
  readonly puntsNeighbours: boolean;
  readonly reflects: boolean;
  /** The bond's port is down in the tables: what enters it is lost, but not what goes up to control. */
  readonly bondDown?: boolean;
}

export class BondTable {
  readonly #view: View;
  /** Per bond and worker what was read last: the words in the arena wrap. */
  readonly #read = new Map<number, { readonly words: Int32Array[]; readonly units: Float64Array }>();

  constructor(view: View) {
    this.#view = view;
  }

  #at(index: number): number {
    if (index < 1 || index >= BONDS_MAX) throw new RangeError(`bond ${index}: allowed are 1–${BONDS_MAX - 1}`);
    return (this.#view.layout.words[Header.BONDS_AT]! >> 2) + (index << BOND_WORDS_SHIFT);
  }

  /** Bond `index` sends so from now on. */
  steer(index: number, record: BondRecord): void {
    const { members, buckets } = record;
    if (members.length > MEMBERS_MAX) throw new RangeError(`${members.length} members: at most ${MEMBERS_MAX}`);
    const { i32 } = this.#view;
    const at = this.#at(index);
    const present = members.filter((member) => member !== 0);
    const sends = present.length === 0 ? BondSend.NONE : SENDS[record.send];
    if (sends === BondSend.NONE) Atomics.store(i32, at + BondWord.SEND, sends);
    i32[at + BondWord.HASH] = HASHES[record.hash];
    i32[at + BondWord.SEED] = record.seed | 0;
    i32[at + BondWord.EACH] = record.each;
    this.#writeOwn(at, record);
    writeAsks(i32, at, record);
    for (let k = 0; k < present.length; k++) i32[at + BondWord.MEMBERS + k] = present[k]!;
    for (let k = 0; k < BUCKETS_COUNT; k++) i32[at + BondWord.BUCKETS + k] = members[buckets[k]!] ?? 0;
    i32[at + BondWord.COUNT] = present.length;
    i32[at + BondWord.SINGLE] = present.length === 1 ? present[0]! : 0;
    Atomics.store(i32, at + BondWord.SEND, sends);
  }

  #writeOwn(at: number, { reflects, own }: BondRecord): void {
    const { i32 } = this.#view;
    i32[at + BondWord.TRAITS] = (reflects ? BondTrait.REFLECTS : 0) | (own ? BondTrait.BALANCES : 0);
    i32[at + BondWord.OWN_LOW] = -1;
    if (!own) return;
    const addresses = own.addresses.slice(0, MEMBERS_MAX);
    addresses.forEach((mac, k) => {
      const { low, key0 } = macKeys(mac);
      i32[at + BondWord.ADDRESSES + 2 * k] = low;
      i32[at + BondWord.ADDRESSES + 2 * k + 1] = key0;
    });
    i32[at + BondWord.ADDRESSES_COUNT] = addresses.length;
    const { low, key0 } = macKeys(own.mac);
    i32[at + BondWord.OWN_HIGH] = key0;
    i32[at + BondWord.OWN_LOW] = low;
  }

  /** Port `port` is a member, and so; null: it is none. */
  setMember(port: number, member: MemberRecord | null): void {
    Atomics.store(this.#view.i32, (this.#view.layout.words[Header.MEMBERS_AT]! >> 2) + port, wordOf(member));
  }

  /** Units of 64 bytes that each bucket of bond `index` sent since it was first asked. */
  units(index: number): Float64Array {
    const { layout, i32 } = this.#view;
    const known = this.#read.get(index);
    const words = Array.from({ length: layout.workers }, (_, worker) => {
      const at = (workerRegion(layout, Header.UNITS_AT, worker) >> 2) + index * BUCKETS_COUNT;
      return i32.slice(at, at + BUCKETS_COUNT);
    });
    const units = known?.units ?? new Float64Array(BUCKETS_COUNT);
    words.forEach((now, worker) => {
      const before = known?.words[worker] ?? now;
      for (let k = 0; k < BUCKETS_COUNT; k++) units[k]! += (now[k]! - before[k]!) >>> 0;
    });
    this.#read.set(index, { words, units });
    return units.slice();
  }

  /** Bond `index` is no more. */
  forget(index: number): void {
    this.#read.delete(index);
    Atomics.store(this.#view.i32, this.#at(index) + BondWord.SEND, BondSend.NONE);
  }
}

/** Bytes of a unit. */
export const UNIT_BYTES = 1 << UNIT_BYTES_SHIFT;

function writeAsks(i32: Int32Array, at: number, { asks }: BondRecord): void {
  const asker = asks === undefined ? { key0: 0, low: 0 } : macKeys(asks.mac);
  i32[at + BondWord.ASKER] = asker.key0;
  i32[at + BondWord.ASKER_LOW] = asker.low;
  const bits = new Int32Array(TARGETS_WORDS);
  for (const target of asks?.targets ?? []) {
    const bit = targetBit(lastWord(target.includes(':') ? parseIpv6Address(target) : parseIpv4Address(target)));
    bits[bit >>> 5]! |= 1 << (bit & 31);
  }
  i32.set(bits, at + BondWord.TARGETS);
}

/** The last four bytes of an address as they lie in a frame. */
function lastWord(address: Uint8Array): number {
  return new DataView(address.buffer, address.byteOffset + address.length - 4).getInt32(0, true);
}

function wordOf(member: MemberRecord | null): number {
  if (member === null) return 0;
  const { bond, receive, puntsSlow, puntsNeighbours, reflects, bondDown = false } = member;
  let word = bond | (RECEIVES[receive] << MEMBER_RECEIVE_SHIFT);
  if (puntsSlow) word |= MEMBER_PUNTS_SLOW;
  if (puntsNeighbours) word |= MEMBER_PUNTS_NEIGHBOURS;
  return receive === 'all' && !puntsNeighbours && !reflects && !bondDown ? word : word | MEMBER_SIFTS;
}
