// Datagrams that wait for their reader: a bounded queue of copies. The kernel's own holds ten where the reader names no peer
// (net.unix.max_dgram_qlen), fewer than one burst of TCP. One worker's.
#pragma once
#include <cstdint>
#include <memory>
#include <sys/socket.h>

namespace weft {

class Backlog {
 public:
  bool is_empty() const { return first_ == end_; }
  void clear() { first_ = end_ = 0; }
  /// How many wait.
  uint32_t count() const {
    uint32_t count = 0;
    for (size_t at = first_; at < end_; at += kLengthBytes + length_at(at)) count++;
    return count;
  }

  /// Copies a datagram behind the others. False when it finds no room: then nothing was copied.
  bool put(const msghdr& datagram) {
    size_t bytes = 0;
    for (size_t k = 0; k < datagram.msg_iovlen; k++) bytes += datagram.msg_iov[k].iov_len;
    if (!make_room(kLengthBytes + bytes)) return false;
    uint8_t* to = memory_.get() + end_;
    const uint32_t length = static_cast<uint32_t>(bytes);
    __builtin_memcpy(to, &length, kLengthBytes);
    to += kLengthBytes;
    for (size_t k = 0; k < datagram.msg_iovlen; k++) {
      __builtin_memcpy(to, datagram.msg_iov[k].iov_base, datagram.msg_iov[k].iov_len);
      to += datagram.msg_iov[k].iov_len;
    }
    end_ += kLengthBytes + bytes;
    return true;
  }

  /// Describes up to `most` of the first ones, a piece each. How many.
  uint32_t first(mmsghdr* messages, iovec* pieces, uint32_t most) const {
    uint32_t count = 0;
    for (size_t at = first_; at < end_ && count < most; count++) {
      const uint32_t length = length_at(at);
      pieces[count] = {memory_.get() + at + kLengthBytes, length};
      messages[count].msg_hdr = {};
      messages[count].msg_hdr.msg_iov = pieces + count;
      messages[count].msg_hdr.msg_iovlen = 1;
      at += kLengthBytes + length;
    }
    return count;
  }
  /// Forgets the first `count`.
  void drop(uint32_t count) {
    for (uint32_t k = 0; k < count; k++) first_ += kLengthBytes + length_at(first_);
    if (is_empty()) clear();
  }

 private:
  /// About what a TAP's queue of 1,000 frames holds.
  static constexpr size_t kBytes = size_t{1536} << 10;
  static constexpr size_t kLengthBytes = sizeof(uint32_t);

  uint32_t length_at(size_t at) const {
    uint32_t length;
    __builtin_memcpy(&length, memory_.get() + at, kLengthBytes);
    return length;
  }

  bool make_room(size_t bytes) {
    if (end_ - first_ + bytes > kBytes) return false;
    if (memory_ == nullptr) memory_.reset(new uint8_t[kBytes]);
    if (end_ + bytes > kBytes) {
      __builtin_memmove(memory_.get(), memory_.get() + first_, end_ - first_);
      end_ -= first_;
      first_ = 0;
    }
    return true;
  }

  std::unique_ptr<uint8_t[]> memory_;
  size_t first_ = 0;
  size_t end_ = 0;
};

}  // namespace weft
