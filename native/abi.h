// The arena's sizes and offsets as C++ sees them. layout.ts and limits.ts are the truth; binding.ts compares every value here
// with them at load and refuses to start on a difference. WEFT_ABI(name, "Section.NAME", value) makes constant and export in one.
#pragma once
#include <cstddef>
#include <cstdint>

#define WEFT_ABI_LIST(X)                                   \
  X(kArenaMagic, "ARENA_MAGIC", 0x57454654)                \
  X(kArenaVersion, "ARENA_VERSION", 1)                     \
  X(kWorkersMax, "WORKERS_MAX", 16)                        \
  X(kPortsMax, "PORTS_MAX", 4096)                          \
  X(kHeadroomBytes, "HEADROOM_BYTES", 128)                 \
  X(kHeadBytes, "HEAD_BYTES", 256)                         \
  X(kHeadStride, "HEAD_STRIDE_BYTES", 384)                 \
  X(kLargeStride, "LARGE_STRIDE_BYTES", 66560)             \
  X(kLargeCount, "LARGE_COUNT", 256)                       \
  X(kFrameBytesMax, "FRAME_BYTES_MAX", 65557)              \
  X(kReceiveSlots, "RECEIVE_SLOTS_COUNT", 512)             \
  X(kSlots, "SLOTS_COUNT", 1024)                           \
  X(kListMax, "LIST_COUNT_MAX", 1024)                      \
  X(kBatchMax, "BATCH_COUNT_MAX", 64)                      \
  X(kWaitMsMax, "WAIT_MS_MAX", 250)                        \
  X(kBlockCellsAt, "BLOCK_CELLS_AT", 128)                  \
  X(kRefusedMax, "REFUSED_COUNT_MAX", 4096)                \
  X(kEntrySlotMask, "ENTRY_SLOT_MASK", 0xffff)             \
  X(kFinishChecksum, "FINISH_CHECKSUM", 1 << 16)           \
  X(kFinishSegment, "FINISH_SEGMENT", 1 << 17)             \
  X(kFactWords, "FACT_WORDS", 16)                          \
  X(kHeaderMagic, "Header.MAGIC", 0)                       \
  X(kHeaderVersion, "Header.VERSION", 1)                   \
  X(kHeaderBytes, "Header.BYTES", 2)                       \
  X(kHeaderWorkers, "Header.WORKERS", 3)                   \
  X(kHeaderWorkerStride, "Header.WORKER_STRIDE", 5)        \
  X(kHeaderBlockAt, "Header.BLOCK_AT", 16)                 \
  X(kHeaderBatchesAt, "Header.BATCHES_AT", 18)             \
  X(kHeaderReceiveListAt, "Header.RECEIVE_LIST_AT", 19)    \
  X(kHeaderQueuesAt, "Header.QUEUES_AT", 20)               \
  X(kHeaderDirtyAt, "Header.DIRTY_AT", 21)                 \
  X(kHeaderRefusedAt, "Header.REFUSED_AT", 22)             \
  X(kHeaderListsAt, "Header.LISTS_AT", 23)                 \
  X(kHeaderFactsAt, "Header.FACTS_AT", 24)                 \
  X(kHeaderHeadsAt, "Header.HEADS_AT", 25)                 \
  X(kHeaderLargeAt, "Header.LARGE_AT", 26)                 \
  X(kHeaderRemotesAt, "Header.REMOTES_AT", 48)             \
  X(kDestinationsCount, "DESTINATIONS_COUNT", 65536)       \
  X(kRemoteWordsShift, "REMOTE_WORDS_SHIFT", 4)            \
  X(kRemoteFamily, "RemoteWord.FAMILY", 1)                 \
  X(kRemoteAddress, "RemoteWord.ADDRESS", 2)               \
  X(kRemoteUdpPort, "RemoteWord.UDP_PORT", 6)              \
  X(kRemoteScope, "RemoteWord.SCOPE", 7)                   \
  X(kArrivalAddress, "Arrival.ADDRESS", -11)               \
  X(kArrivalOuter, "Arrival.OUTER", -7)                    \
  X(kArrivalHeader, "Arrival.HEADER", -6)                  \
  X(kArrivalKey, "Arrival.KEY", -5)                        \
  X(kArrivalCritical, "ARRIVAL_CRITICAL", 256)             \
  X(kArrivalBad, "ARRIVAL_BAD", 512)                       \
  X(kOuterFlowMask, "Outer.FLOW_MASK", 0xff)               \
  X(kOuterTosShift, "Outer.TOS_SHIFT", 8)                  \
  X(kOuterTtlShift, "Outer.TTL_SHIFT", 16)                 \
  X(kOuterHeaderWordsShift, "Outer.HEADER_WORDS_SHIFT", 24) \
  X(kBlockWaitMs, "Block.WAIT_MS", 0)                      \
  X(kBlockYield, "Block.YIELD", 1)                         \
  X(kBlockDirtyCount, "Block.DIRTY_COUNT", 2)              \
  X(kBlockSlotsUsed, "Block.SLOTS_USED", 3)                \
  X(kBlockLargeUsed, "Block.LARGE_USED", 4)                \
  X(kBlockBatchesCount, "Block.BATCHES_COUNT", 5)          \
  X(kBlockRefusedCount, "Block.REFUSED_COUNT", 6)          \
  X(kBlockNowS, "Block.NOW_S", 7)                          \
  X(kBlockNowMs, "Block.NOW_MS", 8)                        \
  X(kBlockWoken, "Block.WOKEN", 9)                         \
  X(kBlockReceivedCount, "Block.RECEIVED_COUNT", 14)       \
  X(kBlockReceiveBudget, "Block.RECEIVE_BUDGET", 16)       \
  X(kBlockWhole, "Block.WHOLE", 17)                        \
  X(kCellNowNs, "BlockCell.NOW_NS", 0)                     \
  X(kCellSentNs, "BlockCell.SENT_NS", 8)                   \
  X(kBatchPort, "Batch.PORT", 0)                           \
  X(kBatchFirst, "Batch.FIRST", 1)                         \
  X(kBatchCount, "Batch.COUNT", 2)                         \
  X(kBatchWords, "Batch.WORDS", 4)                         \
  X(kQueueCount, "Queue.COUNT", 0)                         \
  X(kQueueSent, "Queue.SENT", 1)                           \
  X(kQueueBytes, "Queue.BYTES", 2)                         \
  X(kQueueSegments, "Queue.SEGMENTS", 3)                   \
  X(kQueueWords, "Queue.WORDS", 4)                         \
  X(kRefusedEntry, "Refused.ENTRY", 0)                     \
  X(kRefusedPort, "Refused.PORT", 1)                       \
  X(kRefusedReason, "Refused.REASON", 2)                   \
  X(kRefusedCount, "Refused.COUNT", 3)                     \
  X(kRefusedWords, "Refused.WORDS", 4)                     \
  X(kFactHeadAt, "Fact.HEAD_AT", 0)                        \
  X(kFactHeadBytes, "Fact.HEAD_BYTES", 1)                  \
  X(kFactLength, "Fact.LENGTH", 2)                         \
  X(kFactTailAt, "Fact.TAIL_AT", 3)                        \
  X(kFactIngress, "Fact.INGRESS", 4)                       \
  X(kFactFlags, "Fact.FLAGS", 5)                           \
  X(kFactTag, "Fact.TAG", 6)                               \
  X(kFactRemote, "Fact.REMOTE", 12)                        \
  X(kFactOuter, "Fact.OUTER", 13)                          \
  X(kFactGso, "Fact.GSO", 8)                               \
  X(kFactChecksum, "Fact.CHECKSUM", 9)                     \
  X(kFactSegments, "Fact.SEGMENTS", 10)                    \
  X(kFactWireBytes, "Fact.WIRE_BYTES", 11)                 \
  X(kFlagNeedsChecksum, "Flag.NEEDS_CHECKSUM", 2)          \
  X(kFlagVnet, "Flag.VNET", 32)                            \
  X(kFlagForeign, "Flag.FOREIGN", 128)                     \
  X(kFlagSpoilt, "Flag.SPOILT", 256)                       \
  X(kDropEgressDown, "Drop.EGRESS_DOWN", 13)               \
  X(kDropEgressFull, "Drop.EGRESS_FULL", 16)               \
  X(kDropEgressError, "Drop.EGRESS_ERROR", 17)             \
  X(kDropEgressRefused, "Drop.EGRESS_REFUSED", 18)         \
  X(kDropBadOffload, "Drop.BAD_OFFLOAD", 3)                \
  X(kDropTruncated, "Drop.TRUNCATED", 23)                  \
  X(kDropBadDescriptor, "Drop.BAD_DESCRIPTOR", 24)         \
  X(kDropEgressBusy, "Drop.EGRESS_BUSY", 25)               \
  X(kDropBadTunnelHeader, "Drop.BAD_TUNNEL_HEADER", 30)    \
  X(kDropNoRemote, "Drop.NO_REMOTE", 34)                   \
  X(kDropRemoteUnreachable, "Drop.REMOTE_UNREACHABLE", 35) \
  X(kDropPathMtu, "Drop.PATH_MTU", 36)

namespace weft {
#define WEFT_ABI_CONSTANT(constant, name, value) inline constexpr int32_t constant = value;
WEFT_ABI_LIST(WEFT_ABI_CONSTANT)
#undef WEFT_ABI_CONSTANT
}  // namespace weft
