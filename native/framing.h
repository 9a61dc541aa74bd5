// The framing of QEMU's `-netdev stream`: before each frame its length, 32 bits, big-endian. Cuts what a socket gave into whole frames.
// Called by a stream's carrier, one thread at a time; needs neither a socket nor the arena. Never copies a frame, never guesses: once a
// length can't be right, every further byte would be read as something else, so nothing more is cut.
#pragma once
#include <cstdint>
#include <memory>

#include "finish.h"

namespace weft {

inline constexpr uint32_t kPrefixBytes = 4;
/// An Ethernet header: what is shorter is no frame.
inline constexpr uint32_t kFramedMin = 14;

inline void write_prefix(uint8_t* at, uint32_t length) {
  const uint32_t big = __builtin_bswap32(length);
  __builtin_memcpy(at, &big, sizeof big);
}

enum class Cut { kFrame, kNeedsMore, kBroken };

class Framing {
 public:
  /// One buffer of `bytes`, more than a prefix and a frame of `frame_max`. Only what is used of it takes memory.
  Framing(uint32_t bytes, uint32_t frame_max) : bytes_(bytes), frame_max_(frame_max), buffer_(new uint8_t[bytes]) {}

  /// The next whole frame, which lies in the buffer until space() is asked for.
  Cut next(Range* frame) {
    if (broken_) return Cut::kBroken;
    const uint32_t there = end_ - at_;
    if (there < kPrefixBytes) return Cut::kNeedsMore;
    uint32_t length;
    __builtin_memcpy(&length, buffer_.get() + at_, sizeof length);
    length = __builtin_bswap32(length);
    if (length < kFramedMin || length > frame_max_) {
      broken_ = true;
      return Cut::kBroken;
    }
    if (there - kPrefixBytes < length) return Cut::kNeedsMore;
    *frame = {buffer_.get() + at_ + kPrefixBytes, length};
    at_ += kPrefixBytes + length;
    return Cut::kFrame;
  }
  /// Takes the last frame back: next() gives it again.
  void put_back(const Range& frame) { at_ -= kPrefixBytes + frame.bytes; }

  /// Where to read to, and how much; only after next() needed more. Voids every frame that was cut before.
  uint8_t* space(uint32_t* room) {
    const uint32_t rest = end_ - at_;
    if (rest > 0 && at_ > 0) __builtin_memmove(buffer_.get(), buffer_.get() + at_, rest);
    at_ = 0;
    end_ = rest;
    *room = bytes_ - rest;
    return buffer_.get() + rest;
  }
  /// So many bytes were read there.
  void filled(uint32_t bytes) { end_ += bytes; }

 private:
  const uint32_t bytes_;
  const uint32_t frame_max_;
  const std::unique_ptr<uint8_t[]> buffer_;
  uint32_t at_ = 0;   // what was not cut yet starts here
  uint32_t end_ = 0;  // and ends here
  bool broken_ = false;
};

}  // namespace weft
