#include "slots.h"

#include <algorithm>
#include <sys/mman.h>

namespace weft {

namespace {
constexpr int64_t kPageBytes = 4096;
constexpr size_t kScratchBytes = size_t{512} << 10;
}  // namespace

bool Slots::fits(const Mapping& mapping, int32_t index) {
  const int32_t* const header = reinterpret_cast<const int32_t*>(mapping.at());
  if (header[kHeaderMagic] != kArenaMagic || header[kHeaderVersion] != kArenaVersion) return false;
  const int64_t bytes = header[kHeaderBytes], stride = header[kHeaderWorkerStride];
  if (bytes <= 0 || static_cast<size_t>(bytes) > mapping.bytes() || stride <= 0) return false;
  if (index < 0 || index >= header[kHeaderWorkers] || index >= kWorkersMax) return false;
  constexpr int32_t kWord = sizeof(int32_t);
  const struct {
    int32_t word;
    int64_t bytes;
  } regions[] = {
      {kHeaderBlockAt, kBlockCellsAt + (kCellSentNs + 1) * static_cast<int64_t>(sizeof(double))},
      {kHeaderBatchesAt, kReceiveSlots * kBatchWords * kWord},
      {kHeaderReceiveListAt, kReceiveSlots * kWord},
      {kHeaderQueuesAt, kPortsMax * kQueueWords * kWord},
      {kHeaderDirtyAt, kPortsMax * kWord},
      {kHeaderRefusedAt, kRefusedMax * kRefusedWords * kWord},
      {kHeaderListsAt, kPortsMax * kListMax * kWord},
      {kHeaderFactsAt, kSlots * kFactWords * kWord},
      {kHeaderHeadsAt, kSlots * kHeadStride},
      {kHeaderLargeAt, kLargeCount * kLargeStride},
  };
  for (const auto& region : regions) {
    const int64_t at = header[region.word] + stride * index;
    if (at < kPageBytes || at % kPageBytes != 0 || at + region.bytes > bytes) return false;
  }
  return header[kHeaderHeadsAt] < header[kHeaderLargeAt];
}

uint8_t* Slots::region(int32_t word) const {
  const int32_t* const header = reinterpret_cast<const int32_t*>(arena_);
  return arena_ + header[word] + static_cast<size_t>(header[kHeaderWorkerStride]) * static_cast<size_t>(index_);
}

Slots::Slots(std::shared_ptr<Mapping> mapping, int32_t index)
    : mapping_(std::move(mapping)),
      arena_(mapping_->at()),
      arena_bytes_(static_cast<uint32_t>(reinterpret_cast<const int32_t*>(arena_)[kHeaderBytes])),
      index_(index),
      block_(words(kHeaderBlockAt)),
      batches_(words(kHeaderBatchesAt)),
      list_(words(kHeaderReceiveListAt)),
      queues_(words(kHeaderQueuesAt)),
      dirty_(words(kHeaderDirtyAt)),
      refused_(words(kHeaderRefusedAt)),
      lists_(words(kHeaderListsAt)),
      facts_(words(kHeaderFactsAt)),
      heads_(region(kHeaderHeadsAt)),
      large_(region(kHeaderLargeAt)) {}

Slots::~Slots() {
  if (scratch_ != nullptr) ::munmap(scratch_, kScratchBytes);
}

void Slots::begin_turn() {
  block_[kBlockWoken] = 0;
  block_[kBlockSlotsUsed] = 0;
  block_[kBlockLargeUsed] = 0;
  block_[kBlockBatchesCount] = 0;
  block_[kBlockReceivedCount] = 0;
  block_[kBlockRefusedCount] = 0;
}

void Slots::begin_receiving() {
  limit_ = std::clamp(block_[kBlockReceiveBudget], 1, kReceiveSlots);
  slots_used_ = large_used_ = pieces_used_ = 0;
}

void Slots::end_receiving() {
  block_[kBlockSlotsUsed] = slots_used_;
  block_[kBlockLargeUsed] = large_used_;
}

void Slots::put_spoilt(int32_t slot, int32_t port, int32_t reason) {
  put(slot, port, head(slot), 0, kFlagSpoilt);
  fact(slot)[kFactTag] = reason;
}

bool Slots::put_with_tail(int32_t slot, int32_t port, int32_t head_bytes, int32_t length, int32_t flags, const Range* pieces, int32_t count) {
  // Allocated by the first port that needs them: a switch with TAPs only never does.
  if (pieces_ == nullptr) pieces_ = std::make_unique<Range[]>(kPiecesOfTurnMax);
  if (count > kPiecesOfFrameMax || count > kPiecesOfTurnMax - pieces_used_) return false;
  uint32_t bytes = 0;
  for (int32_t k = 0; k < count; k++) {
    pieces_[pieces_used_ + k] = pieces[k];
    bytes += pieces[k].bytes;
  }
  if (bytes != static_cast<uint32_t>(length - head_bytes)) {
    put_spoilt(slot, port, kDropBadDescriptor);
    return true;
  }
  tails_[slot] = {pieces_used_, count, bytes};
  pieces_used_ += count;
  int32_t* const facts = fact(slot);
  facts[kFactHeadAt] = at_of(head(slot));
  facts[kFactHeadBytes] = head_bytes;
  facts[kFactLength] = length;
  facts[kFactTailAt] = slot;
  facts[kFactIngress] = port;
  facts[kFactFlags] = flags | kFlagForeign;
  list_[block_[kBlockReceivedCount]++] = slot;
  return true;
}

bool Slots::put_pieces(int32_t slot, int32_t port, const uint8_t* vnet, const Range* pieces, int32_t count, int32_t length) {
  const bool stays = length > kHeadBytes && !whole();
  const bool needs_large = length > kHeadBytes && !stays;
  if (needs_large && (large_room() == 0 || length > kFrameBytesMax)) return false;
  uint8_t* const to = needs_large ? take_large() : head(slot);
  const int32_t flags = vnet == nullptr ? 0 : kFlagVnet;
  if (vnet != nullptr) __builtin_memcpy(to - kVnetBytes, vnet, kVnetBytes);
  const uint32_t wanted = static_cast<uint32_t>(stays ? kHeadBytes : length);
  uint32_t copied = 0;
  Range rest[kPiecesOfFrameMax];
  int32_t left = 0;
  for (int32_t k = 0; k < count; k++) {
    const uint32_t bytes = std::min(pieces[k].bytes, wanted - copied);
    __builtin_memcpy(to + copied, pieces[k].at, bytes);
    copied += bytes;
    if (bytes == pieces[k].bytes) continue;
    if (left == kPiecesOfFrameMax) return false;
    rest[left++] = {pieces[k].at + bytes, pieces[k].bytes - bytes};
  }
  if (stays) return put_with_tail(slot, port, kHeadBytes, length, flags, rest, left);
  put(slot, port, to, length, flags);
  return true;
}

void Slots::close_batch(int32_t port, int32_t first) {
  const int32_t count = listed() - first;
  if (count == 0) return;
  int32_t* const batch = batches_ + block_[kBlockBatchesCount]++ * kBatchWords;
  batch[kBatchPort] = port;
  batch[kBatchFirst] = first;
  batch[kBatchCount] = count;
}

/// Whether an entry names a slot whose facts lie in the arena. Facts are TypeScript's; a mistake there must not become a write to
/// foreign memory. A nanosecond a frame (2.8 to 3.8 ns a refused entry, 2026-11).
bool Slots::is_sound(int32_t entry) const {
  const int32_t slot = entry & kEntrySlotMask;
  if (slot >= kSlots) return false;
  const int32_t* const facts = fact(slot);
  const uint32_t head_at = static_cast<uint32_t>(facts[kFactHeadAt]);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
  const uint32_t tail_at = static_cast<uint32_t>(facts[kFactTailAt]);
  if (length > static_cast<uint32_t>(kLargeStride) || head > length) return false;
  if (head_at < uint32_t{kVnetBytes} || head_at > arena_bytes_ - head) return false;
  if (head == length) return true;
  if ((facts[kFactFlags] & kFlagForeign) != 0) return tail_at < static_cast<uint32_t>(kReceiveSlots) && tails_[tail_at].bytes == length - head;
  return tail_at <= arena_bytes_ - (length - head);
}

bool Slots::account(int32_t* queue, const int32_t* entries) const {
  const int32_t count = queue[kQueueCount];
  if (count < 0 || count > kListMax) return false;
  int32_t bytes = 0, segments = 0;
  for (int32_t k = 0; k < count; k++) {
    if (!is_sound(entries[k])) return false;
    const int32_t* const facts = fact(entries[k] & kEntrySlotMask);
    bytes += facts[kFactLength];
    segments += facts[kFactSegments];
  }
  queue[kQueueSent] = count;
  queue[kQueueBytes] = bytes;
  queue[kQueueSegments] = segments;
  return true;
}

int32_t Slots::pieces(int32_t entry, Range* out) const {
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t rest = static_cast<uint32_t>(facts[kFactLength]) - head;
  out[0] = {arena_ + facts[kFactHeadAt], head};
  if (rest == 0) return 1;
  if ((facts[kFactFlags] & kFlagForeign) == 0) {
    out[1] = {arena_ + facts[kFactTailAt], rest};
    if (facts[kFactTailAt] != facts[kFactHeadAt] + facts[kFactHeadBytes]) return 2;
    out[0].bytes += rest;
    return 1;
  }
  const Tail& tail = tails_[facts[kFactTailAt]];
  for (int32_t k = 0; k < tail.count; k++) out[1 + k] = pieces_[tail.first + k];
  return 1 + tail.count;
}

Unfinished Slots::unfinished(int32_t entry, Range* piece) const {
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  const uint32_t gso = static_cast<uint32_t>(facts[kFactGso]);
  const uint32_t checksum = static_cast<uint32_t>(facts[kFactChecksum]);
  const uint32_t head = static_cast<uint32_t>(facts[kFactHeadBytes]);
  const uint32_t length = static_cast<uint32_t>(facts[kFactLength]);
  Unfinished frame{};
  frame.head = arena_ + facts[kFactHeadAt];
  frame.head_bytes = head;
  if (is_foreign(facts)) {
    const Tail& tail = tails_[facts[kFactTailAt]];
    frame.tail = pieces_.get() + tail.first;
    frame.tail_count = tail.count;
  } else {
    *piece = {arena_ + facts[kFactTailAt], length - head};
    frame.tail = piece;
    frame.tail_count = length > head ? 1 : 0;
  }
  frame.length = length;
  frame.gso_type = (entry & kFinishSegment) != 0 ? static_cast<uint8_t>(gso) : kGsoNone;
  frame.gso_size = static_cast<uint16_t>(gso >> 16);
  frame.needs_checksum = (facts[kFactFlags] & kFlagNeedsChecksum) != 0;
  frame.checksum_start = static_cast<uint16_t>(checksum);
  frame.checksum_offset = static_cast<uint16_t>(checksum >> 16);
  return frame;
}

int32_t Slots::finish(int32_t entry, uint32_t room, Range* out, int32_t out_max) {
  if (finisher_ == nullptr) {
    void* const at = ::mmap(nullptr, kScratchBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return kNoScratch;
    scratch_ = static_cast<uint8_t*>(at);
    finisher_ = std::make_unique<Finisher>(scratch_, kScratchBytes);
  }
  finisher_->reset();
  Range piece;
  return finisher_->finish(unfinished(entry, &piece), room, out, out_max);
}

const int32_t* Slots::remotes() const {
  constexpr int64_t kBytes = static_cast<int64_t>(kDestinationsCount - kPortsMax) << kRemoteWordsShift << 2;
  const int64_t at = reinterpret_cast<const int32_t*>(arena_)[kHeaderRemotesAt];
  if (at < kPageBytes || at % kPageBytes != 0 || at + kBytes > static_cast<int64_t>(arena_bytes_)) return nullptr;
  return reinterpret_cast<const int32_t*>(arena_ + at);
}

const int32_t* Slots::set_at(int32_t at, int32_t* count) const {
  const int64_t words = arena_bytes_ / sizeof(int32_t);
  *count = 0;
  if (at < 0 || at >= words) return nullptr;
  const int32_t* const set = reinterpret_cast<const int32_t*>(arena_) + at;
  const int32_t members = __atomic_load_n(set, __ATOMIC_RELAXED);
  if (members < 0 || members > kDestinationsCount - kPortsMax || members >= words - at) return nullptr;
  *count = members;
  return set + 1;
}

/// Unsigned, since a flood of super-frames to thousands may wrap what a turn's words hold.
void Slots::count_copies(int32_t port, int32_t entry, int32_t further) {
  int32_t* const queue = queue_of(port);
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  const uint32_t times = static_cast<uint32_t>(further);
  const auto add = [queue, times](int32_t word, int32_t value) {
    queue[word] = static_cast<int32_t>(static_cast<uint32_t>(queue[word]) + times * static_cast<uint32_t>(value));
  };
  add(kQueueSent, 1);
  add(kQueueBytes, facts[kFactLength]);
  add(kQueueSegments, facts[kFactSegments]);
}

void Slots::refuse(int32_t port, int32_t entry, int32_t reason) {
  int32_t* const queue = queue_of(port);
  const int32_t* const facts = fact(entry & kEntrySlotMask);
  queue[kQueueSent]--;
  queue[kQueueBytes] = static_cast<int32_t>(static_cast<uint32_t>(queue[kQueueBytes]) - static_cast<uint32_t>(facts[kFactLength]));
  queue[kQueueSegments] -= facts[kFactSegments];
  record_loss(port, entry, reason, 1);
}

void Slots::lose(int32_t port, int32_t reason, uint32_t count) {
  if (count > 0) record_loss(port, 0, reason, static_cast<int32_t>(count));
}

void Slots::record_loss(int32_t port, int32_t entry, int32_t reason, int32_t frames) {
  const int32_t count = block_[kBlockRefusedCount];
  int32_t* const last = refused_ + (count - 1) * kRefusedWords;
  // A port that is down refuses its whole list: one record. Should they run out after all, a loss is counted at the wrong port rather than nowhere.
  if (count > 0 && ((last[kRefusedPort] == port && last[kRefusedReason] == reason) || count == kRefusedMax)) {
    last[kRefusedCount] += frames;
    return;
  }
  int32_t* const refused = last + kRefusedWords;
  refused[kRefusedEntry] = entry;
  refused[kRefusedPort] = port;
  refused[kRefusedReason] = reason;
  refused[kRefusedCount] = frames;
  block_[kBlockRefusedCount] = count + 1;
}

int32_t Slots::reason_of(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return kDropEgressFull;
    case EIO:
    case EBADFD:
    case ENODEV:
    case ENETDOWN:
    case ENXIO:
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
      return kDropEgressDown;
    case EINVAL:
    case EMSGSIZE:
      return kDropEgressRefused;
    default:
      return kDropEgressError;
  }
}

}  // namespace weft
