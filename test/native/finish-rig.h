// What every native test of the finisher uses: a frame in pieces, a finisher with scratch, the comparison with the
// model.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include "check.h"
#include "finish-model.h"

namespace model {

using weft::Finisher;
using weft::Range;
using weft::Unfinished;
using weft::kBadOffload;
using weft::kNoScratch;

constexpr uint32_t kRoom = 12;
constexpr int32_t kOutMax = 4096;

// A frame in pieces, each in memory of its own and exactly as large as it says: one byte too far is an ASan report.
struct Pieces {
  std::vector<std::unique_ptr<uint8_t[]>> memory;
  std::vector<Range> tail;
  Unfinished frame{};

  const uint8_t* hold(const uint8_t* from, size_t bytes) {
    memory.push_back(std::make_unique<uint8_t[]>(bytes));
    if (bytes != 0) std::memcpy(memory.back().get(), from, bytes);
    return memory.back().get();
  }

  Pieces(const Bytes& bytes, size_t head_bytes, size_t piece_bytes) {
    frame.head = hold(bytes.data(), head_bytes);
    frame.head_bytes = static_cast<uint32_t>(head_bytes);
    for (size_t at = head_bytes; at < bytes.size(); at += piece_bytes) {
      const size_t piece = std::min(piece_bytes, bytes.size() - at);
      tail.push_back(Range{hold(bytes.data() + at, piece), static_cast<uint32_t>(piece)});
      if (at % 3 == 0) tail.push_back(Range{nullptr, 0});
    }
    frame.tail = tail.data();
    frame.tail_count = static_cast<int32_t>(tail.size());
    frame.length = static_cast<uint32_t>(bytes.size());
  }
};

struct Rig {
  size_t bytes;
  std::unique_ptr<uint8_t[]> scratch;
  std::vector<Range> out;
  Finisher finisher;

  explicit Rig(size_t size = 1 << 20)
      : bytes(size), scratch(std::make_unique<uint8_t[]>(size)), out(kOutMax), finisher(scratch.get(), size) {
    std::memset(scratch.get(), 0xa5, size);
  }

  int32_t finish(const Unfinished& frame, int32_t out_max = kOutMax) {
    return finisher.finish(frame, kRoom, out.data(), out_max);
  }

  Bytes frame(int32_t index) const {
    const Range& range = out[static_cast<size_t>(index)];
    return Bytes(range.at, range.at + range.bytes);
  }
};

inline void describe(Unfinished& frame, const Spec& spec, uint16_t gso_size) {
  frame.gso_type = spec.gso_type();
  frame.gso_size = gso_size;
  frame.needs_checksum = true;
  frame.checksum_start = static_cast<uint16_t>(spec.l4_at());
  frame.checksum_offset = spec.checksum_offset();
}

// The result is the model's, byte for byte, and before every frame lies room that reads as a vnet header of nothing.
inline void check_segments(const Rig& rig, int32_t count, const std::vector<Bytes>& expected) {
  CHECK(count == static_cast<int32_t>(expected.size()));
  for (int32_t i = 0; i < count; i++) {
    CHECK(rig.frame(i) == expected[static_cast<size_t>(i)]);
    const uint8_t* at = rig.out[static_cast<size_t>(i)].at;
    CHECK(at - kRoom >= rig.scratch.get());
    for (uint32_t k = 1; k <= kRoom; k++) CHECK(at[-static_cast<long>(k)] == 0);
  }
}

}  // namespace model
