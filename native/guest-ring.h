// A split virtqueue (virtio 1.2, section 2.7) seen from the device: what the guest offers is read once, checked, then used. One owner at
// a time: the worker that serves it, or main while all workers are aside.
#pragma once
#include <atomic>
#include <cstdint>

#include "descriptor.h"
#include "guest-memory.h"

namespace weft {

namespace virtio {
struct Desc {
  uint64_t address;
  uint32_t bytes;
  uint16_t flags;
  uint16_t next;
};
struct Available {
  uint16_t flags;
  uint16_t index;
  uint16_t ring[];  // behind its last entry: used_event
};
struct UsedEntry {
  uint32_t id;
  uint32_t bytes;
};
struct Used {
  uint16_t flags;
  uint16_t index;
  UsedEntry ring[];  // behind its last entry: avail_event
};
constexpr uint16_t kNext = 1;
constexpr uint16_t kWrite = 2;
constexpr uint16_t kIndirect = 4;
constexpr uint16_t kNoInterrupt = 1;
constexpr uint16_t kNoNotify = 1;
constexpr uint32_t kRingMax = 32768;
// Feature bits.
constexpr int kFeatureChecksum = 0;
constexpr int kFeatureMergeable = 15;
constexpr int kFeatureLogAll = 26;
constexpr int kFeatureEventIndex = 29;
constexpr int kFeatureVersion1 = 32;
// With any of these a guest may leave something of its frames to us: checksums (CSUM), or segments (HOST_TSO4, _TSO6, _ECN, _UFO, _USO).
constexpr uint64_t kFeaturesOffload = uint64_t{1} << kFeatureChecksum | uint64_t{0xf} << 11 | uint64_t{1} << 56;
}  // namespace virtio

inline constexpr int32_t kLineBytes = 64;  // of the processors' caches

/// What gathering a chain of descriptors came to. Handed on by address: returned it would be put together of halves that were just stored,
/// and such a load waits until every store before it is in the cache, frames and all (a sixth of the worker's time at 9,000 B, 2026-11).
struct Chain {
  int32_t count = 0;    // pieces
  uint32_t bytes = 0;   // of all of them
  bool sound = false;
  bool full = false;    // not sound only because it has more pieces than there was room for
};

/// A bitmap of guest pages that were written, for live migration (vhost-user, VHOST_USER_SET_LOG_BASE).
class DirtyLog {
 public:
  /// 0, or −errno.
  int open(const Descriptor& file, uint64_t bytes, uint64_t offset);
  void close() { mapping_.reset(); }
  bool is_open() const { return mapping_ != nullptr; }
  bool is_lost() const { return mapping_ != nullptr && mapping_->is_lost(); }
  void mark(uint64_t guest, uint64_t bytes);

 private:
  std::shared_ptr<GuestMapping> mapping_;
  uint8_t* bits_ = nullptr;
  uint64_t pages_ = 0;
};

class GuestRing {
 public:
  /// Makes `fd` the ring's kick or call; none (−1) takes it away. 0, or −EINVAL: it must be an eventfd. A look at another kind of file, or
  /// a write to it, is whatever its owner makes of it, also to wait for ever.
  int set(Descriptor GuestRing::* which, Descriptor fd);
  /// Where the ring lies, in the front end's addresses. 0, −EINVAL for a bad size or alignment, −EFAULT outside the regions.
  int place(const GuestMemory& memory, uint32_t size, uint64_t descriptors, uint64_t available, uint64_t used);
  void displace() { size_ = 0; }
  /// Whether any part of it begins in the `bytes` at `at`, where a region lies here.
  bool lies_in(const uint8_t* at, uint64_t bytes) const;
  bool is_placed() const { return size_ != 0; }
  /// The next available entry to look at; −1: where the used ring ends. What is given back goes on where the used ring ends, if it can
  /// be seen: what another back end held when it died is lost to the guest, or sent again, but nothing comes back twice.
  void resume(int32_t base);
  uint16_t next() const { return next_; }

  /// Which notifications both sides agreed on; where writes to the used ring are noted, if they are.
  void agree(bool event_index, DirtyLog* log, uint64_t used_guest_address) {
    event_index_ = event_index;
    log_ = log;
    log_address_ = used_guest_address;
  }

  /// HOT: entries that wait. More than the ring has is a broken promise: the caller gives the ring up.
  uint32_t waiting() const {
    return static_cast<uint16_t>(__atomic_load_n(&available_->index, __ATOMIC_ACQUIRE) - next_);
  }
  uint32_t size() const { return size_; }
  uint32_t mask() const { return size_ - 1; }
  /// HOT: the head of the chain that waits as the `ahead`th; may be out of range.
  uint16_t id_at(uint32_t ahead) const { return __atomic_load_n(&available_->ring[(next_ + ahead) & mask()], __ATOMIC_RELAXED); }
  const virtio::Desc* desc(uint16_t id) const { return descriptors_ + id; }
  void pass(uint32_t count) { next_ = static_cast<uint16_t>(next_ + count); }
  /// Takes back `count` buffers that were passed and given back since the last publish().
  void take_back(uint32_t count) {
    next_ = static_cast<uint16_t>(next_ - count);
    used_index_ = static_cast<uint16_t>(used_index_ - count);
  }

  /// Puts a chain's buffers into `out`, at most `out_max`; all of them must be for reading, or all for writing. The last descriptor may
  /// name an indirect table (section 2.7.5.3.2).
  void gather(const GuestMemory& memory, uint16_t id, bool writable, Range* out, int32_t out_max, Chain* chain) const;

  /// HOT: asks for the lines of the next `count` used entries, which the guest has read last.
  void expect_back(uint32_t count) const {
    constexpr uint32_t kPerLine = kLineBytes / sizeof(virtio::UsedEntry);
    for (uint32_t k = 0; k < count + kPerLine - 1; k += kPerLine) __builtin_prefetch(&used_->ring[(used_index_ + k) & mask()], 1);
  }
  /// HOT: writes a used entry, not yet visible.
  void give_back(uint32_t id, uint32_t bytes) {
    virtio::UsedEntry& entry = used_->ring[used_index_ & mask()];
    entry.id = id;
    entry.bytes = bytes;
    used_index_++;
  }
  /// HOT: makes all used entries visible but the last `keep`, and interrupts the guest if it wants that.
  void publish(uint32_t keep = 0);
  /// Whether used entries were written that the guest doesn't see yet.
  bool keeps() const { return published_ != used_index_; }

  /// Asks the guest to notify, or not to. With EVENT_IDX not to is leaving its avail_event behind.
  void want_notifications();
  void refuse_notifications();

  bool started = false;
  bool enabled = false;
  Descriptor kick;
  Descriptor call;
  std::atomic<int32_t> lock{0};  // 0, or the worker that sends through it and one
  uint64_t used_guest = 0;  // guest address of the used ring

 private:
  bool wants_call(uint16_t before);
  void log_notifications(uint64_t into) const;
  void gather_table(const GuestMemory& memory, const virtio::Desc* table, uint32_t entries, uint32_t id, bool writable, Range* out,
                    int32_t out_max, Chain* chain) const;

  uint32_t size_ = 0;
  uint16_t next_ = 0;
  uint16_t used_index_ = 0;
  uint16_t published_ = 0;
  bool published_any_ = false;
  bool event_index_ = false;
  DirtyLog* log_ = nullptr;
  uint64_t log_address_ = 0;
  const virtio::Desc* descriptors_ = nullptr;
  const virtio::Available* available_ = nullptr;
  virtio::Used* used_ = nullptr;
};

}  // namespace weft
