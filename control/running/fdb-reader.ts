/**
 * Walks the forwarding database for people: rows of (bridge, VLAN, MAC) → port. Reads as a worker does, without locks: a torn entry is
 * left out. Main thread, on request only.
 */
import { Header } from '../../dataplane/memory/layout.ts';
import type { View } from '../../dataplane/memory/view.ts';
import {
  BRIDGE_MASK,
  BRIDGE_SHIFT,
  checkOf,
  DESTINATION_MASK,
  GENERATION_MASK,
  GENERATION_SHIFT,
  GENERATIONS_AT,
  STATIC,
  STICKY,
} from '../../dataplane/tables/fdb-layout.ts';

/** An entry as numbers. */
export interface FdbEntry {
  readonly key0: number;
  readonly key1: number;
  readonly bridge: number;
  readonly vlan: number;
  readonly mac: string;
  readonly port: number;
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
  const seenAt = words[Header.FDB_SEEN_AT]! >> 1;
  const generationsAt = (words[Header.FDB_COUNTS_AT]! >> 2) + GENERATIONS_AT;
  for (let k = 0; k < fdbSlots; k++) {
    const key0 = i32[at + k * 4]!;
    const key1 = i32[at + k * 4 + 1]!;
    const value = i32[at + k * 4 + 2]!;
    if (value === 0 || i32[at + k * 4 + 3] !== checkOf(key0, key1, value)) continue;
    const port = value & DESTINATION_MASK;
    if (((value >>> GENERATION_SHIFT) & GENERATION_MASK) !== (i32[generationsAt + port]! & GENERATION_MASK)) continue;
    yield {
      key0,
      key1,
      bridge: (((value & BRIDGE_MASK) >>> BRIDGE_SHIFT) << 4) | (key1 >>> 28),
      vlan: (key1 >>> 16) & 0xfff,
      mac: formatKeys(key0, key1),
      port,
      type: (value & STATIC) !== 0 ? 'static' : (value & STICKY) !== 0 ? 'sticky' : 'learned',
      age: (value & STATIC) !== 0 ? null : (nowS - u16[seenAt + k]!) & 0xffff,
    };
  }
}
