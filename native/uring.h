// A bare io_uring: fixed files, one fixed buffer, requests that complete while they are submitted. No liburing, so that Node needs
// none; only what TAP queues use. Owned and used by one thread.
#pragma once
#include <cstdint>
#include <linux/io_uring.h>

#include "descriptor.h"

namespace weft {

class Uring {
 public:
  Uring() = default;
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;
  ~Uring();

  /// Sets the ring up with `entries` requests, `files` file slots and one registered buffer. 0, or −errno: then use plain calls.
  int open(uint32_t entries, uint32_t files, void* buffer, size_t bytes);
  bool is_open() const { return ring_.valid(); }
  void close();

  /// Puts `fd` into file slot `index`, or empties it when fd is −1. 0, or −errno.
  int set_file(uint32_t index, int fd);

  uint32_t room() const { return entries_ - pending_; }
  uint32_t pending() const { return pending_; }

  /// The next request, cleared. Only while room() > 0.
  io_uring_sqe* next() {
    io_uring_sqe* const request = &requests_[(tail_ + pending_) & mask_];
    __builtin_memset(request, 0, sizeof *request);
    pending_++;
    return request;
  }

  /// The request that next() gave last.
  io_uring_sqe* last() { return &requests_[(tail_ + pending_ - 1) & mask_]; }

  /// Submits all that is pending; what never waits has its completion afterwards. 0, or −errno: then the rest was not submitted and
  /// is forgotten.
  int submit();

  /// Waits for `count` completions, a second at the most. 0, or −errno.
  int wait(uint32_t count);

  /// Takes one completion off the ring; false when there is none.
  bool take(io_uring_cqe* completion) {
    if (head_ == __atomic_load_n(completion_tail_, __ATOMIC_ACQUIRE)) return false;
    *completion = completions_[head_ & completion_mask_];
    head_++;
    __atomic_store_n(completion_head_, head_, __ATOMIC_RELEASE);
    return true;
  }

 private:
  Descriptor ring_;
  void* rings_ = nullptr;
  size_t rings_bytes_ = 0;
  io_uring_sqe* requests_ = nullptr;
  size_t requests_bytes_ = 0;
  uint32_t* submission_tail_ = nullptr;
  uint32_t* completion_head_ = nullptr;
  uint32_t* completion_tail_ = nullptr;
  io_uring_cqe* completions_ = nullptr;
  uint32_t entries_ = 0, mask_ = 0, completion_mask_ = 0;
  uint32_t tail_ = 0, head_ = 0, pending_ = 0;
};

}  // namespace weft
