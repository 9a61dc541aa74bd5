/** Every size and offset that addon and TypeScript share, by name: the addon exports its own and binding.ts compares. */

import { Drop } from '../dataplane/drop.ts';
import * as limits from '../dataplane/limits.ts';
import * as layout from '../dataplane/memory/layout.ts';
import * as tunnels from '../dataplane/memory/tunnel-words.ts';

const SECTIONS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  Header: layout.Header,
  Block: layout.Block,
  BlockCell: layout.BlockCell,
  Batch: layout.Batch,
  Queue: layout.Queue,
  Refused: layout.Refused,
  Fact: layout.Fact,
  Flag: layout.Flag,
  RemoteWord: tunnels.RemoteWord,
  Arrival: tunnels.Arrival,
  Outer: tunnels.Outer,
};

const SIZES: Readonly<Record<string, number>> = {
  ARENA_MAGIC: layout.ARENA_MAGIC,
  ARENA_VERSION: layout.ARENA_VERSION,
  ARRIVAL_BAD: tunnels.ARRIVAL_BAD,
  ARRIVAL_CRITICAL: tunnels.ARRIVAL_CRITICAL,
  BATCH_COUNT_MAX: limits.BATCH_COUNT_MAX,
  BLOCK_CELLS_AT: layout.BLOCK_CELLS_AT,
  DESTINATIONS_COUNT: limits.DESTINATIONS_COUNT,
  ENTRY_SLOT_MASK: layout.ENTRY_SLOT_MASK,
  FACT_WORDS: layout.FACT_WORDS,
  FINISH_CHECKSUM: layout.FINISH_CHECKSUM,
  FINISH_SEGMENT: layout.FINISH_SEGMENT,
  FRAME_BYTES_MAX: limits.FRAME_BYTES_MAX,
  HEAD_BYTES: limits.HEAD_BYTES,
  HEAD_STRIDE_BYTES: limits.HEAD_STRIDE_BYTES,
  HEADROOM_BYTES: limits.HEADROOM_BYTES,
  LARGE_COUNT: limits.LARGE_COUNT,
  LARGE_STRIDE_BYTES: limits.LARGE_STRIDE_BYTES,
  LIST_COUNT_MAX: limits.LIST_COUNT_MAX,
  PORTS_MAX: limits.PORTS_MAX,
  RECEIVE_SLOTS_COUNT: limits.RECEIVE_SLOTS_COUNT,
  REFUSED_COUNT_MAX: layout.REFUSED_COUNT_MAX,
  REMOTE_WORDS_SHIFT: layout.REMOTE_WORDS_SHIFT,
  SLOTS_COUNT: limits.SLOTS_COUNT,
  WAIT_MS_MAX: limits.WAIT_MS_MAX,
  WORKERS_MAX: limits.WORKERS_MAX,
};

const DROPS = [
  'EGRESS_DOWN',
  'EGRESS_ERROR',
  'EGRESS_REFUSED',
  'EGRESS_FULL',
  'BAD_OFFLOAD',
  'TRUNCATED',
  'BAD_DESCRIPTOR',
  'EGRESS_BUSY',
  'BAD_TUNNEL_HEADER',
  'NO_REMOTE',
  'REMOTE_UNREACHABLE',
  'PATH_MTU',
] as const;

export function abiOf(): Record<string, number> {
  const abi: Record<string, number> = { ...SIZES };
  for (const [section, members] of Object.entries(SECTIONS)) {
    for (const [name, value] of Object.entries(members)) abi[`${section}.${name}`] = value;
  }
  for (const name of DROPS) abi[`Drop.${name}`] = Drop[name];
  return abi;
}
