#include "guest-ring.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "doorbell.h"

namespace weft {

using namespace virtio;

namespace {
constexpr uint64_t kLogPageBytes = 4096;
// Of a chain, and as many again in its indirect table.
constexpr uint32_t kDescriptorsMax = 256;

/// One read of what the guest may be changing meanwhile.
Desc read_once(const Desc* at) {
  Desc desc;
  desc.address = __atomic_load_n(&at->address, __ATOMIC_RELAXED);
  desc.bytes = __atomic_load_n(&at->bytes, __ATOMIC_RELAXED);
  desc.flags = __atomic_load_n(&at->flags, __ATOMIC_RELAXED);
  desc.next = __atomic_load_n(&at->next, __ATOMIC_RELAXED);
  return desc;
}
}  // namespace

int DirtyLog::open(const Descriptor& file, uint64_t bytes, uint64_t offset) {
  uint64_t end;
  if (bytes == 0 || __builtin_add_overflow(offset, bytes, &end) || end > SIZE_MAX / 2) return -EINVAL;
  int error = 0;
  auto mapping = GuestMapping::map(file, static_cast<size_t>(end), &error);
  if (mapping == nullptr) return -error;
  bits_ = mapping->at() + offset;
  pages_ = bytes * 8;
  mapping_ = std::move(mapping);
  return 0;
}

void DirtyLog::mark(uint64_t guest, uint64_t bytes) {
  if (bytes == 0 || mapping_ == nullptr) return;
  const uint64_t last = (guest + bytes - 1) / kLogPageBytes;
  for (uint64_t page = guest / kLogPageBytes; page <= last && page < pages_; page++) {
    __atomic_fetch_or(&bits_[page / 8], static_cast<uint8_t>(1u << (page % 8)), __ATOMIC_RELEASE);
  }
}

int GuestRing::set(Descriptor GuestRing::* which, Descriptor fd) {
  if (fd.valid()) {
    char path[32], name[32] = {};
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd.get());
    // Where there is no /proc nobody can tell.
    if (::readlink(path, name, sizeof name - 1) > 0 && std::strcmp(name, "anon_inode:[eventfd]") != 0) return -EINVAL;
    // One whose count is full would hold us up, where ring_doorbell has to write.
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
  }
  this->*which = std::move(fd);
  return 0;
}

int GuestRing::place(const GuestMemory& memory, uint32_t size, uint64_t descriptors, uint64_t available, uint64_t used) {
  size_ = 0;
  if (size == 0 || size > kRingMax || (size & (size - 1)) != 0) return -EINVAL;
  uint64_t guest;
  uint8_t* const table = memory.find_user(descriptors, uint64_t{size} * sizeof(Desc), &guest);
  // Both end with an event index, whether or not it is agreed on: a front end allocates it always.
  uint8_t* const offered = memory.find_user(available, 4 + uint64_t{size} * 2 + 2, &guest);
  uint8_t* const done = memory.find_user(used, 4 + uint64_t{size} * sizeof(UsedEntry) + 2, &guest);
  if (table == nullptr || offered == nullptr || done == nullptr) return -EFAULT;
  const auto is_odd = [](const uint8_t* at, uintptr_t unit) { return reinterpret_cast<uintptr_t>(at) % unit != 0; };
  if (is_odd(table, 16) || is_odd(offered, 2) || is_odd(done, 4)) return -EINVAL;
  descriptors_ = reinterpret_cast<const Desc*>(table);
  available_ = reinterpret_cast<const Available*>(offered);
  used_ = reinterpret_cast<Used*>(done);
  used_guest = guest;
  size_ = size;
  // The ring may have moved while it ran: what we write next goes on where we were.
  return 0;
}

void GuestRing::resume(int32_t base) {
  const uint16_t used = is_placed() ? __atomic_load_n(&used_->index, __ATOMIC_RELAXED) : 0;
  next_ = base < 0 ? used : static_cast<uint16_t>(base);
  used_index_ = published_ = base < 0 || is_placed() ? used : static_cast<uint16_t>(base);
  published_any_ = false;
}

bool GuestRing::lies_in(const uint8_t* at, uint64_t bytes) const {
  const void* const parts[] = {descriptors_, available_, used_};
  for (const void* const part : parts) {
    const uint8_t* const from = static_cast<const uint8_t*>(part);
    if (from >= at && from < at + bytes) return true;
  }
  return false;
}

