// One worker's slots as C++ sees them: where a turn's received frames are put, what list entries mean, and what devices refused.
// Engine and carriers share it; one thread. The arena's layout is TypeScript's (layout.ts), the meaning of facts too.
#pragma once
#include <cstdint>
#include <memory>
#include <sys/uio.h>

#include "abi.h"
#include "finish.h"
#include "registry.h"

namespace weft {

/// A virtio_net_hdr (virtio 1.2, section 5.1.6), before every frame that a TAP gives or takes.
inline constexpr int32_t kVnetBytes = 12;

/// Pieces that a frame may lie in outside the arena, and those of all frames of a turn.
inline constexpr int32_t kPiecesOfFrameMax = 256;
inline constexpr int32_t kPiecesOfTurnMax = 16384;

/// Such a header as it lies in memory, held in two words. Bytes put together on the stack would be read back in other sizes than they were
/// written in, and such a load waits until all stores before it are in the cache: those of the frame before, into memory that another core
/// has. Measured on frames of 64 bytes between guests: a fifth of the worker's time.
struct VnetHeader {
  uint64_t begin = 0;  // flags (8), GSO type (8), header bytes (16), GSO size (16), checksum start (16)
  uint32_t end = 0;    // checksum offset (16), buffers (16)

  /// Writes the first `bytes` of it, 10 or 12, in little endian.
  void write(uint8_t* at, int32_t bytes = kVnetBytes) const {
    __builtin_memcpy(at, &begin, sizeof begin);
    if (bytes == kVnetBytes) {
      __builtin_memcpy(at + sizeof begin, &end, sizeof end);
    } else {
      const uint16_t offset = static_cast<uint16_t>(end);
      __builtin_memcpy(at + sizeof begin, &offset, sizeof offset);
    }
  }
  /// Whether the first `bytes` of it stand there already. A device should not read what is for writing (virtio 1.2, section 2.7.5.1): here
  /// it only decides whether the same bytes are written once more.
  bool stands(const uint8_t* at, int32_t bytes) const {
    uint64_t first;
    __builtin_memcpy(&first, at, sizeof first);
    if (bytes == kVnetBytes) {
      uint32_t rest;
      __builtin_memcpy(&rest, at + sizeof first, sizeof rest);
      return first == begin && rest == end;
    }
    uint16_t offset;
    __builtin_memcpy(&offset, at + sizeof first, sizeof offset);
    return first == begin && offset == static_cast<uint16_t>(end);
  }
  VnetHeader in_buffers(uint32_t count) const { return {begin, (end & 0xffff) | count << 16}; }
};

class Slots {
 public:
  /// Whether the header in `mapping` describes an arena of ours with worker `index`, all of whose regions lie in the mapping.
  static bool fits(const Mapping& mapping, int32_t index);

  Slots(std::shared_ptr<Mapping> mapping, int32_t index);
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots();

  int32_t* block() const { return block_; }
  const int32_t* dirty() const { return dirty_; }
  const int32_t* list_of(int32_t port) const { return lists_ + port * kListMax; }
  int32_t* queue_of(int32_t port) const { return queues_ + port * kQueueWords; }
  int32_t* fact(int32_t slot) const { return facts_ + slot * kFactWords; }
  uint8_t* arena() const { return arena_; }
  /// The clock as it was when this turn began to receive.
  double now_ns() const { return reinterpret_cast<const double*>(reinterpret_cast<const uint8_t*>(block_) + kBlockCellsAt)[kCellNowNs]; }
  int32_t worker() const { return index_; }

  // Receiving. Between begin_receiving() and the next turn's: the pieces of the turn before are void by then.

  void begin_turn();
  void begin_receiving();
  /// How many frames this turn may still receive, of all queues together.
  int32_t room() const { return limit_ - slots_used_; }
  /// How many large buffers are left.
  int32_t large_room() const { return kLargeCount - large_used_; }
  /// How many pieces outside the arena.
  int32_t pieces_room() const { return kPiecesOfTurnMax - pieces_used_; }
  /// Whether frames must lie in the arena wholly, since somebody who can't follow pieces will look at them.
  bool whole() const { return block_[kBlockWhole] != 0; }

