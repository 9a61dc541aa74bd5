// HOT: stage 3. Remembers where each sender lives. Three short loops: compute the keys' buckets and touch them, so that the memory
// behind them arrives together; look up; and only for what is new or moved, the slow half in tables/fdb-learn.ts.
import type { Lane } from '../memory/lane.ts';
import { FACT_WORDS_SHIFT, Fact, FDB_BUCKET_WORDS, PORT_WORDS } from '../memory/layout.ts';
import { find, refresh, valueFor } from '../tables/fdb.ts';
import { bridgeBits, bucketOf, domainBits, ENTRY_VALUE, STATIC, STICKY } from '../tables/fdb-layout.ts';
import { learnNew } from '../tables/fdb-learn.ts';
import { PortFlag, PortWord } from '../tables/port-layout.ts';

const VID_MASK = 0xfff;

/** Notes source and destination bucket of `n` slots listed at word `list`, and warms the cache with them. */
export function touch(lane: Lane, list: number, n: number, port: number): void {
  const i32 = lane.i32;
  const bridge = i32[lane.portsAt + port * PORT_WORDS + PortWord.BRIDGE]!;
  const mask = lane.fdbBucketMask;
  const fdb = lane.fdbAt;
  let sum = 0;
  for (let k = 0; k < n; k++) {
    const facts = lane.factsAt + (i32[list + k]! << FACT_WORDS_SHIFT);
    const at = i32[facts + Fact.HEAD_AT]! >> 2;
    const w0 = i32[at]!;
    const w1 = i32[at + 1]!;
    const domain = domainBits(bridge, i32[facts + Fact.TAG]! & VID_MASK);
    const source = bucketOf(i32[at + 2]!, (w1 >>> 16) | domain, mask);
    const destination = bucketOf((w0 >>> 16) | (w1 << 16), (w0 & 0xffff) | domain, mask);
    i32[facts + Fact.SOURCE_SET] = source;
    i32[facts + Fact.DESTINATION_SET] = destination;
    sum = (sum + i32[fdb + source * FDB_BUCKET_WORDS]! + i32[fdb + destination * FDB_BUCKET_WORDS]!) | 0;
  }
  lane.touched = sum;
}

/** Learns the senders of `n` slots listed at word `list`, received on `port` from `source`: itself, or a remote of it; 0: nobody knows it. */
export function learn(lane: Lane, list: number, n: number, port: number, source: number): void {
  const i32 = lane.i32;
  const record = lane.portsAt + port * PORT_WORDS;
  if (source === 0 || (i32[record + PortWord.FLAGS]! & PortFlag.LEARN) === 0) return;
  const bridge = i32[record + PortWord.BRIDGE]!;
  const bits = bridgeBits(bridge);
  const here = valueFor(lane, source, bits);
  for (let k = 0; k < n; k++) {
    const facts = lane.factsAt + (i32[list + k]! << FACT_WORDS_SHIFT);
    const at = i32[facts + Fact.HEAD_AT]! >> 2;
    const key0 = i32[at + 2]!;
    const key1 = (i32[at + 1]! >>> 16) | domainBits(bridge, i32[facts + Fact.TAG]! & VID_MASK);
    const entry = find(lane, i32[facts + Fact.SOURCE_SET]!, key0, key1, bits);
    if (entry !== 0 && (i32[entry + ENTRY_VALUE]! & ~(STATIC | STICKY)) === here) refresh(lane, entry);
    else learnNew(lane, entry, key0, key1, bits, bridge, port, source);
  }
}
