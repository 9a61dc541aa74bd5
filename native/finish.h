// Finishes frames for an egress that can't take them as they are: fills in a checksum, cuts a super-frame into
// segments. Called while a worker transmits, on that worker's thread, with scratch memory of its own. It decides nothing
// about where a frame goes, allocates nothing, never writes to a head or a tail, and never reads a tail twice: tails may
// lie in a guest's memory and change meanwhile, so bytes are copied first and summed from the copy. Where a caller knows
// better, cut_in_place copies headers only.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace weft {

struct Range {
  const uint8_t* at;
  uint32_t bytes;
};

// struct virtio_net_hdr's gso_type (virtio 1.2, section 5.1.6); <linux/virtio_net.h> does not compile as C++.
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcpV4 = 1;
constexpr uint8_t kGsoUdp = 3;  // fragments, "UFO": refused
constexpr uint8_t kGsoTcpV6 = 4;
constexpr uint8_t kGsoUdpL4 = 5;
constexpr uint8_t kGsoEcn = 0x80;  // only together with TCP

// A frame as the sender described it. The head must hold all headers that are to be changed; the numbers are untrusted,
// the ranges are not. `checksum_start` counts from the frame's first byte, `checksum_offset` from there.
struct Unfinished {
  const uint8_t* head;
  uint32_t head_bytes;
  const Range* tail;
  int32_t tail_count;
  uint32_t length;  // of the whole frame: the head and every range
  uint8_t gso_type;
  uint16_t gso_size;  // payload bytes per segment
  bool needs_checksum;
  uint16_t checksum_start;
  uint16_t checksum_offset;
};

constexpr int32_t kBadOffload = -EINVAL;   // the description and the frame contradict each other, or we can't do it
constexpr int32_t kNoScratch = -ENOBUFS;   // more bytes or more segments than there is room for

constexpr uint32_t kSuperFrameMax = 14 + 2 * 4 + 40 + 65535;  // Ethernet, two tags, IPv6, what its length can say
constexpr size_t kScratchMin = 192 * 1024;                    // a super-frame in segments of 536 bytes, twice over

// How many segments a frame with `header_bytes` of Ethernet, IP and TCP or UDP headers is cut into: at least one, and
// 0 for what can't be cut (gso_size 0, or shorter than its headers).
constexpr uint32_t segment_count(uint32_t length, uint32_t header_bytes, uint32_t gso_size) {
  if (gso_size == 0 || length < header_bytes) return 0;
  const uint32_t payload = length - header_bytes;
  if (payload == 0) return 1;
  return (payload - 1) / gso_size + 1;
}

struct Shape;

class Finisher {
 public:
  // Borrows `bytes` bytes at `scratch` for its lifetime; fewer than kScratchMin only make kNoScratch more likely.
  Finisher(uint8_t* scratch, size_t bytes) : scratch_(scratch), bytes_(bytes) {}
  Finisher(const Finisher&) = delete;
  Finisher& operator=(const Finisher&) = delete;

  // Writes complete frames to scratch, in order, and describes them in `out`. Before each lie `room` zero bytes, which
  // read as a vnet header with nothing left to do. Returns how many, or kBadOffload or kNoScratch, and then wrote
  // nothing. The frames stay until reset(), also across further calls.
  int32_t finish(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max);

  // Like finish, of a super-frame that lies in one piece in memory that nobody else changes: only the headers go to
  // scratch, with the room before them, and the payload stays where it is. `out` gets two ranges a segment, headers and
  // payload. Returns how many segments.
  int32_t cut_in_place(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max);

  // The same address, writable: for what a caller puts in the room before it.
  uint8_t* writable(const Range& finished) { return scratch_ + (finished.at - scratch_); }

  // All of the scratch is free again: once a batch was sent.
  void reset() { used_ = 0; }

  size_t used() const { return used_; }

 private:
  int32_t copy_whole(const Unfinished& frame, uint32_t room, Range* out, int32_t out_max);
  int32_t cut(const Unfinished& frame, const Shape& shape, uint32_t room, Range* out, int32_t out_max);
  uint8_t* take(uint32_t room, uint32_t bytes);

  uint8_t* scratch_;
  size_t bytes_;
  size_t used_ = 0;
};

}  // namespace weft
