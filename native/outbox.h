// Frames on their way into a stream, each behind its length: gathers a list into as few pieces as pay, for one system call. One worker's;
// frames are referred to, not kept: what is in it is sent or refused before its list ends.
#pragma once
#include <memory>
#include <sys/uio.h>

#include "framing.h"
#include "slots.h"

namespace weft {

class Outbox {
 public:
  /// An entry and where its bytes end, counted from the first in the box.
  struct Item {
    int32_t entry;
    uint32_t end;
  };

  /// Whether an entry of any shape finds room.
  bool has_room() const { return pieces_ + kPiecesPerEntry <= kPiecesMax && staged_ + kStagedPerEntry <= kStageBytes && items_ < kItemsMax; }
  /// Whether it refers to the finisher's scratch, which the next finished entry would overwrite.
  bool holds_scratch() const { return holds_scratch_; }

  void put(Slots& slots, int32_t entry);
  /// Finishes the entry first. 0, or the reason why it can't be had.
  int32_t put_finished(Slots& slots, int32_t entry);

  uint32_t bytes() const { return bytes_; }
  const Item* items() const { return item_.get(); }
  uint32_t count() const { return items_; }
  /// What is behind the first `sent` bytes, as pieces for sendmsg; cuts off what was sent.
  iovec* from(uint32_t sent, size_t* count);
  /// Copies bytes `from` to `to` out of it.
  void copy(uint32_t from, uint32_t to, uint8_t* out) const;
  void clear();

 private:
  static constexpr uint32_t kPiecesMax = 1024;  // UIO_MAXIOV
  static constexpr uint32_t kPiecesPerEntry = kPiecesOfFrameMax + 2;
  static constexpr uint32_t kItemsMax = 256;
  static constexpr uint32_t kStageBytes = 128 << 10;
  /// Frames up to here are copied into one piece: a piece of its own costs the kernel more than the copy costs us.
  static constexpr uint32_t kCopiedMax = 512;
  static constexpr uint32_t kStagedPerEntry = kPrefixBytes + kCopiedMax;

  void stage(const uint8_t* at, uint32_t bytes);
  void refer(const uint8_t* at, uint32_t bytes);
  void stage_prefix(uint32_t length);
  void close(int32_t entry) { item_[items_++] = {entry, bytes_}; }

  std::unique_ptr<uint8_t[]> stage_{new uint8_t[kStageBytes]};
  std::unique_ptr<iovec[]> piece_{new iovec[kPiecesMax]};
  std::unique_ptr<Item[]> item_{new Item[kItemsMax]};
  uint32_t pieces_ = 0;
  uint32_t items_ = 0;
  uint32_t staged_ = 0;
  uint32_t bytes_ = 0;
  uint32_t cut_bytes_ = 0;   // of the pieces, sent and cut off
  uint32_t cut_pieces_ = 0;
  bool holds_scratch_ = false;
};

}  // namespace weft
