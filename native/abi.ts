/** Every size and offset that addon and TypeScript share, by name: the addon exports its own and binding.ts compares. */

import { Drop } from '../dataplane/drop.ts';
import * as limits from '../dataplane/limits.ts';
import * as layout from '../dataplane/memory/layout.ts';

const SECTIONS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  Header: layout.Header,
  Block: layout.Block,
  BlockCell: layout.BlockCell,
  Batch: layout.Batch,
  Queue: layout.Queue,
  Refused: layout.Refused,
  Fact: layout.Fact,
  Flag: layout.Flag,
};

const LIMITS = [
  'WORKERS_MAX',
  'PORTS_MAX',
  'HEADROOM_BYTES',
  'HEAD_BYTES',
  'HEAD_STRIDE_BYTES',
  'LARGE_STRIDE_BYTES',
  'LARGE_COUNT',
  'FRAME_BYTES_MAX',
  'RECEIVE_SLOTS_COUNT',
  'SLOTS_COUNT',
  'LIST_COUNT_MAX',
  'BATCH_COUNT_MAX',
] as const;

const LAYOUT = [
  'ARENA_MAGIC',
  'ARENA_VERSION',
  'BLOCK_CELLS_AT',
  'REFUSED_COUNT_MAX',
  'ENTRY_SLOT_MASK',
  'FINISH_CHECKSUM',
  'FINISH_SEGMENT',
  'FACT_WORDS',
] as const;

const DROPS = ['EGRESS_DOWN', 'EGRESS_ERROR', 'EGRESS_REFUSED', 'EGRESS_FULL', 'BAD_OFFLOAD', 'UNKNOWN_PORT'] as const;

export function abiOf(): Record<string, number> {
  const abi: Record<string, number> = {};
  for (const [section, members] of Object.entries(SECTIONS)) {
    for (const [name, value] of Object.entries(members)) abi[`${section}.${name}`] = value;
  }
  for (const name of LIMITS) abi[name] = limits[name];
  for (const name of LAYOUT) abi[name] = layout[name];
  for (const name of DROPS) abi[`Drop.${name}`] = Drop[name];
  return abi;
}