void GuestRing::gather(const GuestMemory& memory, uint16_t id, bool writable, Range* out, int32_t out_max, Chain* chain) const {
  *chain = {};
  gather_table(memory, descriptors_, size_, id, writable, out, out_max, chain);
}

/// Goes on with `chain` at `id` of a table.
void GuestRing::gather_table(const GuestMemory& memory, const Desc* table, uint32_t entries, uint32_t id, bool writable, Range* out,
                             int32_t out_max, Chain* chain) const {
  // Longer than its table is a loop; longer than a frame may be, a way to keep us busy with empty descriptors.
  const uint32_t steps_max = std::min<uint32_t>(entries, kDescriptorsMax);
  for (uint32_t steps = 0; steps < steps_max; steps++) {
    if (id >= entries) return;
    const Desc desc = read_once(table + id);
    if ((desc.flags & kIndirect) != 0) {
      // Section 2.7.5.3.1: not within another, nothing behind it, and its table holds whole descriptors.
      uint32_t bytes = desc.bytes;
      const uint32_t inner = bytes / sizeof(Desc);
      if (table != descriptors_ || (desc.flags & kNext) != 0 || inner == 0 || inner > kRingMax || bytes % sizeof(Desc) != 0) return;
      const uint8_t* const at = memory.find(desc.address, &bytes);
      if (at == nullptr || bytes != desc.bytes || reinterpret_cast<uintptr_t>(at) % 8 != 0) return;
      const Desc* const next = reinterpret_cast<const Desc*>(at);
      // A table that is the ring's own would be followed for ever.
      if (next != descriptors_) gather_table(memory, next, inner, 0, writable, out, out_max, chain);
      return;
    }
    if (((desc.flags & kWrite) != 0) != writable) return;
    uint64_t address = desc.address;
    for (uint32_t left = desc.bytes; left > 0;) {
      uint32_t bytes = left;
      const uint8_t* const at = memory.find(address, &bytes);
      if (at == nullptr || __builtin_add_overflow(chain->bytes, bytes, &chain->bytes)) return;
      if (chain->count == out_max) {
        chain->full = true;
        return;
      }
      out[chain->count++] = {at, bytes};
      address += bytes;
      left -= bytes;
    }
    if ((desc.flags & kNext) == 0) {
      chain->sound = true;
      return;
    }
    id = desc.next;
  }
}

void GuestRing::publish(uint32_t keep) {
  if (static_cast<uint16_t>(used_index_ - published_) <= keep) return;
  const uint16_t before = published_;
  published_ = static_cast<uint16_t>(used_index_ - keep);
  __atomic_store_n(&used_->index, published_, __ATOMIC_RELEASE);
  if (log_ != nullptr) log_->mark(log_address_, 4 + uint64_t{size_} * sizeof(UsedEntry));
  if (!call.valid()) return;
  // Our index must be visible before its wish is read, else both sides could wait.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (wants_call(before)) ring_doorbell(call.get());
}

/// Section 2.7.7.1: whether the guest's event index lies among what was published since `before`.
bool GuestRing::wants_call(uint16_t before) {
  if (!event_index_) return (__atomic_load_n(&available_->flags, __ATOMIC_RELAXED) & kNoInterrupt) == 0;
  const uint16_t event = __atomic_load_n(&available_->ring[size_], __ATOMIC_RELAXED);
  const bool is_first = !published_any_;
  published_any_ = true;
  return is_first || static_cast<uint16_t>(published_ - event - 1) < static_cast<uint16_t>(published_ - before);
}

void GuestRing::want_notifications() {
  if (event_index_) {
    __atomic_store_n(reinterpret_cast<uint16_t*>(&used_->ring[size_]), next_, __ATOMIC_RELAXED);
    log_notifications(4 + uint64_t{size_} * sizeof(UsedEntry));
  } else {
    __atomic_store_n(&used_->flags, uint16_t{0}, __ATOMIC_RELAXED);
    log_notifications(0);
  }
}

void GuestRing::refuse_notifications() {
  if (event_index_) return;
  __atomic_store_n(&used_->flags, kNoNotify, __ATOMIC_RELAXED);
  log_notifications(0);
}

void GuestRing::log_notifications(uint64_t into) const {
  if (log_ != nullptr) log_->mark(log_address_ + into, sizeof(uint16_t));
}

}  // namespace weft
