#include "outbox.h"

#include <algorithm>

namespace weft {

namespace {
constexpr int32_t kSegmentsMax = 256;
}

void Outbox::stage(const uint8_t* at, uint32_t bytes) {
  uint8_t* const to = stage_.get() + staged_;
  __builtin_memcpy(to, at, bytes);
  staged_ += bytes;
  refer(to, bytes);
}

/// A piece that goes on where the last one ends makes that longer.
void Outbox::refer(const uint8_t* at, uint32_t bytes) {
  bytes_ += bytes;
  if (pieces_ > 0) {
    iovec& last = piece_[pieces_ - 1];
    if (static_cast<uint8_t*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += bytes;
      return;
    }
  }
  piece_[pieces_++] = {const_cast<uint8_t*>(at), bytes};
}

void Outbox::stage_prefix(uint32_t length) {
  uint8_t prefix[kPrefixBytes];
  write_prefix(prefix, length);
  stage(prefix, sizeof prefix);
}

void Outbox::put(Slots& slots, int32_t entry) {
  Range pieces[1 + kPiecesOfFrameMax];
  const int32_t count = slots.pieces(entry, pieces);
  const uint32_t length = static_cast<uint32_t>(slots.fact(entry & kEntrySlotMask)[kFactLength]);
  stage_prefix(length);
  const bool is_small = length <= kCopiedMax;
  for (int32_t k = 0; k < count; k++) {
    if (is_small || (k == 0 && pieces[k].bytes <= kCopiedMax)) {
      stage(pieces[k].at, pieces[k].bytes);
    } else {
      refer(pieces[k].at, pieces[k].bytes);
    }
  }
  close(entry);
}

int32_t Outbox::put_finished(Slots& slots, int32_t entry) {
  Range finished[kSegmentsMax];
  const int32_t count = slots.finish(entry, kPrefixBytes, finished, kSegmentsMax);
  if (count < 0) return count == kNoScratch ? kDropEgressFull : kDropBadOffload;
  for (int32_t k = 0; k < count; k++) {
    // The finisher left room for the prefix.
    uint8_t* const at = const_cast<uint8_t*>(finished[k].at) - kPrefixBytes;
    write_prefix(at, finished[k].bytes);
    const uint32_t bytes = finished[k].bytes + kPrefixBytes;
    if (count == 1 && bytes <= kStagedPerEntry) {
      stage(at, bytes);
    } else {
      refer(at, bytes);
      holds_scratch_ = true;
    }
  }
  close(entry);
  return 0;
}

iovec* Outbox::from(uint32_t sent, size_t* count) {
  while (cut_bytes_ < sent) {
    iovec& first = piece_[cut_pieces_];
    const uint32_t bytes = std::min(sent - cut_bytes_, static_cast<uint32_t>(first.iov_len));
    first.iov_base = static_cast<uint8_t*>(first.iov_base) + bytes;
    first.iov_len -= bytes;
    cut_bytes_ += bytes;
    if (first.iov_len == 0) cut_pieces_++;
  }
  *count = pieces_ - cut_pieces_;
  return piece_.get() + cut_pieces_;
}

void Outbox::copy(uint32_t from, uint32_t to, uint8_t* out) const {
  uint32_t at = cut_bytes_;
  for (uint32_t k = cut_pieces_; k < pieces_ && at < to; k++) {
    const uint32_t bytes = static_cast<uint32_t>(piece_[k].iov_len);
    const uint32_t skip = std::min(from > at ? from - at : 0, bytes);
    const uint32_t stop = std::min(to - at, bytes);
    if (stop > skip) {
      __builtin_memcpy(out, static_cast<const uint8_t*>(piece_[k].iov_base) + skip, stop - skip);
      out += stop - skip;
    }
    at += bytes;
  }
}

void Outbox::clear() {
  pieces_ = items_ = staged_ = bytes_ = cut_bytes_ = cut_pieces_ = 0;
  holds_scratch_ = false;
}

}  // namespace weft
