/**
 * Walks the forwarding database for people: rows of (bridge, VLAN, MAC) → port. Reads as a worker does, without locks: a torn entry is
 * left out. Main thread, on request only.
 */
import { DESTINATIONS_COUNT } from '../../dataplane/limits.ts';
import { FDB_ENTRY_WORDS, Header } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import {
  BRIDGE_MASK,
  BRIDGE_SHIFT,
  checkAt,
  checkOf,
  DESTINATION_MASK,
  ENTRY_SEALED,
  ENTRY_VALUE,
  GENERATION_MASK,
  GENERATION_SHIFT,
  GENERATIONS_AT,
  key1Of,
  STATIC,
  STICKY,
  seenAt,
} from '../../dataplane/tables/fdb-layout.ts';
import { portOf } from './remote-record.ts';

/** An entry as numbers. */
export interface FdbEntry {
  readonly key0: number;
  readonly key1: number;
  readonly bridge: number;
  readonly vlan: number;
  readonly mac: string;
  /** The port, of a tunnel whichever remote it is at. */
  readonly port: number;
  /** The port, or one of its remotes. */
  readonly destination: number;
  readonly type: 'learned' | 'static' | 'sticky';
  /** Seconds; null for static entries. */
  readonly age: number | null;
}

export function formatKeys(key0: number, key1: number): string {
  const bytes = [key1 & 255, (key1 >>> 8) & 255, key0 & 255, (key0 >>> 8) & 255, (key0 >>> 16) & 255, key0 >>> 24];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Every live entry; `nowS` are seconds of the workers' monotonic clock. */
export function* readFdb(view: View, nowS: number): Generator<FdbEntry> {
  const { i32, u16 } = view;
  const { words, fdbSlots } = view.layout;
  const at = words[Header.FDB_BUCKETS_AT]! >> 2;
  const generationsAt = (words[Header.FDB_COUNTS_AT]! >> 2) + GENERATIONS_AT;
  for (let k = 0; k < fdbSlots; k++) {
    const entry = at + k * FDB_ENTRY_WORDS;
    const key0 = i32[entry]!;
    const sealed = i32[entry + ENTRY_SEALED]!;
    const value = i32[entry + ENTRY_VALUE]!;
    if (value === 0 || u16[checkAt(entry)] !== checkOf(key0, sealed, value)) continue;
    const key1 = key1Of(key0, sealed, value);
    const destination = value & DESTINATION_MASK;
    const generation = i32[generationsAt + destination]! & GENERATION_MASK;
    if (((value >>> GENERATION_SHIFT) & GENERATION_MASK) !== generation) continue;
    yield {
      key0,
      key1,
      bridge: (((value & BRIDGE_MASK) >>> BRIDGE_SHIFT) << 4) | (key1 >>> 28),
      vlan: (key1 >>> 16) & 0xfff,
      mac: formatKeys(key0, key1),
      port: portOf(view, destination),
      destination,
      type: (value & STATIC) !== 0 ? 'static' : (value & STICKY) !== 0 ? 'sticky' : 'learned',
      age: (value & STATIC) !== 0 ? null : (nowS - u16[seenAt(entry)]!) & 0xffff,
    };
  }
}

/** How many live addresses each destination has. Of a million addresses it takes some ten milliseconds. */
export function addressCounts(view: View): Uint32Array {
  const { i32, u16 } = view;
  const { words, fdbSlots } = view.layout;
  const at = words[Header.FDB_BUCKETS_AT]! >> 2;
  const generationsAt = (words[Header.FDB_COUNTS_AT]! >> 2) + GENERATIONS_AT;
  const counts = new Uint32Array(DESTINATIONS_COUNT);
  for (let k = 0; k < fdbSlots; k++) {
    const entry = at + k * FDB_ENTRY_WORDS;
    const value = i32[entry + ENTRY_VALUE]!;
    if (value === 0 || u16[checkAt(entry)] !== checkOf(i32[entry]!, i32[entry + ENTRY_SEALED]!, value)) continue;
    const destination = value & DESTINATION_MASK;
    const generation = i32[generationsAt + destination]! & GENERATION_MASK;
    if (((value >>> GENERATION_SHIFT) & GENERATION_MASK) === generation) counts[destination]!++;
  }
  return counts;
}