  /// The next slot. Only while room() > 0.
  int32_t take() { return slots_used_++; }
  /// The next large buffer: where a frame starts in it, with headroom before and kFrameBytesMax behind. Only while large_room() > 0.
  uint8_t* take_large() { return large(large_used_++); }
  /// Slots and large buffers 0 to `count` − 1 are in use: TAPs read into buffers of their slots' numbers.
  void took(int32_t count) { slots_used_ = large_used_ = count; }
  uint8_t* large(int32_t number) const { return large_ + static_cast<size_t>(number) * kLargeStride + kHeadroomBytes; }
  /// Where a small head starts: kHeadBytes long, with headroom before it.
  uint8_t* head(int32_t slot) const { return heads_ + static_cast<size_t>(slot) * kHeadStride + kHeadroomBytes; }

  /// Lists a frame of `length` bytes that lies at `at` (in a head or a large buffer) in one piece. `flags`: kFlagVnet when its header of
  /// kVnetBytes lies before it.
  void put(int32_t slot, int32_t port, const uint8_t* at, int32_t length, int32_t flags) {
    int32_t* const facts = fact(slot);
    const int32_t head = length < kHeadBytes ? length : kHeadBytes;
    const int32_t head_at = at_of(at);
    facts[kFactHeadAt] = head_at;
    facts[kFactHeadBytes] = head;
    facts[kFactLength] = length;
    facts[kFactTailAt] = head_at + head;
    facts[kFactIngress] = port;
    facts[kFactFlags] = flags;
    list_[block_[kBlockReceivedCount]++] = slot;
  }
  /// Lists a frame whose first bytes, `head_bytes` of them, lie in the slot's head and whose rest lies in `count` pieces outside the
  /// arena, which stay as they are until this turn's frames were sent. False when the pieces find no room: then nothing was listed. Pieces that aren't as long as they should be
  /// make it a frame to be dropped.
  bool put_with_tail(int32_t slot, int32_t port, int32_t head_bytes, int32_t length, int32_t flags, const Range* pieces, int32_t count);
  /// Lists a frame that lies in `count` pieces outside the arena, as it suits: a small one in the slot's head, a long one with its tail
  /// left where it is, or wholly in a large buffer. `vnet`: its header of kVnetBytes, null for none. False when there was no room; the
  /// slot is then still the caller's to give back with `put_back`.
  bool put_pieces(int32_t slot, int32_t port, const uint8_t* vnet, const Range* pieces, int32_t count, int32_t length);
  void put_back() { slots_used_--; }
  /// Bytes of the last `count` frames that were listed.
  uint64_t bytes_of_last(int32_t count) const {
    uint64_t bytes = 0;
    for (int32_t k = 1; k <= count; k++) bytes += static_cast<uint32_t>(fact(slots_used_ - k)[kFactLength]);
    return bytes;
  }
  /// Lists a frame of which is known already that it must be dropped, for a reason of drop.ts.
  void put_spoilt(int32_t slot, int32_t port, int32_t reason);

  /// What was listed since `first` (an earlier listed()) is one batch of `port`.
  int32_t listed() const { return block_[kBlockReceivedCount]; }
  void close_batch(int32_t port, int32_t first);
  void end_receiving();

  // Transmitting.

  /// Writes into the queue's record what its list holds; false when the list can't be trusted.
  bool account(int32_t* queue, const int32_t* entries) const;
  /// The frame of an entry as pieces: its head, and behind it its tail. How many.
  int32_t pieces(int32_t entry, Range* out) const;
  /// The same for the finisher; `tail` is room for one piece.
  Unfinished unfinished(int32_t entry, Range* tail) const;
  /// Whether nothing of the frame is left to others, so that its vnet header is all zeros.
  static bool is_finished(const int32_t* facts) { return ((facts[kFactFlags] & kFlagNeedsChecksum) | facts[kFactGso]) == 0; }
  /// HOT: the header rebuilt from facts: a sender's own is never passed on.
  static VnetHeader vnet_of(const int32_t* facts) {
    if (is_finished(facts)) return {};
    const uint64_t gso = static_cast<uint32_t>(facts[kFactGso]);
    const uint64_t checksum = static_cast<uint32_t>(facts[kFactChecksum]);
    VnetHeader header;
    if (gso != 0) {
      const uint64_t headers = (static_cast<uint32_t>(facts[kFactWireBytes]) - (gso >> 16)) & 0xffff;
      header.begin = (gso & 0xff) << 8 | headers << 16 | gso >> 16 << 32;
    }
    if ((facts[kFactFlags] & kFlagNeedsChecksum) != 0) {
      header.begin |= 1 | checksum << 48;
      header.end = static_cast<uint32_t>(checksum >> 16 & 0xffff);
    }
    return header;
  }
  /// Whether the frame's tail lies outside the arena.
  static bool is_foreign(const int32_t* facts) {
    return (facts[kFactFlags] & kFlagForeign) != 0 && facts[kFactLength] != facts[kFactHeadBytes];
  }
  /// Finishes an entry for an egress that copies at once: frames in scratch, valid until the next call. kBadOffload or kNoScratch.
  int32_t finish(int32_t entry, uint32_t room, Range* out, int32_t out_max);

  /// Records of remotes (RemoteWord), of destinations from kPortsMax up; null when this arena has none.
  const int32_t* remotes() const;
  /// The destinations of the set at word `at` of the arena, and how many; null and 0 when it lies elsewhere.
  const int32_t* set_at(int32_t at, int32_t* count) const;
  /// An entry of `port` goes to so many more than the one that it was counted for.
  void count_copies(int32_t port, int32_t entry, int32_t further);

  /// One entry of `port` was not sent, for a reason of drop.ts.
  void refuse(int32_t port, int32_t entry, int32_t reason);
  /// `count` frames that an earlier turn sent to `port` were lost after all, for a reason of drop.ts.
  void lose(int32_t port, int32_t reason, uint32_t count);
  static int32_t reason_of(int error);

 private:
  struct Tail {
    int32_t first;
    int32_t count;
    uint32_t bytes;
  };
  uint8_t* region(int32_t word) const;
  int32_t* words(int32_t word) const { return reinterpret_cast<int32_t*>(region(word)); }
  void record_loss(int32_t port, int32_t entry, int32_t reason, int32_t count);
  bool is_sound(int32_t entry) const;
  int32_t at_of(const uint8_t* at) const { return static_cast<int32_t>(at - arena_); }

  const std::shared_ptr<Mapping> mapping_;
  uint8_t* const arena_;
  const uint32_t arena_bytes_;
  const int32_t index_;
  int32_t* const block_;
  int32_t* const batches_;
  int32_t* const list_;
  int32_t* const queues_;
  int32_t* const dirty_;
  int32_t* const refused_;
  int32_t* const lists_;
  int32_t* const facts_;
  uint8_t* const heads_;
  uint8_t* const large_;
  int32_t limit_ = 0;
  int32_t slots_used_ = 0;
  int32_t large_used_ = 0;
  int32_t pieces_used_ = 0;
  Tail tails_[kReceiveSlots] = {};
  std::unique_ptr<Range[]> pieces_;
  uint8_t* scratch_ = nullptr;
  std::unique_ptr<Finisher> finisher_;

 public:
  /// Heads and large buffers, side by side: what a ring registers as its one buffer.
  uint8_t* buffers() const { return heads_; }
  size_t buffers_bytes() const { return static_cast<size_t>(large_ - heads_) + static_cast<size_t>(kLargeCount) * kLargeStride; }
};

}  // namespace weft
